"""`backupctl --doctor` on a host that the tutorial made: its findings, the repair by its commands, and faults that are
made on purpose."""

import json
import unittest
from pathlib import Path

import samples
from cases import OnBookworm, OnTrixie

UNIT = Path(__file__).resolve().parents[2] / "podman" / "backupctl-recover.service"
KEYS = "/home/backup_ops/.ssh/authorized_keys"


class Doctor:
    """One hop after the other, by the verdicts for scripts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        samples.install(cls.machine)
        cls.machine.put(UNIT, "/root/backupctl-recover.service")

    def examine(self) -> list[dict]:
        """Every finding."""
        return json.loads(self.machine.do("backupctl --doctor --json || test $? = 69"))

    def wrong(self, *hops: str) -> list[tuple[str, str, str]]:
        """The findings of these hops that are not OK."""
        found = self.examine()
        self.assertLessEqual(set(hops), {finding["hop"] for finding in found})
        return [
            (finding["hop"], finding["verdict"], finding["what"])
            for finding in found
            if finding["hop"] in hops and finding["verdict"] != "OK"
        ]

    def mend(self, *hops: str):
        """Runs the doctor's commands."""
        for finding in self.examine():
            if finding["hop"] in hops and finding["verdict"] in ("WARN", "FAIL"):
                self.machine.do("cd /root\n" + "\n".join(finding["fix"]))

    def assertFound(self, hop: str, verdict: str, words: str):
        found = self.wrong(hop)
        self.assertTrue(any(entry[1] == verdict and words in entry[2] for entry in found), f"{words} is not in {found}")

    def test_a_the_tutorials_host_works_and_is_told_what_to_tighten(self):
        self.assertEqual(self.wrong("config", "program", "folders", "data", "rclone", "remote"), [])
        self.assertEqual(self.wrong("services", "sudo", "keys", "kernel", "audit"), [])
        wrong = self.wrong("account", "sshd")
        self.assertEqual([entry[:2] for entry in wrong], [("account", "WARN"), ("sshd", "WARN")], wrong)
        self.assertFound("leases", "FAIL", "backupctl-recover.service is not there")

    def test_b_its_commands_mend_what_they_name_and_requests_still_come_in(self):
        self.mend("account", "sshd", "leases")
        self.assertEqual(self.wrong("account", "sshd", "leases", "keys"), [])
        self.assertEqual(self.machine.do(f"stat -c %U:%G:%a {KEYS}").strip(), "root:backup_ops:640")
        answer = self.machine.alone("backupctl --stop n8n")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertEqual(self.machine.alone("backupctl --start n8n").code, 0)

    def test_c_ways_around_the_gate_are_found(self):
        root = self.machine.do
        root(f"cp -p {KEYS} /root/keys; ssh-keygen -q -t ed25519 -N '' -f /root/other; cat /root/other.pub >>{KEYS}")
        self.assertFound("keys", "FAIL", "not bound to the gate")
        root(f"cp -p /root/keys {KEYS}")
        self.assertEqual(self.wrong("keys"), [])

        root("printf 'backup_ops ALL=(ALL:ALL) NOPASSWD: ALL\\n' >/etc/sudoers.d/wide; chmod 0440 /etc/sudoers.d/wide")
        self.assertFound("sudo", "FAIL", "more than the gate: (ALL : ALL) ALL")
        root("rm /etc/sudoers.d/wide")
        root("sed -i.kept /SSH_ORIGINAL_COMMAND/d /etc/sudoers.d/backupctl")
        self.assertFound("sudo", "FAIL", "drops SSH_ORIGINAL_COMMAND")
        self.mend("sudo")
        self.assertEqual(self.wrong("sudo"), [])
        self.assertEqual(self.machine.alone("backupctl --start n8n").code, 0)

        root("printf 'PermitUserEnvironment yes\\nAcceptEnv BASH_*\\n' >/etc/ssh/sshd_config.d/wide.conf")
        self.assertFound("sshd", "FAIL", "PermitUserEnvironment")
        self.assertFound("sshd", "FAIL", "AcceptEnv")
        root("rm /etc/ssh/sshd_config.d/wide.conf")
        root("echo backup_ops:secret | chpasswd")
        self.assertFound("sshd", "FAIL", "has a password")
        root("passwd --lock backup_ops; adduser backup_ops sudo || usermod -aG sudo backup_ops")
        self.assertFound("account", "FAIL", "amounts to root")
        self.mend("account")
        self.assertEqual(self.wrong("account", "sshd"), [])

    def test_d_a_promise_that_nobody_keeps_is_found(self):
        root = self.machine.do
        self.assertEqual(self.machine.alone("backupctl --stop n8n").code, 0)
        self.assertEqual(self.wrong("leases", "services"), [])
        root("systemctl stop 'backupctl-lease-n8n-*.timer'")
        self.assertFound("leases", "FAIL", "nobody keeps that promise")
        self.mend("leases")
        self.assertEqual(self.wrong("leases", "services"), [])


class DoctorOnTrixie(Doctor, OnTrixie, unittest.TestCase):
    """Debian 13."""


class DoctorOnBookworm(Doctor, OnBookworm, unittest.TestCase):
    """Debian 12."""
