"""Multicast beside the kernel's: a bridge of the kernel's that snoops and asks for members is switch and querier, the kernel
itself another host. What runnel tells at each change is held against what the kernel tells at the same."""

import socket
import struct
import subprocess
import time

from harness import INTERFACE, KERNEL, RUNNEL, Capture, InteropTest, Settings, wait_until

GROUP, GROUP6 = "239.1.2.3", "ff15::1234"
KERNEL6, RUNNEL6 = "2001:db8::1", "2001:db8::2"
A, B = "10.99.0.11", "10.99.0.12"
A6, B6 = "2001:db8::11", "2001:db8::12"
BRIDGE = "br0"
MCAST_JOIN_GROUP, MCAST_BLOCK_SOURCE, MCAST_UNBLOCK_SOURCE, MCAST_LEAVE_GROUP = 42, 43, 44, 45
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47


def sockaddr(address):
    if ":" in address:
        return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0).ljust(128, b"\0")
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address)).ljust(128, b"\0")


class Member:
    """The program `endpoint`, which does what it is told line by line."""

    def __init__(self, test, *options):
        namespace = test.namespace
        log = namespace.folder / f"{len(namespace.processes)}.log"
        program = Settings.runnel.parents[2] / "tests/interop/endpoint"
        command = namespace.command(program, "--port", f"net_tap0,iface={INTERFACE}", *options)
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        self.process.log = log
        namespace.processes.append(self.process)
        wait_until(lambda: "ready" in self.said() or self.process.poll() is not None, 20, "the start of endpoint")
        test.assertIsNone(self.process.poll(), self.said())

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def said(self):
        return self.process.log.read_text()

    def wait_for(self, text, seconds=10):
        wait_until(lambda: text in self.said(), seconds, f"“{text}” of endpoint")


