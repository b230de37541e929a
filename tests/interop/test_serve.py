"""`runnel serve` and the kernel's own clients."""

import re
import select
import socket
import time

from harness import INTERFACE, KERNEL, RUNNEL, Capture, InteropTest, wait_until

# What tshark's TCP analysis says of a healthy conversation too.
COMPLAINTS = (
    "_ws.malformed || _ws.short || ip.checksum.status == 0"
    # one segment in 65,536 of the kernel's has a checksum of 0xffff, which tshark finds wrong: it is not ours
    f" || (tcp.checksum.status == 0 && !(ip.src == {KERNEL} && tcp.checksum == 0xffff))"
    f" || (ip.src == {RUNNEL} && tcp.analysis.flags && !tcp.analysis.window_update && !tcp.analysis.keep_alive"
    " && !tcp.analysis.keep_alive_ack)"
    # warnings and errors about our packets, but that an RST resets is no news
    f" || (ip.src == {RUNNEL} && _ws.expert.severity >= 6291456 && !tcp.flags.reset == 1)"
)


class ServeTest(InteropTest):
    def fetch(self, path, *options):
        return self.namespace.run(
            "curl", "-sS", "--max-time", "20", "-w", "\n%{http_code} %{size_download}", *options, f"http://{RUNNEL}{path}"
        ).stdout.splitlines()[-1]

    def test_curl_fetches_one_kilobyte(self):
        self.serve("--size", "1024")
        self.assertEqual("200 1024", self.fetch("/", "-o", "/dev/null"))

    def test_curl_fetches_eight_megabytes(self):
        self.serve("--size", "8000000")
        self.assertEqual("200 8000000", self.fetch("/", "-o", "/dev/null"))

    def test_curl_fetches_twice_on_one_connection(self):
        self.serve()
        address = f"http://{RUNNEL}/"
        done = self.namespace.run(
            "curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-o", "/dev/null",
            "-w", "%{http_code} %{num_connects}\n", address, address,
        )  # fmt: skip
        self.assertEqual(["200 1", "200 0"], done.stdout.splitlines())

    def test_wrk_sees_no_error(self):
        self.serve()
        output = self.namespace.run("wrk", "-t1", "-c16", "-d3s", f"http://{RUNNEL}/").stdout
        self.assertNotIn("Socket errors", output)
        self.assertNotIn("Non-2xx", output)
        requests = re.search(r"(\d+) requests in", output)
        self.assertIsNotNone(requests, output)
        self.assertGreater(int(requests.group(1)), 100)

    def test_wrk_with_a_connection_for_each_request_sees_no_error(self):
        self.serve()
        output = self.namespace.run("wrk", "-t1", "-c8", "-d2s", "-H", "Connection: close", f"http://{RUNNEL}/").stdout
        self.assertNotRegex(output, r"Socket errors: (?!connect 0, read 0, write 0, timeout 0)")
        self.assertNotIn("Non-2xx", output)
        self.assertGreater(int(re.search(r"(\d+) requests in", output).group(1)), 100)

    def test_rr_answers_each_request_however_it_is_cut(self):
        self.serve("--listen", "9000:rr", "--request-octets", "100", "--response-octets", "250")
        client = self.namespace.connect(9000)
        received = 0
        for cut in (1, 99, 150, 50, 1000):
            client.sendall(b"q" * cut)
        client.shutdown(socket.SHUT_WR)
        while octets := client.recv(65536):
            received += len(octets)
        client.close()
        self.assertEqual(13 * 250, received)

    def stream(self, seconds, sends):
        """Reads, and where it is to sends as well, for so long; then closes and reads to the end: octets sent and received."""
        client = self.namespace.connect(9000)
        client.setblocking(False)
        sent, received, block, end = 0, 0, b"c" * 65536, time.monotonic() + seconds
        closed = False
        while True:
            readable, writable, _ = select.select([client], [client] if sends and not closed else [], [], 0.1)
            if readable:
                octets = client.recv(1 << 20)
                received += len(octets)
                if not octets:
                    break
            if writable and not closed:
                sent += client.send(block)
            if not closed and time.monotonic() > end:
                client.shutdown(socket.SHUT_WR)
                closed = True
            self.assertLess(time.monotonic(), end + 30, "the server does not end")
        client.close()
        return sent, received

    def summary(self):
        """Connections, requests, octets in and out, as the server says them at its end."""
        self.assertEqual(0, self.stop_server())
        return self.server.log.read_text()

    def test_stream_sends_all_the_while_until_the_client_closes(self):
        self.serve("--listen", "9000:stream", "--direction", "to-client")
        sent, received = self.stream(2, sends=False)
        self.assertEqual(0, sent)
        self.assertGreater(received, 1_000_000)
        self.assertIn("1 connections", self.summary())

    def test_stream_takes_and_sends_at_the_same_time(self):
        self.serve("--listen", "9000:stream", "--direction", "both")
        sent, received = self.stream(2, sends=True)
        self.assertGreater(sent, 1_000_000)
        self.assertGreater(received, 1_000_000)
        self.assertIn("1 connections", self.summary())

    def test_echo_returns_every_octet_in_order(self):
        self.serve()
        self.assertEqual(sent := bytes(range(256)) * 4000, self.echo_all(sent))

    def test_half_closed_connection_still_gets_its_data(self):
        self.serve()
        client = self.namespace.connect(7)
        client.sendall(b"before the end")
        client.shutdown(socket.SHUT_WR)
        received = b""
        while part := client.recv(1000):
            received += part
        self.assertEqual(b"before the end", received)
        client.close()

    def test_ss_sees_a_sane_connection(self):
        self.serve()
        client = self.namespace.connect(7)
        for _ in range(20):
            client.sendall(b"x" * 1000)
            received = 0
            while received < 1000:
                received += len(client.recv(1000))
        line = " ".join(self.namespace.run("ss", "-tinoH", "dst", RUNNEL).stdout.split())
        self.assertIn("ESTAB", line)
        for expected in (r"\bts\b", r"\bwscale:\d+,\d+", r"\bmss:1448\b", r"\brtt:[\d.]+/[\d.]+"):
            self.assertRegex(line, expected)
        for unwanted in ("retrans:", "lost:", "unacked:", "backoff:", "dsack_dups:"):
            self.assertNotIn(unwanted, line)
        client.close()

    def test_capture_shows_tshark_nothing_wrong(self):
        self.serve("--size", "100000")
        capture = Capture(self.namespace)
        self.assertEqual("200 100000", self.fetch("/", "-o", "/dev/null"))
        self.fetch("/[1-40]", "-o", "/dev/null", "--parallel", "--parallel-max", "4")
        self.namespace.run("ping", "-c3", "-i0.2", "-n", RUNNEL)
        self.echo_all(b"0123456789" * 20000)
        capture.stop()
        self.assertGreater(len(capture.select(f"ip.src == {RUNNEL} && tcp.checksum.status == 1", "frame.number")), 100)
        wrong = capture.select(COMPLAINTS, "frame.number", "ip.src", "tcp.stream", "_ws.col.Info", "_ws.expert.message")
        self.assertEqual([], wrong[:20])

    def test_server_ends_in_good_order_when_interrupted(self):
        process = self.serve()
        self.fetch("/", "-o", "/dev/null")
        self.assertEqual(0, self.stop_server(), process.log.read_text())


