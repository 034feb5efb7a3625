//! Sends SIGKILL to a process at a random moment of a night, or makes a part hang from that moment on. The service must
//! come back within its lease, no process or lock may be left, and no broken archive may count as good.
//!
//! Every run of the tests does a few rounds; `ci/killing --rounds 200` does many and prints the figures.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::aftermath::{OLD, archives_are_good, good_archives, nothing_is_left, recover, settled};
use crate::dead_disk::{DeadDisk, can_mount_fuse};
use crate::harness::{World, have_rclone, is_dead, kill_at_once, pid, wait_long, wait_until};
use crate::programs::{can_replace_programs, gate_with_programs, move_by_podmanctl, play_stack};
use crate::victims::{Dice, VICTIMS, Victim};

/// The longest downtime of the service in a disturbed night.
const LEASE: Duration = Duration::from_secs(3);

/// The extra time for a start and for a machine that is busy with other tests.
const GENEROUS: Duration = Duration::from_secs(20);

/// The number of parallel worlds.
const WORLDS: u64 = 4;

/// The results of the rounds with one victim.
#[derive(Default)]
struct Figures {
    rounds: u32,
    /// Rounds with a process to kill before the night was over.
    hits: u32,
    /// Rounds in which no `--start` came and a keeper or a recovery brought the service back.
    by_lease: u32,
    /// Rounds with leftover work that only the next action ended.
    swept: u32,
    /// In the rounds of `by_lease`, the longest time from the kill until the service was up.
    longest: Duration,
}

/// One step of the night: the gate, and the reader of its output.
struct Step {
    gate: Child,
    client: Child,
}

impl Step {
    fn start(mut gate: Command) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let client = Command::new("cat")
            .stdin(reader)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let gate = gate
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        Self { gate, client }
    }

    /// True if the step ended well; `None` while it runs.
    fn ended(&mut self) -> Option<bool> {
        let status = self.gate.try_wait().unwrap()?;
        self.client.wait().unwrap();
        Some(status.success())
    }
}

struct Night {
    world: World,
    dice: Dice,
    early_start: bool,
    /// The length of an undisturbed night.
    length: Duration,
    rclone: String,
    /// The call that hangs when podmanctl moves the service in this round.
    call: Option<&'static str>,
    /// The disk that died, while it is mounted.
    disk: Option<DeadDisk>,
    figures: BTreeMap<Victim, Figures>,
}

