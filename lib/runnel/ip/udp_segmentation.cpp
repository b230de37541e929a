#include "runnel/ip/udp_segmentation.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "runnel/ip/mbuf_octets.hpp"
#include "runnel/ip/mbuf_reader.hpp"
#include "runnel/ip/outgoing_packet.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t udp_length_at = 4;

// The headers of all datagrams of a send: what differs is 0.
class SegmentHeaders {
  public:
    explicit SegmentHeaders(const rte_mbuf* packet) noexcept {
        const auto* const headers = rte_pktmbuf_mtod(packet, const std::byte*);
        v4_ = std::to_integer<unsigned>(headers[0]) >> 4 == 4;
        ip_size_ = v4_ ? wire::ipv4_header_size : wire::ipv6_header_size;
        std::memcpy(octets_.data(), headers, size());
        pseudo_ = wire::load_be16(headers + ip_size_ + udp_checksum_at);
        wire::store_be16(octets_.data() + ip_size_ + udp_length_at, 0);
        wire::store_be16(octets_.data() + ip_size_ + udp_checksum_at, 0);
        if (v4_) {
            wire::store_be16(octets_.data() + 2, 0);
            wire::store_be16(octets_.data() + 10, 0);
            ip_sum_ = wire::checksum_add(std::span{octets_}.first<wire::ipv4_header_size>());
        }
        flags_ = packet->ol_flags & ~RTE_MBUF_F_TX_UDP_SEG;
        flags_ &= ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
        // Without one of these there is nothing for the port to do.
        if ((flags_ & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK)) == 0) flags_ = 0;
        offload_ = rte_mbuf_tx_offload(packet->l2_len, packet->l3_len, packet->l4_len, 0, 0, 0, 0);
    }

    [[nodiscard]] std::size_t size() const noexcept { return ip_size_ + wire::udp_header_size; }

    // Makes a datagram of an mbuf that holds its data behind room for the headers, at which its data starts.
    void complete(rte_mbuf* datagram) const noexcept {
        auto* const at = rte_pktmbuf_mtod(datagram, std::byte*);
        std::byte* const udp = at + ip_size_;
        std::memcpy(at, octets_.data(),
                    v4_ ? wire::ipv4_header_size + wire::udp_header_size
                        : wire::ipv6_header_size + wire::udp_header_size);
        datagram->pkt_len = datagram->data_len;
        const auto length = static_cast<std::uint16_t>(datagram->data_len - ip_size_);
        if (v4_) {
            wire::store_be16(at + 2, datagram->data_len);
            if ((flags_ & RTE_MBUF_F_TX_IP_CKSUM) == 0)
                wire::store_be16(at + 10, wire::checksum_finish(ip_sum_ + datagram->data_len));
        } else {
            wire::store_be16(at + 4, length);
        }
        wire::store_be16(udp + udp_length_at, length);
        if ((flags_ & RTE_MBUF_F_TX_L4_MASK) != 0) {
            wire::store_be16(udp + udp_checksum_at, wire::checksum_fold(pseudo_ + length));
        } else {
            const std::uint16_t sum =
                wire::checksum_finish(wire::checksum_add(std::span{udp, length}, pseudo_ + length));
            wire::store_be16(udp + udp_checksum_at, sum == 0 ? std::uint16_t{0xffff} : sum);
        }
        datagram->ol_flags = flags_;
        if (flags_ != 0) datagram->tx_offload = offload_;
    }

  private:
    std::array<std::byte, wire::ipv6_header_size + wire::udp_header_size> octets_;
    bool v4_ = false;
    std::size_t ip_size_ = 0;
    std::uint32_t pseudo_ = 0;
    std::uint32_t ip_sum_ = 0;
    std::uint64_t flags_ = 0;
    std::uint64_t offload_ = 0;
};

// Each mbuf holds the data of one datagram, is nobody else's, and has room for headers in front.
bool lies_in_segments(const rte_mbuf* packet, std::size_t headers_size, std::size_t segment) noexcept {
    std::size_t in_front = 0, headers = headers_size;  // the first has its headers already
    for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
        const std::size_t data = part->data_len - headers;
        if (part->data_len <= headers || (part->next != nullptr ? data != segment : data > segment) ||
            !RTE_MBUF_DIRECT(part) || rte_mbuf_refcnt_read(part) != 1 ||
            rte_pktmbuf_headroom(part) < in_front + max_link_header_size)
            return false;
        headers = 0;
        in_front = headers_size;
    }
    return true;
}

void split(rte_mbuf* packet, const SegmentHeaders& headers, const LinkHeader& header,
           LinkOutput& link) noexcept {
    bool has_headers = true;
    for (rte_mbuf *part = packet, *next; part != nullptr; part = next) {
        next = part->next;
        part->next = nullptr;
        part->nb_segs = 1;
        if (!has_headers) {
            part->data_off = static_cast<std::uint16_t>(part->data_off - headers.size());
            part->data_len = static_cast<std::uint16_t>(part->data_len + headers.size());
        }
        has_headers = false;
        headers.complete(part);
        link.send(part, header);
    }
}

