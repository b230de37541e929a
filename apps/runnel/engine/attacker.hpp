// Attackers: frames made beside the stack, at a rate of their own, on the wire that the stack uses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <rte_mempool.h>

#include "runnel/port/wire.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/addresses.hpp"
#include "engine/arrivals.hpp"
#include "engine/attack.hpp"
#include "engine/generator.hpp"

namespace runnel::load {

/// What became of the frames of an attack:
///
///     planned = sent + unsent
struct AttackCounts {
    AttackKind kind = AttackKind::syn_flood;
    double rate = 0;             ///< asked for, a second
    std::uint64_t planned = 0;   ///< came due
    std::uint64_t sent = 0;      ///< taken by the wire
    std::uint64_t unsent = 0;    ///< given up: too late, no memory, or the wire was full
    std::uint64_t answered = 0;  ///< of `half_open`: SYN-ACKs, which were not answered

    [[nodiscard]] std::int64_t residual() const noexcept {
        return static_cast<std::int64_t>(planned) - static_cast<std::int64_t>(sent + unsent);
    }
    AttackCounts& operator+=(const AttackCounts& other) noexcept {
        rate += other.rate;
        planned += other.planned;
        sent += other.sent;
        unsent += other.unsent;
        answered += other.answered;
        return *this;
    }
};

/// The attacks of one core. It stands between a stack and its wire: it learns the link's header from what the
/// stack sends to the target, so it asks the neighbour nothing of its own and takes VLAN and gateway as they
/// are; where the stack sends nothing there, a datagram to the discard port (RFC 863) has it do so. Frames
/// are in software complete: no offload is asked for.
///
/// The SYN-ACKs that `half_open` gets are kept from the stack, which would answer them with RST: they come to
/// ports below 1024, which no connection of ours uses. All calls on one thread.
class Attacker final : public port::Wire, public runtime::Task {
  public:
    struct Options {
        std::vector<AttackTraffic> attacks{};  ///< each with the rate of this core
        std::vector<AddressRange> clients{};   ///< our own addresses: sources of `half_open`
        std::vector<Servers> servers{};        ///< targets, of one next hop
        std::uint64_t seed = 1;
    };

    /// Nothing is owned. Allocates here only.
    Attacker(port::Wire& wire, rte_mempool* mbufs, const Options& options);

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override;
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override;

    /// The stack whose wire this is, and the client in whose measured window the attacks run: before the
    /// first poll.
    void attach(Stack& stack, const Generator& client) noexcept {
        stack_ = &stack;
        client_ = &client;
    }
    bool poll(Instant now) noexcept override;

    [[nodiscard]] const std::vector<AttackCounts>& counts() const noexcept { return counts_; }
    /// Whether it is known where frames to the target go.
    [[nodiscard]] bool ready() const noexcept { return link_size_ > 0; }

    /// Ports of `half_open`, and nobody else's.
    static constexpr PortRange half_open_ports{1, 1023};

  private:
    struct One {
        AttackTraffic traffic;
        AddressPicker picker;
        Arrivals arrivals;
    };
    static constexpr std::uint32_t burst = 32;

    void begin(Instant now) noexcept;
    void end(Instant now) noexcept;
    void learn(const rte_mbuf& frame) noexcept;
    [[nodiscard]] bool is_half_open_answer(const rte_mbuf& frame) const noexcept;
    rte_mbuf* make(One& one) noexcept;
    std::uint32_t launch(One& one, AttackCounts& counts, Instant now) noexcept;
    std::uint32_t random() noexcept;

    port::Wire& wire_;
    rte_mempool* mbufs_;
    Stack* stack_ = nullptr;
    const Generator* client_ = nullptr;
    std::vector<One> attacks_;
    std::vector<AttackCounts> counts_;
    IpAddress target_;
    std::array<std::byte, 22> link_{};  // Ethernet header, and up to two VLAN tags
    std::size_t link_size_ = 0;
    std::uint64_t link_flags_ = 0;  // a tag that the port inserts
    std::uint16_t link_tag_ = 0, link_port_ = 0;
    Instant next_question_{};
    bool running_ = false, over_ = false;
    bool paused_ = false;  // as the client is
    bool half_open_ = false;
    std::uint64_t random_;
};

}  // namespace runnel::load
