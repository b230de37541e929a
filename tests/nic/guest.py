"""A virtual machine under qemu with an emulated network card, which the command `runnel` drives from user space, and whose
other end is a tap of the kernel's in a network namespace.

The guest is a kernel of Debian's and a file system in memory: busybox, the command with its libraries and drivers, and a script that
binds the card to vfio-pci behind an emulated IOMMU, as a user of a real card does. Nothing is written to a disk image.
"""

import itertools
import pathlib
import re
import socket
import stat
import subprocess

import harness

# Emulated processors are slow, and are on any machine; real ones are a choice of run.py's.
accelerator = "tcg"

# Loaded in this order; each is in the kernel's package.
MODULES = [
    "virt/lib/irqbypass.ko",
    "drivers/vfio/vfio_virqfd.ko",
    "drivers/vfio/vfio.ko",
    "drivers/vfio/vfio_iommu_type1.ko",
    "drivers/vfio/pci/vfio-pci-core.ko",
    "drivers/vfio/pci/vfio-pci.ko",
]
DRIVERS = ["bus_pci", "bus_vdev", "mempool_ring", "mempool_stack", "net_e1000", "net_vmxnet3", "net_virtio"]
CARD = "0000:00:05.0"
CARD_MAC = "02:00:00:00:00:02"

INIT = f"""#!/bin/busybox sh
/bin/busybox chmod 755 /  # EAL loads no drivers from below a folder that all may write to
/bin/busybox mkdir -p /bin /sbin /proc /sys /dev /tmp /run /var/run
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
mkdir -p /dev/hugepages; mount -t hugetlbfs none /dev/hugepages
ip link set lo up
for module in /modules/*.ko; do insmod $module || echo "guest: $module does not load"; done
echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override
echo {CARD} > /sys/bus/pci/drivers_probe
echo "guest: $(cat /proc/version | cut -d' ' -f1-3), driver of the card: $(basename $(readlink /sys/bus/pci/devices/{CARD}/driver))"
stty -F /dev/console -echo
/runnel "$@" </dev/null & runnel=$!
(while read -r line </dev/console; do [ "$line" = stop ] && kill -INT $runnel; done) &
wait $runnel
echo "guest: status $?"
poweroff -f
"""


def fetch_kernel(folder):
    """Unpacks the newest kernel of Debian's into `folder`, once; returns the image and the folder of its modules."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("boot/vmlinuz-*")):
        shown = subprocess.run(
            ["apt-cache", "depends", "linux-image-amd64"], check=True, capture_output=True, text=True
        ).stdout
        package = re.search(r"Depends: (linux-image-\S+)", shown).group(1)
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
        archive = next(folder.glob("*.deb"))
        subprocess.run(["dpkg", "-x", archive, folder], check=True)
        archive.unlink()
    return next(folder.glob("boot/vmlinuz-*")), next(folder.glob("lib/modules/*/kernel"))


def libraries_of(program):
    """The shared libraries that a program or library wants, wherever the loader finds them."""
    printed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", printed)]


def drivers():
    """The files of DRIVERS, in the folder from which DPDK loads them."""
    folder = max(pathlib.Path("/usr/lib/x86_64-linux-gnu/dpdk").glob("pmds-*"))
    abi = folder.name.removeprefix("pmds-")
    return [folder / f"librte_{name}.so.{abi}" for name in DRIVERS]


def entry(numbers, path, mode, content):
    """A file of an archive in the form `newc` of cpio, which the kernel unpacks at its start."""
    fields = [next(numbers), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path) + 1, 0]
    head = ("070701" + "".join(f"{field:08x}" for field in fields)).encode() + path.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)


def file_system(image, modules, program):
    """Writes the guest's file system to `image`."""
    files = {"bin/busybox": pathlib.Path("/bin/busybox"), "runnel": program}
    links = {"lib": "usr/lib", "lib64": "usr/lib64"}

    def add(path):
        # A library that is found by two names must be one, or it is loaded twice.
        real = path.resolve()
        files[str(real)[1:]] = real
        name = re.sub("^/lib", "/usr/lib", str(path))
        if name != str(real):
            links[name[1:]] = str(real)

    for wanted in [program, *drivers()]:
        if wanted != program:
            add(wanted)
        for library in libraries_of(wanted):
            add(library)
    for number, module in enumerate(MODULES):
        files[f"modules/{number}-{pathlib.Path(module).name}"] = modules / module
    folders = {str(parent) for path in [*files, *links] for parent in pathlib.PurePath(path).parents} - {"."}
    numbers = itertools.count(1)
    with image.open("wb") as out:
        for folder in sorted(folders):
            out.write(entry(numbers, folder, stat.S_IFDIR | 0o755, b""))
        for path, target in links.items():
            out.write(entry(numbers, path, stat.S_IFLNK | 0o777, target.encode()))
        for path, source in files.items():
            out.write(entry(numbers, path, stat.S_IFREG | 0o755, source.read_bytes()))
        out.write(entry(numbers, "init", stat.S_IFREG | 0o755, INIT.encode()))
        out.write(entry(numbers, "TRAILER!!!", 0, b""))


class Guest:
    """The machine; it runs while the command in it does."""

    def __init__(self, namespace, kernel, image, card, arguments):
        """Boots with a `card` as qemu names it, and runs the command with `arguments`, where CARD is its address."""
        console = namespace.folder / "console"
        words = " ".join(["console=ttyS0", "panic=-1", "quiet", "intel_iommu=on", "hugepages=192", "--", *arguments])
        self.process = namespace.start(
            *("qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-m", "1536", "-smp", "2"),
            *("-accel", accelerator, "-machine", "q35", "-cpu", "max"),
            *("-device", "intel-iommu,intremap=on", "-kernel", kernel, "-initrd", image, "-append", words),
            *("-chardev", f"socket,id=console,path={console},server=on,wait=on", "-serial", "chardev:console"),
            *("-netdev", f"tap,id=wire,ifname={harness.INTERFACE},script=no,downscript=no,vnet_hdr=off"),
            *("-device", f"{card},netdev=wire,mac={CARD_MAC},addr=05.0"),
        )
        harness.wait_until(lambda: console.exists() or self.process.poll() is not None, 10, "the start of qemu")
        if self.process.poll() is not None:
            raise AssertionError(f"qemu did not start:\n{self.process.log.read_text()}")
        self.console = socket.socket(socket.AF_UNIX)
        self.console.connect(str(console))
        self.console.settimeout(0.1)
        self.printed = ""

    def says(self, text):
        """Whether the guest has printed it by now."""
        try:
            while octets := self.console.recv(65536):
                self.printed += octets.decode(errors="replace").replace("\r", "")
        except TimeoutError:
            pass
        except ConnectionResetError:
            pass
        if self.process.poll() is not None and text not in self.printed:
            raise AssertionError(f"the guest ended before it said '{text}':\n{self.printed}")
        return text in self.printed

    def wait_for(self, text, seconds):
        try:
            harness.wait_until(lambda: self.says(text), seconds, f"'{text}' of the guest")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.printed}") from None

    def stop(self):
        """Ends the command as Ctrl-C does, and the machine; returns what the guest has printed."""
        self.console.sendall(b"stop\n")
        self.wait_for("guest: status", 30)
        self.process.wait(30)
        self.console.close()
        return self.printed
