// Packets for the kernel that came in fragments, were put together here, and are larger than what goes to it
// in one frame: they are cut again (RFC 791 section 3.2, RFC 8200 section 4.5).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <rte_mbuf.h>

#include "runnel/ip/exception_path.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::ip {

namespace {

constexpr std::size_t frame_header = wire::ethernet_header_size;
// 64 KB in fragments of the smallest MTU.
constexpr std::size_t most_pieces = 128;

// The options that each fragment carries (RFC 791 section 3.1), padded; returns their size. They are well
// formed.
std::size_t copy_options(std::span<const std::byte> options, std::byte* to) noexcept {
    constexpr std::uint8_t end_of_list = 0, no_operation = 1, copied = 0x80;
    std::size_t size = 0;
    while (!options.empty()) {
        const auto type = std::to_integer<std::uint8_t>(options[0]);
        if (type == end_of_list) break;
        const std::size_t length =
            type == no_operation || options.size() < 2 ? 1 : std::to_integer<std::size_t>(options[1]);
        if (length == 0 || length > options.size()) break;
        if ((type & copied) != 0) {
            std::memcpy(to + size, options.data(), length);
            size += length;
        }
        options = options.subspan(length);
    }
    while (size % 4 != 0) to[size++] = std::byte{end_of_list};
    return size;
}

// How one packet is cut: its headers, and those of each fragment.
class Cutter {
  public:
    Cutter(const rte_mbuf* frame, std::uint32_t id) noexcept
        : packet_(rte_pktmbuf_mtod_offset(frame, const std::byte*, frame_header)),
          v4_(std::to_integer<unsigned>(packet_[0]) >> 4 == 4),
          id_(id) {
        if (v4_)
            headers_ = (std::to_integer<std::size_t>(packet_[0]) & 15) * 4;
        else if (packet_[6] == static_cast<std::byte>(wire::Ipv6Extension::hop_by_hop))
            headers_ = wire::ipv6_header_size +
                       (std::to_integer<std::size_t>(packet_[wire::ipv6_header_size + 1]) + 1) * 8;
        else
            headers_ = wire::ipv6_header_size;
    }

    /// Octets that each fragment repeats, of the headers of the packet.
    [[nodiscard]] std::size_t headers() const noexcept { return headers_; }
    /// Octets of the headers of the fragments, at most.
    [[nodiscard]] std::size_t most() const noexcept {
        return headers_ + (v4_ ? 0 : wire::ipv6_fragment_header_size);
    }

    /// Writes the headers of the fragment with these octets of data; returns their size.
    std::size_t write(std::byte* to, std::size_t offset, std::size_t octets, bool more) const noexcept {
        return v4_ ? write_ipv4(to, offset, octets, more) : write_ipv6(to, offset, octets, more);
    }

  private:
    std::size_t write_ipv4(std::byte* to, std::size_t offset, std::size_t octets, bool more) const noexcept {
        std::size_t size = headers_;
        std::memcpy(to, packet_, size);
        if (offset > 0)
            size = wire::ipv4_header_size +
                   copy_options({packet_ + wire::ipv4_header_size, size - wire::ipv4_header_size},
                                to + wire::ipv4_header_size);
        to[0] = static_cast<std::byte>(0x40 | size / 4);
        wire::store_be16(to + 2, static_cast<std::uint16_t>(size + octets));
        wire::store_be16(to + 4, static_cast<std::uint16_t>(id_));
        wire::store_be16(to + 6,
                         static_cast<std::uint16_t>(offset / 8 | (more ? wire::ipv4_more_fragments : 0U)));
        wire::store_be16(to + 10, 0);
        wire::store_be16(to + 10,
                         wire::checksum_finish(wire::checksum_add(std::span<const std::byte>{to, size})));
        return size;
    }

    // Of all extension headers the hop-by-hop options alone must stand before the fragment header.
    std::size_t write_ipv6(std::byte* to, std::size_t offset, std::size_t octets, bool more) const noexcept {
        std::memcpy(to, packet_, headers_);
        std::byte* const next = to + (headers_ == wire::ipv6_header_size ? 6 : wire::ipv6_header_size);
        std::byte* const fragment = to + headers_;
        wire::store_be16(fragment, static_cast<std::uint16_t>(std::to_integer<unsigned>(*next) << 8));
        *next = static_cast<std::byte>(wire::Ipv6Extension::fragment);
        wire::store_be16(fragment + 2, static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
        wire::store_be32(fragment + 4, id_);
        const std::size_t size = headers_ + wire::ipv6_fragment_header_size;
        wire::store_be16(to + 4, static_cast<std::uint16_t>(size - wire::ipv6_header_size + octets));
        return size;
    }

    const std::byte* packet_;
    bool v4_;
    std::uint32_t id_;
    std::size_t headers_ = 0;
};

}  // namespace

// All fragments, or none.
void ExceptionPath::push_cut(rte_mbuf* frame, std::uint8_t interface) noexcept {
    const Cutter cutter{frame, *whole_id_};
    std::array<rte_mbuf*, most_pieces> fragments;
    fragments[0] = link_.stash().take_data();
    if (fragments[0] == nullptr) return link_.drop(frame, DropReason::no_mbuf);
    const std::size_t room =
        std::min<std::size_t>(interfaces_[interface].mtu + frame_header, rte_pktmbuf_tailroom(fragments[0]));
    const std::size_t least = frame_header + cutter.most() + 8;
    const bool sound = frame->data_len >= frame_header + cutter.headers() &&
                       frame->pkt_len > frame_header + cutter.headers() && room >= least;
    const std::size_t data = sound ? frame->pkt_len - frame_header - cutter.headers() : 0;
    const std::size_t step = sound ? (room - frame_header - cutter.most()) / 8 * 8 : 1;
    const std::size_t count = (data + step - 1) / step;
    std::size_t taken = 1;
    DropReason reason = DropReason::no_mbuf;
    if (!sound || count > most_pieces)
        reason = DropReason::frame_too_long;
    else if (queue_->room() < count)
        reason = DropReason::exception_queue_full;
    else
        while (taken < count && (fragments[taken] = link_.stash().take_data()) != nullptr) ++taken;
    if (taken != count) {
        for (rte_mbuf* const one : std::span{fragments}.first(taken)) link_.stash().put(one);
        return link_.drop(frame, reason);
    }

    for (std::size_t i = 0; i < count; ++i) {
        rte_mbuf* const fragment = fragments[i];
        const std::size_t offset = i * step, octets = std::min(step, data - offset);
        auto* const to = rte_pktmbuf_mtod(fragment, std::byte*);
        std::memcpy(to, rte_pktmbuf_mtod(frame, const std::byte*), frame_header);
        const std::size_t headers =
            frame_header + cutter.write(to + frame_header, offset, octets, i + 1 < count);
        const void* const from =
            rte_pktmbuf_read(frame, static_cast<std::uint32_t>(frame_header + cutter.headers() + offset),
                             static_cast<std::uint32_t>(octets), to + headers);
        if (from != to + headers) std::memcpy(to + headers, from, octets);
        fragment->data_len = static_cast<std::uint16_t>(headers + octets);
        fragment->pkt_len = fragment->data_len;
        fragment->port = interface;
        if (queue_->push(fragment)) link_.counters().add(Counter::frames_to_kernel);  // there is room
    }
    link_.stash().put(frame);
}

}  // namespace runnel::ip