class HandshakeTest(InteropTest):
    def drop_pure_acks(self):
        """Drops what the kernel sends of plain ACKs, above all the third segment of a handshake. Returns the undoing."""
        run = self.namespace.run
        run("nft", "add table ip lossy")
        run("nft", "add chain ip lossy out { type filter hook output priority 0 ; }")
        run("nft", f"add rule ip lossy out ip daddr {RUNNEL} tcp flags & (syn|ack|fin|rst|psh) == ack drop")
        return lambda: run("nft", "delete table ip lossy")

    def test_data_completes_a_handshake_whose_third_ack_is_lost(self):
        self.serve()
        restore = self.drop_pure_acks()
        client = self.namespace.connect(7)
        client.sendall(b"hello")
        restore()
        self.assertEqual(b"hello", client.recv(100))
        client.close()

    def test_client_of_a_dropped_half_open_connection_gets_reset(self):
        self.serve("--synack-timeout", "200ms", "--synack-retries", "1")
        self.drop_pure_acks()
        client = self.namespace.connect(7)
        time.sleep(1.5)  # 200 ms and 400 ms, then the half-open connection is gone
        client.sendall(b"anybody there?")
        with self.assertRaises(ConnectionResetError):
            client.recv(100)
        client.close()

    def test_syn_ack_is_retransmitted_after_one_two_and_four_seconds(self):
        self.serve()
        probe = self.probe()
        from harness import Segment

        probe.send(Segment(40000, 7, seq=1000, flags="S"))
        times = []
        while len(times) < 4 and (answer := probe.receive(6, port=40000)):
            self.assertTrue(answer.has("SA"), answer)
            times.append(answer.when)
        gaps = [after - before for before, after in zip(times, times[1:])]
        self.assertEqual(3, len(gaps), gaps)
        for gap, expected in zip(gaps, (1, 2, 4)):
            self.assertAlmostEqual(expected, gap, delta=0.25 * expected, msg=str(gaps))

    def test_kernel_that_closes_with_unread_data_resets_only_its_connection(self):
        self.serve("--size", "1000000")
        client = self.namespace.connect(80)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(10)
        client.close()  # unread data: the kernel sends RST
        other = self.namespace.run("curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", f"http://{RUNNEL}/")
        self.assertEqual("200", other.stdout)

    def test_many_connections_stand_at_once(self):
        self.serve()
        clients = [self.namespace.connect(7) for _ in range(300)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        for number, client in enumerate(clients):
            self.assertEqual(b"%d" % number, client.recv(100))
        established = self.namespace.run("ss", "-tnH", "state", "established", "dst", RUNNEL).stdout.splitlines()
        self.assertEqual(len(clients), len(established))
        for client in clients:
            client.close()
