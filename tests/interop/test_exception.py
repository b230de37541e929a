"""The exception path: the kernel of one namespace and `runnel serve` share an address, and the kernel of another asks both."""

import http.client
import shutil
import socket
import threading

from harness import INTERFACE, KERNEL, KERNEL_MAC, RUNNEL, InteropTest, Namespace, Settings, end, wait_until

BESIDE = "runnel0"  # the interface of the kernel that is beside runnel


class BesideTest(InteropTest):
    """`self.namespace` is the peer's; runnel and the kernel beside it are in `self.beside`."""

    def setUp(self):
        super().setUp()
        self.beside = Namespace()
        self.addCleanup(self.beside.close)

    def serve_beside_a_kernel(self, *options):
        """Starts `runnel serve` on a tap whose other end goes to the peer's namespace, and gives the kernel beside it the
        same address."""
        beside, peer = self.beside, self.namespace
        process = beside.start(
            Settings.runnel, "serve", "--port", f"net_tap0,iface={INTERFACE}", "--address", RUNNEL + "/24",
            "--listen", "80:http", "--listen", "7:echo", "--exception", "tap", *options,
        )  # fmt: skip

        def there():
            if process.poll() is not None:
                raise AssertionError(f"runnel serve ended with status {process.returncode}:\n{process.log.read_text()}")
            return "goes to the kernel" in process.log.read_text()

        wait_until(there, 20, "the start of runnel serve")
        beside.run("ip", "link", "set", INTERFACE, "netns", peer.name)
        peer.run("ip", "link", "set", INTERFACE, "address", KERNEL_MAC)
        peer.run("ip", "addr", "add", KERNEL + "/24", "dev", INTERFACE)
        peer.run("ip", "link", "set", INTERFACE, "up")
        beside.run("ip", "addr", "add", RUNNEL + "/24", "dev", BESIDE)
        beside.run("ip", "link", "set", BESIDE, "up")
        wait_until(lambda: peer.run("ping", "-c1", "-W1", "-n", RUNNEL, check=False).returncode == 0, 20, "an echo reply")
        self.server = process
        return process

    def get(self, port, path="/"):
        with self.namespace.entered():
            connection = http.client.HTTPConnection(RUNNEL, port, timeout=10 * Settings.patience)
            connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.getheader("Server", ""), body


class ExceptionTest(BesideTest):
    def test_daemon_of_the_kernel_is_reached_on_the_address_under_load(self):
        page = b"a page of the kernel's\n" * 20000
        (self.beside.folder / "page").write_bytes(page)
        self.serve_beside_a_kernel("--to-kernel", "tcp:8080")
        self.beside.start(
            "python3", "-m", "http.server", "8080", "--bind", RUNNEL, "--directory", self.beside.folder
        )
        wait_until(lambda: ":8080" in self.beside.run("ss", "-ltn").stdout, 10, "the start of the kernel's daemon")
        load = self.namespace.start("wrk", "-t1", "-c8", "-d5s", f"http://{RUNNEL}/")
        answers = 0
        while load.poll() is None:
            status, server, body = self.get(8080, "/page")
            self.assertEqual(200, status)
            self.assertIn("Python", server)
            self.assertEqual(page, body)
            answers += 1
        self.assertGreater(answers, 3)
        printed = load.log.read_text()
        self.assertNotIn("Socket errors", printed)
        served = int(printed.split(" requests in")[0].split()[-1])
        self.assertGreater(served, 500, printed)
        status, server, body = self.get(80)
        self.assertEqual(200, status)
        self.assertNotIn("Python", server)
        self.assertEqual(0, end(self.server))
        self.assertRegex(self.server.log.read_text(), r"\d+ frames to the kernel, \d+ from it")

    def test_ports_without_a_rule_are_runnels_and_a_ruled_port_without_a_daemon_is_the_kernels_to_refuse(self):
        self.serve_beside_a_kernel("--to-kernel", "tcp:22,udp:500-4500")
        before = self.beside.snmp()["Tcp"]["OutRsts"]
        for port, refusals in ((81, 0), (22, 1)):
            with self.assertRaises(ConnectionRefusedError):
                self.namespace.connect(port)
            self.assertEqual(refusals, self.beside.snmp()["Tcp"]["OutRsts"] - before, port)
        asker = self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo = self.beside.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind((RUNNEL, 4500))
        asker.sendto(b"question", (RUNNEL, 4500))
        question, sender = echo.recvfrom(100)
        self.assertEqual((b"question", KERNEL), (question, sender[0]))
        echo.sendto(b"answer", sender)
        self.assertEqual((b"answer", (RUNNEL, 4500)), asker.recvfrom(100))

    def test_kernel_beside_pings_and_opens_connections_from_the_address(self):
        self.serve_beside_a_kernel("--to-kernel", "tcp:32768-60999")
        output = self.beside.run("ping", "-c", "3", "-i", "0.2", "-n", KERNEL).stdout
        self.assertIn("3 received", output)
        listener = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((KERNEL, 9000))
        listener.listen(1)
        accepted = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()))
        thread.start()
        with self.beside.entered():
            client = socket.create_connection((KERNEL, 9000), timeout=10 * Settings.patience)
        thread.join()
        connection, address = accepted[0]
        self.assertEqual(RUNNEL, address[0])
        client.sendall(b"to the peer")
        self.assertEqual(b"to the peer", connection.recv(100))
        client.close()
        connection.close()

    def test_datagrams_in_fragments_reach_the_kernel_beside(self):
        """What runnel puts together is larger than a frame, and is cut again for the kernel: here twice as large, and as large as
        a datagram may be."""
        self.serve_beside_a_kernel("--to-kernel", "udp:4500")
        for size in (3000, 65000):
            output = self.beside.run("ping", "-c", "3", "-i", "0.2", "-s", str(size), "-n", KERNEL).stdout
            self.assertIn("3 received", output)
        asker = self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo = self.beside.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind((RUNNEL, 4500))
        for size in (1600, 9000, 65000):
            question = bytes(i % 251 for i in range(size))
            asker.sendto(question, (RUNNEL, 4500))
            received, sender = echo.recvfrom(66000)
            self.assertEqual(question, received)
            echo.sendto(received, sender)
            self.assertEqual(question, asker.recv(66000))

    def test_groups_of_the_link_reach_a_kernel_that_has_joined_them(self):
        self.serve_beside_a_kernel()
        hearer = self.beside.socket(socket.AF_INET, socket.SOCK_RAW, 89)
        group = socket.inet_aton("224.0.0.5")
        hearer.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton(RUNNEL))
        sender = self.namespace.socket(socket.AF_INET, socket.SOCK_RAW, 89)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(KERNEL))
        sender.sendto(b"hello", ("224.0.0.5", 0))
        self.assertEqual(b"hello", hearer.recv(100)[20:])
        # And an answer to the peer alone, which runnel neither claims nor refuses.
        hearer.sendto(b"hello to you", (KERNEL, 0))
        self.assertEqual(b"hello to you", sender.recv(100)[20:])
        sender.sendto(b"and to you", (RUNNEL, 0))
        self.assertEqual(b"and to you", hearer.recv(100)[20:])


