"""podmanctl on real systemd and Podman."""

import json
import unittest

import containers
import samples
import shapes
from cases import OnTrixie
from containers import container, podman, quadlet
from machine import CONFIG, Answer

UP, PARTLY, DOWN, NOTHING = 0, 1, 3, 4
SERVICES = ["single", "album", "chain", "box", "half", "sick", "stubborn", "jobs", "loop", "lone", "gone", "kube"]
SERVICES += ["slow", "crash", "draw", "base", "over", "lost", "mute", "quick"]
USERS = ["paper", "cave"]


class Stacks(OnTrixie, unittest.TestCase):
    """One service a test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        containers.install(cls.machine)
        for user, linger in ((shapes.LINKED, True), (shapes.SEEN, False)):
            containers.add_user(cls.machine, user, linger)
        # A folder of dotfiles, as people keep them.
        cls.machine.do(
            f"cd /home/{shapes.LINKED}; mkdir -p dotfiles/quadlets .config/containers; ln -s ../../dotfiles/quadlets .config/containers/systemd; chown -R {shapes.LINKED}: ."
        )
        stacks = [shapes.named(number) for number in range(len(shapes.SHAPES))]
        tables = [f"[services.{name}]" for name in [*SERVICES, *stacks, "shared", "hidden"]]
        tables += [f'[services.{name}]\nuser = "{containers.USER}"' for name in USERS]
        cls.machine.write(CONFIG, "\n".join(tables))

    def podmanctl(self, words: str) -> Answer:
        """Runs it as root."""
        return self.machine.run(f"podmanctl {words}")

    def ask(self, words: str, code: int = 0) -> Answer:
        """Runs it, and insists on the exit code."""
        answer = self.podmanctl(words)
        self.assertEqual(answer.code, code, f"podmanctl {words}\n{answer.out}{answer.err}")
        return answer

    def start(self, *units: str, user: bool = False):
        """Makes new quadlets known and starts units."""
        containers.reload(self.machine)
        manager = f"--user --machine={containers.USER}@" if user else ""
        self.machine.do(f"systemctl {manager} start {' '.join(units)}")

    def active(self, unit: str, user: bool = False) -> bool:
        """True if a unit runs."""
        manager = f"--user --machine={containers.USER}@" if user else ""
        return self.machine.run(f"systemctl {manager} is-active {unit}").code == 0

    def running(self, user: bool = False) -> set[str]:
        """The containers that run."""
        return set(podman(self.machine, "ps --format '{{.Names}}'", user).split())

    def ended(self, *units: str) -> list[str]:
        """The units in the order in which they were stopped last, by the journal."""
        text = self.machine.do("journalctl --sync; journalctl -b -o json --output-fields=UNIT,MESSAGE_ID,__CURSOR _PID=1")
        stopped = "9d1aaa27d60140bd96365438aad20286"
        order = []
        for line in text.splitlines():
            entry = json.loads(line)
            if entry.get("MESSAGE_ID") == stopped and entry.get("UNIT") in units:
                order = [unit for unit in order if unit != entry["UNIT"]] + [entry["UNIT"]]
        return order

    def test_a_single_quadlet_is_stopped_and_started(self):
        quadlet(self.machine, "single.container", container())
        self.start("single")
        self.ask("--status single", UP)
        self.ask("--stop single")
        self.ask("--status single", DOWN)
        self.assertNotIn("systemd-single", self.running())
        self.ask("--stop single")
        self.ask("--start single")
        self.ask("--status single", UP)
        self.assertIn("systemd-single", self.running())

    def test_a_pod_of_three_is_one_stack(self):
        quadlet(self.machine, "album.pod", "[Pod]\nNetwork=none\n[Install]\nWantedBy=multi-user.target\n")
        for name in ("db", "cache", "server"):
            text = container("Pod=album.pod", install=False).replace("Network=none\n", "")
            quadlet(self.machine, f"album-{name}.container", text)
        self.start("album-pod")
        self.machine.wait("podmanctl --status album")
        members = {"systemd-album-db", "systemd-album-cache", "systemd-album-server"}
        self.ask("--stop album")
        self.ask("--status album", DOWN)
        self.assertEqual(self.running() & members, set())
        self.assertFalse(self.active("album-pod"))
        self.ask("--start album")
        self.assertLessEqual(members, self.running())

    def test_units_are_stopped_in_the_reverse_order_of_their_dependencies(self):
        # Alphabetical order is the wrong one, in both directions.
        quadlet(self.machine, "chain-b.container", container())
        quadlet(self.machine, "chain-a.container", container(unit="After=chain-b.service\nRequires=chain-b.service"))
        quadlet(self.machine, "chain-c.container", container(unit="After=chain-a.service\nRequires=chain-a.service"))
        self.start("chain-c")
        for _ in range(3):
            self.ask("--stop chain")
            order = self.ended("chain-a.service", "chain-b.service", "chain-c.service")
            self.assertEqual(order, ["chain-c.service", "chain-a.service", "chain-b.service"])
            self.ask("--start chain")

    def test_a_users_service_is_moved_by_the_users_own_tools(self):
        quadlet(self.machine, "paper.container", container(), user=True)
        self.start("paper", user=True)
        self.ask("--stop paper")
        self.assertFalse(self.active("paper", user=True))
        self.ask("--status paper", DOWN)
        self.ask("--start paper")
        self.assertIn("systemd-paper", self.running(user=True))

    def test_a_users_service_is_found_without_being_told_and_two_are_one_too_many(self):
        quadlet(self.machine, "hidden.container", container(), user=True)
        self.start("hidden", user=True)
        self.ask("--status hidden", UP)
        self.assertIn("hidden\tup\talice\thidden.service", self.ask("--list").out)
        self.ask("--stop hidden")
        self.ask("--start hidden")
        quadlet(self.machine, "shared.container", container(), user=True)
        quadlet(self.machine, "shared.container", container())
        self.start("shared", user=True)
        answer = self.ask("--stop shared", 69)
        self.assertIn('services.shared.user ("root", or the user)', answer.err)
        self.assertTrue(self.active("shared", user=True))

    def test_containers_without_a_unit_are_found_by_label_and_stopped_in_order(self):
        for user in (False, True):
            name = "cave" if user else "box"
            label = f"--label io.podman.compose.project={name} --network none"
            podman(self.machine, f"run -d --name first-{name} {label} {containers.IMAGE}", user)
            podman(self.machine, f"run -d --name second-{name} --requires first-{name} {label} {containers.IMAGE}", user)
            podman(self.machine, f"run -d --name {name}_third --network none {containers.IMAGE}", user)
            members = {f"first-{name}", f"second-{name}", f"{name}_third"}
            self.ask(f"--status {name}", UP)
            self.ask(f"--stop {name}")
            self.ask(f"--status {name}", DOWN)
            self.assertEqual(self.running(user) & members, set())
            died = podman(self.machine, "events --since 5m --stream=false --filter event=died --format '{{.Name}}'", user)
            ours = [one for one in died.split() if one in members]
            # Those that do not require each other are stopped at the same time.
            self.assertEqual(set(ours), members)
            self.assertLess(ours.index(f"second-{name}"), ours.index(f"first-{name}"))
            self.ask(f"--start {name}")
            self.assertLessEqual(members, self.running(user))

    def test_what_was_down_before_stays_down(self):
        for name in ("a", "b"):
            quadlet(self.machine, f"half-{name}.container", container())
        self.start("half-a", "half-b")
        self.machine.do("systemctl stop half-b")
        self.ask("--status half", PARTLY)
        self.ask("--stop half")
        self.ask("--stop half")
        self.ask("--status half", DOWN)
        self.ask("--start half")
        self.assertTrue(self.active("half-a"))
        self.assertFalse(self.active("half-b"))
        # Members that an administrator left down are not expected, and another --start does not start them.
        self.ask("--status half", UP)
        self.ask("--start half")
        self.assertFalse(self.active("half-b"))
        # Without a stop of ours, a start is one as after a boot.
        self.machine.do("systemctl stop half-a")
        self.ask("--start half")
        self.assertTrue(self.active("half-a") and self.active("half-b"))

    def test_up_means_healthy(self):
        section = "Exec=/bin/sh -c 'trap \"exit 0\" TERM; until test -e /data/late; do sleep 0.1; done; touch /tmp/ok; sleep 100000 & wait'\n"
        section += "Volume=/srv/sick:/data\nHealthCmd=test -e /tmp/ok\nHealthInterval=1s\nHealthRetries=60"
        self.machine.do("mkdir -p /srv/sick")
        quadlet(self.machine, "sick.container", container(section))
        self.start("sick")
        answer = self.ask("--status sick", PARTLY)
        self.assertIn("has not passed yet", answer.out)
        self.machine.do("touch /srv/sick/late")
        self.ask("--start sick")
        self.ask("--status sick", UP)
        self.ask("--stop sick")
        self.ask("--start sick")
        self.assertIn("healthy", self.ask("--status sick", UP).out)
        podman(self.machine, "exec systemd-sick busybox rm /tmp/ok")
        self.machine.do("sed -i 's/HealthRetries=60/HealthRetries=1/; s/touch/true/' /etc/containers/systemd/sick.container")
        containers.reload(self.machine)
        self.ask("--stop sick")
        answer = self.ask("--start sick --timeout 30", 124)
        self.assertIn("unhealthy", answer.err)

    def test_a_container_that_ignores_sigterm_is_down_when_stop_says_so(self):
        quadlet(self.machine, "stubborn.container", container("Exec=/bin/sleep 100000\nStopTimeout=2"))
        self.start("stubborn")
        self.ask("--stop stubborn")
        self.assertNotIn("systemd-stubborn", self.running())
        self.ask("--start stubborn")

    def test_timers_and_sockets_do_not_start_what_was_stopped(self):
        quadlet(self.machine, "jobs.container", container())
        quadlet(self.machine, "jobs-hourly.container", container("Exec=/bin/true", service="Type=oneshot", install=False))
        self.machine.write("/etc/systemd/system/jobs-hourly.timer", "[Timer]\nOnActiveSec=1\nOnUnitInactiveSec=1\nAccuracySec=100ms\n[Install]\nWantedBy=timers.target\n")
        self.machine.write("/etc/systemd/system/jobs.socket", "[Socket]\nListenStream=/run/jobs\n[Install]\nWantedBy=sockets.target\n")
        containers.reload(self.machine)
        self.machine.do("systemctl enable --now jobs.socket jobs-hourly.timer; systemctl start jobs")
        self.ask("--stop jobs")
        self.assertFalse(self.active("jobs.socket") or self.active("jobs-hourly.timer"))
        self.machine.run("python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"/run/jobs\")'")
        self.ask("--status jobs", DOWN)
        self.ask("--start jobs")
        for unit in ("jobs", "jobs.socket", "jobs-hourly.timer"):
            self.assertTrue(self.active(unit), unit)
        self.machine.do("systemctl disable --now jobs-hourly.timer")

    def test_a_unit_that_is_always_restarted_stays_down(self):
        section = "Exec=/bin/sh -c 'sleep 0.3; false'"
        service = "Restart=always\nRestartSec=0\n[Unit]\nStartLimitIntervalSec=0"
        quadlet(self.machine, "loop.container", container(section, service=service))
        containers.reload(self.machine)
        self.machine.do("systemctl start --no-block loop")
        self.machine.wait("test $(systemctl show -p NRestarts --value loop) -gt 2")
        self.ask("--stop loop")
        self.ask("--status loop", DOWN)
        self.assertEqual(self.machine.do("systemctl list-jobs --no-legend"), "")

    def test_what_would_be_gone_for_good_is_not_stopped(self):
        podman(self.machine, f"run -d --rm --name lone --network none {containers.IMAGE}")
        answer = self.ask("--stop lone", 69)
        self.assertIn("--rm", answer.err)
        self.assertIn("lone", self.running())
        podman(self.machine, "stop lone")
        quadlet(self.machine, "gone.container", container())
        self.start("gone")
        self.machine.do("rm /etc/containers/systemd/gone.container; systemctl daemon-reload")
        answer = self.ask("--stop gone", 69)
        self.assertIn("its file is gone", answer.err)
        self.assertTrue(self.active("gone"))
        self.machine.do("systemctl stop gone")

    def test_a_pod_of_kubernetes_yaml_comes_back(self):
        yaml = f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: kube\nspec:\n  hostNetwork: true\n  containers:\n  - name: app\n    image: {containers.IMAGE}\n"
        self.machine.write("/etc/containers/systemd/kube.yaml", yaml)
        quadlet(self.machine, "kube.kube", "[Kube]\nYaml=kube.yaml\n[Install]\nWantedBy=multi-user.target\n")
        self.start("kube")
        self.ask("--status kube", UP)
        self.ask("--stop kube")
        self.ask("--status kube", DOWN)
        self.assertNotIn("kube-app", self.running())
        self.ask("--start kube")
        self.assertIn("kube-app", self.running())

    def test_a_user_who_cannot_be_seen_may_be_the_one_who_has_it(self):
        manager = f"systemctl kill --kill-whom=main user@$(id -u {containers.USER}).service --signal"
        self.addCleanup(self.machine.do, f"{manager} CONT")
        self.machine.do(f"{manager} STOP")
        answer = self.podmanctl("--status nowhere")
        self.assertIn(f"what {containers.USER} runs cannot be seen", answer.err)
        self.assertNotIn(answer.code, (UP, PARTLY, DOWN, NOTHING), answer.err)

    def test_a_stop_that_was_broken_off_in_podman_is_brought_to_its_end_by_the_start(self):
        for name in ("slow", "slow-db"):
            podman(self.machine, f"run -d --name {name} --stop-timeout 60 --network none {containers.IMAGE} busybox sleep 100000")
        self.ask("--stop slow --timeout 15", 124)
        self.machine.wait("podman ps --all --format '{{.State}}' --filter name=slow | grep -q stopping")
        answer = self.ask("--start slow --timeout 120")
        self.assertIn("a stop of", answer.err)
        self.assertLessEqual({"slow", "slow-db"}, self.running())
        self.ask("--status slow", UP)

    def test_containers_that_crash_again_and_again_stay_down(self):
        for number in range(2):
            podman(self.machine, f"run -d --restart=always --name crash-{number} --network none {containers.IMAGE} busybox false")
        self.machine.wait("test $(podman inspect crash-0 --format '{{.RestartCount}}') -gt 3")
        self.ask("--stop crash")
        count = "podman inspect crash-0 crash-1 --format '{{.RestartCount}} {{.State.Status}}'"
        before = self.machine.do(count)
        self.ask("--status crash", DOWN)
        self.machine.do("sleep 3")
        self.assertEqual(self.machine.do(count), before)
        podman(self.machine, "rm -f crash-0 crash-1")

    def test_a_container_of_another_name_that_writes_to_the_data_is_told_and_stopped_on_request(self):
        folder = f"{samples.DATA_ROOT}/draw/data/inner"
        self.machine.do(f"mkdir -p {folder}")
        quadlet(self.machine, "draw.container", container())
        self.start("draw")
        podman(self.machine, f"run -d --name scribe --network none -v {folder}:/data {containers.IMAGE}")
        podman(self.machine, f"run -d --name reader --network none -v {folder}:/data:ro {containers.IMAGE}")
        answer = self.ask("--stop draw")
        self.assertIn(f"scribe is no part of draw and goes on writing to {folder}", answer.err)
        self.assertNotIn("reader", answer.err)
        self.assertIn("scribe", self.running())
        self.ask("--start draw")
        configuration = self.machine.do(f"cat {CONFIG}")
        self.addCleanup(self.machine.write, CONFIG, configuration)
        self.machine.write(CONFIG, configuration.replace("[services.draw]\n", "[services.draw]\nstop_writers = true\n"))
        self.ask("--stop draw")
        self.assertNotIn("scribe", self.running())
        self.assertIn("reader", self.running())
        self.ask("--status draw", DOWN)
        self.ask("--start draw")
        self.assertLessEqual({"scribe", "systemd-draw"}, self.running())
        podman(self.machine, "rm -f scribe reader")

    def test_a_dependant_with_a_stop_of_its_own_comes_back_by_its_own_start(self):
        quadlet(self.machine, "base.container", container())
        quadlet(self.machine, "over.container", container(unit="Requires=base.service\nAfter=base.service"))
        self.start("over")
        answer = self.ask("--stop base")
        self.assertIn("systemd stops with base, and --start base starts again: over.service", answer.err)
        self.assertFalse(self.active("over"))
        # It was not down by its own will, so its own backup owes it a start.
        self.ask("--status over", PARTLY)
        self.ask("--stop over")
        self.ask("--status over", DOWN)
        self.ask("--start base")
        self.assertFalse(self.active("over"))
        self.ask("--start over")
        self.assertTrue(self.active("base") and self.active("over"))

    def test_a_unit_whose_file_vanished_meanwhile_is_an_error_and_is_named(self):
        for name in ("lost", "lost-db"):
            quadlet(self.machine, f"{name}.container", container())
        self.start("lost", "lost-db")
        self.ask("--stop lost")
        self.machine.do("rm /etc/containers/systemd/lost-db.container; systemctl daemon-reload")
        answer = self.ask("--start lost", 69)
        self.assertIn("lost-db.service ran before the stop and is no longer there", answer.err)
        self.assertTrue(self.active("lost"))
        # It is told once.
        self.ask("--start lost")

    def test_a_podman_that_does_not_answer_keeps_no_units_down(self):
        quadlet(self.machine, "mute.container", container())
        self.start("mute")
        self.ask("--stop mute")
        self.machine.do("mv /usr/bin/podman /usr/bin/podman.real")
        self.addCleanup(self.machine.do, "test ! -e /usr/bin/podman.real || mv /usr/bin/podman.real /usr/bin/podman")
        # As one that waits for the lock of a container that hangs.
        self.machine.write("/usr/bin/podman", '#!/bin/sh\ncase $1 in ps) exec sleep 1000;; esac\nexec /usr/bin/podman.real "$@"\n', "0755")
        answer = self.ask("--start mute --timeout 20")
        self.assertIn("podman does not answer", answer.err)
        self.assertTrue(self.active("mute"))
        self.ask("--status mute", UP)

    def test_users_who_do_not_answer_are_waited_for_together(self):
        quadlet(self.machine, "quick.container", container())
        self.start("quick")
        managers = [f"systemctl kill --kill-whom=main user@$(id -u {user}).service --signal" for user in (containers.USER, shapes.LINKED)]
        for manager in managers:
            self.addCleanup(self.machine.do, f"{manager} CONT")
            self.machine.do(f"{manager} STOP")
        # One after the other they would take longer than that.
        self.ask("--stop quick --timeout 15")
        for manager in managers:
            self.machine.do(f"{manager} CONT")
        self.ask("--start quick")

    def test_every_shape_of_a_stack_runs_after_a_stop_and_a_start_as_it_ran_before(self):
        table = []
        for number, shape in enumerate(shapes.SHAPES):
            row = f"  FAIL              {shape.what}"
            with self.subTest(shape.what):
                members = self.try_shape(shape, shapes.named(number))
                row = f"  ok    {members:>2} members  {shape.what}"
            table.append(row)
        print("", *table, sep="\n")

    def try_shape(self, shape: shapes.Shape, name: str) -> int:
        """Sets a shape up, stops and starts it, and compares the running members. Returns their number."""
        fill = lambda text: text.replace("{n}", name)  # noqa: E731
        manager = f"systemctl --user --machine={shape.user}@" if shape.user else "systemctl"
        by_user = f"{containers.as_user(shape.user)} " if shape.user else ""
        home = f"/home/{shape.user}/.config"
        for file, text in shape.files.items():
            folder = f"{home}/containers/systemd" if shape.user else containers.SYSTEM_QUADLETS
            self.machine.write(f"{folder}/{fill(file)}", fill(text))
        for file, text in shape.units.items():
            folder = f"{home}/systemd/user" if shape.user else "/etc/systemd/system"
            self.machine.write(f"{folder}/{fill(file)}", fill(text))
        if shape.user:
            self.machine.do(f"chown -R {shape.user}: /home/{shape.user}")
        for command in shape.after:
            self.machine.do(fill(command))
        self.machine.do(f"{manager} daemon-reload")
        if shape.start:
            self.machine.do(f"{manager} start {fill(shape.start)}")
        for words in shape.run:
            self.machine.do(f"{by_user}podman {fill(words)}")
        if shape.wait:
            self.machine.wait(fill(shape.wait))
        for member in shape.runs:
            self.machine.wait(f"{{ {manager} is-active {fill(member)} || {by_user}podman ps --format '{{{{.Names}}}}' | grep -x {fill(member)}; }} >/dev/null 2>&1")
        before = self.everything(manager, by_user, name)
        for member in shape.runs:
            self.assertIn(fill(member), before)
        self.ask(f"--stop {name}")
        stays = {fill(member) for member in shape.stays}
        self.assertEqual(self.everything(manager, by_user, name) - stays, set(), "after the stop")
        self.ask(f"--status {name}", DOWN)
        self.ask(f"--start {name} --timeout 120")
        self.assertEqual(self.everything(manager, by_user, name), before, "after the start")
        self.ask(f"--status {name}", UP)
        # Frees the machine for the next shape.
        self.ask(f"--stop {name}")
        return len(before)

    def everything(self, manager: str, by_user: str, name: str) -> set[str]:
        """The units and containers of that name that run, by systemctl and podman."""
        units = self.machine.do(f"{manager} list-units --plain --no-legend --state=active,activating,reloading --type=service,socket,timer,path,target")
        running = self.machine.do(f"{by_user}podman ps --format '{{{{.Names}}}}'")
        words = [line.split()[0] for line in units.splitlines() if line.strip()] + running.split()
        return {word for word in words if name in word}

    def test_a_service_that_is_nowhere_is_nothing(self):
        self.ask("--status nowhere", NOTHING)
        self.ask("--stop nowhere", 69)
