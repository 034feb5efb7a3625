//! Notifications over days, by a clock that the test moves: retries, the last try, and alerts of overdue tasks.

use crate::harness::{BINARY, wait_for};
use crate::receivers::{MailServer, Speaks, Tls, WebServer};
use chrono::{DateTime, TimeDelta, Utc};
use lightflow::domain::audit::{Action, Actor, Deed, SubjectKind};
use lightflow::domain::target::TargetBody;
use lightflow::domain::task::{Task, TaskId};
use lightflow::engine::{AuditedAct, Clock, Engine, Folders, LogStore, ManualClock};
use lightflow::notify::{self, Authorities, Notifier};
use lightflow::secrets::SecretKey;
use lightflow::setting::Setting;
use lightflow::store::{self, Store};
use lightflow::view::TaskBody;
use serde_json::json;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// The engine and the notifications in this process, with a clock that the test moves.
struct World {
    clock: ManualClock,
    store: Store,
    engine: Engine,
    secrets: Arc<SecretKey>,
    runtime: tokio::runtime::Runtime,
    dir: Arc<tempfile::TempDir>,
    _notifier: Notifier,
}

impl World {
    fn on(dir: Arc<tempfile::TempDir>, clock: ManualClock) -> Self {
        let authorities = Authorities {
            system: "/nonexistent".into(),
            named: None,
        };
        Self::trusting(dir, clock, authorities)
    }

    fn trusting(dir: Arc<tempfile::TempDir>, clock: ManualClock, authorities: Authorities) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::open(&dir.path().join("lightflow.db")).unwrap();
        let secrets = Arc::new(SecretKey::load_or_create(&dir.path().join("secret.key")).unwrap());
        let parts = lightflow::engine::Parts {
            store: store.clone(),
            secrets: secrets.clone(),
            run_secrets: lightflow::engine::RunSecrets::default(),
            clock: Arc::new(clock.clone()),
            logs: LogStore::new(dir.path().join("logs"), 1 << 20),
            folders: Folders::new(dir.path()),
            libraries: lightflow::libraries::Libraries::new(dir.path().join("python-libs")),
            zone: Setting::new(lightflow::zones::Zone::utc(), None),
            supervisors: lightflow::engine::Supervisors::new(BINARY.into(), dir.path()),
            grace: Duration::from_secs(1),
        };
        let engine = runtime.block_on(Engine::start(parts)).unwrap();
        let notifier = runtime.block_on(async {
            Notifier::start(notify::NotifierParts {
                store: store.clone(),
                secrets: secrets.clone(),
                clock: Arc::new(clock.clone()),
                feed: engine.feed().clone(),
                zone: Setting::new(lightflow::zones::Zone::utc(), None),
                base_url: Setting::new("http://board".to_owned(), None),
                authorities,
            })
        });
        Self {
            clock,
            store,
            engine,
            secrets,
            runtime,
            dir,
            _notifier: notifier,
        }
    }

    fn new(now: &str) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(dir.path().join("scripts")).unwrap();
        Self::on(dir, ManualClock::new(now.parse().unwrap()))
    }

    fn restart(self) -> Self {
        let (dir, clock) = (self.dir.clone(), self.clock.clone());
        self.runtime.block_on(self.engine.shutdown());
        drop(self);
        Self::on(dir, clock)
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&store::Tx<'_>) -> Result<T, store::StoreError> + Send + 'static,
    ) -> T {
        self.runtime.block_on(self.store.write(work)).unwrap()
    }

    fn channel(&self, url: String) {
        self.named_channel("hook", url);
    }

    fn named_channel(&self, name: &str, url: String) {
        let target = TargetBody {
            kind: "webhook".to_owned(),
            url,
            ..Default::default()
        };
        self.target(name, &target);
    }

    fn target(&self, name: &str, target: &TargetBody) {
        let sealed = notify::seal(&self.secrets, name, target).unwrap();
        let body = json!({"name": name, "target": {"kind": target.kind}});
        let body: lightflow::view::ChannelBody = serde_json::from_value(body).unwrap();
        let (channel, now) = (body.channel().unwrap(), self.clock.now());
        self.write(move |tx| store::channels::insert(tx, &channel, &sealed, now));
    }

    fn daily(&self, script: &str) -> lightflow::domain::task::TaskId {
        let body: TaskBody = serde_json::from_value(json!({"name": "t", "cron": "0 3 * * *",
            "steps": [{"name": "s", "command": "sh", "args": ["-c", script]}]}))
        .unwrap();
        let (task, now) = (Task::try_from(&body).unwrap(), self.clock.now());
        let id = self.write(move |tx| store::tasks::insert(tx, &task, now));
        self.runtime.block_on(self.engine.tasks_changed());
        id
    }

    fn deliveries(&self) -> Vec<store::Delivery> {
        let read = self.store.read(|tx| store::outbox::newest(tx, 100));
        self.runtime.block_on(read).unwrap()
    }

    fn tried(&self, attempts: u32) -> DateTime<Utc> {
        wait_for(&format!("{attempts} attempts"), || {
            let all = self.deliveries();
            all.first()
                .filter(|d| d.message.attempts == attempts)
                .map(|d| d.due)
        })
    }

    fn start(&self, task: TaskId) {
        let act = AuditedAct::new(&Actor::server(), |run| {
            Deed::new(Action::Started, SubjectKind::Run, run.0.to_string())
        });
        let started = self.engine.trigger(task, act);
        self.runtime.block_on(started).unwrap();
    }

    fn forward(&self, by: TimeDelta) {
        self.clock.set(self.clock.now() + by);
    }
}