class RoutingTest(BesideTest):
    """FRR beside runnel, and another with the peer: each learns the other's network."""

    networks = {"beside": "198.51.100.0/24", "peer": "203.0.113.0/24"}

    def start_frr(self, namespace, daemon, interface, configuration, network):
        """Starts zebra and a routing daemon that run until the namespace ends."""
        namespace.run("ip", "link", "add", "stub0", "type", "veth", "peer", "name", "stub1")
        namespace.run("ip", "addr", "add", network.replace(".0/", ".1/"), "dev", "stub0")
        for name in ("stub0", "stub1"):
            namespace.run("ip", "link", "set", name, "up")
        folder = namespace.folder
        shutil.chown(folder, "frr", "frr")  # as which the daemons run
        common = ["--vty_port", "0", "--vty_socket", folder, "-z", folder / "zserv.api", "--log", "stdout"]
        (folder / "zebra.conf").write_text(f"interface {interface}\n", encoding="ascii")
        namespace.start("/usr/lib/frr/zebra", *common, "-i", folder / "zebra.pid", "-f", folder / "zebra.conf")
        wait_until((folder / "zserv.api").exists, 10, "the start of zebra")
        (folder / f"{daemon}.conf").write_text(configuration, encoding="ascii")
        namespace.start(
            f"/usr/lib/frr/{daemon}", *common, "-i", folder / f"{daemon}.pid", "-f", folder / f"{daemon}.conf"
        )

    def learn_by(self, daemon, protocol, configure):
        self.serve_beside_a_kernel()
        for namespace, interface, network in (
            (self.beside, BESIDE, self.networks["beside"]),
            (self.namespace, INTERFACE, self.networks["peer"]),
        ):
            self.start_frr(namespace, daemon, interface, configure(interface, network), network)
        load = self.namespace.start("wrk", "-t1", "-c4", "-d12s", f"http://{RUNNEL}/")

        def learnt(namespace, network, via):
            route = namespace.run("ip", "-4", "route", "show", network).stdout
            return f"via {via}" in route and f"proto {protocol}" in route

        wait_until(lambda: learnt(self.beside, self.networks["peer"], KERNEL), 30, "the route of the kernel beside")
        wait_until(lambda: learnt(self.namespace, self.networks["beside"], RUNNEL), 30, "the route of the peer")
        wait_until(lambda: load.poll() is not None, 30, "the end of the load")
        printed = load.log.read_text()
        self.assertNotIn("Socket errors", printed)
        self.assertGreater(int(printed.split(" requests in")[0].split()[-1]), 500, printed)
        # The adjacency has outlived the load.
        self.assertTrue(learnt(self.beside, self.networks["peer"], KERNEL))
        self.assertTrue(learnt(self.namespace, self.networks["beside"], RUNNEL))

    def test_ospf_forms_an_adjacency_and_installs_routes_while_runnel_serves(self):
        self.learn_by(
            "ospfd",
            "ospf",
            lambda interface, network: (
                f"interface {interface}\n ip ospf hello-interval 1\n ip ospf dead-interval 5\n"
                f"router ospf\n network 10.99.0.0/24 area 0\n network {network} area 0\n"
            ),
        )

    def test_eigrp_forms_an_adjacency_and_installs_routes_while_runnel_serves(self):
        self.learn_by(
            "eigrpd",
            "eigrp",
            lambda interface, network: f"router eigrp 1\n network 10.99.0.0/24\n network {network}\n",
        )
