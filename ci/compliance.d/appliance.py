"""The installer: from a bare Debian to four green boxes, again, from another version, away, and over the tutorial's set-up."""

import datetime
import json
import shlex
import subprocess
import unittest

import containers
import release
import samples
from cases import OnTrixie
from machine import Answer

USER = "lightflow"
DEMO = release.REPO / "ci" / "demo.d" / "sample_backup.py"
DATA = "/media/ssd/podman"
SERVICE = "notes"
AS_RUNNER = f"systemd-run --quiet --pipe --wait --collect --user --machine={USER}@ -p KillMode=process --"
STEPS = [("stop", "on_success", 60), ("sync", "on_success", 300), ("archive", "on_success", 600), ("start", "always", 180)]

# All that an installation may touch and nothing that runs by itself: names, kinds, owners, modes, links and contents.
TREE = r"""
cd /
find etc usr/local usr/lib/systemd home/backup_ops media srv var/lib/systemd/linger var/lib/backupctl -xdev \
    -path media/ssd/podman/lightflow/data/\* -prune -o -path var/lib/backupctl/approvals -prune -o -printf '%p %y %U:%G %m %l\n' 2>/dev/null | sort
find etc usr/local home/backup_ops srv var/lib/backupctl -xdev -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum
"""


class Installer:
    """What the installer is asked for, and what the runner says."""

    def install(self, *options: str, code: int | None = 0, place=None) -> Answer:
        """Runs ./install as a user would, from the folder that the archive was unpacked into."""
        self.machine.do("rm -rf /root/release")
        self.machine.put(place or release.folder(), "/root/release")
        answer = self.machine.run(f"cd /root/release; ./install {shlex.join(options)}")
        if code is not None:
            self.assertEqual(answer.code, code, answer.out + answer.err)
        return answer

    def again(self, *options: str, code: int = 0) -> Answer:
        """Likewise, from the folder that is there."""
        answer = self.machine.run(f"cd /root/release; ./install {shlex.join(options)}")
        self.assertEqual(answer.code, code, answer.out + answer.err)
        return answer

    def cli(self, words: str, text: str = "") -> str:
        """Runs the runner's command line in its container."""
        script = f"{AS_RUNNER} podman exec --interactive lightflow lightflow {words} <<'END_OF_INPUT'\n{text}\nEND_OF_INPUT"
        return self.machine.do(script)

    def done(self, answer: Answer) -> list[str]:
        """The changes that an answer lists."""
        return [line.strip() for line in answer.out.split("\n\n")[0].splitlines() if line.startswith("  ")]

    def tree(self) -> str:
        """The host, as far as an installation could change it."""
        return self.machine.run(TREE).out

    def container(self) -> str:
        """The id of the container that runs."""
        return self.machine.do(f"{AS_RUNNER} podman inspect --format '{{{{.Id}}}}' lightflow").strip()

    def make_task(self):
        """Makes the tutorial's entries for a user of the pages."""
        self.cli("script put - --name backup.py", DEMO.read_text())
        words = f"task create backup_{SERVICE} --cron '0 3 * * *' --pool backup"
        for step, rule, timeout in STEPS:
            words += f" --step {step} --command python3 --args 'backup.py --{step} {SERVICE}' --rule {rule} --timeout {timeout}"
        self.cli(words)

    def boxes(self) -> list[str]:
        """Runs the task, and returns the colours of its boxes."""
        today = datetime.datetime.now(datetime.timezone.utc).strftime("%A").lower()
        self.cli(f"variable set ARCHIVE_WEEKDAY {today}")
        self.machine.run(f"{AS_RUNNER} podman exec lightflow lightflow task run backup_{SERVICE} --wait")
        [run] = json.loads(self.cli(f"run list --task backup_{SERVICE} --limit 1 --json"))["runs"]
        steps = json.loads(self.cli(f"run show {run['id']} --json"))["steps"]
        for step in steps:
            if step["state"] != "success":
                print(step["name"], step["state"], self.cli(f"run logs {run['id']} {step['name']}"))
        return [step["state"] for step in steps]

    def findings(self) -> list[dict]:
        """The doctor's findings."""
        return json.loads(self.machine.do("backupctl --doctor --json || test $? = 69"))

    def failures(self) -> list[dict]:
        """The doctor's findings that are failures."""
        return [finding for finding in self.findings() if finding["verdict"] == "FAIL"]


