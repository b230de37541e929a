// A queue of a port that several cores share: what comes in by it and belongs to another core is handed over.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/counters.hpp"
#include "runnel/port/steering.hpp"
#include "runnel/port/wire.hpp"

namespace runnel::port {

/// What RSS makes of a frame's addresses and ports.
struct FlowHash {
    std::uint32_t value;
    bool datagram;  ///< of UDP, whose ports not every port hashes: it proves nothing
};

/// The hash of a frame's flow; nothing where it is neither TCP nor UDP, in fragments, or sent to a group:
/// such frames belong to whichever core receives them.
[[nodiscard]] std::optional<FlowHash> flow_hash(const wire::Toeplitz& toeplitz,
                                                const rte_mbuf& frame) noexcept;

/// The hash that RSS makes of the addresses of a fragment, the first one too; nothing where the frame is
/// none.
[[nodiscard]] std::optional<std::uint32_t> fragment_hash(const wire::Toeplitz& toeplitz,
                                                         const rte_mbuf& frame) noexcept;

/// Decorates the queue of one core. Frames are handed over in bursts, by a ring of one sender and one
/// receiver; a full one drops, which is counted. A core without a queue sends by the queue of another.
///
/// Where the port claims to bring each frame to its owner, that is proven first, queue by queue, by what
/// arrives: by the hash that the driver gives with a frame, and by which queue it came. Until then, and from
/// the first disagreement of any queue on, every frame is looked at; whatever the port does, the owner gets
/// it.
class SteeredWire final : public Wire {
  public:
    /// Connections whose frames came by the right queue, after which a queue is believed. The chance that one
    /// with another rule, and as few as two queues, gets that far is one in 2^32.
    static constexpr std::size_t proof = 32;

    /// `steering` and `queue` are not owned and outlive the wire. `queue` is null for a core that has none.
    SteeredWire(Steering& steering, unsigned core, Wire* queue);
    /// Frees frames that the queue has refused.
    ~SteeredWire() override;

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override;
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override;

    /// What was handed over and what was dropped.
    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

  private:
    static constexpr std::size_t relay_burst = 64;

    /// What other cores have received for this one.
    std::size_t collect(std::span<rte_mbuf*> out) noexcept;
    /// Keeps this core's frames, at the front, and hands over the others. Returns how many were kept.
    std::size_t steer(std::span<rte_mbuf*> frames) noexcept;
    void judge(const rte_mbuf& frame, std::uint32_t hash) noexcept;
    void hand_over(unsigned core) noexcept;
    /// Sends what cores without a queue want sent.
    void relay() noexcept;

    Steering& steering_;
    const ip::FlowOwners& owners_;
    unsigned core_;
    Wire* queue_;
    bool believed_ = false;
    Bell::Set rung_{};                             // mailboxes that may hold frames
    unsigned next_rung_ = 0;                       // where the last call stopped
    std::vector<std::vector<rte_mbuf*>> batches_;  // by core: found in the present burst
    std::vector<unsigned> touched_;                // whose batch is not empty
    std::vector<unsigned> charges_;                // cores without a queue that send by ours
    std::vector<rte_mbuf*> relayed_;               // [first, last) has not been taken by the queue yet
    std::size_t relay_first_ = 0, relay_last_ = 0;
    std::bitset<1024> seen_;  // hashes, while the queue is unproven
    std::size_t agreed_ = 0;
    Counters counters_;
};

}  // namespace runnel::port