class MulticastTest(InteropTest):
    def join_bridge(self, igmp=3, mld=2):
        """runnel's tap becomes a port of a bridge of the kernel's, which asks for members every other second."""
        namespace = self.namespace
        namespace.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0",
                      "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")  # fmt: skip
        namespace.run("ip", "link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "1", "mcast_igmp_version", igmp,
                      "mcast_mld_version", mld, "mcast_query_use_ifaddr", "1", "mcast_query_interval", "200",
                      "mcast_query_response_interval", "100", "mcast_startup_query_interval", "100",
                      "mcast_last_member_interval", "50", "mcast_last_member_count", "2")  # fmt: skip
        namespace.run("ip", "addr", "add", KERNEL + "/24", "dev", BRIDGE)
        namespace.run("ip", "addr", "add", KERNEL6 + "/64", "dev", BRIDGE, "nodad")
        self.member = Member(self, "--address", RUNNEL, "--address", RUNNEL6)
        namespace.run("ip", "link", "set", INTERFACE, "address", "02:00:00:00:00:77")
        namespace.run("ip", "link", "set", INTERFACE, "master", BRIDGE, "up")
        namespace.run("ip", "link", "set", BRIDGE, "up")
        namespace.run("ip", "link", "set", BRIDGE, "type", "bridge", "mcast_querier", "1")
        wait_until(
            lambda: namespace.run("ping", "-c1", "-W1", "-n", RUNNEL, check=False).returncode == 0, 20, "an echo reply"
        )

    def forwards(self, group):
        """Whether the bridge has learned that runnel's port wants the group."""
        shown = self.namespace.run("bridge", "mdb", "show", "dev", BRIDGE).stdout
        return any(f"port {INTERFACE} " in line and f"grp {group} " in line for line in shown.splitlines())

    def send(self, group, text, source=None):
        six = ":" in group
        sender = self.namespace.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        index = int(self.namespace.run("cat", f"/sys/class/net/{BRIDGE}/ifindex").stdout)
        if six:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
        sender.bind((source or (KERNEL6 if six else KERNEL), 0))
        sender.sendto(text.encode(), (group, 5000))
        sender.close()

    def hears(self, group):
        self.join_bridge()
        self.assertFalse(self.forwards(group))
        self.member.tell(f"join {group} 5000")
        wait_until(lambda: self.forwards(group), 10, "the bridge's learning of the group")
        self.send(group, "first")
        self.member.wait_for(f"heard {group} 5000 from {KERNEL6 if ':' in group else KERNEL} ttl 1 first")
        # Longer than a member lives who answers no query.
        time.sleep(7)
        self.assertTrue(self.forwards(group), "its answers to queries keep it")
        self.send(group, "second")
        self.member.wait_for("ttl 1 second")
        self.member.tell(f"leave {group} 5000")
        wait_until(lambda: not self.forwards(group), 10, "the bridge's learning of the leave")
        self.send(group, "third")
        time.sleep(0.3)
        self.assertNotIn("third", self.member.said())

    def test_group_is_heard_through_a_switch_that_snoops_as_long_as_it_is_joined(self):
        self.hears(GROUP)

    def test_group_is_heard_over_ipv6_likewise(self):
        self.hears(GROUP6)

    def test_querier_of_igmp_version_2_is_answered_in_its_version(self):
        self.join_bridge(igmp=2, mld=1)
        time.sleep(1.5)
        capture = Capture(self.namespace, "igmp or ip6")
        self.member.tell(f"join {GROUP} 5000")
        self.member.tell(f"join {GROUP6} 5000")
        wait_until(lambda: self.forwards(GROUP) and self.forwards(GROUP6), 10, "the bridge's learning of the groups")
        time.sleep(6)
        self.assertTrue(self.forwards(GROUP) and self.forwards(GROUP6))
        self.member.tell(f"leave {GROUP} 5000")
        self.member.tell(f"leave {GROUP6} 5000")
        wait_until(lambda: not self.forwards(GROUP), 10, "the bridge's learning of the leave")
        capture.stop()
        types = {row[0] for row in capture.select(f"igmp && ip.src == {RUNNEL}", "igmp.type")}
        self.assertEqual({"0x16", "0x17"}, types)
        reports = capture.select(f"icmpv6.type == 131 && icmpv6.mld.multicast_address == {GROUP6}", "frame.number")
        self.assertGreaterEqual(len(reports), 2)

    def test_solicited_node_groups_of_its_addresses_are_reported(self):
        self.join_bridge()
        wait_until(lambda: self.forwards("ff02::1:ff00:2"), 10, "the bridge's learning of the solicited-node group")

    def test_kernel_hears_what_runnel_sends_to_a_group(self):
        self.join_bridge()
        index = int(self.namespace.run("cat", f"/sys/class/net/{BRIDGE}/ifindex").stdout)
        for group, family, level in ((GROUP, socket.AF_INET, socket.IPPROTO_IP), (GROUP6, socket.AF_INET6, socket.IPPROTO_IPV6)):
            receiver = self.namespace.socket(family, socket.SOCK_DGRAM)
            receiver.bind(("", 5000))
            receiver.setsockopt(level, MCAST_JOIN_GROUP, struct.pack("=I4x", index) + sockaddr(group))
            self.member.tell(f"send {group} 5000 0 hello")
            octets, sender = receiver.recvfrom(100)
            self.assertEqual((b"hello", 6000), (octets, sender[1]))
            self.assertEqual(RUNNEL6 if ":" in group else RUNNEL, sender[0])
            receiver.close()

    def test_sources_that_are_not_included_are_not_heard(self):
        self.join_bridge()
        for address in (A, B):
            self.namespace.run("ip", "addr", "add", address + "/24", "dev", BRIDGE)
        self.member.tell(f"include {GROUP} 5000 {A}")
        wait_until(lambda: self.forwards(GROUP), 10, "the bridge's learning of the group")
        self.send(GROUP, "from-b", source=B)
        self.send(GROUP, "from-a", source=A)
        self.member.wait_for(f"from {A} ttl 1 from-a")
        self.assertNotIn("from-b", self.member.said())

    def changes_in(self, capture, source):
        """The records in which changes are told, in order, without repetitions: type, number of sources, the first of them."""
        changes = []
        rows = capture.select(f"igmp.type == 0x22 && ip.src == {source} && igmp.maddr == {GROUP}",
                              "igmp.record_type", "igmp.num_src", "igmp.saddr")  # fmt: skip
        for row in rows:
            # Answers to queries (types 1 and 2) are the bridge's doing, which asks runnel alone.
            if row[0] not in ("1", "2") and (not changes or changes[-1] != row):
                changes.append(row)
        return changes

    def test_changes_are_told_in_the_records_that_the_kernel_tells_them_in(self):
        """The same joins, blocks and leaves by a socket of the kernel's on another link."""
        self.join_bridge()
        namespace = self.namespace
        namespace.run("ip", "link", "add", "vk0", "type", "veth", "peer", "name", "vk1")
        namespace.run("ip", "addr", "add", "10.98.0.1/24", "dev", "vk0")
        for name in ("vk0", "vk1"):
            namespace.run("ip", "link", "set", name, "up")
        index = int(namespace.run("cat", "/sys/class/net/vk0/ifindex").stdout)
        member = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        group = struct.pack("=I4x", index) + sockaddr(GROUP)
        steps = [
            (f"join {GROUP} 5000", MCAST_JOIN_GROUP, None),
            (f"block {GROUP} 5000 {A}", MCAST_BLOCK_SOURCE, A),
            (f"block {GROUP} 5000 {B}", MCAST_BLOCK_SOURCE, B),
            (f"unblock {GROUP} 5000 {A}", MCAST_UNBLOCK_SOURCE, A),
            (f"leave {GROUP} 5000", MCAST_LEAVE_GROUP, None),
            (f"include {GROUP} 5000 {A}", MCAST_JOIN_SOURCE_GROUP, A),
            (f"include {GROUP} 5000 {B}", MCAST_JOIN_SOURCE_GROUP, B),
            (f"exclude-from {GROUP} 5000 {A}", MCAST_LEAVE_SOURCE_GROUP, A),
            (f"leave {GROUP} 5000", MCAST_LEAVE_GROUP, None),
        ]
        ours = Capture(namespace, "igmp")
        theirs = Capture(namespace, "igmp", interface="vk0")
        for line, option, source in steps:
            self.member.tell(line)
            member.setsockopt(socket.IPPROTO_IP, option, group + (sockaddr(source) if source else b""))
            time.sleep(2.2)  # each change is told twice, the second time within a second
        ours.stop()
        theirs.stop()
        changes = self.changes_in(ours, RUNNEL)
        self.assertEqual(self.changes_in(theirs, "10.98.0.1"), changes)
        self.assertGreaterEqual(len(changes), 8)
        for capture in (ours, theirs):
            bad = capture.select("igmp && (ip.ttl != 1 || !ip.opt.ra || igmp.checksum.status == 0)", "frame.number")
            self.assertEqual([], bad)
