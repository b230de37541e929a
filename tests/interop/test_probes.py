"""What ping, arping, nmap, hping3 and single segments get out of `runnel serve`."""

import os
import re
import socket
import struct
import xml.etree.ElementTree

from harness import INTERFACE, KERNEL, PROBE, RUNNEL, Capture, InteropTest, Segment, checksum


class PingTest(InteropTest):
    def test_ping_is_answered(self):
        self.serve()
        output = self.namespace.run("ping", "-c", "5", "-i", "0.05", "-n", RUNNEL).stdout
        self.assertIn("5 received", output)
        self.assertNotRegex(output, "DUP|wrong data")

    def test_ping_of_every_size_to_the_mtu_comes_back_unchanged(self):
        self.serve()
        pinger = self.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        pinger.connect((RUNNEL, 0))
        identity = os.getpid() & 0xFFFF
        for size in range(1472 + 1):
            payload = bytes((index * 7 + size) & 255 for index in range(size))
            header = struct.pack("!BBHHH", 8, 0, 0, identity, size)
            header = struct.pack("!BBHHH", 8, 0, checksum(header + payload), identity, size)
            pinger.send(header + payload)
            while True:
                reply = pinger.recv(2000)[20:]
                kind, _, _, answered, number = struct.unpack_from("!BBHHH", reply)
                if kind == 0 and answered == identity:
                    break
            self.assertEqual(size, number)
            self.assertEqual(payload, reply[8:])
            self.assertEqual(0, checksum(reply))

    def test_ping_beyond_our_addresses_is_not_answered(self):
        self.serve()
        output = self.namespace.run("ping", "-c", "1", "-W", "1", "-n", "10.99.0.3", check=False)
        self.assertNotEqual(0, output.returncode, output.stdout)


class ArpTest(InteropTest):
    def test_arping_is_answered_for_our_address_only(self):
        self.serve()
        output = self.namespace.run("arping", "-c", "2", "-I", INTERFACE, RUNNEL).stdout
        self.assertIn("Received 2 response(s)", output)
        output = self.namespace.run("arping", "-c", "1", "-w", "1", "-I", INTERFACE, "10.99.0.3", check=False).stdout
        self.assertIn("Received 0 response(s)", output)

    def test_duplicate_address_detection_finds_our_address_taken(self):
        self.serve()
        done = self.namespace.run("arping", "-D", "-c", "1", "-w", "2", "-I", INTERFACE, RUNNEL, check=False)
        self.assertEqual(1, done.returncode, done.stdout)

    def test_kernel_resolves_us_again_after_its_cache_was_flushed(self):
        self.serve()
        self.namespace.run("ip", "neigh", "flush", "dev", INTERFACE)
        client = self.namespace.connect(7)
        client.sendall(b"x")
        self.assertEqual(b"x", client.recv(10))
        client.close()


