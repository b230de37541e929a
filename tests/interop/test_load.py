"""`runnel load` and the kernel's own servers."""

import contextlib
import select
import socket
import threading

from harness import INTERFACE, KERNEL, RUNNEL, Capture, InteropTest, wait_until


class Peer:
    """A server on the kernel's TCP: `serve(connection)` for each connection, in a thread of its own."""

    def __init__(self, test, serve, port=9000):
        self.serve, self.port, self.octets, self.connections, self.threads = serve, port, 0, 0, []
        self.lock = threading.Lock()
        self.listener = test.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind((KERNEL, port))
        self.listener.listen(256)
        self.listener.settimeout(None)
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()
        test.addCleanup(self.close)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(30)
            thread = threading.Thread(target=self.run, args=(connection,))
            thread.start()
            self.threads.append(thread)

    def run(self, connection):
        with connection:
            try:
                octets = self.serve(connection)
            except OSError:
                return  # counted neither as a connection nor by its octets: the test sees that
        with self.lock:
            self.octets += octets
            self.connections += 1

    def close(self):
        """Accepts no more, and waits for the connections that are open."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(30)
        for thread in self.threads:
            thread.join(30)


def answer(connection, request=64, response=64):
    """Answers each `request` octets; returns how many it has answered."""
    count = waiting = 0
    while octets := connection.recv(65536):
        waiting += len(octets)
        answers, waiting = divmod(waiting, request)
        connection.sendall(b"a" * (response * answers))
        count += answers
    return count


def echo(connection):
    """Sends back whatever comes."""
    total = 0
    with contextlib.suppress(ConnectionResetError):
        while octets := connection.recv(65536):
            total += len(octets)
            connection.sendall(octets)
    return total


def sink(connection):
    total = 0
    while octets := connection.recv(1 << 20):
        total += len(octets)
    return total


def source(connection):
    """Sends until the peer closes."""
    block, total = b"s" * 65536, 0
    connection.setblocking(False)
    while True:
        readable, writable, _ = select.select([connection], [connection], [], 30)
        if readable and not connection.recv(65536):
            return total
        if writable:
            total += connection.send(block)


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

    def test_http_keeps_its_connections_at_nginx_and_counts_what_nginx_counts(self):
        self.prepare_tap()
        self.nginx()
        # nginx ends a connection in order after 1,000 requests: it is opened anew.
        document, output = self.load("--recipe", "http", "--connections", "4", "--rate", "3k", "--ramp", "0s", "--duration", "2s")
        transactions, nginx = document["transactions"], self.nginx_status()
        self.assertEqual(0, transactions["residual"])
        self.assertEqual(0, transactions["lost"] + transactions["in_flight"], output)
        self.assertEqual(transactions["answered"], nginx["requests"])
        self.assertEqual(document["connections"]["completed"], nginx["accepted"])
        self.assertGreaterEqual(document["connections"]["completed"], 8, output)
        self.assertEqual({"200": transactions["answered"]}, document["http"]["statuses"])
        self.assertEqual(3 * transactions["answered"], document["http"]["body_octets"])
        self.assertEqual([], document["http"]["errors"])

    def test_http_reads_what_nginx_sends_in_chunks_and_its_refusals(self):
        self.prepare_tap()
        self.nginx()
        document, output = self.load(
            *("--recipe", "http", "--request", "/chunked", "--request", "/none", "--request", "HEAD /chunked"),
            *("--transactions", "6", "--rate", "100", "--ramp", "0s", "--duration", "1s", "--think", "1ms", "--max-lag", "20s"),
        )
        self.assertEqual(100, document["connections"]["completed"], output)
        self.assertEqual({"200": 400, "404": 200}, document["http"]["statuses"])
        self.assertEqual(600, self.nginx_status()["requests"])
        self.assertIn("200 responses had a status of 400 or above", output)

    def test_http_at_a_server_that_speaks_another_language_says_so(self):
        self.prepare_tap()
        peer = Peer(self, echo)
        document, output = self.load(
            "--recipe", "http", "--connections", "1", "--ramp", "0s", "--duration", "1s", target=f"{KERNEL}:{peer.port}", status=(2,)
        )
        self.assertEqual(1, document["transactions"]["lost"])
        self.assertIn("not HTTP", output)

    def transfer(self, recipe, peer, *options):
        """Runs `recipe` against a peer of ours on the kernel; returns the document once the peer has ended too."""
        document, output = self.load(
            "--recipe", recipe, "--ramp", "200ms", "--duration", "2s", "--drain", "20s", *options, target=f"{KERNEL}:{peer.port}"
        )
        peer.close()
        connections = document["connections"]
        self.assertEqual("valid", document["verdict"], output)
        self.assertEqual(0, connections["residual"], connections)
        self.assertEqual(connections["attempted"], connections["completed"], connections)
        self.assertEqual(connections["completed"], peer.connections, connections)
        return document

    def test_rr_asks_a_server_of_the_kernel_and_counts_what_that_counts(self):
        self.prepare_tap()
        peer = Peer(self, lambda connection: answer(connection, 100, 3000))
        document = self.transfer(
            "rr", peer, "--connections", "20", "--request-octets", "100", "--response-octets", "3000"
        )
        transactions = document["transactions"]
        self.assertEqual(0, transactions["residual"], transactions)
        self.assertEqual(peer.octets, transactions["answered"], transactions)
        self.assertGreater(transactions["answered"], 500)

    def test_stream_to_a_server_of_the_kernel_arrives_to_the_last_octet(self):
        self.prepare_tap()
        peer = Peer(self, sink)
        document = self.transfer("stream", peer, "--connections", "4")
        self.assertEqual(peer.octets, document["octets"]["client_sent"])
        self.assertGreater(document["rate"]["goodput_to_server_bps"], 1e6)
        self.assertEqual(0, document["rate"]["goodput_to_client_bps"])

    def test_stream_from_a_server_of_the_kernel_arrives_to_the_last_octet(self):
        self.prepare_tap()
        peer = Peer(self, source)
        document = self.transfer("stream", peer, "--connections", "4", "--direction", "to-client")
        self.assertEqual(peer.octets, document["octets"]["client_received"])
        self.assertGreater(document["rate"]["goodput_to_client_bps"], 1e6)

    def test_whether_fast_open_was_asked_for_stands_in_the_document(self):
        self.prepare_tap()
        self.nginx()
        for options, asked in (([], False), (["--fast-open"], True)):
            document, _ = self.load("--recipe", "crr", "--connections", "10", *options)
            self.assertIs(asked, document["config"]["fast_open"])

    def test_capture_of_crr_shows_tshark_nothing_wrong(self):
        from test_serve import COMPLAINTS

        self.prepare_tap()
        self.nginx()
        capture = Capture(self.namespace)
        document, _ = self.load("--recipe", "crr", "--rate", "200", "--ramp", "0s", "--duration", "1s")
        self.assert_sound(document, "crr")
        capture.stop()
        self.assertEqual([], capture.select(COMPLAINTS, "frame.number", "ip.src", "tcp.stream", "_ws.col.Info")[:20])
