"""`runnel load` and the kernel's own servers."""

import socket

from harness import INTERFACE, KERNEL, RUNNEL, Capture, InteropTest, wait_until


class LoadTest(InteropTest):
    def assert_sound(self, document, recipe):
        """The result document adds up and nothing failed."""
        connections = document["connections"]
        self.assertEqual(recipe, document["recipe"])
        self.assertEqual(0, connections["residual"], connections)
        for kind in ("refused", "reset", "timed_out"):
            self.assertEqual(0, connections[kind], connections)
        self.assertGreater(connections["established"], 100, connections)
        return connections

    def drive(self, recipe, *options):
        self.prepare_tap()
        self.nginx()
        document, _ = self.load("--recipe", recipe, "--rate", "500", "--ramp", "0s", "--duration", "2s", *options)
        return self.assert_sound(document, recipe), self.namespace.snmp(), self.nginx_status()

    def test_crr_at_nginx_counts_what_nginx_counts(self):
        connections, kernel, nginx = self.drive("crr")
        self.assertEqual(connections["attempted"], connections["completed"] + connections["in_flight"] + connections["unsent"])
        self.assertAlmostEqual(connections["completed"], nginx["requests"], delta=connections["in_flight"])
        self.assertLessEqual(connections["established"], kernel["Tcp"]["PassiveOpens"])

    def test_fin_at_nginx_counts_what_the_kernel_counts(self):
        connections, kernel, nginx = self.drive("fin")
        self.assertAlmostEqual(connections["established"], nginx["accepted"], delta=connections["in_flight"])
        self.assertEqual(0, nginx["requests"])

    def test_rst_at_nginx_counts_what_the_kernel_counts(self):
        connections, kernel, _ = self.drive("rst")
        self.assertLessEqual(connections["established"], kernel["Tcp"]["PassiveOpens"])
        self.assertGreaterEqual(kernel["Tcp"]["EstabResets"], connections["completed"])

    def test_hold_fills_the_kernel_with_as_many_connections_as_asked(self):
        self.prepare_tap()
        self.nginx()
        document, _ = self.load("--recipe", "hold", "--connections", "500", "--duration", "3s")
        self.assertEqual(500, document["connections"]["established"])
        self.assertEqual(0, document["connections"]["residual"])

    def test_capture_of_crr_shows_tshark_nothing_wrong(self):
        from test_serve import COMPLAINTS

        self.prepare_tap()
        self.nginx()
        capture = Capture(self.namespace)
        document, _ = self.load("--recipe", "crr", "--rate", "200", "--ramp", "0s", "--duration", "1s")
        self.assert_sound(document, "crr")
        capture.stop()
        self.assertEqual([], capture.select(COMPLAINTS, "frame.number", "ip.src", "tcp.stream", "_ws.col.Info")[:20])

    def test_closed_port_is_reported_as_refused(self):
        self.prepare_tap()
        document, output = self.load(
            "--recipe", "crr", "--rate", "100", "--duration", "1s", target=f"{KERNEL}:81", status=(0, 1, 2, 3)
        )
        self.assertGreater(document["connections"]["refused"], 0, output)
        self.assertEqual(0, document["connections"]["established"])
        self.assertEqual("failed", document["verdict"])

    def test_target_that_nobody_answers_for_is_named(self):
        self.prepare_tap()
        document, output = self.load(
            "--recipe", "crr", "--rate", "100", "--duration", "1s", target="10.99.0.77:80", status=(0, 1, 2, 3)
        )
        self.assertIn("10.99.0.77", output)
        self.assertEqual(0, document["connections"]["established"], output)
        self.assertEqual("failed", document["verdict"], output)
        self.assertIn(document["reason"], output)