class ScanTest(InteropTest):
    def scan(self, kind, ports, *options):
        """What nmap says of each port (or protocol): (state, reason)."""
        output = self.namespace.run(
            "nmap", kind, "-n", "-Pn", "--disable-arp-ping", "-p", ports, "--max-retries", "1",
            "--host-timeout", "30s", "-oX", "-", *options, RUNNEL,
        ).stdout  # fmt: skip
        ports_found = xml.etree.ElementTree.fromstring(output[output.index("<?xml") :]).iter("port")
        found = {}
        for port in ports_found:
            state = port.find("state")
            found[int(port.get("portid"))] = (state.get("state"), state.get("reason"))
        return found

    def test_syn_scan_finds_the_open_port_and_resets_at_the_others(self):
        self.serve()
        closed = ("closed", "reset")
        self.assertEqual({79: closed, 80: ("open", "syn-ack"), 81: closed}, self.scan("-sS", "79-81"))

    def test_null_fin_and_xmas_scans_are_answered_at_closed_ports_only(self):
        self.serve()
        expected = {80: ("open|filtered", "no-response"), 81: ("closed", "reset")}
        for kind in ("-sN", "-sF", "-sX"):
            with self.subTest(kind):
                self.assertEqual(expected, self.scan(kind, "80,81"))

    def test_ack_scan_is_reset_at_open_and_closed_ports(self):
        self.serve()
        self.assertEqual({80: ("unfiltered", "reset"), 81: ("unfiltered", "reset")}, self.scan("-sA", "80,81"))

    def test_udp_scan_gets_port_unreachable(self):
        self.serve()
        self.assertEqual({9999: ("closed", "port-unreach")}, self.scan("-sU", "9999"))

    def test_protocol_scan_gets_protocol_unreachable(self):
        self.serve()
        expected = {number: ("closed", "proto-unreach") for number in (88, 89, 132)}
        expected[2] = ("open|filtered", "no-response")  # IGMP is spoken, and answers no stranger
        found = self.scan("-sO", "1,2,88,89,132")
        # Any ICMP of ours shows nmap that we speak it: which came first is chance.
        self.assertEqual("open", found.pop(1)[0])
        self.assertEqual(expected, found)

    def test_nmap_finds_sequence_numbers_and_ip_ids_hard_to_predict(self):
        self.serve()
        # nmap judges by six numbers, of which random ones too lie close together at times; those of a counter always do.
        for remaining in (2, 1, 0):
            output = self.namespace.run(
                "nmap", "-O", "-n", "-Pn", "--disable-arp-ping", "-p", "80,81", "--max-os-tries", "1", "-oX", "-", RUNNEL
            ).stdout
            document = xml.etree.ElementTree.fromstring(output[output.index("<?xml") :])
            sequence, ids = next(document.iter("tcpsequence")), next(document.iter("ipidsequence"))
            # RFC 6864 section 4.1: what may not be fragmented needs no id.
            self.assertIn(ids.get("class"), ("All zeros", "Randomized"), output)
            if int(sequence.get("index")) > 250 or not remaining:
                break
        self.assertGreater(int(sequence.get("index")), 250, output)

    def test_hping_gets_reset_with_ack_at_a_closed_port(self):
        self.serve()
        output = self.namespace.run("hping3", "-S", "-p", "81", "-c", "3", "-i", "u50000", RUNNEL, check=False).stdout
        self.assertEqual(3, len(re.findall(r"flags=RA seq=\d+ win=0", output)), output)