// Octets that lie side by side, read from front to end.
class SpanReader {
  public:
    explicit SpanReader(std::span<const std::byte> octets) noexcept : octets_(octets) {}
    void copy(std::byte* to, std::size_t size) noexcept {
        std::memcpy(to, octets_.data(), size);
        octets_ = octets_.subspan(size);
    }

  private:
    std::span<const std::byte> octets_;
};

// Cuts what `data` reads into datagrams in mbufs of their own. Takes the packet.
template <class Reader>
bool copy_out(rte_mbuf* packet, const SegmentHeaders& headers, Reader data, const LinkHeader& header,
              LinkOutput& link) noexcept {
    const std::size_t segment = packet->tso_segsz;
    const std::size_t size = packet->pkt_len - headers.size();
    const std::size_t count = (size + segment - 1) / segment;
    if (link.room() < count) {
        link.drop(packet, DropReason::transmit_queue_full);
        return false;
    }
    std::array<rte_mbuf*, most_segments> datagrams;
    std::size_t taken = 0;
    while (taken < count && (datagrams[taken] = link.stash().take_data()) != nullptr) ++taken;
    if (taken != count || rte_pktmbuf_tailroom(datagrams[0]) < headers.size() + segment) {
        for (rte_mbuf* const datagram : std::span{datagrams}.first(taken)) link.stash().put(datagram);
        link.drop(packet, DropReason::no_mbuf);
        return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
        rte_mbuf* const datagram = datagrams[i];
        const std::size_t octets = std::min(segment, size - i * segment);
        data.copy(rte_pktmbuf_mtod_offset(datagram, std::byte*, headers.size()), octets);
        datagram->data_len = static_cast<std::uint16_t>(headers.size() + octets);
        headers.complete(datagram);
        link.send(datagram, header);
    }
    link.stash().put(packet);
    return true;
}

}  // namespace

bool fit_segmented(rte_mbuf* packet, const Output& how, const Interface& interface,
                   std::size_t ip_header_size, LinkOutput& link) noexcept {
    const std::size_t largest = how.ipv6 != nullptr ? UINT16_MAX : UINT16_MAX - wire::ipv4_header_size;
    if (packet->pkt_len > largest ||
        ip_header_size + wire::udp_header_size + how.segment_size > interface.mtu ||
        packet->pkt_len - wire::udp_header_size > most_segments * how.segment_size) {
        link.drop(packet, DropReason::ip_too_big);
        return false;
    }
    if (rte_pktmbuf_headroom(packet) < ip_header_size + max_link_header_size) {
        link.drop(packet, DropReason::no_mbuf);
        return false;
    }
    return true;
}

std::uint16_t mark_segmented(rte_mbuf* packet, const Output& how, const Interface& interface,
                             std::uint32_t pseudo, std::uint64_t version) noexcept {
    const bool by_port = port_segments(packet, interface, how.segment_size);
    packet->ol_flags |= RTE_MBUF_F_TX_UDP_SEG | version;
    if (by_port || interface.offloads.tx_udp_checksum) packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
    packet->l4_len = wire::udp_header_size;
    packet->tso_segsz = how.segment_size;
    wire::store_be16(rte_pktmbuf_mtod_offset(packet, std::byte*, udp_checksum_at),
                     wire::checksum_fold(pseudo));
    return static_cast<std::uint16_t>(by_port ? packet->pkt_len : wire::udp_header_size + how.segment_size);
}

bool send_segments(rte_mbuf* packet, const LinkHeader& header, LinkOutput& link) noexcept {
    const SegmentHeaders headers{packet};
    const std::size_t segment = packet->tso_segsz;
    if (!lies_in_segments(packet, headers.size(), segment))
        return copy_out(packet, headers, MbufReader{packet, headers.size()}, header, link);
    if (link.room() < packet->nb_segs) {
        link.drop(packet, DropReason::transmit_queue_full);
        return false;
    }
    split(packet, headers, header, link);
    return true;
}

bool send_segments(rte_mbuf* head, std::span<const std::byte> data, const LinkHeader& header,
                   LinkOutput& link) noexcept {
    return copy_out(head, SegmentHeaders{head}, SpanReader{data}, header, link);
}

bool append_copy(rte_mbuf* head, std::span<const std::byte> data, std::size_t most,
                 LinkOutput& link) noexcept {
    rte_mbuf* const copy = copy_octets(data, link.stash(), most);
    if (copy != nullptr && rte_pktmbuf_chain(head, copy) == 0) return true;
    if (copy != nullptr) link.stash().put(copy);
    link.drop(head, DropReason::no_mbuf);
    return false;
}

}  // namespace runnel::ip
