"""TCP Fast Open (RFC 7413) with the kernel, as its server and as its client. Its sysctl is set in the test's namespace alone."""

import socket
import threading

from harness import KERNEL, RUNNEL, Capture, InteropTest

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class FastOpenTest(InteropTest):
    def setUp(self):
        super().setUp()
        self.namespace.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=3")

    def ask(self):
        """One request of the kernel's, with the SYN where it has a cookie; returns the whole answer."""
        client = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(None)  # of a socket that may not block the kernel gives back EINPROGRESS
        client.sendto(REQUEST, socket.MSG_FASTOPEN, (RUNNEL, 80))
        answer = b""
        while part := client.recv(65536):
            answer += part
        client.close()
        return answer

    def test_kernel_gets_a_cookie_and_then_its_answer_a_round_trip_sooner(self):
        self.serve("--size", "3000", "--fast-open", "16")
        capture = Capture(self.namespace)
        for _ in range(3):
            self.assertEqual(b"HTTP/1.1 200", self.ask()[:12])
        capture.stop()
        requests = capture.select(f"ip.src == {KERNEL} && tcp.options.tfo.request", "tcp.len")
        self.assertEqual([["0"]], requests)
        syns = capture.select(f"ip.src == {KERNEL} && tcp.flags.syn == 1", "tcp.len", "tcp.options.tfo.cookie")
        self.assertEqual(3, len(syns), syns)
        cookies = capture.select(f"ip.src == {RUNNEL} && tcp.flags.syn == 1 && tcp.options.tfo.cookie", "tcp.options.tfo.cookie")
        self.assertEqual(1, len(cookies))
        for syn in syns[1:]:
            self.assertEqual([str(len(REQUEST)), cookies[0][0]], syn)
        # The SYN-ACK acknowledges the request, and no retransmission was needed.
        acknowledged = capture.select(f"ip.src == {RUNNEL} && tcp.flags.syn == 1", "tcp.ack")
        self.assertEqual(["1", str(1 + len(REQUEST)), str(1 + len(REQUEST))], [ack for (ack,) in acknowledged])
        counts = self.namespace.snmp()["TcpExt"]
        self.assertEqual(2, counts["TCPFastOpenActive"])
        self.assertEqual(0, counts["TCPFastOpenActiveFail"])
        self.assertEqual([], capture.select("tcp.analysis.retransmission", "frame.number"))

    def test_kernel_with_a_forged_cookie_is_served_by_a_plain_handshake(self):
        self.serve("--fast-open", "16")
        self.ask()
        # Another key: what the kernel has kept is worth nothing any more.
        self.stop_server()
        self.serve("--fast-open", "16")
        self.assertEqual(b"HTTP/1.1 200", self.ask()[:12])
        self.assertEqual(b"HTTP/1.1 200", self.ask()[:12])
        counts = self.namespace.snmp()["TcpExt"]
        self.assertEqual(1, counts["TCPFastOpenActive"])

    def test_kernel_serves_our_requests_that_come_with_the_syn(self):
        self.prepare_tap()
        with self.namespace.entered():
            server = socket.create_server((KERNEL, 80), backlog=64)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 64)
        server.settimeout(10)
        self.addCleanup(server.close)
        stop = threading.Event()

        def answer():
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        capture = Capture(self.namespace)
        result, printed = self.load("--recipe", "crr", "--fast-open", "--rate", "20", "--duration", "1s")
        stop.set()
        capture.stop()
        server.close()
        thread.join()
        self.assertIsNotNone(result, printed)
        syns = capture.select(f"ip.src == {RUNNEL} && tcp.flags.syn == 1", "tcp.len")
        self.assertGreater(len(syns), 10)
        self.assertEqual([["0"]], capture.select(f"ip.src == {RUNNEL} && tcp.options.tfo.request", "tcp.len"))
        self.assertEqual(len(syns) - 1, sum(int(length) > 0 for (length,) in syns))
        counts = self.namespace.snmp()["TcpExt"]
        self.assertEqual(len(syns) - 1, counts["TCPFastOpenPassive"])
        self.assertEqual(0, counts["TCPFastOpenPassiveFail"])
