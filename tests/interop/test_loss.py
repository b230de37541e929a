"""Bulk data between runnel and the kernel over a path that loses frames at random, each way.

The client's kernel is in one namespace, in another a bridge joins its veth, runnel's tap and, for comparison, the veth of a
third namespace with a kernel. What enters the bridge from any of them is dropped at random by nftables before the bridge
sees it, so to every sender it is a loss on the path and no refusal of its own device. Offloads are off: a frame is a frame.

Goodput is printed, beside kernel to kernel over the same bridge and with the same rules; tests judge only that every octet
arrives. bench/loss measures.
"""

import hashlib
import re
import socket
import threading
import time

from harness import INTERFACE, KERNEL, PORT, RUNNEL, InteropTest, Namespace, Settings, end, wait_until

OTHER = "10.99.0.3"  # the kernel of the third namespace
BLOCK = 1 << 20


class LossTest(InteropTest):
    def setUp(self):
        super().setUp()
        bridge = self.namespace
        self.client, self.other = Namespace(), Namespace()
        self.addCleanup(self.client.close)
        self.addCleanup(self.other.close)
        bridge.run("ip", "link", "add", "br0", "type", "bridge")
        bridge.run("ip", "link", "set", "br0", "up")
        for namespace, name, address in ((self.client, "c", KERNEL), (self.other, "o", OTHER)):
            namespace.run("ip", "link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1", "netns", bridge.name)
            for side, end_ in ((namespace, "0"), (bridge, "1")):
                side.run("ethtool", "-K", name + end_, "tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off")
                side.run("ip", "link", "set", name + end_, "up")
            bridge.run("ip", "link", "set", f"{name}1", "master", "br0")
            namespace.run("ip", "addr", "add", f"{address}/24", "dev", f"{name}0")
            # No transfer inherits ssthresh and round-trip time from the one before.
            namespace.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")

    def serve_bulk(self, *options):
        process = self.namespace.start(
            *(Settings.runnel, "serve", "--port", PORT, "--address", RUNNEL + "/24", "--connections", 64),
            *("--listen", "80:http", "--listen", "9:discard", "--digest", *options),
        )

        def there():
            if process.poll() is not None:
                raise AssertionError(f"runnel serve ended with status {process.returncode}:\n{process.log.read_text()}")
            return self.namespace.run("ip", "link", "show", INTERFACE, check=False).returncode == 0

        wait_until(there, 20, "the tap of runnel serve")
        # net_tap gives both ends one link address; a bridge would take runnel's frames for its own.
        self.namespace.run("ip", "link", "set", INTERFACE, "address", "02:00:00:00:00:01")
        self.namespace.run("ip", "link", "set", INTERFACE, "master", "br0", "up")
        for address in (RUNNEL, OTHER):
            wait_until(
                lambda address=address: self.client.run("ping", "-c1", "-W1", "-n", address, check=False).returncode == 0,
                20,
                f"an echo reply of {address}",
            )
        return process

    def lose(self, per_mille):
        """From here on frames of IPv4 that enter the bridge are lost at random."""
        if not per_mille:
            return
        run = self.namespace.run
        run("nft", "add table netdev lossy")
        for device in ("c1", "o1", INTERFACE):
            chain = f"{device}_in"
            run("nft", f"add chain netdev lossy {chain} {{ type filter hook ingress device {device} priority 0 ; }}")
            run("nft", f"add rule netdev lossy {chain} meta protocol ip numgen random mod 1000 < {per_mille} counter drop")

    def dropped(self):
        """Frames that were lost so far, each way."""
        counters = re.findall(r"counter packets (\d+)", self.namespace.run("nft", "list ruleset").stdout)
        return [int(count) for count in counters]

    @staticmethod
    def cubic(made):
        """The kernel's sender: whatever the machine's default is, figures are to be compared with CUBIC's."""
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        return made

    def exchange(self, address, port, *, request=b"", block=b"", octets=0):
        """Sends a request and `octets` of repeated blocks, then FIN; returns what came back, its digest, and the seconds."""
        with self.client.entered():
            connection = self.cubic(socket.socket())
        connection.settimeout(40 * Settings.patience)
        begin = time.monotonic()
        connection.connect((address, port))
        connection.sendall(request)
        left = octets
        while left:
            part = block[:left]
            connection.sendall(part)
            left -= len(part)
        connection.shutdown(socket.SHUT_WR)
        received, digest, head = 0, hashlib.sha256(), b"" if request else None
        room = bytearray(BLOCK)
        while count := connection.recv_into(room):
            part = memoryview(room)[:count]
            if head is not None:  # the head of a response is no part of its body
                head += bytes(part)
                if b"\r\n\r\n" not in head:
                    continue
                part, head = head.partition(b"\r\n\r\n")[2], None
            received += len(part)
            digest.update(part)
        connection.close()
        return received, digest.hexdigest(), time.monotonic() - begin

    def kernel_peer(self, send):
        """A peer in the third namespace for one connection: sends `send` octets of zero, or takes what comes; a port."""
        with self.other.entered():
            listener = self.cubic(socket.socket())
        listener.bind((OTHER, 0))
        listener.listen()

        def run():
            try:
                peer, _ = listener.accept()
                left = send
                while left > 0:
                    left -= peer.send(bytes(min(left, BLOCK)))
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(BLOCK):
                    pass
                peer.close()
            except OSError as wrong:
                print(f"the kernel's peer: {wrong}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 20)
        self.addCleanup(listener.close)
        return listener.getsockname()[1]

    def report(self, what, per_mille, octets, ours, kernels):
        print(
            f"{what}, {per_mille / 10:g} % lost each way, {octets / 1e6:g} MB: {8e-6 * octets / ours:.1f} Mbit/s;"
            f" kernel to kernel (CUBIC) {8e-6 * octets / kernels:.1f} Mbit/s"
        )

    def check_lost(self, per_mille, octets):
        if per_mille:
            self.assertGreater(sum(self.dropped()), octets / 1500 * per_mille / 1000, "nftables has lost too little")

    def download(self, per_mille, octets):
        self.serve_bulk("--size", octets)
        # Lines of 64 octets, the last cut short by a line feed (load::HttpResponse).
        line = b"0123456789abcdef" * 3 + b"0123456789abcde\n"
        expected = hashlib.sha256()
        for _ in range(octets // (64 * 1000)):
            expected.update(line * 1000)
        rest = (line * 1000)[: octets % (64 * 1000)]
        expected.update(rest[:-1] + b"\n" if rest else b"")
        self.lose(per_mille)
        request = f"GET / HTTP/1.1\r\nHost: {RUNNEL}\r\nConnection: close\r\n\r\n".encode()
        received, digest, ours = self.exchange(RUNNEL, 80, request=request)
        self.assertEqual((octets, expected.hexdigest()), (received, digest))
        self.check_lost(per_mille, octets)
        received, _, kernels = self.exchange(OTHER, self.kernel_peer(octets))
        self.assertEqual(octets, received)
        self.report("runnel sends", per_mille, octets, ours, kernels)

    def upload(self, per_mille, octets):
        process = self.serve_bulk()
        block = bytes(range(251)) * (BLOCK // 251)  # a prime: no shift goes unseen
        expected = hashlib.sha256()
        for _ in range(octets // len(block)):
            expected.update(block)
        expected.update(block[: octets % len(block)])
        self.lose(per_mille)
        _, _, ours = self.exchange(RUNNEL, 9, block=block, octets=octets)
        self.check_lost(per_mille, octets)
        _, _, kernels = self.exchange(OTHER, self.kernel_peer(0), block=block, octets=octets)
        self.assertEqual(0, end(process), process.log.read_text())
        self.assertRegex(
            process.log.read_text(), rf"received {octets} octets from {KERNEL}:\d+, to the end, sha256 {expected.hexdigest()}\n"
        )
        self.report("runnel receives", per_mille, octets, ours, kernels)

    def test_hundred_megabytes_to_the_kernel_without_loss(self):
        self.download(0, 100_000_000)

    def test_hundred_megabytes_from_the_kernel_without_loss(self):
        self.upload(0, 100_000_000)

    def test_hundred_megabytes_to_the_kernel_with_one_percent_lost(self):
        self.download(10, 100_000_000)

    def test_hundred_megabytes_from_the_kernel_with_one_percent_lost(self):
        self.upload(10, 100_000_000)

    # At 5 % a window is some four segments wide and a time-out stands behind one loss in four: 4 MB take as long.
    def test_four_megabytes_to_the_kernel_with_five_percent_lost(self):
        self.download(50, 4_000_000)

    def test_four_megabytes_from_the_kernel_with_five_percent_lost(self):
        self.upload(50, 4_000_000)
