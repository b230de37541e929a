// One port, one address, many cores: what each core's stack is told, and the wire and the tasks that it gets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/ip/flow_owners.hpp"
#include "runnel/port/port.hpp"
#include "runnel/port/steered_wire.hpp"
#include "runnel/port/steering.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/runtime/core_news.hpp"
#include "runnel/runtime/poll_loop.hpp"
#include "runnel/runtime/port_groups.hpp"
#include "runnel/runtime/statistics.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::runtime {

/// Joins cores with the queues of a port. Each core has a stack of its own, and all stacks have the same
/// addresses; a connection belongs to the core that `ip::FlowOwners` names, who answers for it on its own.
/// The port brings frames to their owners by RSS where it can and is proven to, else the cores steer in
/// software.
///
/// A datagram of UDP belongs to the core that is named for its addresses and ports likewise, so a server
/// binds its port on each core. Where RSS steers, that holds of datagrams only if the port hashes their ports
/// too, or where they are asked for (`Datagrams::steered`).
///
/// With one core it is nothing: the wire is the port's queue.
class SharedPort {
  public:
    /// What becomes of UDP where the port steers.
    enum class Datagrams : std::uint8_t {
        as_they_come,  ///< a server's, of whom each core can answer: no frame is looked at
        steered,       ///< a client's, or those that a server counts by flow: each frame is looked at
    };

    /// `port` is not owned and outlives this. Cores beyond its queues have none. Throws
    /// `std::invalid_argument` where `cores` is 0 or above `Bell::most_cores`, `std::runtime_error` where EAL
    /// memory does not suffice. From a control thread.
    SharedPort(port::Port& port, unsigned cores, Datagrams datagrams = Datagrams::as_they_come);
    /// The same for wires that stand for the queues of a port without RSS, one or more.
    SharedPort(const std::vector<port::Wire*>& queues, unsigned cores);
    ~SharedPort();
    SharedPort(const SharedPort&) = delete;
    SharedPort& operator=(const SharedPort&) = delete;

    /// Octets of EAL memory that it takes.
    [[nodiscard]] static std::size_t memory_needed(unsigned cores, unsigned queues);

    /// Before core `core` makes its stack: which ports it opens from, and whom it tells what it hears.
    void configure(unsigned core, StackConfig& config) const;
    /// What the stack receives from and sends to. Lives as long as this.
    [[nodiscard]] port::Wire& wire(unsigned core) noexcept;
    /// After the stack was made: it hears what other cores tell, and the port is told which groups it wants.
    /// The wire is added by the caller, who may decorate it.
    void attach(unsigned core, Stack& stack, PollLoop& loop);

    /// How many cores it joins.
    [[nodiscard]] unsigned core_count() const noexcept { return cores_; }
    [[nodiscard]] port::Steerer steerer() const noexcept;
    /// One line for a person: who steers, and why. It may change while the cores run; from any thread.
    [[nodiscard]] std::string description() const;
    /// What was handed over and passed on between cores, and dropped on the way. From any thread.
    [[nodiscard]] Snapshot counters() const noexcept;

  private:
    struct Seat;
    void join(std::shared_ptr<const ip::FlowOwners> owners, bool port_steers,
              Datagrams datagrams = Datagrams::as_they_come);

    unsigned cores_;
    std::vector<port::Wire*> queues_;
    std::string reason_;               // why the port does not steer, where that is known from the start
    bool datagrams_come_home_ = true;  // each to the core that owns its flow
    std::shared_ptr<const ip::FlowOwners> owners_;
    std::unique_ptr<port::Steering> steering_;  // none with one core
    std::unique_ptr<NewsExchange> news_;
    std::vector<std::unique_ptr<Seat>> seats_;
    std::unique_ptr<PortGroups> groups_;                   // none with wires
    std::vector<std::unique_ptr<GroupTask>> group_tasks_;  // by core
};

}  // namespace runnel::runtime
