// Software steering: what the cores of one port share, so that the frames of each connection, and of each
// flow of UDP, reach the core that owns it although the port brings them to another.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <rte_ring.h>

#include "runnel/base/bell.hpp"
#include "runnel/base/eal_memory.hpp"
#include "runnel/ip/flow_owners.hpp"

namespace runnel::port {

/// Who brings frames to the core that owns their flow.
enum class Steerer : std::uint8_t {
    unproven,  ///< the port should; each core still looks at every frame, and hands over what is not its own
    port,  ///< every queue has shown that it brings what it should; a frame of each burst is still looked at
    software,  ///< the cores
};

/// Why the port does not.
enum class Distrust : std::uint8_t {
    none,
    asked,  ///< it was not asked to: no RSS, or fewer queues than cores
    hash,   ///< it gives with a frame another hash than the key makes of it
    queue,  ///< a frame came by another queue than the table says
};
/// In words, for a person: "it gives ...".
[[nodiscard]] std::string_view to_string(Distrust distrust) noexcept;

/// Mailboxes of frames between each pair of cores, and what is known of the port. Made and destroyed by a
/// control thread; each core uses it by its `SteeredWire`.
class Steering {
  public:
    struct Options {
        unsigned cores = 1;           ///< at most `Bell::most_cores`
        unsigned queues = 1;          ///< of the port: core i has queue i, further cores have none
        bool port_steers = false;     ///< the port claims to bring each frame to `owners`' core
        std::uint32_t frames = 1024;  ///< of a mailbox; a power of two, 64 to 65,536
        /// Flows of UDP have owners who need their datagrams. Not every port that is proven for TCP hashes
        /// the ports of UDP, so every frame is looked at for good; else it is trusted with both.
        bool datagrams = false;
    };

    /// Throws `std::invalid_argument` for an option out of range and `std::runtime_error` where EAL memory
    /// does not suffice.
    Steering(std::shared_ptr<const ip::FlowOwners> owners, const Options& options);
    /// Frees the frames that are still in mailboxes.
    ~Steering();
    Steering(const Steering&) = delete;
    Steering& operator=(const Steering&) = delete;

    /// Octets of EAL memory that it takes.
    [[nodiscard]] static std::size_t memory_needed(const Options& options) noexcept;

    /// From any thread.
    [[nodiscard]] Steerer steerer() const noexcept;
    [[nodiscard]] Distrust distrust() const noexcept { return distrust_.load(std::memory_order_relaxed); }
    /// Every frame is looked at, whoever steers.
    [[nodiscard]] bool datagrams() const noexcept { return datagrams_; }
    [[nodiscard]] unsigned cores() const noexcept { return cores_; }
    [[nodiscard]] unsigned queues() const noexcept { return queues_; }
    [[nodiscard]] const std::shared_ptr<const ip::FlowOwners>& owners() const noexcept { return owners_; }

  private:
    friend class SteeredWire;

    /// Frames received by core `from` that core `to` owns.
    [[nodiscard]] rte_ring* mailbox(unsigned from, unsigned to) noexcept { return ring(from * cores_ + to); }
    /// Frames to be sent by a core that has no queue: that of core `core % queues` takes them.
    [[nodiscard]] rte_ring* way_out(unsigned core) noexcept { return ring(cores_ * cores_ + core - queues_); }
    [[nodiscard]] rte_ring* ring(std::size_t number) noexcept {
        return reinterpret_cast<rte_ring*>(memory_.data() + number * ring_octets_);
    }
    void lose_trust(Distrust why) noexcept;

    std::shared_ptr<const ip::FlowOwners> owners_;
    unsigned cores_, queues_;
    bool datagrams_;
    std::size_t ring_octets_;
    EalArray<std::byte> memory_;
    std::vector<Bell> bells_;  // by core
    std::atomic<Distrust> distrust_;
    alignas(64) std::atomic<unsigned> proven_{0};  // queues
};

}  // namespace runnel::port
