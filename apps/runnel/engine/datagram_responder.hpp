// The server of `udp-rr` and `udp-oneway`: answers requests, takes data and counts it by its numbers, and
// sends data to who has asked for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runnel/base/flow_table.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/datagram.hpp"
#include "engine/delays.hpp"
#include "engine/due_queue.hpp"
#include "engine/hears_arrivals.hpp"
#include "engine/paced_source.hpp"

namespace runnel::load {

/// What a responder has done, over all flows. Written on the stack's thread.
struct DatagramTotals {
    std::uint64_t datagrams_in = 0, octets_in = 0;          ///< requests and data, as they came
    std::uint64_t datagrams_out = 0, octets_out = 0;        ///< responses and data
    std::uint64_t answered = 0;                             ///< requests
    std::uint64_t lost = 0, duplicated = 0, reordered = 0;  ///< of what came, by its numbers
    std::uint64_t unsent = 0;   ///< responses and data for which there was no room, or that came due too late
    std::uint64_t strange = 0;  ///< no datagram of these recipes
    std::uint64_t untracked = 0;  ///< of flows for which the table had no room: not counted by number
    std::uint64_t refused = 0;    ///< data asked for with a wrong token, or when too many were asking

    DatagramTotals& operator+=(const DatagramTotals& other) noexcept;
};

/// Nobody gets more than he has proven to want: a response is at most three times its request (RFC 9000
/// section 8.1 has the same factor) or as long as the options allow; and data goes to those alone who have
/// returned a token that was sent to them, and say so again and again.
///
/// A flow is what has the same four of addresses and ports. One that nothing was heard of for a while gives
/// its place to another. All calls on the stack's thread; allocates when constructed, and for a schedule when
/// one is asked for by who holds a token.
class DatagramResponder final : public udp::Handler, public runtime::Task, public HearsArrivals {
  public:
    static constexpr std::uint32_t most_senders = 4096;
    struct Options {
        std::uint32_t flows = 16384;           ///< told apart at once
        std::uint32_t senders = most_senders;  ///< of these, that data is sent to
        std::uint32_t response_octets =
            most_datagram_v6;  ///< a response may be so long whatever its request is
        HashKey key{};         ///< secret of the run
    };
    static constexpr Duration silence = 1s;  ///< a client that is sent data says so this often, at least
    static constexpr Duration idle = 30s;    ///< after this a flow may give way
    static constexpr std::uint32_t most_held = 65'536;  ///< answers that wait for their time

    /// `stack` is not owned and outlives this, or is gone before anything comes. Throws as `FlowTable` does.
    DatagramResponder(Stack& stack, const Options& options);

    /// Octets of EAL memory, and of the heap, that it takes.
    [[nodiscard]] static std::size_t table_octets(std::uint32_t flows) noexcept {
        return FlowTable::bytes(flows);
    }
    [[nodiscard]] static std::size_t heap_octets(std::uint32_t flows) noexcept {
        return std::size_t{flows} * sizeof(Flow) + (std::size_t{1} << 20);
    }

    /// Answers requests late from now on.
    void behave(const ServerBehaviour& behaviour, std::uint64_t seed) {
        held_.emplace(behaviour, most_held, seed);
    }

    void arrived(Instant now) noexcept override { now_ = now; }
    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override;
    bool poll(Instant now) noexcept override;

    [[nodiscard]] const DatagramTotals& totals() const noexcept { return totals_; }

  private:
    static constexpr std::uint32_t none = FlowTable::none;
    struct Peer {
        IpAddress remote, local;
        std::uint16_t remote_port = 0, local_port = 0;
        friend bool operator==(const Peer&, const Peer&) noexcept = default;
    };
    struct Flow {
        Peer peer;
        std::uint16_t run = 0;
        bool in_use = false, ended = false;
        std::uint32_t hash = 0, sender = none;
        Instant heard{};
        SequenceTracker tracker;
        Jitter jitter;
        std::uint64_t octets_in = 0, answered = 0, unanswered = 0;
        std::uint64_t planned = 0, unsent = 0, sent = 0, octets_out = 0;  // of a sender that is gone
        double promised = 0;  // datagrams a second that it is sent, at most
    };
    struct Sender {
        Sender(const Pace& pace, std::uint32_t of, Instant now)
            : source(pace, now), sizes(pace.sizes), flow(of) {}
        PacedSource source;
        Distribution sizes;
        std::uint32_t flow;
        std::uint64_t sent = 0, octets = 0;
        std::uint64_t random = 1;
    };
    struct Answer {
        Peer peer;
        std::uint16_t run = 0;
        std::uint32_t number = 0, octets = 0;
    };

    [[nodiscard]] std::uint32_t hash_of(const Peer& peer) const noexcept;
    [[nodiscard]] std::uint64_t token_of(const Peer& peer, std::uint16_t run) const noexcept;
    [[nodiscard]] std::uint32_t find(const Peer& peer, std::uint16_t run) noexcept;
    [[nodiscard]] std::uint32_t find_or_add(const Peer& peer, std::uint16_t run) noexcept;
    void begin(Flow& flow, const Peer& peer, std::uint16_t run) noexcept;
    void count(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept;
    void start(Flow& flow, const DatagramHeader& header, rte_mbuf& payload) noexcept;
    void proceed(Flow& flow, std::uint32_t index) noexcept;
    void stop(Flow& flow) noexcept;
    void report(Flow& flow, std::uint64_t sent) noexcept;
    bool answer(const Answer& answer) noexcept;
    std::uint32_t send_data(Instant now) noexcept;
    bool send(const Peer& peer, const DatagramHeader& header, std::size_t octets) noexcept;
    [[nodiscard]] std::size_t room() const noexcept { return stack_.transmit_room(); }

    Stack& stack_;
    Options options_;
    FlowTable table_;
    std::vector<Flow> flows_;
    std::uint32_t used_ = 0, hand_ = 0;  // flows ever used; the next that may have to give way
    std::vector<std::unique_ptr<Sender>> senders_;
    std::vector<std::unique_ptr<Pace>> asked_;  // by flow's sender: what was asked for and has not begun
    std::vector<std::uint32_t> free_senders_;
    double promised_ = 0;          // datagrams a second, to all flows
    DueQueue<std::uint32_t> due_;  // senders
    std::optional<Delays<Answer>> held_;
    std::size_t held_count_ = 0;
    std::vector<std::byte> scratch_;  // the datagram that is being made: its head, and what fills it up
    Instant now_{};
    DatagramTotals totals_;
};

}  // namespace runnel::load
