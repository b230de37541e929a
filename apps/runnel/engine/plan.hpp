// From what is asked for to what it takes: addresses, tables, packets, memory. Arithmetic only, done before
// anything starts, so that what cannot work is said in a sentence with the figure needed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/addresses.hpp"
#include "engine/attack.hpp"
#include "engine/behaviour.hpp"
#include "engine/client.hpp"
#include "engine/profile.hpp"
#include "engine/recipe.hpp"

namespace runnel::load {

/// A set-up that cannot work; the message names the setting, its value and the mend.
struct BadPlan : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// What a person asks of a generator.
struct Traffic {
    Recipe recipe = Recipe::crr;
    /// Connections a second over all cores, or of `rr` and `http` that keep theirs, transactions; nothing:
    /// max.
    std::optional<std::uint64_t> rate;
    std::optional<std::uint64_t> connections;  ///< in all; `hold` needs it; `rr` keeps 2000 else, `stream` 1
    /// On each connection: of `hold` at random, once all are open; of `rr` and `http` one after the other,
    /// and then it ends. 0: none of `hold`, no end of `rr` and `http`.
    std::uint32_t transactions = 0;
    Direction direction = Direction::to_server;  ///< of `stream`
    bool copies = false;                         ///< of `stream`: each octet is copied when it is sent
    std::uint32_t window = 0;  ///< open at once a client core; 0: 512 at max, 8192 with a rate
    Duration duration = 5s;
    Duration ramp = 500ms;
    Duration drain = 3s;
    /// Nothing: 100 ms, and 10 s where the rate is that of transactions: a target that stalls is not to look
    /// as if the generator did.
    std::optional<Duration> max_lag{};
    std::uint32_t time_wait_table = 1U << 20;  ///< connections in TIME-WAIT that a core keeps, at most
    tcp::Config tcp{};                         ///< settings of the protocol; the capacities are planned here

    /// In place of `rate`, which is nothing then: what it is over the measured window.
    std::optional<LoadProfile> profile{};
    ArrivalProcess arrivals = ArrivalProcess::even;
    std::uint64_t seed = 1;  ///< of what is drawn: arrivals, sizes, times, addresses. Keys are not
    Duration ramp_up{};      ///< before `ramp`: the rate climbs evenly from 0
    Duration ramp_down{};    ///< after the window, which is over: the rate falls evenly to 0
    /// So many connections stay open: with a rate the oldest is closed when there are more (`rst`, `fin`),
    /// without one the next is opened when there are fewer.
    std::optional<std::uint64_t> concurrency{};
    Transactions sizes{};  ///< of `rr`, `http` and `udp-rr`
    HttpTraffic http{};
    Duration reply_timeout = 1s;                               ///< of `udp-rr`: then a request counts as lost
    Distribution datagram_octets = Distribution::fixed(1400);  ///< of `udp-oneway`: data of a datagram
    /// Where nobody answers for so long the run ends; 0: never. By then three requests for the link address
    /// have had a second each, and the SYN has been sent three times.
    Duration give_up = 3100ms;
    bool blind = false;        ///< of `udp-oneway` to a server: whether it answers does not matter
    ServerBehaviour server{};  ///< of a server of ours
    std::vector<AttackTraffic> attacks{};  ///< behind the load
    std::vector<AddressRange> clients{};   ///< none: those planned for the rate
    std::vector<Servers> servers{};
    AddressChoice choice = AddressChoice::sequential;
    std::vector<Network> allowed_targets{};  ///< beside those of `is_test_address`
};

/// What one client core, and one server core, need of it.
struct CorePlan {
    ClientOptions client;  ///< all but addresses and request
    tcp::Config client_tcp;
    tcp::Config server_tcp;
    std::uint32_t client_sockets = 1024;  ///< udp::Config::sockets
    std::uint32_t server_flows = 0;       ///< of datagrams, which a server core tells apart
    std::uint32_t client_addresses = 1;   ///< for which the ports suffice
    std::uint32_t mbufs = 0;              ///< of this core and its peer
    unsigned sharers = 1;  ///< client cores that share the addresses, each with its part of their ports
};

/// Source ports of an address that a core may take where `sharers` cores share it.
[[nodiscard]] std::uint32_t ports_per_address(const tcp::Config& tcp, unsigned sharers = 1) noexcept;

/// Address and port pairs that the client of one core needs towards one server, at `rate` a second (nothing:
/// max). Where the client keeps TIME-WAIT a pair is out of use for that time, or until the table recycles it.
[[nodiscard]] std::uint64_t pairs_needed(const Traffic& traffic, const ClientOptions& client,
                                         std::uint64_t time_wait_table) noexcept;

/// Whether connections of `rr` or `http` end after a number of transactions, and others are opened.
[[nodiscard]] constexpr bool comes_and_goes(const Traffic& traffic) noexcept {
    return transacts(traffic.recipe) && traffic.transactions > 0;
}
/// Whether the rate is that of transactions on connections that are kept; of `udp-rr` it always is.
[[nodiscard]] constexpr bool rates_transactions(const Traffic& traffic) noexcept {
    return transacts(traffic.recipe) && traffic.transactions == 0;
}

/// What is asked for a second, on the average of the measured window; nothing: max.
[[nodiscard]] std::optional<double> mean_rate(const Traffic& traffic);

/// Connections in all: those asked for, or what `rr` and `stream` take by themselves. Nothing: no end.
[[nodiscard]] std::optional<std::uint64_t> kept_connections(const Traffic& traffic, unsigned cores) noexcept;

/// The plan of core `index` of `cores` client cores, which have addresses of their own or share them. Throws
/// `BadPlan`.
[[nodiscard]] CorePlan plan_core(const Traffic& traffic, unsigned cores, unsigned index, bool shared = false);

/// Throws `BadPlan` where `given` client addresses have too few ports for the plan.
void check_addresses(const Traffic& traffic, const CorePlan& plan, std::uint32_t given);

/// What a run takes: of EAL, for packets and rings, and for the tables of stacks.
class MemoryPlan {
  public:
    /// Of a stack, which serves or connects, or both in turn.
    enum class Side : std::uint8_t { client, server };
    void add(Side side, const StackConfig& config);
    /// Packets, rings between cores and the like.
    void add_packets(std::size_t octets) noexcept { packets_ += octets; }
    /// What the process takes for itself, outside EAL's memory: it counts in `check` alone.
    void add_heap(std::size_t octets) noexcept { heap_ += octets; }

    /// In MB, with what EAL itself and alignment take: all; and of that the tables, which lie in EAL's memory
    /// only where that has hugepages (`runtime::EalOptions::arrays_mb`).
    [[nodiscard]] std::size_t total_mb() const noexcept;
    [[nodiscard]] std::size_t tables_mb() const noexcept;

    /// Throws `BadPlan` where the machine has less than that available (`available_mb`; 0: not known), saying
    /// for what it is needed, how much is missing, and the mend.
    void check(std::size_t available_mb, const Traffic& traffic) const;
    /// What is about to be taken, for what and out of what, in a line for a person.
    [[nodiscard]] std::string describe(const Traffic& traffic, bool hugepages,
                                       std::size_t available_mb) const;

  private:
    struct Stacks {
        unsigned count = 0;
        std::array<tcp::MemoryUse, memory_use_count> uses{};
        [[nodiscard]] std::size_t octets() const noexcept;
    };
    std::array<Stacks, 2> sides_;
    std::size_t packets_ = 0, heap_ = 0;
};

}  // namespace runnel::load
