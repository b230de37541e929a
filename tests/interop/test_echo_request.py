"""Echo requests of an application's to the kernel: every size, both families, and what a router says of them."""

import socket

from harness import INTERFACE, KERNEL, KERNEL_MAC, RUNNEL, InteropTest, wait_until
from test_multicast import KERNEL6, RUNNEL6, Member


class EchoRequestTest(InteropTest):
    def start(self, *options):
        namespace = self.namespace
        namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0")
        self.member = Member(self, "--address", RUNNEL, "--address", RUNNEL6, *options)
        namespace.run("ip", "link", "set", INTERFACE, "address", KERNEL_MAC)
        namespace.run("ip", "addr", "add", KERNEL + "/24", "dev", INTERFACE)
        namespace.run("ip", "addr", "add", KERNEL6 + "/64", "dev", INTERFACE, "nodad")
        namespace.run("ip", "link", "set", INTERFACE, "up")
        for address in (RUNNEL, RUNNEL6):
            wait_until(
                lambda: namespace.run("ping", "-c1", "-W1", "-n", address, check=False).returncode == 0, 20, "an echo reply"
            )

    def test_kernel_answers_requests_of_every_size_over_both_families(self):
        self.start()
        for address in (KERNEL, KERNEL6):
            for size in (0, 56, 1472, 1473, 20000, 65507):
                self.member.tell(f"ping {address} {size} 0")
                self.member.wait_for(f"from {address} octets {size} intact")

    def test_router_whose_ttl_runs_out_is_seen_and_so_is_an_unreachable_host(self):
        self.start("--gateway", KERNEL)
        self.namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.namespace.run("ip", "route", "add", "prohibit", "198.51.100.0/24")
        self.namespace.run("ip", "route", "add", "unreachable", "203.0.113.0/24")
        self.namespace.run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
        self.namespace.run("ip", "addr", "add", "192.0.2.1/24", "dev", "d0")
        self.namespace.run("ip", "link", "set", "d0", "up")
        self.namespace.run("ip", "link", "set", "d1", "up")
        self.member.tell("ping 192.0.2.9 10 1")
        self.member.wait_for(f"type 11 code 0 by {KERNEL}")
        self.member.tell("ping 203.0.113.5 10 0")
        self.member.wait_for(f"type 3 code 1 by {KERNEL}")
        self.member.tell("ping 198.51.100.5 10 0")
        self.member.wait_for(f"type 3 code 13 by {KERNEL}")

    def test_timestamp_is_answered(self):
        self.start()
        raw = self.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        message = bytearray([13, 0, 0, 0, 0, 7, 0, 9]) + bytes([0, 0, 1, 2]) + bytes(8)
        total = sum(message[i] << 8 | message[i + 1] for i in range(0, 20, 2))
        total = (total & 0xFFFF) + (total >> 16)
        message[2:4] = (~total & 0xFFFF).to_bytes(2, "big")
        raw.sendto(bytes(message), (RUNNEL, 0))

        def reply():
            octets = raw.recv(2000)
            return octets[20:] if octets[20] == 14 else None

        answer = wait_until(reply, 5, "a timestamp reply")
        self.assertEqual(bytes([0, 7, 0, 9, 0, 0, 1, 2]), answer[4:12])
        self.assertEqual(answer[12:16], answer[16:20])
        self.assertNotEqual(0, answer[12] & 0x80, "no time of day is said")