class OnBareTrixie(Installer, OnTrixie, unittest.TestCase):
    """Debian 13 with one service of a user's, and nothing of the gate."""

    @classmethod
    def prepare(cls):
        machine = cls.machine
        machine.boot()
        # Nothing here asks for the network to be online, as on a plain Debian.
        machine.do("rm /etc/systemd/system/multi-user.target.wants/network-online.target")
        containers.install(machine)
        machine.do(f"mkdir -p {DATA}/{SERVICE}/data {DATA}/unused/data; echo text >{DATA}/{SERVICE}/data/file")
        text = containers.container(f"Volume={DATA}/{SERVICE}/data:/data")
        containers.quadlet(machine, f"{SERVICE}.container", text, user=True)
        containers.reload(machine)
        machine.do(f"systemctl --user --machine={containers.USER}@ start {SERVICE}")

    def test_a_all_that_is_missing_is_told_and_nothing_is_done(self):
        # The release brings rclone.
        self.machine.do("mv /usr/bin/rclone /usr/bin/rclone.away; mv /usr/bin/newuidmap /usr/bin/newuidmap.away")
        before = self.tree()
        answer = self.install(code=69)
        self.assertIn("apt install uidmap\n", answer.err)
        self.assertEqual(self.tree(), before)
        self.machine.do("mv /usr/bin/newuidmap.away /usr/bin/newuidmap")

    def test_b_a_release_that_was_changed_is_not_installed(self):
        before = self.tree()
        self.machine.do("echo '# changed' >>/root/release/etc/sudoers")
        answer = self.again(code=69)
        self.assertIn("damaged", answer.err)
        self.assertEqual(self.tree(), before)

    def test_c_a_dry_run_changes_nothing_and_lists_what_is_done_then(self):
        self.machine.do("rm -rf /root/release")
        self.machine.put(release.folder(), "/root/release")
        before = self.tree()
        planned = self.done(self.again("--dry-run", "--local-remote", "/srv/onedrive"))
        self.assertEqual(self.tree(), before)
        answer = self.again("--local-remote", "/srv/onedrive")
        self.assertEqual(self.done(answer), planned)
        self.assertRegex(answer.out, r"Make yourself a login, once: https://host:8443/setup\?token=[0-9a-f]{64}")
        self.assertRegex(answer.out, r"\d+ OK, \d WARN, 0 FAIL")

    def test_d_the_services_that_were_found_are_in_the_configuration(self):
        listed = self.machine.do("podmanctl --list")
        self.assertRegex(listed, rf"(?m)^{SERVICE}\tup\t{containers.USER}\t")
        self.assertNotIn("unused", listed)
        self.assertIn("# [services.unused]", self.machine.do("cat /etc/backupctl/backupctl.toml"))

    def test_e_a_second_run_changes_nothing(self):
        before, container = self.tree(), self.container()
        self.assertEqual(self.done(self.again()), ["nothing: all is as it should be"])
        self.assertEqual(self.tree(), before)
        self.assertEqual(self.container(), container)

    def test_f_the_container_can_do_nothing_but_its_work(self):
        shown = json.loads(self.machine.do(f"{AS_RUNNER} podman inspect lightflow"))[0]
        self.assertEqual(shown["Config"]["User"], "1000:1000")
        self.assertTrue(shown["HostConfig"]["ReadonlyRootfs"])
        self.assertEqual(shown["EffectiveCaps"] or [], [])
        self.assertEqual(shown["BoundingCaps"] or [], [])
        self.assertIn("no-new-privileges", shown["HostConfig"]["SecurityOpt"])
        binds = {mount["Destination"]: mount["RW"] for mount in shown["Mounts"] if mount["Type"] == "bind"}
        self.assertEqual(binds, {"/data": True, "/usr/share/zoneinfo": False})
        pid = shown["State"]["Pid"]
        status = self.machine.do(f"cat /proc/{pid}/status")
        for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
            self.assertIn(line, status)
        outside = self.machine.do(f"stat -c %U /proc/{pid}").strip()
        self.assertEqual(outside, USER)
        for path in ("/x", "/usr/x", "/etc/x"):
            answer = self.machine.run(f"{AS_RUNNER} podman exec lightflow python3 -c \"open('{path}', 'w')\"")
            self.assertIn("Read-only file system", answer.err)

    def test_g_no_private_key_is_on_a_disk(self):
        found = self.machine.run(
            "grep -rlI 'BEGIN OPENSSH PRIVATE KEY' /etc/backupctl /etc/lightflow /home/backup_ops /home/lightflow/.config"
            " /var/lib/backupctl /media /srv /tmp /var/tmp /root /run/backupctl-install 2>/dev/null | grep -v '^/root/release'"
        )
        self.assertEqual(found.out, "")
        self.assertNotIn("PRIVATE KEY", self.machine.do("journalctl --no-pager -o cat"))
        self.assertIn('"secret":true', self.cli("variable list --json").replace(" ", ""))

    def test_h_the_sessions_of_the_account_have_a_limit(self):
        said = self.machine.do("systemctl show --value --property=TasksMax user-$(id -u backup_ops).slice")
        self.assertEqual(said.strip(), "1024")

    def test_h_the_units_are_well_formed(self):
        self.machine.do("systemd-analyze --man=no verify /etc/systemd/system/backupctl-recover.service")
        generator = "/usr/lib/systemd/user-generators/podman-user-generator"
        dry = self.machine.do(
            f"folder=$(dirname /etc/containers/systemd/users/*/lightflow.container)\n"
            f"QUADLET_UNIT_DIRS=$folder {generator} --user --dryrun 2>&1"
        )
        self.assertIn("---lightflow.service---", dry)
        self.assertIn("--cap-drop all --read-only --user 1000:1000", dry)
        self.machine.do(
            f"uid=$(id -u {USER}); mkdir -p /tmp/units; cp /run/user/$uid/systemd/generator/lightflow.service /tmp/units/\n"
            "systemd-analyze --user --man=no verify --recursive-errors=no /tmp/units/lightflow.service"
        )

    def test_i_four_green_boxes(self):
        self.make_task()
        self.assertEqual(self.boxes(), ["success"] * 4)
        copies = f"/srv/onedrive/OdroidBackup/{SERVICE}"
        self.assertEqual(self.machine.do(f"cat {copies}/data/file"), "text\n")
        self.assertRegex(self.machine.do(f"ls {copies}/archives"), rf"{SERVICE}-\d{{4}}-\d\d-\d\d\.tar\.gz\n")
        self.assertEqual(self.failures(), [])

    def test_i_then_an_old_key_of_the_runner_is_found_and_its_repair_works(self):
        def runner() -> dict:
            [finding] = [finding for finding in self.findings() if finding["hop"] == "runner"]
            return finding

        self.assertEqual(runner()["verdict"], "OK", runner())
        # As after a restore of the runner on a new machine.
        self.machine.do("ssh-keygen -q -t ed25519 -N '' -f /root/old")
        self.cli("variable set BACKUP_SSH_KEY --secret --file -", self.machine.do("cat /root/old; rm /root/old /root/old.pub"))
        found = runner()
        self.assertEqual(found["verdict"], "FAIL", found)
        self.assertIn("none of those that the account accepts", found["what"])
        for command in found["fix"]:
            if command.startswith("./install"):
                self.again()
            else:
                self.machine.do(command)
        self.assertEqual(runner()["verdict"], "OK", runner())

    def test_j_the_container_is_back_after_a_boot_without_waiting_in_vain(self):
        self.machine.reboot()
        self.machine.wait(f"systemctl --user --machine={USER}@ is-active lightflow")
        self.machine.do("systemctl is-active network-online.target")
        waited = self.machine.do(f"systemctl --user --machine={USER}@ show -p Result podman-user-wait-network-online")
        self.assertEqual(waited.strip(), "Result=success")
        self.machine.wait(f"systemctl --user --machine={containers.USER}@ is-active {SERVICE}")
        self.assertEqual(self.boxes(), ["success"] * 4)

    def test_k_an_upgrade_keeps_data_and_configuration_and_what_others_changed(self):
        self.machine.do("echo '# mine' >>/etc/backupctl/backupctl.toml; echo LIGHTFLOW_LOG=debug >>/etc/lightflow/lightflow.env")
        self.machine.do("echo '# mine' >>/usr/local/share/man/man8/podmanctl.8")
        container = self.container()
        newer = release.changed("podman/lightflow.container", lambda text: text.replace("RestartSec=5", "RestartSec=6"))
        done = self.done(self.install(place=newer))
        self.assertTrue(any("lightflow.container (root:root 0644)" in line for line in done), done)
        kept = [line for line in done if "is kept in /var/lib/backupctl/replaced" in line]
        self.assertEqual(len(kept), 1, done)
        self.assertIn("podmanctl.8", kept[0])
        self.assertIn("# mine", self.machine.do("cat /var/lib/backupctl/replaced/usr-local-share-man-man8-podmanctl.8"))
        self.assertIn("# mine", self.machine.do("cat /etc/backupctl/backupctl.toml"))
        self.assertIn("LIGHTFLOW_LOG=debug", self.machine.do("cat /etc/lightflow/lightflow.env"))
        self.assertNotEqual(self.container(), container)
        self.assertEqual(self.boxes(), ["success"] * 4)

    def test_l_a_removal_leaves_data_and_configuration_and_no_way_in(self):
        planned = self.done(Answer(0, self.machine.do("backupctl --uninstall --dry-run"), ""))
        self.assertIn("remove   /etc/sudoers.d/backupctl", planned)
        self.machine.do("systemctl is-active --quiet ssh; test -e /etc/sudoers.d/backupctl")
        # A session is still open, or was a moment ago.
        self.machine.do("systemd-run --quiet --uid=backup_ops --property=PAMName=sshd sleep 600; loginctl show-user backup_ops")
        said = self.machine.do("backupctl --uninstall")
        self.assertIn(f"stay in {DATA}/lightflow/data", said)
        self.assertIn("stay in /etc/backupctl", said)
        left = self.machine.do(
            "ls /usr/local/bin /etc/sudoers.d /etc/ssh/sshd_config.d /etc/systemd/system /etc/containers/systemd/users/* /etc/tmpfiles.d"
        )
        for name in ("backupctl", "lightflow.container", "podmanctl", ".slice.d"):
            self.assertNotIn(name, left)
        self.assertNotEqual(self.machine.run("id backup_ops").code, 0)
        self.assertEqual(self.machine.run("ss -ltn | grep :8443").code, 1)
        self.machine.do(f"test -s {DATA}/lightflow/data/lightflow.db; grep -q mine /etc/backupctl/backupctl.toml")
        self.machine.do(f"systemctl --user --machine={containers.USER}@ is-active {SERVICE}")

    def test_m_what_was_left_is_found_again(self):
        self.install()
        self.assertEqual(self.boxes(), ["success"] * 4)
        self.assertEqual(self.failures(), [])


