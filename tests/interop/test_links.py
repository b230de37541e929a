"""Links: VLANs between `runnel load` and `runnel serve`, seen by tcpdump on the wire between them; both families towards the kernel."""

import http.client
import json

from harness import INTERFACE, KERNEL, KERNEL_MAC, RUNNEL, Capture, InteropTest, Settings, end, wait_until

SIZE = 300_000


class LinkTest(InteropTest):
    def start_server(self, *options, port=f"net_tap0,iface={INTERFACE}"):
        process = self.namespace.start(
            Settings.runnel, "serve", "--port", port, "--address", RUNNEL + "/24", "--listen", "80:http", "--size", SIZE, *options,
        )  # fmt: skip

        def there():
            if process.poll() is not None:
                raise AssertionError(f"runnel serve ended with status {process.returncode}:\n{process.log.read_text()}")
            return "serving" in process.log.read_text()

        wait_until(there, 20, "the start of runnel serve")
        self.server = process

    def load_over_a_wire(self, server_vlan, client_vlan, status=(0,)):
        """Both commands at the ends of a veth pair; returns the result document and the capture of what the client's end gets."""
        namespace = self.namespace
        namespace.run("ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", "rn1")
        for name in (INTERFACE, "rn1"):
            namespace.run("ip", "link", "set", name, "mtu", 1600, "up")
        self.start_server("--vlan", server_vlan, port="net_af_packet0,iface=rn1")
        capture = Capture(namespace)
        file = namespace.folder / "load.json"
        done = namespace.run(
            Settings.runnel, "load", "--port", f"net_af_packet0,iface={INTERFACE}", "--address", KERNEL + "/24",
            "--target", RUNNEL + ":80", "--vlan", client_vlan, "--recipe", "crr", "--rate", "20", "--ramp", "0s",
            "--duration", "1s", "--max-lag", "20s", "--json", file, check=False,
        )  # fmt: skip
        self.assertIn(done.returncode, status, done.stdout)
        return (json.loads(file.read_text()) if file.exists() else None), capture.stop()

    def assert_all_tagged(self, capture, filter_):
        self.assertGreater(len(capture.select(f"tcp && {filter_}", "frame.number")), 100)
        self.assertGreater(len(capture.select(f"arp && {filter_}", "frame.number")), 0)
        self.assertEqual([], capture.select(f"(tcp || arp) && !({filter_})", "frame.number"))
        self.assertEqual([], capture.select("tcp.checksum.status == 0 || ip.checksum.status == 0", "frame.number"))

    def test_all_frames_of_a_vlan_carry_its_tag(self):
        document, capture = self.load_over_a_wire("5", "5")
        self.assertEqual(0, document["connections"]["residual"])
        self.assertGreater(document["connections"]["established"], 15)
        self.assert_all_tagged(capture, "vlan.id == 5 && !ieee8021ad")

    def test_all_frames_of_a_vlan_within_a_service_carry_both_tags(self):
        document, capture = self.load_over_a_wire("100.5", "100.5")
        self.assertEqual(0, document["connections"]["residual"])
        self.assertGreater(document["connections"]["established"], 15)
        self.assert_all_tagged(capture, "ieee8021ad.id == 100 && vlan.id == 5")

    def test_another_vlan_is_not_served(self):
        _, capture = self.load_over_a_wire("5", "6", status=(0, 1, 2, 3))
        self.assertEqual([], capture.select("arp.opcode == 2 || tcp", "frame.number"))
        self.assertEqual(0, end(self.server))
        self.assertRegex(self.server.log.read_text(), r"dropped: \d+ vlan_not_for_us")

    def fetch(self, host):
        with self.namespace.entered():
            connection = http.client.HTTPConnection(host, 80, timeout=10 * Settings.patience)
            connection.request("GET", "/")
        body = connection.getresponse().read()
        connection.close()
        self.assertEqual(SIZE, len(body))

    def give_the_kernel_its_side(self, *addresses):
        namespace = self.namespace
        namespace.run("ip", "link", "set", INTERFACE, "address", KERNEL_MAC)
        for address in addresses:
            family = ["nodad"] if ":" in address else []
            namespace.run("ip", "addr", "add", address, "dev", INTERFACE, *family)
        namespace.run("ip", "link", "set", INTERFACE, "up")
        wait_until(
            lambda: namespace.run("ping", "-c1", "-W1", "-n", RUNNEL, check=False).returncode == 0, 20, "an echo reply"
        )

    def test_one_server_has_addresses_of_both_families(self):
        namespace = self.namespace
        self.start_server("--address", "2001:db8::2/64", "--address", "2001:db8:1::2/64")
        namespace.run("sysctl", "-qw", f"net.ipv6.conf.{INTERFACE}.disable_ipv6=0")
        self.give_the_kernel_its_side(KERNEL + "/24", "2001:db8::1/64", "2001:db8:1::1/64")
        for host in (RUNNEL, "2001:db8::2", "2001:db8:1::2"):
            self.fetch(host)
