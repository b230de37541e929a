#include "runnel/ip/reassembly.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <rte_mempool.h>

namespace runnel::ip {

namespace {

// ECN codepoints (RFC 3168 section 5).
constexpr unsigned not_capable = 0, congestion_experienced = 3;

// What a packet of 64 KB takes at the MTU of Ethernet, and some: each source may have that much.
constexpr std::uint32_t mbufs_of_largest_packet = 64;

// Octets [at, at + size) of a chain, which has them, piece by piece.
template <class Take>
void for_each_run(const rte_mbuf* part, std::size_t at, std::size_t size, Take take) noexcept {
    for (; size > 0; part = part->next) {
        if (at >= part->data_len) {
            at -= part->data_len;
            continue;
        }
        const std::size_t run = std::min<std::size_t>(size, part->data_len - at);
        take(rte_pktmbuf_mtod_offset(part, const std::byte*, at), run);
        size -= run;
        at = 0;
    }
}

// Whether `size` octets of two chains are the same.
bool same_octets(const rte_mbuf* a, std::size_t a_at, const rte_mbuf* b, std::size_t b_at,
                 std::size_t size) noexcept {
    bool same = true;
    for_each_run(a, a_at, size, [&](const std::byte* octets, std::size_t run) {
        for_each_run(b, b_at, run, [&](const std::byte* others, std::size_t n) {
            same &= std::memcmp(octets, others, n) == 0;
            octets += n;
        });
        b_at += run;
    });
    return same;
}

// Of a quarter, and of what one large packet takes if that leaves others something.
std::uint32_t share_of(std::uint32_t all, std::uint32_t least) noexcept {
    return std::max({all / 4, std::min(all - all / 4, least), std::uint32_t{1}});
}

}  // namespace

Reassembly::Reassembly(const Config& config, HashKey key, LinkOutput& link)
    : link_(link),
      key_(key),
      timeout_(config.reassembly_timeout),
      most_packets_of_source_(share_of(config.reassembly_packets, 1)),
      most_mbufs_(std::min(config.reassembly_mbufs, std::max(link.stash().pool()->size / 8, 2U))),
      most_mbufs_of_source_(share_of(most_mbufs_, mbufs_of_largest_packet)),
      most_pieces_(config.reassembly_fragments),
      packets_(config.reassembly_packets),
      pieces_(std::make_unique_for_overwrite<Piece[]>(std::size_t{config.reassembly_packets} * most_pieces_)),
      buckets_(std::bit_ceil(std::size_t{2} * config.reassembly_packets), none),
      sources_(source_count) {
    for (std::uint32_t slot = config.reassembly_packets; slot-- > 0;) {
        packets_[slot].next = free_;
        free_ = slot;
    }
}

Reassembly::~Reassembly() {
    for (std::uint32_t slot = oldest_; slot != none; slot = packets_[slot].newer)
        for (std::size_t i = 0; i < packets_[slot].pieces; ++i) rte_pktmbuf_free(pieces_of(slot)[i].mbuf);
}

std::uint64_t Reassembly::hash(const Key& key) const noexcept {
    const Ipv6Address source = key.source.v6(), destination = key.destination.v6();
    const std::uint64_t first = siphash_1_3(key_, source.high(), source.low());
    const std::uint64_t second = siphash_1_3(key_, first ^ destination.high(), destination.low());
    return siphash_1_3(key_, second, std::uint64_t{key.id} << 8 | key.protocol);
}

std::uint32_t Reassembly::source_of(const IpAddress& address) const noexcept {
    const Ipv6Address words = address.v6();
    return static_cast<std::uint32_t>(
        siphash_1_3(key_, words.high(), address.is_v4() ? words.low() : 0x736f'7572'6365) % source_count);
}

std::uint32_t Reassembly::find(const Key& key, std::uint32_t bucket) const noexcept {
    std::uint32_t slot = buckets_[bucket];
    while (slot != none && packets_[slot].key != key) slot = packets_[slot].next;
    return slot;
}

std::optional<Reassembly::Whole> Reassembly::add(const Key& key, const Fragment& fragment,
                                                 Instant now) noexcept {
    rte_mbuf* const frame = fragment.frame;
    const std::uint32_t begin = fragment.offset;
    const std::uint32_t end = begin + frame->pkt_len - fragment.layout.data;
    const auto bucket = static_cast<std::uint32_t>(hash(key) & (buckets_.size() - 1));
    std::uint32_t slot = find(key, bucket);
    if (slot != none && packets_[slot].condemned) {
        link_.drop(frame, packets_[slot].reason);
        return std::nullopt;
    }
    std::size_t at = 0;
    if (slot == none) {
        slot = create(key, bucket, now);
    } else {
        // Where it belongs among those that have come; mostly behind them all.
        const Piece* const pieces = pieces_of(slot);
        at = packets_[slot].pieces;
        if (at > 0 && begin < pieces[at - 1].end) {
            at = static_cast<std::size_t>(std::upper_bound(pieces, pieces + at, begin,
                                                           [](std::uint32_t value, const Piece& piece) {
                                                               return value < piece.begin;
                                                           }) -
                                          pieces);
            const Piece* const before = at > 0 ? &pieces[at - 1] : nullptr;
            if (before != nullptr && before->begin == begin && before->end == end &&
                same_octets(before->mbuf, begin == 0 ? packets_[slot].layout.data : 0U, frame,
                            fragment.layout.data, end - begin)) {
                link_.drop(frame, DropReason::ip_fragment_duplicate);
                return std::nullopt;
            }
            if ((before != nullptr && before->end > begin) ||
                (at < packets_[slot].pieces && pieces[at].begin < end)) {
                condemn(slot, frame, DropReason::ip_fragment_overlap);
                return std::nullopt;
            }
        }
        // Where the packet ends is said once, and nothing lies beyond.
        const Packet& packet = packets_[slot];
        const bool contradicts =
            fragment.more ? packet.total != 0 && end >= packet.total
                          : packet.total != 0 || (packet.pieces > 0 && pieces[packet.pieces - 1].end > end);
        if (contradicts) {
            condemn(slot, frame, DropReason::ip_fragment_overlap);
            return std::nullopt;
        }
        if (packet.pieces == most_pieces_) {
            condemn(slot, frame, DropReason::ip_fragment_too_many);
            return std::nullopt;
        }
    }
    if (!make_room(slot, frame->nb_segs)) {
        link_.drop(frame, DropReason::ip_fragment_displaced);
        return std::nullopt;
    }
    insert(slot, at, fragment, end);
    if (packets_[slot].octets != packets_[slot].total) return std::nullopt;
    return finish(slot);
}

// A new packet, the newest; room is made for it.
std::uint32_t Reassembly::create(const Key& key, std::uint32_t bucket, Instant now) noexcept {
    const std::uint32_t source = source_of(key.source);
    if (sources_[source].packets >= most_packets_of_source_)
        give_up(sources_[source].oldest, DropReason::ip_fragment_displaced);
    if (free_ == none) give_up(oldest_, DropReason::ip_fragment_displaced);
    const std::uint32_t slot = free_;
    Packet& packet = packets_[slot];
    free_ = packet.next;
    packet = {.key = key, .expires = now + timeout_, .bucket = bucket, .source = source};
    packet.next = buckets_[bucket];
    buckets_[bucket] = slot;
    packet.older = newest_;
    (newest_ == none ? oldest_ : packets_[newest_].newer) = slot;
    newest_ = slot;
    Source& all = sources_[source];
    packet.source_older = all.newest;
    (all.newest == none ? all.oldest : packets_[all.newest].source_newer) = slot;
    all.newest = slot;
    ++all.packets;
    ++packet_count_;
    return slot;
}

// Room for so many mbufs of a packet; false where that packet itself had to go.
bool Reassembly::make_room(std::uint32_t slot, std::uint32_t mbufs) noexcept {
    const Source& source = sources_[packets_[slot].source];
    for (;;) {
        std::uint32_t loser;
        if (source.mbufs + mbufs > most_mbufs_of_source_)
            loser = source.oldest;
        else if (mbuf_count_ + mbufs > most_mbufs_)
            loser = oldest_;
        else
            return true;
        give_up(loser, DropReason::ip_fragment_displaced);
        if (loser == slot) return false;
    }
}

void Reassembly::insert(std::uint32_t slot, std::size_t at, const Fragment& fragment,
                        std::uint32_t end) noexcept {
    Packet& packet = packets_[slot];
    rte_mbuf* const frame = fragment.frame;
    Piece* const pieces = pieces_of(slot);
    std::move_backward(pieces + at, pieces + packet.pieces, pieces + packet.pieces + 1);
    pieces[at] = {frame, fragment.offset, end};
    ++packet.pieces;
    packet.mbufs += frame->nb_segs;
    sources_[packet.source].mbufs += frame->nb_segs;
    mbuf_count_ += frame->nb_segs;
    packet.octets += end - fragment.offset;
    packet.marks = static_cast<std::uint8_t>(packet.marks | 1U << (fragment.tos & 3));
    if (!fragment.more) packet.total = end;
    if (fragment.offset == 0) {
        packet.layout = fragment.layout;
        packet.interface = fragment.interface;
    } else {
        rte_pktmbuf_adj(frame, fragment.layout.data);
    }
}

// All has come: the data of the others follow the first in a chain.
std::optional<Reassembly::Whole> Reassembly::finish(std::uint32_t slot) noexcept {
    const Packet& packet = packets_[slot];
    constexpr unsigned both = 1U << not_capable | 1U << congestion_experienced;
    if ((packet.marks & both) == both) {
        give_up(slot, DropReason::ip_fragment_marks);
        return std::nullopt;
    }
    Piece* const pieces = pieces_of(slot);
    rte_mbuf* const frame = pieces[0].mbuf;
    rte_mbuf* last = rte_pktmbuf_lastseg(frame);
    for (std::size_t i = 1; i < packet.pieces; ++i) {
        rte_mbuf* const part = pieces[i].mbuf;
        last->next = part;
        last = rte_pktmbuf_lastseg(part);
        frame->nb_segs = static_cast<std::uint16_t>(frame->nb_segs + part->nb_segs);
        frame->pkt_len += part->pkt_len;
    }
    // Of the whole no port has seen a checksum.
    frame->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
    const Whole whole{.frame = frame,
                      .layout = packet.layout,
                      .data = packet.total,
                      .interface = packet.interface,
                      .congestion_marked = (packet.marks & 1U << congestion_experienced) != 0};
    remove(slot);
    return whole;
}

// Nothing of it is believed any more, nor what comes yet: its key stays until its time is up (RFC 5722
// section 4).
void Reassembly::condemn(std::uint32_t slot, rte_mbuf* fragment, DropReason reason) noexcept {
    link_.drop(fragment, reason);
    drop_pieces(slot, reason);
    packets_[slot].condemned = true;
    packets_[slot].reason = reason;
}

void Reassembly::drop_pieces(std::uint32_t slot, DropReason reason, std::size_t from) noexcept {
    Packet& packet = packets_[slot];
    for (std::size_t i = from; i < packet.pieces; ++i) link_.drop(pieces_of(slot)[i].mbuf, reason);
    packet.pieces = 0;
    sources_[packet.source].mbufs -= packet.mbufs;
    mbuf_count_ -= packet.mbufs;
    packet.mbufs = 0;
}

void Reassembly::give_up(std::uint32_t slot, DropReason reason) noexcept {
    drop_pieces(slot, reason);
    remove(slot);
}

// Its mbufs are another's by now, or gone.
void Reassembly::remove(std::uint32_t slot) noexcept {
    Packet& packet = packets_[slot];
    Source& source = sources_[packet.source];
    source.mbufs -= packet.mbufs;
    mbuf_count_ -= packet.mbufs;
    --source.packets;
    --packet_count_;
    std::uint32_t* link = &buckets_[packet.bucket];
    while (*link != slot) link = &packets_[*link].next;
    *link = packet.next;
    (packet.older == none ? oldest_ : packets_[packet.older].newer) = packet.newer;
    (packet.newer == none ? newest_ : packets_[packet.newer].older) = packet.older;
    (packet.source_older == none ? source.oldest : packets_[packet.source_older].source_newer) =
        packet.source_newer;
    (packet.source_newer == none ? source.newest : packets_[packet.source_newer].source_older) =
        packet.source_older;
    packet.pieces = 0;
    packet.next = free_;
    free_ = slot;
}

std::optional<Reassembly::Late> Reassembly::expire_oldest(Instant now) noexcept {
    while (oldest_ != none && packets_[oldest_].expires <= now) {
        const std::uint32_t slot = oldest_;
        if (!has_first(slot)) {
            give_up(slot, DropReason::ip_fragment_timeout);
            continue;
        }
        const Late late{pieces_of(slot)->mbuf, packets_[slot].layout, packets_[slot].interface};
        link_.counters().drop(DropReason::ip_fragment_timeout);
        drop_pieces(slot, DropReason::ip_fragment_timeout, 1);
        remove(slot);
        return late;
    }
    return std::nullopt;
}

}  // namespace runnel::ip
