"""`runnel doctor` on a tap: the kernel is the neighbour, and the server."""

import json

from harness import INTERFACE, KERNEL, PORT, RUNNEL, InteropTest, Settings


class DoctorTest(InteropTest):
    def doctor(self, target, status):
        """The findings about a target: topic -> (grade, what is said)."""
        done = self.namespace.run(
            *(Settings.runnel, "doctor", "--port", PORT, "--address", RUNNEL + "/24", "--target", target),
            *("--json", self.namespace.folder / "doctor.json"),
            check=False,
        )
        self.assertEqual(status, done.returncode, done.stdout)
        document = json.loads((self.namespace.folder / "doctor.json").read_text())
        self.assertIs(status == 0, document["ready"])
        return {finding["topic"]: (finding["grade"], finding["says"]) for finding in document["findings"]}

    def test_server_that_answers_is_found_with_its_link_address(self):
        self.prepare_tap()
        self.nginx()
        findings = self.doctor(f"{KERNEL}:80", 0)
        # Of the driver's choosing: it names the kernel's end when it opens the tap.
        mac = self.namespace.run("cat", f"/sys/class/net/{INTERFACE}/address").stdout.strip()
        self.assertEqual(("good", f"{KERNEL} is at {mac}"), findings["ARP"])
        self.assertIn("completes a handshake", findings["target"][1])
        self.assertIn("net_tap", findings["port"][1])

    def test_host_without_a_server_refuses(self):
        self.prepare_tap()
        self.assertIn("refuses", self.doctor(f"{KERNEL}:81", 1)["target"][1])

    def test_server_behind_a_firewall_does_not_answer(self):
        self.prepare_tap()
        chain = "add table ip t; add chain ip t c { type filter hook input priority 0; }; "
        self.namespace.run("nft", chain + "add rule ip t c tcp dport 80 drop")
        findings = self.doctor(f"{KERNEL}:80", 1)
        self.assertEqual("good", findings["ARP"][0])
        self.assertIn("does not answer a SYN", findings["target"][1])

    def test_address_that_nobody_has_is_named(self):
        self.prepare_tap()
        self.assertIn("nobody answers for 10.99.0.77", self.doctor("10.99.0.77:80", 1)["ARP"][1])
