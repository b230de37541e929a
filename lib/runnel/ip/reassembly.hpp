// Packets that arrive in fragments: kept until they are whole, within a budget (RFC 791 section 3.2, RFC 1122
// section 3.3.2, RFC 8200 section 4.5, RFC 5722). Both families.
//
// DPDK's rte_ip_frag keeps eight fragments a packet, lets overlaps pass and gives way to whoever sends the
// most: it meets neither RFC 5722 nor a 64 KB datagram.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/link_output.hpp"

namespace runnel::ip {

/// A bounded table of packets in pieces. A fragment costs a search among those of its packet, of which there
/// are few. All mbufs that it holds are in one of its packets, and each that it drops is counted by why.
///
/// Who loses where there is no room: of a source that is over its share its own oldest packet, else the
/// oldest packet of all. What is whole within moments so outlives what an attacker lets lie. One owner
/// thread; allocates when constructed only.
class Reassembly {
  public:
    /// What the fragments of one packet have in common. `protocol` is 0 of IPv6, where it is none of the key.
    struct Key {
        IpAddress source{}, destination{};
        std::uint32_t id = 0;
        std::uint8_t protocol = 0;
        friend bool operator==(const Key&, const Key&) noexcept = default;
    };
    /// Where the headers of a frame with a fragment lie, in octets.
    struct Layout {
        std::uint16_t ip = 0;               ///< the IP header, from the start of the frame
        std::uint16_t fragment_header = 0;  ///< of IPv6, from the IP header
        std::uint16_t before_fragment = 0;  ///< of IPv6: the field that names the fragment header, from there
        std::uint16_t transport = 0;        ///< of a first fragment: the transport header, from there
        std::uint16_t data = 0;             ///< what is fragmented, from the start of the frame
    };
    struct Fragment {
        rte_mbuf* frame = nullptr;  ///< ends where the fragment ends; its headers lie in the first segment
        Layout layout{};
        std::uint32_t offset = 0;  ///< of the data in its packet, in octets
        bool more = false;         ///< it is not the last
        std::uint8_t tos = 0;      ///< or traffic class
        std::uint8_t interface = 0;
    };
    /// All of a packet: the first fragment's frame, headers and all, with the data of the others chained to
    /// it.
    struct Whole {
        rte_mbuf* frame = nullptr;
        Layout layout{};
        std::uint32_t data = 0;  ///< octets put together
        std::uint8_t interface = 0;
        bool congestion_marked = false;  ///< a fragment was (RFC 3168 section 5.3)
    };
    /// The first fragment of a packet that never became whole.
    struct Late {
        rte_mbuf* frame = nullptr;
        Layout layout{};
        std::uint8_t interface = 0;
    };

    /// `config` has been validated. `link` is not owned and outlives this; its pool bounds what may be held.
    Reassembly(const Config& config, HashKey key, LinkOutput& link);
    ~Reassembly();
    Reassembly(const Reassembly&) = delete;
    Reassembly& operator=(const Reassembly&) = delete;

    /// Takes a fragment with data, whose end its packet can have. Returns the packet that it completes, which
    /// is the caller's then.
    std::optional<Whole> add(const Key& key, const Fragment& fragment, Instant now) noexcept;

    /// Gives up what has waited too long. Returns the next packet of which the first fragment had come, for
    /// the caller to tell its sender (RFC 792, RFC 4443 section 3.3); nothing where there is none. The frame
    /// is the caller's.
    std::optional<Late> expire(Instant now) noexcept {
        if (oldest_ == none || packets_[oldest_].expires > now) [[likely]]
            return std::nullopt;
        return expire_oldest(now);
    }
    [[nodiscard]] Instant next_expiry() const noexcept {
        return oldest_ == none ? never : packets_[oldest_].expires;
    }

    /// Packets under way, those included that are lost already and wait for their time.
    [[nodiscard]] std::size_t packets() const noexcept { return packet_count_; }
    /// Mbufs held.
    [[nodiscard]] std::size_t mbufs() const noexcept { return mbuf_count_; }
    /// The most mbufs that may be held, of all and of one source.
    [[nodiscard]] std::size_t most_mbufs() const noexcept { return most_mbufs_; }
    [[nodiscard]] std::size_t most_mbufs_of_source() const noexcept { return most_mbufs_of_source_; }

  private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    static constexpr std::size_t source_count = 1024;

    struct Piece {
        rte_mbuf* mbuf;  // of the first its frame, else its data
        std::uint32_t begin, end;
    };
    struct Packet {
        Key key{};
        Instant expires{};
        std::uint32_t bucket = 0, source = 0;
        std::uint32_t next = none;                               // of its bucket, or of the free ones
        std::uint32_t older = none, newer = none;                // of all
        std::uint32_t source_older = none, source_newer = none;  // of its source
        std::uint32_t total = 0;   // octets of data, once the last fragment has come
        std::uint32_t octets = 0;  // of data that have come
        std::uint32_t mbufs = 0;
        std::uint16_t pieces = 0;  // in their order, from `pieces_of(slot)` on
        std::uint8_t marks = 0;    // a bit a codepoint of ECN
        std::uint8_t interface = 0;
        bool condemned = false;  // whatever comes of it is dropped (RFC 5722)
        DropReason reason{};     // for which it is
        Layout layout{};         // of the first fragment
    };
    // By a keyed digest of the source, of IPv6 of its /64: who chooses addresses within one is one source.
    struct Source {
        std::uint32_t oldest = none, newest = none;
        std::uint32_t packets = 0, mbufs = 0;
    };

    [[nodiscard]] Piece* pieces_of(std::uint32_t slot) noexcept {
        return &pieces_[std::size_t{slot} * most_pieces_];
    }
    [[nodiscard]] std::uint64_t hash(const Key& key) const noexcept;
    [[nodiscard]] std::uint32_t source_of(const IpAddress& address) const noexcept;
    [[nodiscard]] std::uint32_t find(const Key& key, std::uint32_t bucket) const noexcept;
    [[nodiscard]] bool has_first(std::uint32_t slot) noexcept {
        return packets_[slot].pieces > 0 && pieces_of(slot)->begin == 0;
    }
    std::uint32_t create(const Key& key, std::uint32_t bucket, Instant now) noexcept;
    bool make_room(std::uint32_t slot, std::uint32_t mbufs) noexcept;
    void insert(std::uint32_t slot, std::size_t at, const Fragment& fragment, std::uint32_t end) noexcept;
    std::optional<Whole> finish(std::uint32_t slot) noexcept;
    void condemn(std::uint32_t slot, rte_mbuf* fragment, DropReason reason) noexcept;
    void drop_pieces(std::uint32_t slot, DropReason reason, std::size_t from = 0) noexcept;
    void give_up(std::uint32_t slot, DropReason reason) noexcept;
    void remove(std::uint32_t slot) noexcept;
    std::optional<Late> expire_oldest(Instant now) noexcept;

    LinkOutput& link_;
    HashKey key_;
    Duration timeout_;
    std::uint32_t most_packets_of_source_;
    std::uint32_t most_mbufs_, most_mbufs_of_source_;
    std::uint16_t most_pieces_;
    std::uint32_t oldest_ = none, newest_ = none, free_ = none;
    std::uint32_t packet_count_ = 0, mbuf_count_ = 0;
    std::vector<Packet> packets_;
    std::unique_ptr<Piece[]> pieces_;  // `most_pieces_` a packet
    std::vector<std::uint32_t> buckets_;
    std::vector<Source> sources_;
};

}  // namespace runnel::ip
