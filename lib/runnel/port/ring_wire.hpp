// The in-process wire `ring`: two stacks of one process, joined by two rings of mbufs. No NIC, no root, no
// hugepages.
#pragma once

#include <cstdint>
#include <memory>

#include <rte_ring.h>

#include "runnel/ip/config.hpp"
#include "runnel/port/wire.hpp"

namespace runnel::port {

/// Two ends, A and B: what is sent into one is received from the other, whole and in order. A full ring
/// refuses the rest of a burst and the sender keeps it. Each end belongs to one thread at a time. Frames
/// still in the rings are freed with the wire.
class RingWire {
  public:
    struct Options {
        std::uint32_t frames = 4096;  ///< frames that each direction holds, 1 to 2^20
        int numa_socket = -1;         ///< where the rings' memory is; -1: anywhere
        /// What the wire is declared to do for the stacks: none by default, so that each checksum is made and
        /// checked in software, as over a plain port. Whoever declares the checksum offloads must name that
        /// with every result. Where it is declared to cut TCP segments it passes them whole, as between
        /// virtual machines of one host; UDP it cannot be declared to cut, as datagrams have bounds. Chains
        /// it takes at any time; of what is sent without a copy the receiver sees the sender's own octets,
        /// and only reads them.
        ip::Offloads offloads{};
    };

    /// One end. Lives as long as its `RingWire`.
    class End final : public Wire {
      public:
        [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
            void** const frames = reinterpret_cast<void**>(out.data());
            return rte_ring_sc_dequeue_burst(in_, frames, static_cast<unsigned>(out.size()), nullptr);
        }
        [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
            void* const* const objects = reinterpret_cast<void* const*>(frames.data());
            // What the sender asked of the port is no business of the receiver's, who sees what a port would
            // have found.
            if (receive_flags_ != 0) mark_received(frames);
            return rte_ring_sp_enqueue_burst(out_, objects, static_cast<unsigned>(frames.size()), nullptr);
        }

      private:
        friend class RingWire;
        void mark_received(std::span<rte_mbuf*> frames) const noexcept;

        rte_ring* in_ = nullptr;
        rte_ring* out_ = nullptr;
        std::uint64_t receive_flags_ = 0;  // RTE_MBUF_F_RX_*, as the declared offloads would set them
    };

    /// Throws `std::invalid_argument` for an option out of range, `std::runtime_error` where EAL memory does
    /// not suffice.
    RingWire() : RingWire(Options{}) {}
    explicit RingWire(const Options& options);
    ~RingWire();
    RingWire(const RingWire&) = delete;
    RingWire& operator=(const RingWire&) = delete;

    [[nodiscard]] End& a() noexcept { return a_; }
    [[nodiscard]] End& b() noexcept { return b_; }
    [[nodiscard]] const ip::Offloads& offloads() const noexcept { return offloads_; }

  private:
    struct Free {
        void operator()(rte_ring* ring) const noexcept;
    };

    std::unique_ptr<rte_ring, Free> a_to_b_, b_to_a_;
    ip::Offloads offloads_;
    End a_, b_;
};

}  // namespace runnel::port
