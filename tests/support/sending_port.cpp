#include "sending_port.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace runnel::test {

namespace {

void require(bool holds, const char* rule) {
    if (!holds) throw std::runtime_error(std::string{"DPDK's rules for a port that is sent to: "} + rule);
}

unsigned read16(const Octets& octets, std::size_t at) {
    return static_cast<unsigned>(octets.at(at) << 8 | octets.at(at + 1));
}
void put16(Octets& octets, std::size_t at, unsigned value) {
    octets.at(at) = static_cast<std::uint8_t>(value >> 8);
    octets.at(at + 1) = static_cast<std::uint8_t>(value);
}
void put32(Octets& octets, std::size_t at, std::uint32_t value) {
    put16(octets, at, value >> 16);
    put16(octets, at + 2, value & 0xffff);
}

bool is_ipv6(const Octets& frame, std::size_t ip) {
    return frame.at(ip) >> 4 == 6;
}

/// The sum of the pseudo-header, as it stands in a checksum field that the port completes.
unsigned pseudo_sum(const Octets& frame, std::size_t ip, std::uint8_t protocol, std::size_t length) {
    const std::size_t from = ip + (is_ipv6(frame, ip) ? 8 : 12), to = ip + (is_ipv6(frame, ip) ? 40 : 20);
    Octets pseudo(frame.begin() + static_cast<std::ptrdiff_t>(from),
                  frame.begin() + static_cast<std::ptrdiff_t>(to));
    pseudo.insert(pseudo.end(),
                  {0, protocol, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)});
    return static_cast<std::uint16_t>(~internet_checksum(pseudo));
}

void finish_ip(Octets& frame, std::size_t ip, std::size_t l4) {
    require(read16(frame, ip + 10) == 0, "the header checksum that the port makes is 0 before");
    put16(frame, ip + 10, internet_checksum(std::span{frame}.subspan(ip, l4 - ip)));
}

/// The field holds the sum of the pseudo-header: what the port adds is the sum of the rest.
void finish_l4(Octets& frame, std::size_t l4, std::size_t field) {
    put16(frame, field, internet_checksum(std::span{frame}.subspan(l4)));
}

// What a port that cuts is told of every whole.
void check_whole(const Octets& whole, const rte_mbuf& frame, std::size_t ip, std::size_t l4,
                 std::size_t text_at, std::uint8_t protocol, std::size_t checksum_at) {
    const bool ipv6 = is_ipv6(whole, ip);
    const bool header_checksum =
        (frame.ol_flags & RTE_MBUF_F_TX_IP_CKSUM) == 0;  // of the whole: as for virtio
    require(ipv6              ? header_checksum
            : header_checksum ? internet_checksum(std::span{whole}.subspan(ip, l4 - ip)) == 0
                              : read16(whole, ip + 10) == 0,
            "the header checksum is right, or 0 where the port makes it");
    require(whole.at(ip + (ipv6 ? 6 : 9)) == protocol, "the protocol is that of the flag");
    require(read16(whole, ip + (ipv6 ? 4 : 2)) == whole.size() - (ipv6 ? l4 : ip),
            "the length is that of the whole");
    require(frame.tso_segsz > 0 && frame.tso_segsz < whole.size() - text_at, "there is something to cut");
    require(read16(whole, l4 + checksum_at) == pseudo_sum(whole, ip, protocol, 0),
            "the pseudo-header's sum has no length");
}

// The piece of the whole that starts at `at`, the `number`th, with its length and id; its checksums are yet
// to be made.
Octets piece_of(const Octets& whole, const rte_mbuf& frame, std::size_t ip, std::size_t l4,
                std::size_t text_at, std::size_t at, std::size_t number) {
    const std::size_t end = std::min<std::size_t>(at + frame.tso_segsz, whole.size());
    Octets piece(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(text_at));
    piece.insert(piece.end(), whole.begin() + static_cast<std::ptrdiff_t>(at),
                 whole.begin() + static_cast<std::ptrdiff_t>(end));
    if (is_ipv6(whole, ip)) {
        put16(piece, ip + 4, static_cast<unsigned>(piece.size() - l4));
    } else {
        put16(piece, ip + 2, static_cast<unsigned>(piece.size() - ip));
        put16(piece, ip + 4, static_cast<unsigned>(read16(whole, ip + 4) + number) & 0xffff);
        put16(piece, ip + 10, 0);
    }
    return piece;
}

