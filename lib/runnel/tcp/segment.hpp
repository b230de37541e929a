// A received segment, parsed once: what RFC 9293 section 3.3.1 calls the current segment variables.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "runnel/base/seq_num.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/tcp/flow.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace runnel::tcp {

struct Segment {
    rte_mbuf* mbuf =
        nullptr;  ///< data starts at the TCP header until the text is delivered; null: somebody took it
    Flow flow{};
    std::uint32_t hash = 0;
    const ip::Ipv6Pair* ipv6 = nullptr;  ///< the addresses of IPv6, for as long as the segment is looked at
    SeqNum seq{};
    SeqNum ack{};
    std::uint32_t text = 0;  ///< octets of data
    std::uint32_t ts_value = 0;
    std::uint32_t ts_echo = 0;
    std::uint16_t window = 0;  ///< as it stands in the header
    std::uint16_t urgent_pointer = 0;
    std::uint8_t flags = 0;
    std::uint8_t header_size = 0;
    bool timestamps = false;
    bool congestion_marked = false;  ///< CE in the IP header (RFC 3168 section 5)
    bool sack_blocks = false;        ///< `options()` has SACK blocks
    bool merged = false;             ///< others that followed it have been joined with it

    [[nodiscard]] Ends ends() const noexcept { return {flow, ipv6}; }
    [[nodiscard]] bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
    /// SEG.LEN: SYN and FIN count.
    [[nodiscard]] std::uint32_t length() const noexcept {
        return text + (has(wire::tcp_flags::syn) ? 1 : 0) + (has(wire::tcp_flags::fin) ? 1 : 0);
    }
    /// The options again, all of them: a SYN's are read so.
    [[nodiscard]] wire::TcpOptions options() const noexcept {
        const auto* header = rte_pktmbuf_mtod(mbuf, const std::byte*);
        return wire::parse_tcp_options({header + wire::tcp_header_size, header_size - wire::tcp_header_size});
    }
};

}  // namespace runnel::tcp