class TheReadme(Installer, OnTrixie, unittest.TestCase):
    """Every command of the README's chapter on installing, as it stands there, by the administrator."""

    SECTION = "## Install it"

    @classmethod
    def prepare(cls):
        cls.machine.boot()
        name = release.folder().name
        archive = f"{release.scratch()}/{name}.tar.gz"
        subprocess.run(["tar", "-C", release.folder().parent, "-czf", archive, name], check=True)
        cls.machine.put(archive, f"/home/debian/{name}.tar.gz")

    def commands(self) -> list[str]:
        """The indented lines of the chapter, with the version of this release in place of VERSION."""
        text = (release.REPO / "README.md").read_text()
        chapter = text.split(self.SECTION)[1].split("\n## ")[0]
        version = release.folder().name.removeprefix("lightflow-")
        return [line.strip().replace("VERSION", version) for line in chapter.splitlines() if line.startswith("    ")]

    def as_debian(self, line: str) -> Answer:
        """Runs a line in a login shell of the administrator's."""
        return self.machine.run(f"runuser -l debian -c {shlex.quote(line)}")

    def test_every_command_does_what_the_readme_says(self):
        commands = self.commands()
        self.assertEqual(len(commands), 5, commands)
        for line in commands:
            # Microsoft would ask a person here; a folder asks no questions.
            if "/rclone config" in line:
                line += " create onedrive alias remote /srv/onedrive"
                self.machine.do("mkdir -m 0700 /srv/onedrive")
                self.machine.do(
                    "sed -i 's|^local_folders = .*|local_folders = [\"/srv/onedrive\"]|' /etc/backupctl/backupctl.toml"
                )
            answer = self.as_debian(line)
            self.assertEqual(answer.code, 0, f"{line}\n{answer.out}{answer.err}")
            if line.startswith("tar"):
                self.assertIn("One thing only you can do", answer.out)
                listed = self.as_debian("sudo lightflow --data-dir /media/ssd/podman/lightflow/data task list")
                self.assertEqual(listed.code, 0, listed.err)
                self.assertEqual(self.as_debian("man -w backupctl || test ! -x /usr/bin/man").code, 0)
                again = self.as_debian("sudo lightflow-*/install --dry-run")
                self.assertEqual(self.done(again), ["nothing: all is as it should be"])
                log = self.machine.do("journalctl --no-pager -o cat CONTAINER_NAME=lightflow")
                self.assertIn("lightflow serves", log)
        self.assertIn("install", self.machine.do("journalctl --no-pager -t backupctl"))
        self.machine.do("test -s /media/ssd/podman/lightflow/data/lightflow.db; test ! -e /usr/local/bin/backupctl")