std::vector<Octets> cut_tcp(const Octets& whole, const rte_mbuf& frame, std::size_t ip, std::size_t l4) {
    constexpr std::uint8_t fin = 0x01, push = 0x08, cwr = 0x80;
    const std::size_t text_at = l4 + frame.l4_len;
    require((frame.ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM,
            "who cuts makes the checksums");
    check_whole(whole, frame, ip, l4, text_at, 6, 16);
    require(static_cast<std::size_t>(whole.at(l4 + 12) >> 4) * 4 == frame.l4_len, "l4_len is TCP's header");
    const std::uint32_t sequence =
        static_cast<std::uint32_t>(read16(whole, l4 + 4) << 16 | read16(whole, l4 + 6));
    std::vector<Octets> frames;
    for (std::size_t at = text_at; at < whole.size(); at += frame.tso_segsz) {
        Octets piece = piece_of(whole, frame, ip, l4, text_at, at, frames.size());
        if (at != text_at) piece[l4 + 13] &= static_cast<std::uint8_t>(~cwr);
        if (at + frame.tso_segsz < whole.size()) piece[l4 + 13] &= static_cast<std::uint8_t>(~(fin | push));
        put32(piece, l4 + 4, sequence + static_cast<std::uint32_t>(at - text_at));
        put16(piece, l4 + 16, pseudo_sum(piece, ip, 6, piece.size() - l4));
        if (!is_ipv6(piece, ip)) finish_ip(piece, ip, l4);
        finish_l4(piece, l4, l4 + 16);
        frames.push_back(std::move(piece));
    }
    return frames;
}

std::vector<Octets> cut_udp(const Octets& whole, const rte_mbuf& frame, std::size_t ip, std::size_t l4) {
    const std::size_t text_at = l4 + 8;
    require((frame.ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM,
            "who cuts makes the checksums");
    require(frame.l4_len == 8, "l4_len is UDP's header");
    check_whole(whole, frame, ip, l4, text_at, 17, 6);
    std::vector<Octets> frames;
    for (std::size_t at = text_at; at < whole.size(); at += frame.tso_segsz) {
        Octets piece = piece_of(whole, frame, ip, l4, text_at, at, frames.size());
        put16(piece, l4 + 4, static_cast<unsigned>(piece.size() - l4));
        put16(piece, l4 + 6, pseudo_sum(piece, ip, 17, piece.size() - l4));
        if (!is_ipv6(piece, ip)) finish_ip(piece, ip, l4);
        finish_l4(piece, l4, l4 + 6);
        if (read16(piece, l4 + 6) == 0) put16(piece, l4 + 6, 0xffff);
        frames.push_back(std::move(piece));
    }
    return frames;
}

}  // namespace

std::vector<Octets> frames_of(const rte_mbuf& frame) {
    Octets octets = octets_of(frame);
    const std::uint64_t l4_flags = frame.ol_flags & RTE_MBUF_F_TX_L4_MASK;
    if ((frame.ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK) == 0) return {std::move(octets)};
    const std::size_t ip = frame.l2_len, l4 = ip + frame.l3_len;
    require(ip >= 14, "l2_len is set");
    const bool ipv6 = is_ipv6(octets, ip);
    require((frame.ol_flags & (ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4)) != 0, "the family is named");
    require(frame.l3_len == (ipv6 ? 40 : 20), "l3_len is set");
    if ((frame.ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0) return cut_tcp(octets, frame, ip, l4);
    if ((frame.ol_flags & RTE_MBUF_F_TX_UDP_SEG) != 0) return cut_udp(octets, frame, ip, l4);
    if (l4_flags != 0) {
        const bool tcp = l4_flags == RTE_MBUF_F_TX_TCP_CKSUM;
        const std::size_t field = l4 + (tcp ? 16 : 6);
        require(read16(octets, field) == pseudo_sum(octets, ip, tcp ? 6 : 17, octets.size() - l4),
                "the field holds the sum of the pseudo-header");
        finish_l4(octets, l4, field);
        if (!tcp && read16(octets, field) == 0) put16(octets, field, 0xffff);
    }
    if ((frame.ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0) finish_ip(octets, ip, l4);
    return {std::move(octets)};
}

}  // namespace runnel::test
