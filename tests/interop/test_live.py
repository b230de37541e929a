"""Runs that are told things while they go, as the kernel sees it: by dpdk-telemetry.py and signals; and what a capture
of runnel's own has beside one of the kernel's."""

import json
import re
import signal

from harness import INTERFACE, RUNNEL, Capture, FollowedTest, end, wait_until


class LiveTest(FollowedTest):
    def test_load_is_told_rates_and_pauses_and_nginx_sees_it(self):
        self.prepare_tap()
        self.nginx()
        process = self.start_load("--rate", "200")
        self.until(lambda a: a.get("phase") == "measured" and a["cps"] > 150, "200 a second")
        self.tell("/runnel/rate,1k")
        self.until(lambda a: a["cps"] > 900, "1 k a second")
        self.tell("/runnel/pause")
        self.until(lambda a: a["cps"] == 0 and a["open"] == 0, "a pause")
        before = self.nginx_status()["accepted"]
        self.until(lambda a: a["t_ms"] > 0 and a["paused"] == 1, "the pause")
        self.assertEqual(before, self.nginx_status()["accepted"])
        self.tell("/runnel/resume")
        self.until(lambda a: a["cps"] > 900, "what goes on")
        self.tell("/runnel/stop")
        self.assertEqual(0, process.wait(30), process.log.read_text())
        document = json.loads(self.document.read_text())
        self.assertEqual(["rate", "pause", "resume", "stop"], [event["what"] for event in document["events"]])
        self.assertEqual(document["connections"]["completed"], document["connections"]["attempted"])
        self.assertEqual("valid", document["verdict"], document["reason"])

    def test_serve_tells_its_figures_and_ends_connections_as_told(self):
        for order, option, expected in (
            ("/runnel/stop,fin", (), b""),
            ("/runnel/stop,rst", (), ConnectionResetError),
            (None, ("--stop", "fin"), b""),
            ("/runnel/stop", ("--stop", "rst"), ConnectionResetError),
        ):
            with self.subTest(order=order, option=option):
                self.serve("--file-prefix", self.prefix, *option)
                client = self.namespace.connect(7)
                client.sendall(b"still there?")
                self.assertEqual(b"still there?", client.recv(100))
                seen = self.until(lambda a: a.get("phase") == "serving" and a["open"] == 1, "a connection")
                self.assertEqual(("serve", 1), (seen["command"], seen["established"]))
                self.assertIn(f"echo on {RUNNEL}:7", seen["what"])
                refused = self.ask("/runnel/rate,5")
                self.assertEqual(0, refused["accepted"])
                self.assertEqual(0, self.ask("/runnel/pause")["accepted"])
                self.assertIn("core_0", self.ask("/runnel/cores"))
                if order:
                    self.tell(order)
                else:
                    self.server.send_signal(signal.SIGTERM)
                if expected == b"":
                    self.assertEqual(b"", client.recv(100))
                else:
                    self.assertRaises(expected, client.recv, 100)
                client.close()
                self.assertEqual(0, end(self.server))
                wait_until(
                    lambda: self.namespace.run("ip", "link", "show", INTERFACE, check=False).returncode != 0, 10, "the end"
                )

    def test_capture_of_load_has_what_the_kernel_has(self):
        self.prepare_tap()
        self.nginx()
        capture = Capture(self.namespace, "tcp")
        file = self.namespace.folder / "own.pcapng"
        document, _ = self.load(
            *("--connections", "200", "--rate", "500", "--duration", "5s", "--pcap", file, "--pcap-filter", "tcp")
        )
        capture.stop()
        own = Capture.__new__(Capture)
        own.file = file
        fields = ("tcp.stream", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.len")
        theirs, ours = capture.select("tcp", *fields), own.select("tcp", *fields)
        self.assertEqual(200, document["connections"]["completed"])
        self.assertEqual(sorted(map(tuple, theirs)), sorted(map(tuple, ours)))
        packets = document["packets"]
        self.assertLessEqual(len(ours), packets["client_tx"] + packets["client_rx"])
        self.assertGreater(len(ours), 1000)

    def test_prometheus_of_a_server_has_what_was_served(self):
        self.serve("--prometheus", "9300")
        for _ in range(3):
            self.namespace.run("curl", "-sS", "--fail", "-o", "/dev/null", f"http://{RUNNEL}/bytes/1000")

        def scraped():
            text = self.namespace.run("curl", "-sS", "--fail", "http://127.0.0.1:9300/metrics").stdout
            found = dict(re.findall(r"(?m)^(runnel_\w+) (\S+)$", text))
            return found if float(found.get("runnel_transactions_total", 0)) == 3 else None

        found = wait_until(scraped, 10, "three requests")
        self.assertEqual(3, float(found["runnel_connections_established_total"]))
        self.assertGreaterEqual(float(found["runnel_tcp_fins_in_total"]), 3)
        self.assertNotIn("runnel_handshake_seconds_count", found)
        self.assertEqual(0, self.stop_server())