impl Night {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let here = world.path("").display().to_string();
        world.script(
            "stop",
            &format!(
                "sleep 0.05\nrm -f {here}/up\nif test -e {here}/hang; then sleep 300; fi\nsleep 0.05\n"
            ),
        );
        world.script("start", &format!("sleep 0.05\n: > {here}/up\n"));
        let rclone = world.script("rclone", "sleep 0.05\nexec /usr/bin/rclone \"$@\"\n");
        for number in 0..20 {
            let name = format!("root/app/data/folder/{number}");
            world.write(&name, &format!("{number}").repeat(5000));
        }
        play_stack(&world);
        let archives = world.path("remote/OdroidBackup/app/archives");
        fs::create_dir_all(&archives).unwrap();
        for name in OLD {
            let packed = Command::new("tar")
                .arg("-czf")
                .arg(archives.join(name))
                .arg("-C")
                .arg(world.path("root/app"))
                .arg("data/file")
                .status();
            assert!(packed.unwrap().success());
        }
        let mut night = Self {
            world,
            dice: Dice::new(seed),
            early_start: seed.is_multiple_of(2),
            length: Duration::ZERO,
            rclone,
            call: None,
            disk: None,
            figures: BTreeMap::new(),
        };
        let begun = Instant::now();
        night.undisturbed();
        night.length = begun.elapsed();
        night
    }

    fn configure(&self, lease: Duration) {
        self.world.configure_with(
            &format!(
                "lease = {{ seconds = {}, keeper = \"process\" }}",
                lease.as_secs()
            ),
            &self.rclone,
        );
        let early = format!("early_start = {}", self.early_start);
        self.world.configure_app(&early);
    }

    fn lines(&self) -> [String; 4] {
        // A start waits for the hanging call until its own time is over; then the lease brings the service back.
        let start = if self.call.is_some() { 4 } else { 20 };
        [
            "backupctl --stop app --timeout 20".into(),
            self.world.sync(),
            format!("{} --keep-weekly 2 --keep-monthly 3", self.world.archive()),
            format!("backupctl --start app --timeout {start}"),
        ]
    }

    /// The gate in this round.
    fn gate(&self) -> Command {
        match self.call {
            Some(_) => gate_with_programs(&self.world),
            None => self.world.gate(),
        }
    }

    /// The service is up, with its container.
    fn is_back(&self) -> bool {
        settled(&self.world) && self.world.read("db") == "running\n"
    }

    #[track_caller]
    fn undisturbed(&self) {
        // On a busy machine a whole night may take longer than the lease of the others.
        self.configure(Duration::from_secs(600));
        for line in self.lines() {
            self.world.request(&line).expect(0);
        }
        self.configure(LEASE);
    }

    /// One night with a kill, and the checks after it.
    fn round(&mut self, number: u64) {
        let victim = VICTIMS[self.dice.roll(VICTIMS.len() as u64) as usize];
        // Nothing can be mounted by an ordinary user.
        let victim = match victim {
            Victim::Disk if !can_mount_fuse() => Victim::Halted,
            Victim::Podman | Victim::Systemctl if !can_replace_programs() => Victim::Command,
            victim => victim,
        };
        let calls = victim.calls();
        self.call = (!calls.is_empty()).then(|| calls[self.dice.roll(calls.len() as u64) as usize]);
        self.configure(LEASE);
        if self.call.is_some() {
            move_by_podmanctl(&self.world);
        }
        let span = self.length.as_millis() as u64 * 12 / 10;
        let at = Duration::from_millis(self.dice.roll(span.max(1)));
        // In half of the rounds the runner dies as well, and no start comes.
        let runner_dies =
            matches!(victim, Victim::Host | Victim::Everything) || self.dice.roll(2) == 0;
        let call = self.call.unwrap_or_default();
        let what =
            format!("round {number}: {victim:?} {call} after {at:?}, runner dies: {runner_dies}");
        self.world
            .write("root/app/data/changing", &format!("round {number}"));
        let good = good_archives(&self.world, &what);

        let begun = Instant::now();
        let mut killed = None;
        let mut hit = false;
        let mut well = true;
        let mut halted: Option<Child> = None;
        'night: for (index, line) in self.lines().iter().enumerate() {
            let is_start = index == 3;
            if !is_start && !well {
                continue;
            }
            if is_start && killed.is_some() && runner_dies {
                break;
            }
            let mut step = {
                let mut gate = self.gate();
                gate.arg("--ssh-gate").env("SSH_ORIGINAL_COMMAND", line);
                Step::start(gate)
            };
            loop {
                if killed.is_none() && begun.elapsed() >= at {
                    hit = self.kill(victim, &mut step);
                    // Wait until there is a process to kill.
                    killed = hit.then(Instant::now);
                    if hit && victim.hangs() {
                        // The runner ends a step that takes too long, by its ssh client.
                        let _ = step.client.kill();
                    }
                    if hit && victim == Victim::Halted {
                        let _ = step.client.wait();
                        halted = Some(step.gate);
                        well = false;
                        if runner_dies {
                            break 'night;
                        }
                        break;
                    }
                    if hit && runner_dies {
                        // The ssh clients of the runner die with it.
                        let _ = step.client.kill();
                        wait_long("the gate has seen that", || step.ended().is_some());
                        break 'night;
                    }
                }
                if let Some(ended) = step.ended() {
                    well &= ended;
                    break;
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        if killed.is_none() && well {
            // If the machine was busy at the beginning, most kills would otherwise come after the night.
            self.length = self.length.min(begun.elapsed());
        }
        // A gate that dies after writing a lease, but before the keeper starts, has stopped no service yet.
        let not_kept = self.world.exists("up") && self.world.keepers().is_empty();
        if runner_dies && (not_kept || victim == Victim::Everything) {
            // The recovery needs a trigger: cron, the next backup, or the next boot.
            recover(self.gate());
        }
        let since = killed.unwrap_or(begun);
        while !self.is_back() {
            assert!(
                since.elapsed() < LEASE + GENEROUS,
                "{what}: the service is not back; its container: {}; its lease: {}; audit:\n{}",
                self.world.read("db"),
                self.world.read("state/leases/app.json"),
                self.world.read("audit.jsonl")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = since.elapsed();
        self.disk = None;
        for file in ["hang", "hung", "hanging-calls"] {
            let _ = fs::remove_file(self.world.path(file));
        }
        if let Some(mut gate) = halted {
            // A start ends this gate if it holds the lock of the service; otherwise the gate blocks no start.
            let _ = gate.kill();
            gate.wait().unwrap();
        }
        let swept = nothing_is_left(&self.world, &what);
        archives_are_good(&self.world, &good, &what);
        let figures = self.figures.entry(victim).or_default();
        figures.rounds += 1;
        figures.hits += u32::from(hit);
        figures.swept += u32::from(swept);
        if killed.is_some() && runner_dies {
            figures.by_lease += 1;
            figures.longest = figures.longest.max(took);
        }
    }

    fn kill(&mut self, victim: Victim, step: &mut Step) -> bool {
        let end = |pids: Vec<Pid>| {
            let hit: Vec<Pid> = pids
                .into_iter()
                .filter(|&pid| kill(pid, Signal::SIGKILL).is_ok())
                .collect();
            // On a busy machine dead processes hold their locks for some milliseconds more.
            wait_until("they are dead", || hit.iter().all(|&pid| is_dead(pid)));
            !hit.is_empty()
        };
        match victim {
            Victim::Client => step.client.kill().is_ok(),
            Victim::Gate => step.gate.kill().is_ok(),
            Victim::Rclone => end(self.rclones()),
            Victim::Halted => {
                let alive = matches!(step.gate.try_wait(), Ok(None));
                alive && kill(pid(&step.gate), Signal::SIGSTOP).is_ok()
            }
            Victim::Disk => {
                let data = self.world.path("root/app/data");
                self.disk = Some(DeadDisk::mount(data, 0, true));
                true
            }
            Victim::Command => {
                self.world.write("hang", "");
                true
            }
            Victim::Podman | Victim::Systemctl => {
                if !self.world.exists("hang") && !self.world.exists("hung") {
                    self.world.write("hang", self.call.unwrap_or_default());
                }
                self.world.exists("hanging-calls")
            }
            Victim::Keeper => {
                let keepers = self.world.keepers();
                let at = self.dice.roll(keepers.len().max(1) as u64) as usize;
                end(keepers.get(at).copied().into_iter().collect())
            }
            Victim::Host | Victim::Everything => {
                let _ = step.client.kill();
                let gate = step.gate.kill().is_ok();
                let keepers = self.world.keepers();
                let spared = victim == Victim::Host;
                if !spared {
                    // Kill both before one of them sees that the other is gone.
                    kill_at_once(&keepers);
                }
                let below = self.world.running().into_iter().map(|(pid, _)| pid);
                end(below
                    .filter(|pid| !(spared && keepers.contains(pid)))
                    .collect());
                gate
            }
        }
    }

    fn rclones(&self) -> Vec<Pid> {
        let is_rclone = |pid: &Pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("rclone"))
        };
        self.world
            .running()
            .into_iter()
            .map(|(pid, _)| pid)
            .filter(is_rclone)
            .collect()
    }
}

fn seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

#[test]
fn kills_at_random_moments_leave_no_service_down_and_nothing_behind() {
    if !have_rclone() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds: u64 = number("BACKUPCTL_KILL_ROUNDS").unwrap_or(8);
    let seed = number("BACKUPCTL_KILL_SEED").unwrap_or_else(seed);
    println!("seed {seed}");
    let nights: Vec<Night> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORLDS)
            .map(|world| {
                scope.spawn(move || {
                    let mut night = Night::new(seed.wrapping_add(world));
                    for round in (world..rounds).step_by(WORLDS as usize) {
                        night.round(round);
                    }
                    // The next night succeeds.
                    night.undisturbed();
                    night
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for night in &nights {
        let all = night.world.listing("app/archives");
        assert!(
            all.iter().all(|name| !name.ends_with(".partial")),
            "{all:?}"
        );
        for old in [OLD[0], OLD[2]] {
            assert!(all.contains(&old.to_owned()), "{old} is gone");
        }
    }
    println!("victim      rounds  alive  swept  no start  up after at most");
    for victim in VICTIMS {
        let each = || nights.iter().filter_map(|night| night.figures.get(&victim));
        println!(
            "{:<11} {:>6} {:>6} {:>6} {:>9}  {:.1} s",
            format!("{victim:?}"),
            each().map(|figures| figures.rounds).sum::<u32>(),
            each().map(|figures| figures.hits).sum::<u32>(),
            each().map(|figures| figures.swept).sum::<u32>(),
            each().map(|figures| figures.by_lease).sum::<u32>(),
            each()
                .map(|figures| figures.longest)
                .max()
                .unwrap_or_default()
                .as_secs_f64()
        );
    }
}
