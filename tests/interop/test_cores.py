"""Several cores on one port and one address, and the kernel's own clients and servers."""

import os
import re

from harness import INTERFACE, KERNEL, RUNNEL, InteropTest, Settings, wait_until


class CoresTest(InteropTest):
    def fetch(self, *options):
        return self.namespace.run(
            "curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", *options, f"http://{RUNNEL}/"
        ).stdout

    def shares(self):
        """Connections of each core, as the server says when it ends."""
        self.assertEqual(0, self.stop_server())
        printed = self.server.log.read_text()
        return [int(n) for n in re.findall(r"^core \d+: (\d+) connections", printed, re.MULTILINE)], printed

    def test_two_cores_serve_curl_and_wrk_on_one_address(self):
        self.serve("--cores", "2", "--size", "1024")
        for _ in range(10):
            self.assertEqual("200 1024", self.fetch())
        output = self.namespace.run("wrk", "-t1", "-c16", "-d2s", "-H", "Connection: close", f"http://{RUNNEL}/").stdout
        self.assertNotRegex(output, r"Socket errors: (?!connect 0, read 0, write 0, timeout 0)")
        self.assertNotIn("Non-2xx", output)
        self.assertGreater(int(re.search(r"(\d+) requests in", output).group(1)), 100)
        shares, printed = self.shares()
        self.assertEqual(2, len(shares), printed)
        self.assertGreater(min(shares), sum(shares) / 4, "the cores share the connections: " + printed)
        self.assertRegex(printed, r"2 cores: the cores steer in software: the driver does not tell")

    def test_two_cores_serve_large_bodies_whole(self):
        self.serve("--cores", "2", "--size", "8000000")
        for _ in range(4):
            self.assertEqual("200 8000000", self.fetch())
        self.shares()

    def test_more_cores_than_processors_serve_too(self):
        cores = len(os.sched_getaffinity(0)) + 1
        self.serve("--cores", str(cores))
        for _ in range(20):
            self.assertEqual("200 1024", self.fetch())
        shares, printed = self.shares()
        self.assertEqual(cores, len(shares))
        self.assertIn(f"{cores} cores: their loops share", printed)

    def test_fast_open_cookie_of_one_core_is_good_at_the_other(self):
        self.namespace.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=1")
        self.serve("--cores", "2", "--fast-open", "64", "--size", "64")
        for _ in range(24):
            self.assertEqual("200 64", self.fetch("--tcp-fastopen"))
        kernel = self.namespace.snmp()["TcpExt"]
        self.assertGreaterEqual(kernel["TCPFastOpenActive"], 20, kernel)
        self.assertEqual(0, kernel["TCPFastOpenActiveFail"])

    def test_loads_nginx_from_two_cores(self):
        self.prepare_tap()
        self.nginx()
        # So many connections however long they take: a busy machine makes it slow, not wrong.
        document, _ = self.load("--cores", "2", "--recipe", "crr", "--connections", "2000", "--window", "32", "--duration", "25s")
        connections = document["connections"]
        self.assertEqual(0, connections["residual"], connections)
        for kind in ("refused", "reset", "timed_out"):
            self.assertEqual(0, connections[kind], connections)
        self.assertEqual(2000, connections["completed"], connections)
        self.assertEqual(2, document["client_cores"])
        self.assertEqual(2, len(document["generator"]["busy_percent"]))
        self.assertEqual(2000, self.nginx_status()["requests"])
        self.assertIn("steer in software", document["config"]["steering"])

    def test_holds_connections_from_two_cores_on_ports_of_its_own_each(self):
        self.prepare_tap()
        self.nginx()
        process = self.namespace.start(
            *(Settings.runnel, "load", "--port", f"net_tap0,iface={INTERFACE}", "--address", RUNNEL + "/24"),
            *("--target", f"{KERNEL}:80", "--cores", "2", "--recipe", "hold", "--connections", "400", "--duration", "4s"),
        )

        def held():
            lines = self.namespace.run("ss", "-Htn", "state", "established", "dst", RUNNEL).stdout.splitlines()
            return lines if len(lines) >= 400 else None

        ports = [line.split()[-1].rsplit(":", 1)[1] for line in wait_until(held, 15, "400 connections")]
        self.assertEqual(400, len(set(ports)))
        self.assertEqual(0, process.wait(30 * Settings.patience), process.log.read_text())

    def test_every_core_knows_the_neighbour_that_only_one_was_told_of(self):
        self.serve("--cores", "2")
        self.assertIn(" 0% packet loss", self.namespace.run("ping", "-c10", "-i0.05", "-n", RUNNEL).stdout)
        for _ in range(10):
            self.assertEqual("200 1024", self.fetch())
        _, printed = self.shares()
        self.assertNotRegex(printed, "neighbour_(queue_full|unreachable)")