#[test]
fn a_message_is_tried_again_later_and_later_also_after_a_restart() {
    let world = World::new("2026-03-01T12:00:00Z");
    let web = WebServer::start();
    web.answer_with(503);
    world.channel(format!("http://{}/", web.address));
    let task = world.daily("false");
    world.start(task);
    web.next();
    assert_eq!(world.tried(1), world.clock.now() + TimeDelta::seconds(30));
    world.forward(TimeDelta::seconds(30));
    web.next();
    assert_eq!(world.tried(2), world.clock.now() + TimeDelta::seconds(60));
    let world = world.restart();
    assert!(web.is_quiet(), "a restart is no reason to hurry");
    web.answer_with(200);
    world.forward(TimeDelta::seconds(60));
    assert!(web.next().body.contains("\"failure\""));
    wait_for("the end of it", || {
        let all = world.deliveries();
        (all[0].state == store::MessageState::Sent).then_some(())
    });
    world.forward(TimeDelta::hours(2));
    assert!(web.is_quiet());
}

#[test]
fn after_three_days_in_vain_a_message_is_given_up() {
    let world = World::new("2026-03-01T12:00:00Z");
    let web = WebServer::start();
    web.answer_with(500);
    world.channel(format!("http://{}/", web.address));
    let task = world.daily("false");
    world.start(task);
    world.tried(1);
    world.forward(TimeDelta::days(3));
    wait_for("the message to be given up", || {
        let all = world.deliveries();
        let first = all.last()?;
        (first.state == store::MessageState::GivenUp).then_some(())
    });
}

#[test]
fn a_task_that_does_not_succeed_for_too_long_is_reported_once_and_its_recovery_too() {
    let world = World::new("2026-03-01T12:00:00Z");
    let web = WebServer::start();
    let good = world.dir.path().join("good");
    let task = world.daily(&format!("test -e {} || exit 1", good.display()));
    // Added before there was anybody to tell.
    world.channel(format!("http://{}/", web.address));
    world.clock.set("2026-03-02T03:00:00Z".parse().unwrap());
    assert!(web.next().body.contains("\"failure\""));
    // From noon to 03:00 the day after is less than a day; a day and a quarter is 18:00.
    world.clock.set("2026-03-02T17:59:00Z".parse().unwrap());
    world.runtime.block_on(world.engine.pools());
    assert!(web.is_quiet());
    world.clock.set("2026-03-02T18:00:00Z".parse().unwrap());
    // Seen first, told a minute later: a catch-up may be about to begin.
    wait_for("the report", || {
        world.forward(TimeDelta::seconds(61));
        web.body_if_any()
            .filter(|body| body.contains("\"overdue\""))
    });
    // A message that nobody noted as sent comes again after a restart.
    wait_for("the note that it was sent", || {
        let all = world.deliveries();
        (all.first()?.state == store::MessageState::Sent).then_some(())
    });
    let world = world.restart();
    world.forward(TimeDelta::hours(3));
    world.forward(TimeDelta::minutes(5));
    std::fs::write(good, "").unwrap();
    world.start(task);
    let body = web.next().body;
    assert!(body.contains("\"recovery\""), "{body}");
}

#[test]
fn a_task_that_hangs_becomes_overdue() {
    let world = World::new("2026-03-01T12:00:00Z");
    let web = WebServer::start();
    world.daily("exec sleep 600");
    world.channel(format!("http://{}/", web.address));
    world.clock.set("2026-03-02T03:00:00Z".parse().unwrap());
    wait_for("the run", || {
        let pools = world.runtime.block_on(world.engine.pools());
        pools
            .values()
            .any(|pool| !pool.holders.is_empty())
            .then_some(())
    });
    world.clock.set("2026-03-02T18:00:00Z".parse().unwrap());
    wait_for("the report", || {
        world.forward(TimeDelta::seconds(61));
        web.body_if_any()
            .filter(|body| body.contains("\"overdue\""))
    });
}

