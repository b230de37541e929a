"""What the tests against the Linux kernel stand on: a fresh network namespace for each test, the command `runnel` on a tap
inside it, captures read by tshark, and probes that are sent segment by segment.

The kernel has 10.99.0.1, runnel 10.99.0.2. Everything started is ended, by its process id, and every namespace is
removed, also when a test fails or is interrupted.
"""

import contextlib
import ctypes
import dataclasses
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

KERNEL = "10.99.0.1"
KERNEL_MAC = "02:00:00:00:00:01"
RUNNEL = "10.99.0.2"
PROBE = "10.99.0.9"  # an address of the kernel's behind which no TCP of the kernel's answers
INTERFACE = "rn0"
PORT = f"net_tap0,iface={INTERFACE}"

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)
_namespaces = []


class Settings:
    """Filled by run.py."""

    runnel = pathlib.Path("build/apps/runnel/runnel")
    patience = 1.0  # factor on every wait; above 1 for sanitizer builds


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true and returns its value; fails after `seconds`."""
    end = time.monotonic() + seconds * Settings.patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


class Namespace:
    """A network namespace with a loopback, and the processes that were started in it."""

    def __init__(self):
        self.name = f"rnl-{os.getpid()}-{next(_numbers)}"
        self.processes = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=self.name + "-"))
        subprocess.run(["ip", "netns", "add", self.name], check=True, timeout=20)
        _namespaces.append(self)
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *arguments):
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]

    def run(self, *arguments, timeout=30, check=True):
        """Runs a command to its end and returns it; standard error is part of its output."""
        done = subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout * Settings.patience,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, arguments))}: status {done.returncode}\n{done.stdout}")
        return done

    def start(self, *arguments):
        """Starts a command in the background; its output goes to a file, `process.log`."""
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as output:
            # `ip netns exec` becomes the command: the process id is the command's own.
            process = subprocess.Popen(
                self.command(*arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        process.log = log
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def entered(self):
        """Within it, this thread's new sockets belong to the namespace."""
        with open("/proc/thread-self/ns/net", "rb") as outside, open(f"/run/netns/{self.name}", "rb") as inside:
            if _libc.setns(inside.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if _libc.setns(outside.fileno(), _CLONE_NEWNET) != 0:
                    os.abort()  # going on in the wrong namespace would harm the machine

    def socket(self, *kind):
        with self.entered():
            made = socket.socket(*kind)
        made.settimeout(10 * Settings.patience)
        return made

    def connect(self, port, host=RUNNEL):
        client = self.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect((host, port))
        return client

    def snmp(self):
        """The kernel's counters of this namespace: {"Tcp": {"PassiveOpens": 3, ...}, "TcpExt": ...}."""
        counters = {}
        for table in ("snmp", "netstat"):
            lines = self.run("cat", f"/proc/net/{table}").stdout.splitlines()
            for names, values in zip(lines[::2], lines[1::2]):
                group, *names = names.split()
                counters[group.rstrip(":")] = dict(zip(names, map(int, values.split()[1:])))
        return counters

    def nstat(self):
        """The same counters by the name that nstat gives them: {"TcpActiveOpens": 3, ...}."""
        return json.loads(self.run("nstat", "-a", "-s", "-z", "-j").stdout)["kernel"]

    def close(self):
        for process in reversed(self.processes):
            end(process)
        if self in _namespaces:
            _namespaces.remove(self)
            subprocess.run(["ip", "netns", "del", self.name], check=False, timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)


def end(process, how=signal.SIGINT):
    """Asks a process to end, and after a while makes it; returns its exit status."""
    for request, patience in ((how, 10), (signal.SIGTERM, 3), (signal.SIGKILL, 3)):
        if process.poll() is not None:
            break
        process.send_signal(request)
        try:
            process.wait(patience * Settings.patience)
        except subprocess.TimeoutExpired:
            continue
    return process.returncode


def remove_all():
    """Removes whatever tests have left."""
    for namespace in list(_namespaces):
        namespace.close()


class Capture:
    """A tcpdump on the tap or another interface; after `stop()` its packets are questioned with tshark. Of each frame it
    keeps `octets`, 0: all; its buffer has so many more frames the fewer these are."""

    def __init__(self, namespace, filter_="", interface=INTERFACE, octets=0):
        self.namespace = namespace
        self.file = namespace.folder / f"capture-{next(_numbers)}.pcap"
        self.process = namespace.start(
            "tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-s", octets, "-B", "65536", "-w", self.file, filter_
        )
        wait_until(lambda: b"listening on" in self.process.log.read_bytes(), 10, "the start of tcpdump")

    def stop(self):
        time.sleep(0.2)  # what is on its way still arrives
        end(self.process)
        printed = self.process.log.read_text()
        if not re.search(r"^0 packets dropped by kernel", printed, re.MULTILINE):
            raise AssertionError("the capture is not whole:\n" + printed)
        return self

    def select(self, filter_, *fields):
        """The fields of the packets that match, a list of strings each."""
        command = ["tshark", "-n", "-r", str(self.file), "-Y", filter_, "-T", "fields", "-E", "occurrence=f"]
        for name in ("tcp", "udp", "ip"):
            command += ["-o", f"{name}.check_checksum:TRUE"]
        for field in fields:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * Settings.patience, check=False)
        if done.returncode != 0:
            raise AssertionError(f"tshark: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]


@dataclasses.dataclass
class Segment:
    """A TCP segment of a probe; what arrived, or what is to be sent."""

    source_port: int
    destination_port: int
    seq: int = 0
    ack: int = 0
    flags: str = ""  # of "FSRPAUEW", in any order
    window: int = 65535
    options: bytes = b""
    payload: bytes = b""
    source: str = PROBE
    destination: str = RUNNEL
    when: float = 0.0

    LETTERS = "FSRPAUEW"

    def has(self, letters):
        return set(self.flags) == set(letters)


def checksum(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Probe:
    """Sends and receives single segments from PROBE, at which the kernel's own TCP is silenced."""

    def __init__(self, namespace, remote_mac):
        namespace.run("ip", "addr", "add", PROBE + "/24", "dev", INTERFACE)
        namespace.run("nft", "add table ip probe")
        namespace.run("nft", "add chain ip probe in { type filter hook input priority 0 ; }")
        namespace.run("nft", f"add rule ip probe in ip daddr {PROBE} tcp dport 0-65535 drop")
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((INTERFACE, 3))
        self.remote_mac = bytes.fromhex(remote_mac.replace(":", ""))
        self.local_mac = self.socket.getsockname()[4]

    def close(self):
        self.socket.close()

    def send(self, segment, damage=0):
        """Sends a segment; `damage` is added to its checksum."""
        header = struct.pack(
            "!HHIIBBHHH",
            segment.source_port,
            segment.destination_port,
            segment.seq % 2**32,
            segment.ack % 2**32,
            (20 + len(segment.options)) // 4 << 4,
            sum(1 << Segment.LETTERS.index(letter) for letter in segment.flags),
            segment.window,
            0,
            0,
        )
        tcp = header + segment.options + segment.payload
        source, destination = socket.inet_aton(segment.source), socket.inet_aton(segment.destination)
        total = checksum(source + destination + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)
        tcp = tcp[:16] + struct.pack("!H", (total + damage) & 0xFFFF) + tcp[18:]
        self.send_ip(6, tcp, source, destination)

    def send_ip(self, protocol, payload, source=socket.inet_aton(PROBE), destination=socket.inet_aton(RUNNEL)):
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, source, destination)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        self.send_frame(self.remote_mac + self.local_mac + b"\x08\x00" + ip + payload)

    def send_frame(self, frame):
        self.socket.send(frame)

    def receive(self, seconds=2.0, port=None):
        """The next segment from runnel (to `port`); None where none comes in time."""
        end_ = time.monotonic() + seconds * Settings.patience
        while (left := end_ - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, address = self.socket.recvfrom(65536)
            except TimeoutError:
                return None
            if address[2] == socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != 6:
                continue
            segment = self._parse(frame[14:])
            if segment.source == RUNNEL and port in (None, segment.destination_port):
                return segment
        return None

    @staticmethod
    def _parse(packet):
        header = (packet[0] & 15) * 4
        length = struct.unpack_from("!H", packet, 2)[0]
        tcp = packet[header:length]
        source_port, destination_port, seq, ack, offset, bits, window = struct.unpack_from("!HHIIBBH", tcp)
        offset = (offset >> 4) * 4
        return Segment(
            source_port=source_port,
            destination_port=destination_port,
            seq=seq,
            ack=ack,
            flags="".join(letter for bit, letter in enumerate(Segment.LETTERS) if bits >> bit & 1),
            window=window,
            options=tcp[20:offset],
            payload=tcp[offset:],
            source=socket.inet_ntoa(packet[12:16]),
            destination=socket.inet_ntoa(packet[16:20]),
            when=time.monotonic(),
        )


class InteropTest(unittest.TestCase):
    """A test in a namespace of its own."""

    def setUp(self):
        self.namespace = Namespace()
        self.addCleanup(self.namespace.close)

    def serve(self, *options):
        """Starts `runnel serve` with an HTTP and an echo responder, and gives the kernel its side of the tap."""
        namespace = self.namespace
        arguments = ["serve", "--port", PORT, "--address", RUNNEL + "/24", "--listen", "80:http", "--listen", "7:echo"]
        process = namespace.start(Settings.runnel, *arguments, *options)

        def there():
            if process.poll() is not None:
                raise AssertionError(f"runnel serve ended with status {process.returncode}:\n{process.log.read_text()}")
            return namespace.run("ip", "link", "show", INTERFACE, check=False).returncode == 0

        wait_until(there, 20, "the tap of runnel serve")
        # net_tap gives both ends one link address; two stations have two.
        namespace.run("ip", "link", "set", INTERFACE, "address", KERNEL_MAC)
        namespace.run("ip", "addr", "add", KERNEL + "/24", "dev", INTERFACE)
        namespace.run("ip", "link", "set", INTERFACE, "up")
        wait_until(
            lambda: namespace.run("ping", "-c1", "-W1", "-n", RUNNEL, check=False).returncode == 0, 20, "an echo reply"
        )
        self.server = process
        return process

    def stop_server(self):
        """Ends the server as Ctrl-C does; returns its exit status."""
        return end(self.server)

    def echo_all(self, octets):
        """Sends all and closes its direction while it reads what comes back; returns that."""
        client = self.namespace.connect(7)
        received = bytearray()
        client.setblocking(False)
        left = memoryview(octets)

        def done():
            nonlocal left
            try:
                while left:
                    left = left[client.send(left[:65536]) :]
                    if not left:
                        client.shutdown(socket.SHUT_WR)
            except BlockingIOError:
                pass
            try:
                while part := client.recv(65536):
                    received.extend(part)
                return True
            except BlockingIOError:
                return False

        wait_until(done, 20, f"the end of the echo, after {len(received)} octets,")
        client.close()
        return bytes(received)

    def probe(self):
        neighbour = self.namespace.run("ip", "neigh", "show", RUNNEL).stdout.split()
        probe = Probe(self.namespace, neighbour[neighbour.index("lladdr") + 1])
        self.addCleanup(probe.close)
        return probe

    def prepare_tap(self):
        """Makes the tap before `runnel load` opens it, so that the kernel's side is ready when the first SYN arrives."""
        self.namespace.run("ip", "tuntap", "add", "dev", INTERFACE, "mode", "tap", "multi_queue")
        self.namespace.run("ip", "addr", "add", KERNEL + "/24", "dev", INTERFACE)
        self.namespace.run("ip", "link", "set", INTERFACE, "up")

    def load(self, *options, target=f"{KERNEL}:80", status=(0,), timeout=40, port=PORT):
        """Runs `runnel load` to its end; returns the result document and all else that it printed."""
        file = self.namespace.folder / f"load-{next(_numbers)}.json"
        done = self.namespace.run(
            *(Settings.runnel, "load", "--port", port, "--address", RUNNEL + "/24", "--target", target, "--json", file),
            *options,
            timeout=timeout,
            check=False,
        )
        self.assertIn(done.returncode, status, done.stdout)
        return (json.loads(file.read_text()) if file.exists() else None), done.stdout

    def in_vain(self, reason, load, target, *options):
        """A run that finds nobody ends soon, from the start of the command to its end, says why, and accounts for all;
        returns its document."""
        # What the command takes to start and to end is the machine's matter: the same with nothing to wait for.
        begin = time.monotonic()
        load("--duration", "30s", "--give-up", "10ms", *options, target=target, status=(2,))
        seconds = max(5, 4.1 + 2 * (time.monotonic() - begin))
        for _ in range(2):  # the machine may be busy
            begin = time.monotonic()
            document, output = load("--duration", "30s", *options, target=target, status=(2,))
            took = time.monotonic() - begin
            self.assertEqual("failed", document["verdict"], output)
            for words in (reason, target):
                self.assertIn(words, document["reason"])
            self.assertIn("failed: " + document["reason"], output)
            connections = document["connections"]
            self.assertEqual((0, 0), (connections["established"], connections["residual"]), output)
            self.assertEqual(0, document.get("transactions", {}).get("residual", 0), output)
            if took < seconds * Settings.patience:
                return document
        self.fail(f"it took {took:.1f} s, and {seconds:.1f} are enough: {output}")

    def nginx(self, *, address=KERNEL, body="ok\n", log="off", requests=1000):
        """Starts an nginx of our own in the namespace; its page /status counts what it has served. `log`: what it writes
        of each request, into the file access.log of the namespace's folder. It ends a connection after so many `requests`."""
        folder = self.namespace.folder
        configuration = folder / "nginx.conf"
        temporary = "".join(
            f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration.write_text(
            "daemon off; master_process off;\n"
            f"pid {folder}/nginx.pid; error_log {folder}/nginx.error notice;\n"
            "events { worker_connections 16384; }\n"
            "http {\n" + temporary + "  keepalive_timeout 60s;\n"
            f"  keepalive_requests {requests};\n"
            + ("  access_log off;\n" if log == "off" else f"  log_format own '{log}'; access_log {folder}/access.log own;\n")
            + f"  server {{ listen {address}:80 backlog=4096; listen 127.0.0.1:80;\n"
            f'    location / {{ default_type text/plain; return 200 "{body}"; }}\n'
            "    location = /none { return 404; }\n"
            f"    location = /chunked {{ ssi on; default_type text/html; alias {folder}/chunked.html; }}\n"
            "    location /status { stub_status; access_log off; }\n  }\n}\n",
            encoding="ascii",
        )
        # What comes out of a server-side include has a length that nobody knows before.
        (folder / "chunked.html").write_text('<p><!--#echo var="request_uri" --></p>\n', encoding="ascii")
        process = self.namespace.start("nginx", "-p", folder, "-c", configuration)
        wait_until(lambda: self.nginx_status(quiet=True) is not None, 10, "the start of nginx")
        return process

    def nginx_status(self, quiet=False):
        """nginx's own counts, without the requests that asked for them: accepted, requests."""
        with self.namespace.entered():
            connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
            try:
                connection.request("GET", "/status")
                text = connection.getresponse().read().decode()
            except OSError:
                if quiet:
                    return None
                raise
            finally:
                connection.close()
        accepted, _, requests = map(int, text.splitlines()[2].split())
        self._asked = getattr(self, "_asked", 0) + 1
        return {"accepted": accepted - self._asked, "requests": requests - self._asked}


class FollowedTest(InteropTest):
    """A test of runs that are asked and told things by dpdk-telemetry.py: those started with `--file-prefix self.prefix`."""

    def setUp(self):
        super().setUp()
        self.prefix = f"runnel_interop_{os.getpid()}_{self.namespace.name}"
        self.addCleanup(lambda: shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True))

    def ask(self, command):
        done = subprocess.run(
            ["dpdk-telemetry.py", "-f", self.prefix], input=command + "\n", capture_output=True, text=True, timeout=20
        )
        name = command.split(",")[0]
        lines = [line for line in done.stdout.splitlines() if line.startswith(f'{{"{name}"')]
        return (json.loads(lines[-1])[name] if lines else None) or {}

    def until(self, condition, what):
        return wait_until(lambda: (lambda a: a if condition(a) else None)(self.ask("/runnel/summary")), 20, what)

    def tell(self, command):
        answer = self.ask(command)
        self.assertEqual(1, answer.get("accepted"), answer)

    def start_load(self, *options):
        self.document = self.namespace.folder / "live.json"
        return self.namespace.start(
            *(Settings.runnel, "load", "--port", PORT, "--address", RUNNEL + "/24", "--target", f"{KERNEL}:80"),
            *("--json", self.document, "--file-prefix", self.prefix, "--duration", "60s", *options),
        )
