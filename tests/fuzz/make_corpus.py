#!/usr/bin/env python3
"""Writes the corpus: a few small inputs a fuzz target. To be run again, and its output committed, when a case is added."""
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus"


def octets(text):
    return bytes.fromhex("".join(text.split()))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def ipv4(protocol, payload, options=b"", offset=0x4000, source="0a000001", destination="0a000002", tos=0):
    size = 20 + len(options)
    header = struct.pack(">BBHHHBBH", 0x40 | size // 4, tos, size + len(payload), 1, offset, 64, protocol, 0)
    header += octets(source + destination) + options
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def tcp(flags, options="", payload=b"", source=40000, destination=80, seq=1, ack=0, window=65535, urgent=0):
    options = octets(options)
    header = struct.pack(">HHIIBBHHH", source, destination, seq, ack, (20 + len(options)) * 4, flags, window, 0, urgent)
    segment = header + options + payload
    pseudo = octets("0a000001 0a000002") + struct.pack(">HH", 6, len(segment))
    return segment[:16] + struct.pack(">H", checksum(pseudo + segment)) + segment[18:]


def udp(payload, destination=53):
    datagram = struct.pack(">HHHH", 40000, destination, 8 + len(payload), 0) + payload
    pseudo = octets("0a000001 0a000002") + struct.pack(">HH", 17, len(datagram))
    return datagram[:6] + struct.pack(">H", checksum(pseudo + datagram)) + datagram[8:]


def icmp(kind, code, rest, payload=b""):
    message = struct.pack(">BBHI", kind, code, 0, rest) + payload
    return message[:2] + struct.pack(">H", checksum(message)) + message[4:]


def arp(operation, sender="020000000001 0a000001", target="000000000000 0a000002"):
    return octets("0001 0800 06 04") + struct.pack(">H", operation) + octets(sender + target)


PEER6 = "20010db8" + "00" * 11 + "01"
ROUTER6 = "fe80" + "00" * 13 + "fe"
OURS6 = "20010db8" + "00" * 11 + "02"


def ipv6(next_header, payload, hops=64, source=PEER6, destination=OURS6):
    return struct.pack(">IHBB", 6 << 28, len(payload), next_header, hops) + octets(source + destination) + payload


def icmpv6(kind, code, rest, payload=b"", source=PEER6, destination=OURS6):
    message = struct.pack(">BBHI", kind, code, 0, rest) + payload
    pseudo = octets(source + destination) + struct.pack(">II", len(message), 58)
    return message[:2] + struct.pack(">H", checksum(pseudo + message)) + message[4:]


def fragments4(protocol, payload, step):
    """The frames of a packet's fragments."""
    more = [0x2000 if at + step < len(payload) else 0 for at in range(0, len(payload), step)]
    for number, flag in enumerate(more):
        at = number * step
        yield ethernet("0800", ipv4(protocol, payload[at : at + step], offset=flag | at // 8))


def fragments6(protocol, payload, step):
    for at in range(0, len(payload), step):
        header = struct.pack(">BBHI", protocol, 0, at | (at + step < len(payload)), 9)
        yield ethernet("86dd", ipv6(44, header + payload[at : at + step]))


def ethernet(kind, payload, destination="020000000002"):
    return octets(destination + "020000000001" + kind) + payload


FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
SYN_OPTIONS = "020405b4 0402080a 00000001 00000000 01030307"
TIMESTAMPS = "0101080a 00000002 00000001"

segments = {
    "syn": tcp(SYN, SYN_OPTIONS),
    "syn_ecn_setup": tcp(SYN | ECE | CWR, "020405b4"),
    "syn_ack": tcp(SYN | ACK, SYN_OPTIONS, ack=2),
    "ack_timestamps": tcp(ACK, TIMESTAMPS, ack=1),
    "data": tcp(ACK | PSH, TIMESTAMPS, b"GET / HTTP/1.1\r\n\r\n", ack=1),
    "urgent": tcp(ACK | URG, "", b"x", urgent=1, ack=1),
    "sack": tcp(ACK, TIMESTAMPS + "01010512 0000000a00000014 0000001e00000028", ack=1),
    "sack_twice": octets("0512 0000000a00000014 0000001e00000028 050a 0000003200000046"),
    "rst": tcp(RST),
    "fin": tcp(FIN | ACK, ack=1),
    "fast_open_request": tcp(SYN, "020405b4 01012202"),
    "fast_open_cookie": tcp(SYN, "020405b4 0101220a 0102030405060708", b"hello"),
    "options_of_every_kind": tcp(SYN, "fd04f989 1e04 0000 0402 0303 07 01 0206 00000000 00 ff"),
}
datagrams = {"query": udp(b"\0\1"), "empty": udp(b""), "no_checksum": octets("9c40 0035 000a 0000 6869")}
quoted = ipv4(17, udp(b""), source="0a000002", destination="0a000001")
messages = {
    "echo_request": icmp(8, 0, 0x00070001, b"ping"),
    "echo_reply": icmp(0, 0, 0x00070001, b"ping"),
    "port_unreachable": icmp(3, 3, 0, quoted),
    "fragmentation_needed": icmp(3, 4, 1400, ipv4(6, tcp(ACK)[:8])),
    "redirect": icmp(5, 1, 0x0A0000FE, quoted),
}
packets = {
    "tcp": ipv4(6, segments["syn"]),
    "source_route": ipv4(17, datagrams["query"], octets("83 07 04 0a000009 00")),
    "router_alert": ipv4(2, octets("16000904 e0000009"), octets("94040000")),
    "fragment": ipv4(17, b"12345678", offset=0x2001),
}
messages6 = {
    "echo_request": icmpv6(128, 0, 0x00070001, b"ping"),
    "too_big": icmpv6(2, 0, 1400, ipv6(6, tcp(ACK), source=OURS6, destination=PEER6)),
    "solicitation": icmpv6(135, 0, 0, octets(OURS6 + "0101 020000000001")),
    "advertisement": icmpv6(136, 0, 0x60000000, octets(PEER6 + "0201 020000000001")),
}
packets6 = {
    "tcp": ipv6(6, segments["syn"]),
    "chain": ipv6(0, octets("2b00 01040000 0000 3c00 0001 0000 0000 2c00 1e02 0909 0000 0600 0000 00000001") + tcp(ACK)),
    "first_fragment": ipv6(44, octets("0600 0001 00000009") + tcp(ACK) + b"1234"),
    "later_fragment": ipv6(44, octets("0600 0019 00000009") + b"12345678"),
    "unknown_option": ipv6(60, octets("0600 c204 00010000") + tcp(ACK)),
} | {name: ipv6(58, each, hops=255) for name, each in messages6.items()}
router = octets("00007530 000003e8 0101 020000000001 05010000 00000578 030440c0 00015180 00003840 00000000 20010db8 0042" + "00" * 10)
packets6["router"] = ipv6(58, icmpv6(134, 0, 0x40000708, router, source=ROUTER6), hops=255, source=ROUTER6)
arps = {"request": arp(1), "reply": arp(2, target="020000000002 0a000002"), "probe": arp(1, "020000000001 00000000")}
frames = {
    "tcp": ethernet("0800", packets["tcp"]),
    "vlan": ethernet("8100 2005 0800", ipv4(17, datagrams["query"])),
    "double_vlan": ethernet("8100 0005 8100 0006 88cc", b"12"),
}
describe = dict(frames)
describe |= {f"tcp_{name}": ethernet("0800", ipv4(6, each)) for name, each in segments.items()}
describe |= {f"icmp_{name}": ethernet("0800", ipv4(1, each)) for name, each in messages.items()}
describe |= {f"udp_{name}": ethernet("0800", ipv4(17, each)) for name, each in datagrams.items()}
describe |= {f"arp_{name}": ethernet("0806", each, "ffffffffffff") for name, each in arps.items()}
describe |= {f"ipv6_{name}": ethernet("86dd", each) for name, each in packets6.items()}


def script(step, *script_frames):
    """The input of fuzz_stack: the octet of the time step, then frames, each after its length."""
    return bytes([step]) + b"".join(struct.pack(">H", len(each)) + each for each in script_frames)


def opening(*script_frames):
    """Frames for a script after each of which a connection is opened."""
    return b"".join(struct.pack(">H", 0x4000 | len(each)) + each for each in script_frames)


def to_stack(*script_segments, tos=0):
    return [ethernet("0800", ipv4(6, each, tos=tos)) for each in script_segments]


def sack(*edges):
    """A SACK option; edges count from 0, as sequence numbers do."""
    return "0101 05" + f"{2 + 4 * len(edges):02x}" + "".join(f"{each:08x}" for each in edges)


def asked(count, options, first=1):
    """Segments of 100 octets, which the stack echoes."""
    return [tcp(ACK | PSH, options, b"x" * 100, seq=first + 100 * i, ack=1) for i in range(count)]


# Sequence numbers count from 0 there: fuzz_stack adds those of the stack.
REPLY = dict(source=80, destination=40001)
stack = {
    "passive_open_data_close": script(
        4,
        *to_stack(
            tcp(SYN, SYN_OPTIONS, seq=0),
            tcp(ACK, TIMESTAMPS, seq=1, ack=1),
            tcp(ACK | PSH, TIMESTAMPS, b"hello", seq=1, ack=3),
            tcp(FIN | ACK, TIMESTAMPS, seq=6, ack=8),
            tcp(ACK, TIMESTAMPS, seq=7, ack=9),
        ),
    ),
    "passive_open_reset": script(
        1, *to_stack(tcp(SYN, seq=0), tcp(ACK, seq=1, ack=1), tcp(RST, seq=1))
    ),
    "half_open_times_out": script(100, *to_stack(tcp(SYN, "020405b4", seq=0), tcp(ACK, seq=9, ack=9))),
    "cookie_and_what_is_none": script(
        0x80 | 1,
        *to_stack(
            tcp(SYN, SYN_OPTIONS, seq=0),
            tcp(ACK, TIMESTAMPS, seq=1, ack=2),
            tcp(ACK | PSH, TIMESTAMPS, b"hello", seq=1, ack=1),
            tcp(FIN | ACK, TIMESTAMPS, seq=6, ack=3),
        ),
    ),
    "active_open_out_of_order": script(
        2,
        *to_stack(
            tcp(SYN | ACK, SYN_OPTIONS, seq=0, ack=1, **REPLY),
            tcp(ACK, TIMESTAMPS, b"world", seq=6, ack=1, **REPLY),
            tcp(ACK, TIMESTAMPS, b"hello", seq=1, ack=1, **REPLY),
            tcp(ACK | URG, TIMESTAMPS, b"!", seq=11, ack=1, urgent=1, **REPLY),
            tcp(FIN | ACK, TIMESTAMPS, seq=12, ack=3, **REPLY),
            tcp(ACK, TIMESTAMPS, seq=13, ack=15, **REPLY),
        ),
    ),
    "fast_open_served": script(
        1,
        *to_stack(
            tcp(SYN, "020405b4 01012202", source=39999, seq=0),
            tcp(SYN, "020405b4 0101220a" + "00" * 8, b"hello", seq=0),
            tcp(SYN, "020405b4", seq=0),
            tcp(ACK, seq=6, ack=1),
            tcp(ACK, seq=6, ack=8),
            tcp(SYN, "020405b4 0101220a" + "00" * 8, b"hello", source=39998, seq=0),
            tcp(RST, source=39998, seq=6),
            tcp(SYN, "020405b4 0101220a" + "00" * 8, b"hello", source=39997, seq=0),
            tcp(SYN, "020405b4 0101220a" + "00" * 8, b"hello", source=39996, seq=0),
        ),
    ),
    "fast_open_asked_for": script(1)
    + opening(
        *to_stack(
            tcp(SYN | ACK, "020405b4 0101220a 0102030405060708", seq=0, ack=1, source=80, destination=40002),
            tcp(SYN | ACK, "020405b4 01012206 01020304", seq=0, ack=2, source=80, destination=40003),
            tcp(SYN | ACK, "020405b4", seq=0, ack=4, source=80, destination=40004),
        )
    ),
    # The stack has sent a greeting of 2 octets, and echoes what came: octets 3 to 1002.
    "sack_recovery": script(
        4,
        *to_stack(
            tcp(SYN, "020405b4 0402", seq=0),
            tcp(ACK, seq=1, ack=1),
            *asked(10, ""),
            tcp(ACK, sack(103, 203), seq=1001, ack=1),
            tcp(ACK, sack(303, 403, 103, 203), seq=1001, ack=1),
            tcp(ACK, sack(503, 603, 303, 403, 103, 203), seq=1001, ack=1),
            tcp(ACK, sack(150, 160, 503, 603), seq=1001, ack=3),
            tcp(ACK, sack(103, 1003), seq=1001, ack=3),
            tcp(ACK, sack(3, 103), seq=1001, ack=1003),
            *asked(2, "", first=1001),
            tcp(ACK, seq=1201, ack=1203),
        ),
    ),
    "sack_reneged_with_timestamps": script(
        30,
        *to_stack(
            tcp(SYN, SYN_OPTIONS, seq=0),
            tcp(ACK, TIMESTAMPS, seq=1, ack=1),
            *asked(6, TIMESTAMPS),
            tcp(ACK, TIMESTAMPS + sack(3, 603), seq=601, ack=1),
            tcp(ACK, TIMESTAMPS, seq=601, ack=3),
            tcp(ACK, TIMESTAMPS, seq=601, ack=103),
            tcp(ACK, TIMESTAMPS + sack(203, 204, 206, 207, 209, 210), seq=601, ack=103),
            tcp(ACK, TIMESTAMPS + sack(212, 213, 215, 216, 218, 219), seq=601, ack=103),
            tcp(ACK, TIMESTAMPS + sack(603, 203, 5, 5, 0x80000000, 0x80000009), seq=601, ack=103),
            tcp(FIN | ACK, TIMESTAMPS, seq=601, ack=603),
        ),
    ),
    "sack_over_a_closed_window": script(
        40,
        *to_stack(
            tcp(SYN, "020405b4 0402", seq=0),
            tcp(ACK, seq=1, ack=1),
            *asked(4, ""),
            tcp(ACK, sack(203, 303), seq=401, ack=1, window=0),
            tcp(ACK, seq=401, ack=403, window=0),
            *asked(1, "", first=401),
            tcp(ACK, seq=501, ack=403, window=0),
            tcp(ACK, sack(403, 404), seq=501, ack=403, window=0),
            tcp(ACK, seq=501, ack=404),
        ),
    ),
    "marks": script(
        4,
        *to_stack(tcp(SYN | ECE | CWR, "020405b4 0402", seq=0), tcp(ACK, seq=1, ack=1)),
        *to_stack(*asked(4, ""), tos=2),
        *to_stack(*asked(1, "", first=401), tos=3),
        *to_stack(
            tcp(ACK | ECE, seq=501, ack=103),
            tcp(ACK | ECE, sack(203, 303), seq=501, ack=103),
            tcp(ACK | PSH | CWR, "", b"y", seq=501, ack=503),
            tcp(FIN | ACK, seq=502, ack=504),
        ),
    ),
    "simultaneous_open": script(1, *to_stack(tcp(SYN, seq=0, **REPLY), tcp(ACK, seq=1, ack=1, **REPLY))),
    "other_protocols": script(
        1,
        ethernet("0806", arps["request"], "ffffffffffff"),
        ethernet("0800", ipv4(1, messages["echo_request"])),
        ethernet("0800", ipv4(17, datagrams["query"])),
        ethernet("0800", ipv4(1, messages["port_unreachable"])),
        b"\0",
    ),
    "fragments": script(
        127,
        *fragments4(6, tcp(SYN, SYN_OPTIONS, seq=0), 8),
        *reversed(list(fragments4(1, icmp(8, 0, 0x00070001, bytes(3000)), 1480))),
        *fragments6(58, icmpv6(128, 0, 0x00070001, bytes(2000)), 1232),
        *list(fragments4(17, udp(bytes(100)), 64))[:1],
        *list(fragments4(17, udp(bytes(100)), 56)),
        *list(fragments6(58, icmpv6(128, 0, 0x00070001, bytes(64)), 16))[:2],
    ),
    "ipv6": script(
        1,
        ethernet("86dd", packets6["solicitation"]),
        ethernet("86dd", packets6["solicitation"], "3333ff000002"),
        ethernet("86dd", packets6["advertisement"]),
        *(ethernet("86dd", packets6[name]) for name in ("echo_request", "too_big", "tcp", "unknown_option", "chain")),
        ethernet("86dd", packets6["first_fragment"]),
        ethernet("86dd", packets6["later_fragment"]),
        ethernet("86dd", packets6["router"], "333300000001"),
    ),
}

MLD_GROUP = "ff15000000000000 0000000000001234"
memberships = {
    "igmp_v1": octets("1100 eeff 00000000"),
    "igmp_v2": octets("1164 ee9b 00000000"),
    "igmp_v3": octets("1164 0000 ef010203 0a 7d 0002 0a000001 0a000002"),
    "igmp_report": octets("1600 0000 ef010203"),
    "mld_v1": octets("8200 0000 2710 0000" + MLD_GROUP),
    "mld_v2": octets("8200 0000 2710 0000" + MLD_GROUP + "02 7d 0001" + PEER6),
    "mld_report": octets("8300 0000 0000 0000" + MLD_GROUP),
    "alert": ipv6(0, octets("3a00 0502 0000 0100 8200 0000 2710 0000" + MLD_GROUP), hops=1),
}

LINK_LOCAL6 = "fe80000000000000" + "00000000000000fe"


def igmp(message, options="94040000", destination="e0000001"):
    message = octets(message)
    message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
    header = bytearray(ipv4(2, message, octets(options), destination=destination))
    header[8] = 1
    header[10:12] = bytes(2)
    size = (header[0] & 15) * 4
    header[10:12] = struct.pack(">H", checksum(bytes(header[:size])))
    return ethernet("0800", bytes(header), "01005e" + octets(destination).hex()[2:])


def mld(message, destination="ff02" + "00" * 13 + "01"):
    message = octets(message)
    pseudo = octets(LINK_LOCAL6 + destination) + struct.pack(">II", len(message), 58)
    message = message[:2] + struct.pack(">H", checksum(pseudo + message)) + message[4:]
    packet = ipv6(0, octets("3a00 0502 0000 0100") + message, 1, LINK_LOCAL6, destination)
    return ethernet("86dd", packet, "3333" + octets(destination).hex()[-8:])


stack["groups"] = script(
    40,
    igmp("1164 0000 00000000 0a7d 0000"),
    igmp("110a 0000 ef010203 0a7d 0002 0a000001 0a000009", destination="ef010203"),
    mld("8200 0000 03e8 0000" + "00" * 16 + "027d 0000"),
    mld("8200 0000 0064 0000" + MLD_GROUP + "027d 0001" + PEER6, octets(MLD_GROUP).hex()),
    ethernet("0800", ipv4(17, udp(b"hi", 5000)[:6] + b"\0\0hi", destination="ef010203"), "01005e010203"),
    ethernet("0800", ipv4(17, udp(b"hi", 5000)[:6] + b"\0\0hi", source="0a000009", destination="ef010203"), "01005e010203"),
    igmp("1100 0000 00000000", ""),
    igmp("1164 0000 00000000"),
    igmp("1600 0000 ef010203", destination="ef010203"),
    mld("8200 0000 03e8 0000" + "00" * 16),
    mld("8300 0000 0000 0000" + MLD_GROUP, octets(MLD_GROUP).hex()),
)


def datagram(payload, source=7, destination=7):
    """Without a checksum."""
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def quoted(payload):
    """What the stack has sent to the peer's port 7, as an ICMP error quotes it."""
    return ipv4(17, datagram(payload), source="0a000002", destination="0a000001")


# The stack has a socket connected to port 7 of its peer, which sends back what it hears in datagrams of 9 octets.
stack["connected_socket"] = script(
    1,
    ethernet("0800", ipv4(17, datagram(bytes(range(100))))),
    ethernet("0800", ipv4(17, datagram(b"stranger", source=8))),
    ethernet("0800", ipv4(17, datagram(bytes(9 * 65)))),
    *fragments4(17, datagram(bytes(576)), 200),
    ethernet("0800", ipv4(1, icmp(3, 3, 0, quoted(b"gone")))),
    ethernet("0800", ipv4(17, datagram(b"again"))),
    ethernet("0800", ipv4(1, icmp(3, 4, 552, quoted(bytes(9))))),
    ethernet("0800", ipv4(17, datagram(bytes(600)))),
)

CORPUS = {
    "membership": memberships,
    "tcp": segments,
    "checksum": {"header": packets["tcp"][:20], "odd": b"\xff" * 7, "long": bytes(range(150)), "zero": bytes(9)},
    "ethernet": frames,
    "arp": arps,
    "ipv4": packets,
    "ipv6": packets6,
    "icmp": messages,
    "udp": datagrams,
    "describe": describe,
    "stack": stack,
}

for target, inputs in CORPUS.items():
    folder = HERE / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in inputs.items():
        (folder / name).write_bytes(content)