class OverTheTutorials(Installer, OnTrixie, unittest.TestCase):
    """Debian 13 as the tutorial leaves it: an account, a key, a sudoers file, rclone's configuration."""

    @classmethod
    def prepare(cls):
        super().prepare()
        samples.install(cls.machine)
        cls.machine.do(f"rm -r {DATA}/lightflow")

    def test_a_it_is_not_taken_over_without_being_asked_to(self):
        before = self.tree()
        answer = self.install(code=69)
        self.assertIn("./install --import", answer.err)
        self.assertEqual(self.tree(), before)

    def test_b_what_the_user_has_stays(self):
        kept = "cat /etc/backupctl/backupctl.toml /etc/backupctl/rclone.conf /etc/sudoers.d/backupctl"
        before = self.machine.do(kept)
        key = self.machine.do("cat /home/backup_ops/.ssh/authorized_keys")
        self.again("--import")
        # But for the rclone of the release in the place of the old default.
        self.assertEqual(
            self.machine.do(kept),
            before.replace('program = "/usr/bin/rclone"', 'program = "/usr/local/lib/backupctl/rclone"'),
        )
        self.machine.do("test -x /usr/local/lib/backupctl/rclone; ls /var/lib/backupctl/replaced/etc-backupctl-backupctl.toml")
        keys = self.machine.do("cat /home/backup_ops/.ssh/authorized_keys")
        self.assertTrue(keys.startswith(key), keys)
        self.assertEqual(len(keys.splitlines()), 2)
        self.assertEqual(self.machine.alone("backupctl --stop n8n").code, 0)
        self.assertEqual(self.machine.alone("backupctl --start n8n").code, 0)
        self.assertEqual(self.failures(), [])

    def test_c_a_second_run_changes_nothing(self):
        before = self.tree()
        self.assertEqual(self.done(self.again("--import")), ["nothing: all is as it should be"])
        self.assertEqual(self.tree(), before)

    def test_d_a_removal_leaves_the_users_own_key(self):
        self.machine.do("backupctl --uninstall")
        keys = self.machine.do("cat /home/backup_ops/.ssh/authorized_keys")
        self.assertEqual(len(keys.splitlines()), 1)
        self.assertNotIn("lightflow-appliance", keys)
        self.machine.do("id backup_ops; test -s /etc/backupctl/rclone.conf")
