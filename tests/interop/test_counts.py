"""One load, counted by all who see it: by runnel, by its peer (wrk, nginx), by the kernel (nstat, ss), and in a capture.

Where a number must be the same it is compared as such; where it may differ a sentence says why, and by how much.
"""

import collections
import json
import re
import time

from harness import KERNEL, RUNNEL, Capture, FollowedTest, InteropTest, wait_until

# wrk ends when it has had so many responses, and prints its own figures as whole numbers.
WRK_SCRIPT = """
local answered = 0
function response()
    answered = answered + 1
    if answered == {requests} then wrk.thread:stop() end
end
function done(summary)
    local e = summary.errors
    print(string.format("counted: %d requests, %d octets, %d errors", summary.requests, summary.bytes,
                        e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Kernel:
    """What the kernel of a namespace counts from here on."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.before = namespace.nstat()

    def stop(self):
        """Keeps what has been counted until now."""
        self.counts = {name: value - self.before[name] for name, value in self.namespace.nstat().items()}
        return self

    def __getitem__(self, name):
        return self.counts[name]

    def segments_in(self):
        return self["TcpInSegs"]

    def segments_out(self):
        # TcpOutSegs leaves out what is sent again (RFC 4022); each SYN-ACK sent again is one of TcpRetransSegs as well.
        return self["TcpOutSegs"] + self["TcpRetransSegs"]


class Seen:
    """What a capture holds of TCP towards and from runnel."""

    def __init__(self, capture):
        self.capture = capture.stop()
        self.from_runnel = self.count(f"tcp && ip.src == {RUNNEL}")
        self.from_kernel = self.count(f"tcp && ip.src == {KERNEL}")
        # A connection is a stream whose first SYN is there; a SYN that is sent again opens none.
        self.connections = len({row[0] for row in capture.select("tcp.flags.syn == 1 && tcp.flags.ack == 0", "tcp.stream")})
        self.accepted = len({row[0] for row in capture.select("tcp.flags.syn == 1 && tcp.flags.ack == 1", "tcp.stream")})
        self.requests = self.count("http.request")
        self.responses = self.count("http.response")
        self.octets = collections.Counter()  # by who sends, and by that and both ports
        fields = ("tcp.stream", "ip.src", "tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.len")
        # What was sent again counts once.
        for _, source, *ports, _, length in set(map(tuple, capture.select("tcp.len > 0", *fields))):
            self.octets[source] += int(length)
            self.octets[source, *ports] += int(length)

    def count(self, filter_):
        return len(self.capture.select(filter_, "frame.number"))


