"""Fragments beside the kernel's: pings beyond the MTU, and fragments of our own making."""

import socket
import struct
import time

from harness import KERNEL, RUNNEL, Capture, InteropTest, Settings, checksum

SIZES = (0, 1, 1472, 1473, 8000, 65507)


class FragmentTest(InteropTest):
    def test_ping_of_sizes_to_the_largest_comes_back_unchanged(self):
        self.serve()
        capture = Capture(self.namespace, "ip")
        for size in SIZES:
            done = self.namespace.run("ping", "-c3", "-i0.2", "-W5", "-n", "-p", "a55a", "-s", str(size), RUNNEL)
            self.assertIn("3 received", done.stdout, size)
            self.assertNotRegex(done.stdout, "DUP|wrong data|truncated")
        capture.stop()
        sent = f"ip.src == {RUNNEL}"
        self.assertEqual([], capture.select(f"{sent} && ip.checksum.status == 0", "frame.number"))
        self.assertEqual([], capture.select(f"{sent} && ip.flags.df == 1 && ip.flags.mf == 1", "frame.number"))
        self.assertEqual([], capture.select(f"{sent} && ip.fragment.error", "frame.number"))
        # What tshark has put together: nine replies that came in fragments, all of the length asked for.
        lengths = [int(row[0]) for row in capture.select(f"{sent} && icmp.type == 0 && ip.fragments", "ip.reassembled.length")]
        self.assertEqual(sorted([1481, 8008, 65515] * 3), sorted(lengths))

    def test_many_large_pings_one_after_the_other_are_all_answered(self):
        self.serve()
        done = self.namespace.run("ping", "-A", "-c200", "-W5", "-n", "-q", "-s", "20000", RUNNEL, timeout=40)
        self.assertIn("200 received", done.stdout)

    def fragments(self, cuts, *, number, id_):
        """An echo request of 48 octets, as fragments of [begin, end) each."""
        echo = struct.pack("!BBHHH", 8, 0, 0, 0x7EA5, number) + bytes(range(40))
        echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        for begin, end, more in cuts:
            data = echo[begin:end]
            header = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), id_, begin // 8 | (0x2000 if more else 0), 64, 1, 0,
                socket.inet_aton(KERNEL), socket.inet_aton(RUNNEL),
            )  # fmt: skip
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
            self.raw.send_frame(self.raw.remote_mac + self.raw.local_mac + b"\x08\x00" + header + data)

    def answered(self, number, seconds=1.0):
        """Whether the echo is answered within so long."""
        end = time.monotonic() + seconds * Settings.patience
        while (left := end - time.monotonic()) > 0:
            self.raw.socket.settimeout(left)
            try:
                frame, address = self.raw.socket.recvfrom(65536)
            except TimeoutError:
                break
            if address[2] == socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != 1:
                continue
            kind, _, _, identity, answered = struct.unpack_from("!BBHHH", frame, 34)
            if (kind, identity, answered) == (0, 0x7EA5, number):
                return True
        return False

    def test_fragments_in_any_order_are_answered_and_overlaps_are_not(self):
        self.serve()
        self.raw = self.probe()
        whole = {
            "in order": [(0, 16, True), (16, 32, True), (32, 48, False)],
            "in reverse order": [(32, 48, False), (16, 32, True), (0, 16, True)],
            "with an exact duplicate": [(0, 16, True), (0, 16, True), (16, 48, False)],
            "as small as they can be": [(at, at + 8, at < 40) for at in range(0, 48, 8)],
        }
        lost = {
            "the second begins within the first": [(0, 24, True), (16, 48, False)],
            "the first ends within the second": [(16, 48, False), (0, 24, True)],
            "one lies within another": [(0, 32, True), (8, 16, True), (32, 48, False)],
            "two ends": [(16, 32, False), (32, 48, False), (0, 16, True)],
            "a hole": [(0, 16, True), (32, 48, False)],
        }
        number = 0
        for what, cuts in whole.items():
            number += 1
            self.fragments(cuts, number=number, id_=number)
            self.assertTrue(self.answered(number), what)
        for what, cuts in lost.items():
            number += 1
            self.fragments(cuts, number=number, id_=number)
            self.assertFalse(self.answered(number, 0.3), what)
        # All is well for others meanwhile.
        self.assertIn("1 received", self.namespace.run("ping", "-c1", "-W2", "-n", "-s", "3000", RUNNEL).stdout)

    def test_flood_of_first_fragments_leaves_connections_and_large_pings_alone(self):
        """64 K keys, each from an address of its own or from a few, while a connection goes on."""
        self.serve()
        self.raw = self.probe()
        client = self.namespace.connect(7)
        for number in range(65536):
            source = struct.pack("!I", 0x0B000000 + number % 7 if number % 2 else 0x0C000000 + number)
            header = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + 64, number, 0x2000, 64, 17, 0, source, socket.inet_aton(RUNNEL)
            )
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
            self.raw.send_frame(self.raw.remote_mac + self.raw.local_mac + b"\x08\x00" + header + bytes(64))
            if number % 8192 == 0:
                client.sendall(b"alive")
                received = b""
                while len(received) < 5:
                    received += client.recv(5 - len(received))
                self.assertEqual(b"alive", received)
        client.close()
        self.assertIn("3 received", self.namespace.run("ping", "-c3", "-i0.2", "-W2", "-n", "-s", "60000", RUNNEL).stdout)

    def tearDown(self):
        server = getattr(self, "server", None)
        if server is not None:
            self.assertEqual(0, self.stop_server())