#[test]
fn a_slow_target_delays_no_other() {
    let world = World::new("2026-03-01T12:00:00Z");
    let (slow, web) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        WebServer::start(),
    );
    let task = world.daily("false");
    world.named_channel("slow", format!("http://{}/", slow.local_addr().unwrap()));
    world.channel(format!("http://{}/", web.address));
    world.start(task);
    let (mut asked, _) = slow.accept().unwrap();
    assert!(web.next().body.contains("\"failure\""));
    wait_for("the end of the run", || {
        let pools = world.runtime.block_on(world.engine.pools());
        pools
            .values()
            .all(|pool| pool.holders.is_empty())
            .then_some(())
    });
    world.start(task);
    assert!(web.next().body.contains("\"failure\""));
    // The first message still waits for its answer, so no time limit let the second one pass.
    let mut request = Vec::new();
    asked.set_nonblocking(true).unwrap();
    let open = asked.read_to_end(&mut request).unwrap_err();
    assert_eq!(open.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_final_refusal_is_not_tried_again_and_delays_no_later_message() {
    let world = World::new("2026-03-01T12:00:00Z");
    let web = WebServer::start();
    web.answer_with(410);
    world.channel(format!("http://{}/", web.address));
    let task = world.daily("false");
    for number in 1..=2 {
        world.start(task);
        web.next();
        wait_for("the message to be given up", || {
            let all = world.deliveries();
            let over = |d: &store::Delivery| {
                d.state == store::MessageState::GivenUp && d.message.attempts == 1
            };
            (all.len() == number && all.iter().all(over)).then_some(())
        });
    }
    assert!(
        world.deliveries()[0]
            .error
            .as_ref()
            .unwrap()
            .contains("410")
    );
}

#[test]
fn a_recipient_that_is_refused_keeps_the_mail_from_no_other() {
    let world = World::new("2026-03-01T12:00:00Z");
    let tls = Tls::new(world.dir.path());
    let mail = MailServer::start(&tls, Speaks::Clear);
    let target = TargetBody {
        kind: "email".to_owned(),
        host: "localhost".to_owned(),
        port: mail.port.to_string(),
        security: "none".to_owned(),
        from: "board@example.org".to_owned(),
        to: "dead@example.org, ann@example.org, later@example.org".to_owned(),
        ..Default::default()
    };
    world.target("mail", &target);
    let task = world.daily("false");
    world.start(task);
    let first = mail.next();
    assert!(!first.text.is_empty());
    world.tried(1);
    let error = world.deliveries()[0].error.clone().unwrap();
    assert!(
        error.contains("dead@example.org: 550") && error.contains("later@example.org: 450"),
        "{error}"
    );
    world.forward(TimeDelta::seconds(30));
    let second = mail.next();
    assert_eq!(second.text, first.text);
    let recipients: Vec<&String> = second
        .commands
        .iter()
        .filter(|c| c.starts_with("RCPT"))
        .collect();
    assert_eq!(recipients, ["RCPT TO:<later@example.org>"]);
    wait_for("the end", || {
        let all = world.deliveries();
        (all[0].state == store::MessageState::Sent).then_some(())
    });
    assert!(
        world.deliveries()[0]
            .error
            .as_ref()
            .unwrap()
            .contains("dead@example.org")
    );
    // Refused by all for good, a mail is given up.
    world.target(
        "dead",
        &TargetBody {
            to: "dead@example.org".to_owned(),
            ..target
        },
    );
    world.start(task);
    wait_for("the mail to be given up", || {
        let all = world.deliveries();
        all.iter()
            .any(|d| d.channel == "dead" && d.state == store::MessageState::GivenUp)
            .then_some(())
    });
}

#[test]
fn a_named_certificate_is_trusted_beside_the_authorities_of_the_system() {
    let folder = || tempfile::tempdir().unwrap();
    let folders = [folder(), folder(), folder(), folder()];
    let path = |at: usize| folders[at].path();
    let system = Tls::new(path(0));
    let named = Tls::self_signed(path(1), "localhost", false);
    let common = Tls::self_signed(path(2), "localhost", true);
    let foreign = Tls::self_signed(path(3), "mail.example.org", true);
    let mut all = String::new();
    for tls in [&named, &common, &foreign] {
        all.push_str(&std::fs::read_to_string(&tls.bundle).unwrap());
    }
    let dir = Arc::new(folder());
    let bundle = dir.path().join("named.pem");
    std::fs::write(&bundle, all).unwrap();
    std::fs::create_dir(dir.path().join("scripts")).unwrap();
    let authorities = Authorities {
        system: system.bundle.clone(),
        named: Some(bundle),
    };
    let clock = ManualClock::new("2026-03-01T12:00:00Z".parse().unwrap());
    let world = World::trusting(dir, clock, authorities);
    let task = world.daily("false");
    let servers = [&system, &named, &common, &foreign].map(|tls| WebServer::start_with(Some(tls)));
    for (name, server) in ["system", "named", "common", "foreign"]
        .iter()
        .zip(&servers)
    {
        world.named_channel(name, format!("https://{}/", server.address));
    }
    world.start(task);
    for server in &servers[..3] {
        assert!(server.next().body.contains("\"failure\""));
    }
    // The certificate of another host is not this one's.
    wait_for("the refusal", || {
        let all = world.deliveries();
        let foreign = all.iter().find(|d| d.channel == "foreign")?;
        foreign
            .error
            .clone()
            .filter(|error| error.contains("certificate"))
    });
    assert!(servers[3].is_quiet());
}