class ServeCountsTest(InteropTest):
    """wrk asks, `runnel serve` answers."""

    def scrape(self):
        """What the server has counted, at least a second old: it looks at its cores each second."""
        time.sleep(2.1)
        text = self.namespace.run("curl", "-sS", "--fail", "http://127.0.0.1:9300/metrics").stdout
        return {name: int(float(value)) for name, value in re.findall(r"(?m)^runnel_(\w+)_total (\S+)$", text)}

    def compare(self, connections, *options, requests=2000):
        self.serve("--prometheus", "9300", "--size", "500")
        script = self.namespace.folder / "count.lua"
        script.write_text(WRK_SCRIPT.format(requests=requests), encoding="ascii")
        kernel = Kernel(self.namespace)
        capture = Capture(self.namespace, octets=2048)
        output = self.namespace.run(
            *("wrk", "-t1", f"-c{connections}", "-d3s", "-s", script, *options, f"http://{RUNNEL}/")
        ).stdout
        told = re.search(r"counted: (\d+) requests, (\d+) octets, (\d+) errors", output)
        self.assertIsNotNone(told, output)
        asked, octets, errors = map(int, told.groups())
        self.assertGreater(asked, 100, output)
        self.assertEqual(0, errors, output)
        wait_until(
            lambda: not self.namespace.run("ss", "-tnH", "state", "connected", "exclude", "time-wait", "dst", RUNNEL).stdout,
            10,
            "the end of wrk's connections",
        )
        kernel.stop()
        ours, seen = self.scrape(), Seen(capture)
        said = f"runnel {ours}, kernel {kernel.counts}, capture {vars(seen)}, wrk {output}"

        # Connections: who opens, who accepts and who looks on agree.
        self.assertEqual(seen.connections, kernel["TcpActiveOpens"], said)
        self.assertEqual(seen.connections, ours["tcp_passive_opens"], said)
        self.assertEqual(seen.connections, seen.accepted, said)
        self.assertEqual(0, kernel["TcpAttemptFails"], said)

        # Segments: none was lost between the kernel and runnel, and none counted twice.
        self.assertEqual(seen.from_runnel, kernel.segments_in(), said)
        self.assertEqual(seen.from_runnel, ours["tcp_out"], said)
        self.assertEqual(seen.from_kernel, kernel.segments_out(), said)
        self.assertEqual(seen.from_kernel, ours["tcp_in"], said)

        # Requests and octets: all that arrived was answered.
        self.assertEqual(seen.requests, ours["transactions"], said)
        self.assertEqual(seen.requests, seen.responses, said)
        self.assertEqual(seen.octets[RUNNEL], ours["payload_sent_bytes"], said)
        self.assertEqual(seen.octets[KERNEL], ours["payload_received_bytes"], said)
        response = seen.octets[RUNNEL] // seen.responses
        self.assertEqual(seen.octets[RUNNEL], response * seen.responses, said)
        # When wrk stops, each of its connections may still wait for one answer, which nobody reads.
        self.assertLessEqual(asked, ours["transactions"], said)
        self.assertLessEqual(ours["transactions"], asked + connections, said)
        self.assertLessEqual(response * asked, octets, said)
        self.assertLessEqual(octets, response * (asked + connections), said)
        return seen

    def test_wrk_that_keeps_its_connections_is_counted_alike_by_all(self):
        seen = self.compare(8)
        # One more than asked for: wrk tries whether the server is there before it begins.
        self.assertIn(seen.connections, (8, 9))

    def test_wrk_with_a_connection_for_each_request_is_counted_alike_by_all(self):
        seen = self.compare(8, "-H", "Connection: close", requests=1000)
        self.assertLessEqual(seen.requests, seen.connections)
        # Of those that were opened last some have not asked yet, and one was wrk's trial.
        self.assertLessEqual(seen.connections, seen.requests + 8 + 1)

    def test_octets_of_a_connection_are_to_ss_what_they_are_to_all(self):
        self.serve("--prometheus", "9300", "--size", "3000")
        capture = Capture(self.namespace, octets=2048)
        client = self.namespace.connect(80)
        request, received = b"GET /bytes/3000 HTTP/1.1\r\nHost: x\r\n\r\n", 0
        for _ in range(200):
            client.sendall(request)
            response = b""
            while len(response.partition(b"\r\n\r\n")[2]) < 3000:
                response += client.recv(65536)
            received += len(response)
        time.sleep(0.3)  # an ACK may be delayed
        line = " ".join(self.namespace.run("ss", "-tinoH", "dst", RUNNEL).stdout.split())
        said = {key: int(value) for key, value in re.findall(r"\b(\w+):(\d+)\b", line)}
        said["bytes_sent"] -= said.get("bytes_retrans", 0)
        ours, seen = self.scrape(), Seen(capture)
        client.close()
        self.assertEqual(200 * len(request), said["bytes_sent"], line)
        # The SYN takes a sequence number, and its ACK counts as one of an octet.
        self.assertEqual(said["bytes_sent"] + 1, said["bytes_acked"], line)
        self.assertEqual(received, said["bytes_received"], line)
        self.assertEqual((said["bytes_sent"], said["bytes_received"]), (seen.octets[KERNEL], seen.octets[RUNNEL]), line)
        self.assertEqual((said["segs_in"], said["segs_out"]), (seen.from_runnel, seen.from_kernel), line)
        self.assertEqual((seen.from_runnel, seen.from_kernel), (ours["tcp_out"], ours["tcp_in"]), line)
        self.assertEqual((200, received), (ours["transactions"], ours["payload_sent_bytes"]))


