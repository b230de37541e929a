// What the tests of TCP's queues share: a pool that tells whether an mbuf was lost, and octets told by their
// position.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <stdexcept>
#include <vector>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "runnel/base/mbuf_stash.hpp"

namespace runnel::test {

using Octets = std::vector<std::byte>;

/// The octet at a position of a stream; neighbours differ, and so do octets 256 or 2048 apart.
[[nodiscard]] inline std::byte octet_at(std::uint32_t position) {
    return static_cast<std::byte>(position * 0x9e3779b1U >> 24);
}

[[nodiscard]] inline Octets octets_at(std::uint32_t position, std::size_t size) {
    Octets octets(size);
    for (std::byte& octet : octets) octet = octet_at(position++);
    return octets;
}

/// A mempool of 2047 mbufs and a stash on it.
class Mbufs {
  public:
    Mbufs()
        : pool_(rte_pktmbuf_pool_create("tcp_test", total, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY)) {
        if (pool_ == nullptr) throw std::runtime_error("no memory for the test's mbufs");
    }
    ~Mbufs() { rte_mempool_free(pool_); }
    Mbufs(const Mbufs&) = delete;
    Mbufs& operator=(const Mbufs&) = delete;

    [[nodiscard]] rte_mempool* pool() const { return pool_; }
    /// How many mbufs are neither in the pool nor in the stash.
    [[nodiscard]] std::size_t missing(const MbufStash& stash) const {
        return total - rte_mempool_avail_count(pool_) - stash.held();
    }

    /// A packet with these octets in `parts` mbufs, cut at random places; some may be empty.
    [[nodiscard]] rte_mbuf* packet(std::span<const std::byte> octets, unsigned parts,
                                   std::mt19937_64& random) const {
        rte_mbuf* packet = nullptr;
        for (; parts > 0; --parts) {
            rte_mbuf* part = rte_pktmbuf_alloc(pool_);
            if (part == nullptr) throw std::runtime_error("the test's mbufs are spent");
            const std::size_t n = parts == 1 ? octets.size() : random() % (octets.size() + 1);
            char* room = rte_pktmbuf_append(part, static_cast<std::uint16_t>(n));
            std::copy_n(octets.begin(), n, reinterpret_cast<std::byte*>(room));
            octets = octets.subspan(n);
            if (packet == nullptr)
                packet = part;
            else
                rte_pktmbuf_chain(packet, part);
        }
        return packet;
    }

    static constexpr unsigned total = 2047;

  private:
    rte_mempool* pool_;
};

/// What a packet holds; throws where its chain does not hold what `pkt_len` says.
[[nodiscard]] inline Octets octets_of(const rte_mbuf* packet) {
    Octets octets;
    for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
        const auto* first = rte_pktmbuf_mtod(part, const std::byte*);
        octets.insert(octets.end(), first, first + part->data_len);
    }
    if (octets.size() != packet->pkt_len) throw std::logic_error("pkt_len is not the sum of the chain");
    return octets;
}

}  // namespace runnel::test
