#include "runnel/runtime/shared_port.hpp"

#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <rte_ethdev.h>

#include "runnel/ip/home_ports.hpp"

namespace runnel::runtime {

namespace {

/// What the stack receives from: news come before the frames of the same burst.
class NewsFirst final : public port::Wire {
  public:
    NewsFirst(port::Wire& wire, CoreNews& news) noexcept : wire_(wire), news_(news) {}

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        const std::size_t n = wire_.receive(out);
        if (n > 0) news_.deliver();
        return n;
    }
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        return wire_.send(frames);
    }

  private:
    port::Wire& wire_;
    CoreNews& news_;
};

}  // namespace

struct SharedPort::Seat {
    Seat(port::Steering& steering, NewsExchange& exchange,
         const std::shared_ptr<const ip::FlowOwners>& owners, unsigned core, port::Wire* queue)
        : steered(steering, core, queue),
          news(exchange, core),
          wire(steered, news),
          home_ports(std::make_shared<const ip::HomePorts>(owners, static_cast<std::uint16_t>(core))) {}

    port::SteeredWire steered;
    CoreNews news;
    NewsFirst wire;
    std::shared_ptr<const ip::HomePorts> home_ports;
};

namespace {

unsigned checked(unsigned cores) {
    if (cores == 0 || cores > Bell::most_cores)
        throw std::invalid_argument(
            fmt::format("cores: {} cannot share a port; give 1 to {}", cores, Bell::most_cores));
    return cores;
}

}  // namespace

SharedPort::SharedPort(port::Port& port, unsigned cores, Datagrams datagrams)
    : cores_(checked(cores)), groups_(std::make_unique<PortGroups>(port, cores)), group_tasks_(cores) {
    for (std::uint16_t i = 0; i < port.queue_count(); ++i) queues_.push_back(&port.queue(i));
    if (cores_ == 1) return;
    if (queues_.size() < cores_) {
        reason_ = fmt::format("the port has {} queue{} for {} cores", queues_.size(),
                              queues_.size() == 1 ? "" : "s", cores_);
        join(std::make_shared<const ip::FlowOwners>(ip::FlowOwners::evenly(cores_)), false);
        return;
    }
    port::RssRule rule = port::rss_rule(port);
    reason_ = std::move(rule.lack);
    if (rule.owners) {
        std::uint64_t needed = RTE_ETH_RSS_NONFRAG_IPV4_UDP;
        if (rule.owners->toeplitz().hashes_ipv6()) needed |= RTE_ETH_RSS_NONFRAG_IPV6_UDP;
        const bool hashed = (port.rss()->hashed & needed) == needed;
        join(std::move(rule.owners), true, datagrams);
        datagrams_come_home_ = hashed || datagrams == Datagrams::steered;
    } else
        join(std::make_shared<const ip::FlowOwners>(ip::FlowOwners::evenly(cores_)), false);
}

SharedPort::SharedPort(const std::vector<port::Wire*>& queues, unsigned cores)
    : cores_(checked(cores)), queues_(queues), reason_("the wire has no RSS") {
    if (cores_ == 1) return;
    join(std::make_shared<const ip::FlowOwners>(ip::FlowOwners::evenly(cores_)), false);
}

SharedPort::~SharedPort() = default;

void SharedPort::join(std::shared_ptr<const ip::FlowOwners> owners, bool port_steers, Datagrams datagrams) {
    if (queues_.size() > cores_) queues_.resize(cores_);
    owners_ = std::move(owners);
    steering_ = std::make_unique<port::Steering>(
        owners_, port::Steering::Options{.cores = cores_,
                                         .queues = static_cast<unsigned>(queues_.size()),
                                         .port_steers = port_steers,
                                         .datagrams = datagrams == Datagrams::steered});
    news_ = std::make_unique<NewsExchange>(owners_, cores_);
    for (unsigned core = 0; core < cores_; ++core)
        seats_.push_back(std::make_unique<Seat>(*steering_, *news_, owners_, core,
                                                core < queues_.size() ? queues_[core] : nullptr));
}

std::size_t SharedPort::memory_needed(unsigned cores, unsigned queues) {
    if (cores <= 1) return 0;
    return port::Steering::memory_needed({.cores = cores, .queues = queues});
}

void SharedPort::configure(unsigned core, StackConfig& config) const {
    if (cores_ == 1) return;
    config.tcp.home_ports = seats_[core]->home_ports;
    if (datagrams_come_home_) config.udp.home_ports = seats_[core]->home_ports;
    config.ip.peers = &seats_[core]->news;
    config.ip.place = {.core = static_cast<std::uint16_t>(core), .count = static_cast<std::uint16_t>(cores_)};
}

port::Wire& SharedPort::wire(unsigned core) noexcept {
    return cores_ == 1 ? *queues_[0] : static_cast<port::Wire&>(seats_[core]->wire);
}

void SharedPort::attach(unsigned core, Stack& stack, PollLoop& loop) {
    if (groups_) {
        group_tasks_[core] = std::make_unique<GroupTask>(*groups_, core, stack);
        loop.add(*group_tasks_[core]);
    }
    if (cores_ == 1) return;
    seats_[core]->news.attach(stack);
    loop.add(seats_[core]->news);
}

port::Steerer SharedPort::steerer() const noexcept {
    return steering_ ? steering_->steerer() : port::Steerer::port;
}

std::string SharedPort::description() const {
    if (cores_ == 1) return "one core has the port";
    switch (steering_->steerer()) {
        case port::Steerer::unproven:
            return "the port steers by RSS, which too few connections have proven yet: the cores look at "
                   "every frame";
        case port::Steerer::port:
            return "the port steers by RSS, proven on every queue";
        case port::Steerer::software:
            break;
    }
    return fmt::format(
        "the cores steer in software: {}",
        steering_->distrust() == port::Distrust::asked
            ? reason_
            : fmt::format("the port's RSS is not believed, as {}", to_string(steering_->distrust())));
}

Snapshot SharedPort::counters() const noexcept {
    Snapshot sum;
    for (const auto& seat : seats_) {
        sum += seat->steered.counters();
        sum += seat->news.counters();
    }
    return sum;
}

}  // namespace runnel::runtime