class LoadCountsTest(FollowedTest):
    """`runnel load` asks, nginx answers."""

    LOG = "$connection $connection_requests $status $request_length $bytes_sent $body_bytes_sent"

    def logged(self):
        """What nginx wrote of each request, as numbers."""
        text = (self.namespace.folder / "access.log").read_text(encoding="ascii")
        return [tuple(map(int, line.split())) for line in text.splitlines()]

    def compare(self, *options):
        self.prepare_tap()
        self.nginx(log=self.LOG, body="x" * 700, requests=1_000_000)
        wait_until(
            lambda: not self.namespace.run("ss", "-tnH", "state", "connected", "exclude", "time-wait").stdout,
            10,
            "the end of what has asked nginx for its status",
        )
        kernel = Kernel(self.namespace)
        capture = Capture(self.namespace, octets=2048)
        timing = ("--ramp", "0s", "--duration", "3s", "--max-lag", "20s")
        document, output = self.load("--recipe", "http", *timing, *options, status=(0, 3))
        wait_until(
            lambda: not self.namespace.run("ss", "-tnH", "state", "connected", "exclude", "time-wait", "dst", RUNNEL).stdout,
            10,
            "the end of nginx's connections",
        )
        kernel.stop()
        seen, status, log = Seen(capture), self.nginx_status(), self.logged()
        connections, transactions, http = document["connections"], document["transactions"], document["http"]
        said = f"runnel {document}, kernel {kernel.counts}, capture {vars(seen)}, nginx {status}, {output}"

        # What came due while the machine was busy at the very end was not sent, and is counted as that.
        self.assertIn(document["verdict"], ("valid", "generator-limited"), said)
        self.assertEqual(0, connections["residual"], said)
        self.assertEqual(0, transactions["residual"] + transactions["lost"] + transactions["in_flight"], said)
        self.assertGreater(transactions["answered"], 100, said)

        # Connections.
        self.assertEqual(connections["established"], seen.connections, said)
        self.assertEqual(connections["established"], seen.accepted, said)
        self.assertEqual(connections["established"], kernel["TcpPassiveOpens"], said)
        self.assertEqual(connections["established"], status["accepted"], said)
        self.assertEqual(connections["established"], connections["completed"], said)

        # Segments.
        self.assertEqual(seen.from_runnel, kernel.segments_in(), said)
        self.assertEqual(seen.from_kernel, kernel.segments_out(), said)

        # Requests and octets.
        answered = transactions["answered"]
        self.assertEqual(answered, status["requests"], said)
        self.assertEqual(answered, len(log), said)
        self.assertEqual((answered, answered), (seen.requests, seen.responses), said)
        self.assertEqual({"200": answered}, http["statuses"], said)
        self.assertEqual(http["body_octets"], sum(row[5] for row in log), said)
        self.assertEqual(700 * answered, http["body_octets"], said)
        self.assertEqual(seen.octets[RUNNEL], sum(row[3] for row in log), said)
        self.assertEqual(seen.octets[KERNEL], sum(row[4] for row in log), said)
        return document, log, seen, said

    def test_load_that_keeps_its_connections_is_counted_alike_by_all(self):
        document, log, seen, said = self.compare("--connections", "4", "--rate", "1k")
        self.assertEqual(4, document["connections"]["established"], said)
        self.assertEqual(4, len({row[0] for row in log}), said)
        # The schedule goes on from the end of the window until the connections are closed.
        self.assertGreaterEqual(document["transactions"]["answered"], 3000, said)
        self.assertEqual(document["transactions"]["planned"], document["transactions"]["answered"], said)

    def test_load_with_a_connection_for_each_request_is_counted_alike_by_all(self):
        document, log, seen, said = self.compare("--transactions", "1", "--rate", "500")
        connections = document["connections"]
        self.assertEqual(1500, connections["attempted"], said)
        # What came due while the machine was busy at the very end was not sent, and is counted as that.
        self.assertEqual(connections["completed"], connections["attempted"] - connections["unsent"], said)
        self.assertEqual(connections["completed"], len({row[0] for row in log}), said)
        # All frames, ARP among them, as runnel has counted them at the port.
        packets = document["packets"]
        self.assertEqual(seen.count(f"ip.src == {RUNNEL} || arp.src.proto_ipv4 == {RUNNEL}"), packets["client_tx"], said)
        self.assertEqual(seen.count("frame"), packets["client_tx"] + packets["client_rx"], said)

    def test_octets_of_each_connection_are_to_ss_what_they_are_to_all(self):
        self.prepare_tap()
        self.nginx(log=self.LOG, requests=1_000_000)
        capture = Capture(self.namespace, octets=2048)
        process = self.start_load("--recipe", "http", "--connections", "4", "--rate", "300", "--ramp", "0s")
        self.until(lambda a: a.get("phase") == "measured" and a["transactions"] > 300, "some requests")
        # In a pause all that is under way comes to its end, and nobody's counters move.
        self.tell("/runnel/pause")
        before = self.until(lambda a: a["paused"] == 1 and a["tps"] == 0, "a pause")
        lines = self.namespace.run("ss", "-tinH", "state", "established", "dst", RUNNEL).stdout
        capture.stop()
        self.tell("/runnel/stop")
        self.assertEqual(0, process.wait(30), process.log.read_text())
        seen = Seen(capture)  # only now: tshark takes seconds, and nginx does not wait for ever
        self.assertEqual(json.loads(self.document.read_text())["transactions"]["answered"], before["transactions"])
        rows = re.findall(rf"{RUNNEL}:(\d+)\b.*\n(.*)", lines)
        self.assertEqual(4, len(rows), lines)
        log = self.logged()
        self.assertEqual(before["transactions"], len(log))
        self.assertEqual(before["transactions"], seen.requests)
        for port, figures in rows:
            said = {key: int(value) for key, value in re.findall(r"\b(\w+):(\d+)\b", figures)}
            said["bytes_sent"] -= said.get("bytes_retrans", 0)
            self.assertEqual(seen.octets[RUNNEL, port, "80"], said["bytes_received"], lines)
            self.assertEqual(seen.octets[KERNEL, "80", port], said["bytes_sent"], lines)
            self.assertEqual(said["bytes_sent"], said["bytes_acked"], lines)  # the SYN-ACK counts in neither
        received, sent, again = (
            sum(int(value) for value in re.findall(rf"\b{name}:(\d+)", lines))
            for name in ("bytes_received", "bytes_sent", "bytes_retrans")
        )
        sent -= again
        self.assertEqual((sum(row[3] for row in log), sum(row[4] for row in log)), (received, sent), lines)
        self.assertEqual((seen.octets[RUNNEL], seen.octets[KERNEL]), (received, sent), lines)
