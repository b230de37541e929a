"""Connected UDP sockets, and sends that are cut into many datagrams, as the kernel sees them; and what the kernel cuts, as
runnel does."""

import errno
import socket

from harness import INTERFACE, KERNEL, KERNEL_MAC, RUNNEL, InteropTest, wait_until
from test_multicast import KERNEL6, RUNNEL6, Member

UDP_SEGMENT = 103  # linux/udp.h


def pattern(size):
    return bytes(ord("a") + i % 23 for i in range(size))


class ConnectedDatagramsTest(InteropTest):
    def setUp(self):
        super().setUp()
        namespace = self.namespace
        namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.member = Member(self, "--address", RUNNEL, "--address", RUNNEL6)
        namespace.run("ip", "link", "set", INTERFACE, "address", KERNEL_MAC)
        namespace.run("ip", "addr", "add", KERNEL + "/24", "dev", INTERFACE)
        namespace.run("ip", "addr", "add", KERNEL6 + "/64", "dev", INTERFACE, "nodad")
        namespace.run("ip", "link", "set", INTERFACE, "up")
        for address in (RUNNEL, RUNNEL6):
            wait_until(
                lambda: namespace.run("ping", "-c1", "-W1", "-n", address, check=False).returncode == 0, 20, "an echo reply"
            )

    def bound(self, family, address, port):
        made = self.namespace.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.bind((address, port))
        return made

    def connect(self, number, address, port, local_port, segment=0):
        self.member.tell(f"connect {address} {port} {local_port} {segment}")
        words = f"socket {number} at port "
        self.member.wait_for(words)
        return int(self.member.said().split(words)[1].split()[0])

    def test_each_socket_of_a_port_hears_its_own_peer_and_strangers_hear_that_nobody_is_there(self):
        one, other = (self.bound(socket.AF_INET, KERNEL, port) for port in (7001, 7002))
        self.connect(0, KERNEL, 7001, 5000)
        self.connect(1, KERNEL, 7002, 5000)
        other.sendto(b"of-the-other", (RUNNEL, 5000))
        self.member.wait_for("socket 1 heard 12 of-the-other")
        one.sendto(b"of-the-one", (RUNNEL, 5000))
        self.member.wait_for("socket 0 heard 10 of-the-one")
        self.member.tell("pour 0 100")
        self.assertEqual((pattern(100), (RUNNEL, 5000)), one.recvfrom(2000))
        stranger = self.bound(socket.AF_INET, KERNEL, 7003)
        stranger.connect((RUNNEL, 5000))
        stranger.send(b"of-a-stranger")
        with self.assertRaises(OSError) as refused:
            stranger.recv(2000)
        self.assertEqual(errno.ECONNREFUSED, refused.exception.errno)
        self.member.tell("disconnect 0")
        self.member.wait_for("disconnected true")
        one.connect((RUNNEL, 5000))
        one.send(b"too-late")
        with self.assertRaises(OSError) as refused:
            one.recv(2000)
        self.assertEqual(errno.ECONNREFUSED, refused.exception.errno)

    def test_error_of_the_kernel_reaches_the_socket_whose_peer_it_is(self):
        for number, (address, error) in enumerate(((KERNEL, "3 3"), (KERNEL6, "1 4"))):
            port = self.connect(number, address, 9, 0)
            self.assertGreaterEqual(port, 1024)
            self.member.tell(f"pour {number} 10")
            self.member.wait_for(f"socket {number} error {error}")

    def test_kernel_gets_each_datagram_of_a_send_that_was_cut(self):
        number = 0
        for family, address in ((socket.AF_INET, KERNEL), (socket.AF_INET6, KERNEL6)):
            receiver = self.bound(family, address, 7100)
            for size, segment in ((10_000, 1000), (9_999, 1400), (6_400, 100), (65_507, 1440), (500, 600)):
                self.connect(number, address, 7100, 6100 + number, segment)
                self.member.tell(f"pour {number} {size}")
                count = -(-size // segment)
                got = [receiver.recv(70_000) for _ in range(count)]
                self.assertEqual([segment] * (count - 1) + [size - (count - 1) * segment], [len(one) for one in got])
                self.assertEqual(pattern(size), b"".join(got))
                number += 1

    def test_what_the_kernel_cuts_comes_back_as_many_datagrams(self):
        number = 0
        for family, address, runnel in ((socket.AF_INET, KERNEL, RUNNEL), (socket.AF_INET6, KERNEL6, RUNNEL6)):
            sender = self.bound(family, address, 7200)
            self.connect(number, address, 7200, 5200)
            self.member.tell(f"mirror {number}")
            self.member.wait_for(f"socket {number} mirrors")
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 700)
            sender.sendto(pattern(7_500), (runnel, 5200))
            got = [sender.recv(70_000) for _ in range(11)]
            self.assertEqual([700] * 10 + [500], [len(one) for one in got])
            self.assertEqual(pattern(7_500), b"".join(got))
            number += 1
