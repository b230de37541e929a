#include "world.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "family.hpp"
#include "sending_port.hpp"

namespace runnel::test {

World::World(std::uint64_t seed, const std::array<LinkConfig, 2>& links,
             const std::function<void(StackConfig&, int)>& adapt, bool static_neighbours)
    : tracing_(std::getenv("RUNNEL_TRACE") != nullptr) {
    for (int i = 0; i < 2; ++i) {
        const MacAddress mac{{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(1 + i)}};
        const MacAddress other{{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(2 - i)}};
        StackConfig config;
        ip::InterfaceConfig interface;
        interface.mac = mac;
        interface.address = address(i);
        config.ip.interfaces.push_back(interface);
        if (static_neighbours) config.ip.neighbours.push_back({address(1 - i), other, 0});
        config.ip.neighbour_capacity = 64;
        config.tcp.connections = 64;
        config.tcp.half_open = 64;
        config.tcp.time_wait = 256;
        config.tcp.receive_buffer = 64 * 1024;
        config.tcp.send_buffer = 64 * 1024;
        config.tcp.out_of_order_limit = 64 * 1024;
        config.transmit_queue = 1024;
        config.mbuf_stash = 128;
        config.mbuf_reserve = 16;
        config.secret = std::array<std::uint64_t, 2>{seed * 2 + static_cast<std::uint64_t>(i) + 1, ~seed};
        if (adapt) adapt(config, i);
        const auto at = static_cast<std::size_t>(i);
        ends_.push_back({std::make_unique<Stack>(spoken(config), mbuf_pool()), Invariants{mac, 1500},
                         Link{links[at], seed * 4 + at}, Instant{}});
    }
}

World::~World() = default;

void World::trace(const char* what, std::size_t which, const Frame& frame) const {
    std::fputs(fmt::format("{:.6f} {} {} {}:{} {} {}\n", std::chrono::duration<double>(now()).count(), which,
                           what, frame.segment.source ? frame.segment.source->port : 0,
                           frame.segment.destination ? frame.segment.destination->port : 0,
                           to_string(frame.segment), frame.problems)
                   .c_str(),
               stdout);
}

void World::pump() {
    std::array<rte_mbuf*, 32> burst{};
    for (End& end : ends_) {
        if (end.stalled_until > now_) continue;
        for (;;) {
            const std::size_t n = end.stack->transmit(burst);
            for (std::size_t i = 0; i < n; ++i) {
                std::vector<Octets> frames = frames_of(*burst[i]);
                rte_pktmbuf_free(burst[i]);
                for (Octets& octets : frames) {
                    const Frame frame = decode(octets);
                    if (tracing_) trace(">", static_cast<std::size_t>(&end - ends_.data()), frame);
                    const std::string wrong = end.invariants.sent(frame);
                    if (!wrong.empty() && problems_.size() < 5)
                        problems_.push_back(fmt::format("{:.6f} s: {}sent {}",
                                                        std::chrono::duration<double>(now()).count(), wrong,
                                                        to_string(frame.segment)));
                    end.out.send(std::move(octets), now_);
                }
            }
            if (n < burst.size()) break;
        }
    }
}

Instant World::next_event() {
    Instant next = calls_.empty() ? never : calls_.begin()->first;
    for (std::size_t i = 0; i < 2; ++i) {
        const Instant own = std::min(ends_[i].stack->next_deadline(), ends_[1 - i].out.next_arrival());
        if (own != never) next = std::min(next, std::max(own, ends_[i].stalled_until));
    }
    return next;
}

void World::serve(std::size_t which) {
    End& end = ends_[which];
    if (end.stalled_until > now_) return;
    Link& in = ends_[1 - which].out;
    std::vector<rte_mbuf*> burst;
    while (in.next_arrival() <= now_) {
        const Octets octets = in.take();
        const Octets whole = end.rejoining.add(octets);
        if (!whole.empty()) {
            const Frame frame = decode(whole);
            if (tracing_) trace("<", which, frame);
            end.invariants.received(frame);
        }
        burst.push_back(to_mbuf(octets));
    }
    if (!burst.empty()) end.stack->receive(burst, now_);
    end.stack->advance(now_);
}

bool World::step() {
    pump();
    const Instant next = next_event();
    if (next == never) return false;
    if (next > now_) {
        now_ = next;
        idle_steps_ = 0;
    } else if (++idle_steps_ > 10000) {
        if (problems_.size() < 5) problems_.push_back("time does not move on: a deadline stays in the past");
        return false;
    }
    while (!calls_.empty() && calls_.begin()->first <= now_) {
        const auto call = std::move(calls_.begin()->second);
        calls_.erase(calls_.begin());
        for (End& end : ends_)
            if (end.stalled_until <= now_) end.stack->advance(now_);
        call();
    }
    for (std::size_t i = 0; i < 2; ++i) serve(i);
    pump();
    return true;
}

bool World::run(const std::function<bool()>& done, Duration limit) {
    while (!done()) {
        if (now() > limit || !step()) return done();
    }
    return true;
}

bool World::drain(Duration limit) {
    while (now() <= limit)
        if (!step()) return problems_.empty() || next_event() == never;
    return false;
}

void World::stall(int which, Duration until) {
    ends_[static_cast<std::size_t>(which)].stalled_until = Instant{} + until;
}

}  // namespace runnel::test
