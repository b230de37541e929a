#include "runnel/port/ring_wire.hpp"

#include <array>
#include <atomic>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include <rte_errno.h>
#include <rte_mbuf.h>

namespace runnel::port {

namespace {

constexpr std::uint32_t most_frames = 1U << 20;

rte_ring* make_ring(const RingWire::Options& options) {
    // EAL finds rings by name, so each needs its own.
    static std::atomic<unsigned> serial{0};
    const std::string name = fmt::format("runnel_wire_{}", serial.fetch_add(1, std::memory_order_relaxed));
    const unsigned flags = RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ;
    rte_ring* ring = rte_ring_create(name.c_str(), options.frames, options.numa_socket, flags);
    if (ring == nullptr) {
        throw std::runtime_error(
            fmt::format("the ring wire: no memory for a ring of {} frames ({}); give EAL more memory or the "
                        "wire fewer frames",
                        options.frames, rte_strerror(rte_errno)));
    }
    return ring;
}

void free_frames(rte_ring& ring) noexcept {
    std::array<void*, 64> frames;
    while (const unsigned n = rte_ring_sc_dequeue_burst(&ring, frames.data(), frames.size(), nullptr))
        for (unsigned i = 0; i < n; ++i) rte_pktmbuf_free(static_cast<rte_mbuf*>(frames[i]));
}

}  // namespace

RingWire::RingWire(const Options& options) : offloads_(options.offloads) {
    if (options.frames == 0 || options.frames > most_frames) {
        throw std::invalid_argument(
            fmt::format("the ring wire: frames is {}, must be 1 to {}", options.frames, most_frames));
    }
    if (offloads_.tx_tcp_segmentation && !(offloads_.rx_ip_checksum && offloads_.rx_l4_checksum &&
                                           offloads_.tx_ip_checksum && offloads_.tx_tcp_checksum))
        throw std::invalid_argument(
            "the ring wire: segmentation is declared and checksums are not; large segments pass it whole, "
            "and "
            "nobody makes their checksums: declare those of IP and TCP, both ways, too");
    if (offloads_.tx_udp_segmentation)
        throw std::invalid_argument(
            "the ring wire: UDP segmentation is declared; large segments pass it whole, and datagrams would "
            "become one: leave it to the stack, which cuts them itself");
    a_to_b_.reset(make_ring(options));
    b_to_a_.reset(make_ring(options));
    a_.out_ = b_.in_ = a_to_b_.get();
    b_.out_ = a_.in_ = b_to_a_.get();
    if (offloads_.rx_ip_checksum) a_.receive_flags_ |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    if (offloads_.rx_l4_checksum) a_.receive_flags_ |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    b_.receive_flags_ = a_.receive_flags_;
}

RingWire::~RingWire() = default;

void RingWire::Free::operator()(rte_ring* ring) const noexcept {
    free_frames(*ring);
    rte_ring_free(ring);
}

void RingWire::End::mark_received(std::span<rte_mbuf*> frames) const noexcept {
    for (rte_mbuf* frame : frames) frame->ol_flags = receive_flags_;
}

}  // namespace runnel::port
