"""Floods and scans with the tools that attackers use: who connects meanwhile gets through, and the log says what it was."""

import pathlib
import re
import time

from harness import KERNEL, RUNNEL, InteropTest, end, wait_until


class AttackTest(InteropTest):
    def attacks(self):
        """The lines of the server's log that speak of attacks."""
        return re.findall(r"^attack: (.*)$", self.server.log.read_text(), re.MULTILINE)

    def resident_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.server.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))

    def fetch(self):
        """One request with a connection of its own: (status, seconds)."""
        status, seconds = self.namespace.run(
            "curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", f"http://{RUNNEL}/",
            check=False,
        ).stdout.split()[-2:]  # fmt: skip
        return status, float(seconds)

    def test_hundred_requests_succeed_during_a_syn_flood_and_memory_stays_flat(self):
        self.serve("--gateway", KERNEL)
        self.assertEqual("200", self.fetch()[0])
        flood = self.namespace.start("hping3", "--flood", "--rand-source", "-S", "-p", "80", RUNNEL)
        wait_until(lambda: any("SYN flood begins" in line for line in self.attacks()), 10, "the line of the flood's beginning")
        before = self.resident_kilobytes()
        answers = [self.fetch() for _ in range(100)]
        after = self.resident_kilobytes()
        self.assertIsNone(flood.poll(), "hping3 still runs")
        end(flood)
        self.assertEqual([], [answer for answer in answers if answer[0] != "200" or answer[1] > 3.1])
        self.assertLessEqual(after - before, 1024, "kB more resident memory")
        wait_until(lambda: any("SYN flood ends" in line for line in self.attacks()), 15, "the line of its end")
        begin, finish = self.attacks()
        figures = r": (\d+) SYNs in ([\d.]+) s from about (\d+) sources, ([\d.]+) % completed"
        self.assertRegex(begin, "^SYN flood begins" + figures)
        syns, _, sources, completed = re.fullmatch("SYN flood ends" + figures, finish).groups()
        self.assertGreater(int(syns), 10000)
        self.assertGreater(int(sources), 5000)
        self.assertLess(float(completed), 5)
        self.stop_server()
        self.assertNotIn("tcp_half_open_full", self.server.log.read_text())

    def test_each_kind_of_scan_has_its_line_and_no_other(self):
        self.serve()
        kinds = {"-sS": "SYN", "-sF": "FIN", "-sN": "NULL", "-sX": "XMAS", "-sA": "ACK"}
        for option, kind in kinds.items():
            before = self.attacks()
            self.namespace.run(
                "nmap", option, "-n", "-Pn", "--disable-arp-ping", "-p", "1-200", "--max-retries", "1", RUNNEL
            )  # fmt: skip
            wait_until(lambda: self.begun(self.attacks()) != self.begun(before), 5, f"the line of the {kind} scan's beginning")
        wait_until(lambda: len(self.attacks()) >= 2 * len(kinds), 16, "the end of all scans")
        self.assertEqual(list(kinds.values()), self.begun(self.attacks()))
        figures = rf": (\d+) ports, (\d+) segments in ([\d.]+) s from {re.escape(KERNEL)}"
        ended = [re.fullmatch(rf"(\w+) scan ends{figures}", line) for line in self.attacks()]
        ports = {line.group(1): int(line.group(2)) for line in ended if line}
        self.assertEqual(set(kinds.values()), set(ports))
        for kind, count in ports.items():
            self.assertIn(count, range(195, 201), kind)

    @staticmethod
    def begun(lines):
        """The kinds of scans that have begun, in their order."""
        return [match.group(1) for line in lines if (match := re.match(r"(\w+) scan begins: \d+ ports, ", line))]

    def test_wrk_and_many_short_connections_are_no_attack(self):
        self.serve("--half-open", "64")
        self.namespace.run("wrk", "-t1", "-c100", "-d3s", "-H", "Connection: close", f"http://{RUNNEL}/")
        self.namespace.run("wrk", "-t1", "-c100", "-d2s", f"http://{RUNNEL}/")
        time.sleep(1.5)
        self.stop_server()
        self.assertEqual([], self.attacks())

    def test_handshakes_as_fast_as_they_go_are_no_attack(self):
        from harness import Settings

        for options in ((), ("--syn-cookies", "always"), ("--recipe", "rst")):
            done = self.namespace.run(Settings.runnel, "handshake", "--duration", "2s", *options)
            self.assertNotIn("attack", done.stdout)
            self.assertIn("connections/s", done.stdout)

    def test_cookies_alone_carry_the_kernels_options(self):
        self.serve("--syn-cookies", "always", "--size", "3000000")
        done = self.namespace.run(
            "curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", f"http://{RUNNEL}/"
        )
        self.assertEqual("200 3000000", done.stdout)
        client = self.namespace.connect(7)
        client.sendall(b"hello")
        self.assertEqual(b"hello", client.recv(10))
        line = " ".join(self.namespace.run("ss", "-tinoH", "dst", RUNNEL).stdout.split())
        for expected in (r"\bts\b", r"\bsack\b", r"\bwscale:\d+,\d+", r"\bmss:1448\b"):
            self.assertRegex(line, expected)
        client.close()