class SegmentTest(InteropTest):
    """Single segments, RFC 9293 section 3.10.7 as seen from outside."""

    def open(self, probe, port, to=7):
        """Opens a connection from `port`; returns our next sequence number and the peer's."""
        probe.send(Segment(port, to, seq=5000, flags="S"))
        answer = probe.receive(port=port)
        self.assertTrue(answer and answer.has("SA") and answer.ack == 5001, answer)
        probe.send(Segment(port, to, seq=5001, ack=answer.seq + 1, flags="A"))
        return 5001, answer.seq + 1

    def test_closed_port_answers_as_rfc9293_says(self):
        self.serve()
        probe = self.probe()
        probe.send(Segment(40001, 81, seq=100, flags="S"))
        answer = probe.receive(port=40001)
        self.assertEqual(("RA", 0, 101), (answer.flags, answer.seq, answer.ack))
        probe.send(Segment(40002, 81, seq=100, flags="S", payload=b"abc"))
        answer = probe.receive(port=40002)
        self.assertEqual(("RA", 0, 104), (answer.flags, answer.seq, answer.ack))
        probe.send(Segment(40003, 81, seq=100, ack=777, flags="A"))
        answer = probe.receive(port=40003)
        self.assertEqual(("R", 777), (answer.flags, answer.seq))
        probe.send(Segment(40004, 81, seq=100, flags="R"))
        probe.send(Segment(40004, 81, seq=100, ack=777, flags="RA"))
        self.assertIsNone(probe.receive(0.5, port=40004))

    def test_damaged_checksum_is_met_with_silence(self):
        self.serve()
        probe = self.probe()
        probe.send(Segment(40005, 7, seq=100, flags="S"), damage=1)
        self.assertIsNone(probe.receive(0.5, port=40005))
        ours, theirs = self.open(probe, 40005)
        probe.send(Segment(40005, 7, seq=ours, ack=theirs, flags="PA", payload=b"damaged"), damage=256)
        self.assertIsNone(probe.receive(0.5, port=40005))
        probe.send(Segment(40005, 7, seq=ours, ack=theirs, flags="PA", payload=b"whole"))
        answer = probe.receive(port=40005)
        while answer and not answer.payload:
            answer = probe.receive(port=40005)
        self.assertEqual((b"whole", ours + 5), (answer.payload, answer.ack))

    def test_segment_from_our_own_address_is_met_with_silence(self):
        self.serve()
        probe = self.probe()
        probe.send(Segment(7, 7, seq=100, flags="S", source=RUNNEL))
        self.assertIsNone(probe.receive(0.5))
        self.assert_serves()

    def test_syn_to_or_from_a_group_or_broadcast_address_is_met_with_silence(self):
        self.serve()
        probe = self.probe()
        for number, address in enumerate(("255.255.255.255", "10.99.0.255", "224.0.0.1")):
            probe.send(Segment(40010 + number, 7, seq=100, flags="S", destination=address))
        for number, address in enumerate(("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1")):
            probe.send(Segment(40020 + number, 7, seq=100, flags="S", source=address))
        self.assertIsNone(probe.receive(0.5))
        self.assert_serves()

    def test_in_window_reset_with_another_number_gets_a_challenge_ack(self):
        self.serve()
        probe = self.probe()
        ours, theirs = self.open(probe, 40030)
        probe.send(Segment(40030, 7, seq=ours + 10, flags="R"))
        answer = probe.receive(port=40030)
        self.assertEqual(("A", theirs, ours), (answer.flags, answer.seq, answer.ack))
        probe.send(Segment(40030, 7, seq=ours, flags="R"))
        probe.send(Segment(40030, 7, seq=ours, ack=theirs, flags="A"))
        answer = probe.receive(port=40030)
        self.assertTrue(answer and answer.has("R"), answer)

    def test_syn_on_an_established_connection_gets_a_challenge_ack(self):
        self.serve()
        probe = self.probe()
        ours, theirs = self.open(probe, 40031)
        probe.send(Segment(40031, 7, seq=ours + 5, flags="S"))
        answer = probe.receive(port=40031)
        self.assertEqual(("A", theirs, ours), (answer.flags, answer.seq, answer.ack))

    def test_options_that_lie_about_their_length_do_no_harm(self):
        self.serve()
        probe = self.probe()
        rubbish = [b"\x02\x00\x05\xb4", b"\x02\x01\x05\xb4", b"\x02\x03\x05\xb4", b"\x02\xff\x05\xb4", b"\xfd\x00\x00\x00",
                   b"\x01\x01\x01\x02", b"\x03\x00\x00\x00", b"\x08\x0a\x00\x00", b"\x05\x01\x01\x01"]  # fmt: skip
        for number, options in enumerate(rubbish):
            probe.send(Segment(40040 + number, 7, seq=100, flags="S", options=options))
        self.assert_serves()

    def test_frames_cut_short_at_every_length_do_no_harm(self):
        self.serve()
        probe = self.probe()
        tcp = struct.pack("!HHIIBBHHH", 40060, 7, 100, 0, 0x50, 2, 65535, 0, 0)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + socket.inet_aton(PROBE) + socket.inet_aton(RUNNEL)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        frame = probe.remote_mac + probe.local_mac + b"\x08\x00" + ip + tcp
        for length in range(14, len(frame)):
            probe.send_frame(frame[:length])
        self.assertIsNone(probe.receive(0.5, port=40060))
        self.assert_serves()

    def assert_serves(self):
        """The server still serves: a whole exchange with the kernel."""
        client = self.namespace.connect(7)
        client.sendall(b"still there")
        self.assertEqual(b"still there", client.recv(100))
        client.close()
