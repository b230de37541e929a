#!/usr/bin/env python3
"""Checks `runnel` on emulated network cards, driven from user space as real ones are: qemu boots a small guest in which the command
has the card (vfio-pci, emulated IOMMU, hugepages), and this machine's kernel has the other end of the wire, in a network namespace.

Needs root and `scripts/setup nic`; qemu emulates the processor too, unless --kvm is given. scripts/test does not run it.

    tests/nic/run.py --build build [PATTERN]
"""

import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

import guest  # noqa: E402
import harness  # noqa: E402
import run as interop  # noqa: E402  the runner of tests/interop


class Machine:
    """Filled by main()."""

    kernel = image = None


class CardTest(harness.InteropTest):
    """What holds with any card; each class below names one of qemu's, and what its driver does of the work."""

    card = None
    driver = None
    offloads = None
    segments = False

    def setUp(self):
        super().setUp()
        self.namespace.run("ip", "tuntap", "add", "dev", harness.INTERFACE, "mode", "tap")
        self.namespace.run("ip", "link", "set", harness.INTERFACE, "address", harness.KERNEL_MAC)
        self.namespace.run("ip", "addr", "add", harness.KERNEL + "/24", "dev", harness.INTERFACE)
        self.namespace.run("ip", "link", "set", harness.INTERFACE, "up")

    def boot(self, *arguments):
        self.guest = guest.Guest(self.namespace, Machine.kernel, Machine.image, self.card, arguments)

    def port(self):
        return ["--port", guest.CARD, "--address", harness.RUNNEL + "/24"]

    def serve_in_guest(self, *listen):
        self.boot("serve", *self.port(), *(word for service in listen for word in ("--listen", service)))
        self.guest.wait_for("port does", 15)
        self.assertIn(f"driver {self.driver})", self.guest.printed)
        self.assertIn(f"the port does: {self.offloads}\n", self.guest.printed)
        harness.wait_until(lambda: self.ping("-c1", "-W1").returncode == 0, 20, "an echo reply")

    def ping(self, *options):
        return self.namespace.run("ping", "-n", *options, harness.RUNNEL, check=False)

    def serves(self):
        self.serve_in_guest("80:http", "7:echo")
        capture = harness.Capture(self.namespace)
        self.assertIn(" 0% packet loss", self.ping("-c20", "-i0.05", "-s1400").stdout)
        address, written = f"http://{harness.RUNNEL}/", "%{http_code} %{size_download}"
        fetched = self.namespace.run("curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", written, address)
        self.assertEqual("200 1024", fetched.stdout)
        sent = bytes(range(251)) * 8000
        self.assertEqual(sent, self.echo_all(sent))
        capture.stop()
        wrong = "ip.checksum.status == 0 || tcp.checksum.status == 0 || icmp.checksum.status == 0 || _ws.malformed"
        self.assertEqual([], capture.select(f"ip.src == {harness.RUNNEL} && ({wrong})", "frame.number"))
        lengths = capture.select(f"ip.src == {harness.RUNNEL} && tcp.len > 0", "tcp.len")
        largest = max(int(octets) for (octets,) in lengths)
        if self.segments:
            # qemu hands on uncut to the kernel what the card was to cut.
            self.assertGreater(largest, 1448)
        else:
            self.assertEqual(1448, largest)
        printed = self.guest.stop()
        self.assertIn("guest: status 0", printed)
        self.assertNotIn("dropped:", printed)

    def loads(self):
        self.nginx()
        target = ["--target", f"{harness.KERNEL}:80"]
        self.boot("load", *self.port(), *target, "--recipe", "crr", "--rate", "200", "--ramp", "0s", "--duration", "2s", "--json", "/dev/console")
        self.guest.wait_for("guest: status", 120)
        # 3: an emulated processor was too slow for the schedule. What was counted must be right all the same.
        self.assertRegex(self.guest.printed, "guest: status [03]")
        completed = int(re.search(r'"completed": (\d+)', self.guest.printed).group(1))
        self.assertGreater(completed, 100)
        self.assertEqual(completed, self.nginx_status()["accepted"])


class NicE1000eTest(CardTest):
    card, driver = "e1000e", "net_e1000_em"
    offloads = "checksums received, checksums sent"

    def test_serves(self):
        self.serves()

    def test_loads(self):
        self.loads()


class NicVmxnet3Test(CardTest):
    card, driver = "vmxnet3", "net_vmxnet3"
    offloads = "checksums of TCP and UDP received, checksums of TCP and UDP sent, segmentation"
    segments = True

    def test_serves(self):
        self.serves()

    def test_loads(self):
        self.loads()


class NicVirtioTest(CardTest):
    card, driver = "virtio-net-pci,iommu_platform=on,disable-legacy=on", "net_virtio"
    offloads = "nothing"

    def test_serves(self):
        self.serves()

    def test_loads(self):
        self.loads()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"), help="the build folder")
    parser.add_argument("--kvm", action="store_true", help="run the guest on this machine's processors, where it has virtualisation")
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose name contains it")
    options = parser.parse_args()
    obstacle = interop.obstacle()
    if obstacle:
        print(f"nic: {obstacle}", file=sys.stderr)
        return 1
    absent = [tool for tool in ("qemu-system-x86_64", "busybox", "tcpdump", "tshark", "nginx", "curl") if not shutil.which(tool)]
    if absent:
        print(f"nic: missing: {' '.join(absent)}; install them with scripts/setup nic", file=sys.stderr)
        return 1
    program = (options.build / "apps/runnel/runnel").resolve()
    if not program.exists():
        print(f"nic: no {program}; build it with ninja -C {options.build}", file=sys.stderr)
        return 1
    if options.kvm:
        guest.accelerator = "kvm,kernel-irqchip=split"
    harness.Settings.patience = 4  # an emulated processor is slow
    interop.CASE_SECONDS = 60  # times the patience
    found = interop.cases(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    chosen = [test for test in found if options.pattern.lower() in interop.name_of(test).lower()]
    with tempfile.TemporaryDirectory() as folder:
        image = pathlib.Path(folder) / "guest.cpio"
        Machine.kernel, modules = guest.fetch_kernel(options.build / "guest")
        guest.file_system(image, modules, program)
        Machine.image = image
        return interop.run_cases(chosen)


if __name__ == "__main__":
    sys.exit(main())
