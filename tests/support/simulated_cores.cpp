#include "simulated_cores.hpp"

#include <algorithm>
#include <cstring>

namespace runnel::test {

SimulatedWire::SimulatedWire(const Options& options) {
    a_.options_ = b_.options_ = options;
    a_.peer_ = &b_;
    b_.peer_ = &a_;
}

SimulatedWire::~SimulatedWire() {
    for (End* const end : {&a_, &b_}) {
        for (const End::Arriving& arriving : end->in_) rte_pktmbuf_free(arriving.frame);
        for (rte_mbuf* const frame : end->leaving_) rte_pktmbuf_free(frame);
    }
}

std::size_t SimulatedWire::End::receive(std::span<rte_mbuf*> out) noexcept {
    std::size_t n = 0;
    for (; n < out.size() && !in_.empty() && in_.front().when <= now_; ++n) {
        out[n] = in_.front().frame;
        in_.pop_front();
    }
    received_ += n;
    return n;
}

std::size_t SimulatedWire::End::send(std::span<rte_mbuf*> frames) noexcept {
    if (stuck_) return 0;
    std::size_t taken = 0;
    for (rte_mbuf* const frame : frames) {
        const bool elsewhere =
            peer_mac_ && std::memcmp(rte_pktmbuf_mtod(frame, const void*), peer_mac_->octets.data(), 6) != 0;
        const bool full = peer_->in_.size() + leaving_.size() >= options_.frames;
        if (elsewhere) {
            ++elsewhere_;
            rte_pktmbuf_free(frame);
        } else if (!full) {
            leaving_.push_back(frame);
        } else if (options_.when_full == WhenFull::drop) {
            ++dropped_;
            rte_pktmbuf_free(frame);
        } else {
            break;
        }
        ++taken;
    }
    sent_ += taken;
    return taken;
}

void SimulatedWire::End::inject(rte_mbuf* frame, Instant now) noexcept {
    if (in_.size() >= options_.frames) {
        ++dropped_;
        rte_pktmbuf_free(frame);
    } else {
        in_.push_back({now, frame});
    }
}

void SimulatedWire::End::turn_ends(Instant now) noexcept {
    for (rte_mbuf* const frame : leaving_) peer_->in_.push_back({now, frame});
    leaving_.clear();
}

SimulatedCore::SimulatedCore(const CoreCosts& costs, const runtime::PollLoopOptions& options)
    : costs_(costs), loop_(std::make_unique<runtime::PollLoop>(options, runtime::Clock{1'000'000'000, 0})) {}

void SimulatedCore::add(Stack& stack, SimulatedWire::End& end) {
    loop_->add(stack, end);
    ends_.push_back(&end);
}

std::uint64_t SimulatedCore::received() const noexcept {
    std::uint64_t sum = 0;
    for (const SimulatedWire::End* const end : ends_) sum += end->received();
    return sum;
}

std::uint64_t SimulatedCore::sent() const noexcept {
    std::uint64_t sum = 0;
    for (const SimulatedWire::End* const end : ends_) sum += end->sent();
    return sum;
}

void SimulatedCore::turn() {
    const Instant now = ready_;
    const auto in = static_cast<Duration::rep>(received());
    const auto out = static_cast<Duration::rep>(sent());
    for (SimulatedWire::End* const end : ends_) end->turn_begins(now);
    for (const auto& call : before_) call(now);
    const bool worked = loop_->turn(now);
    const Duration took = costs_.turn + costs_.received * (static_cast<Duration::rep>(received()) - in) +
                          costs_.sent * (static_cast<Duration::rep>(sent()) - out);
    if (worked) busy_ += took;
    idle_turns_ = worked ? 0 : idle_turns_ + 1;
    ready_ = now + (idle_turns_ < 100 ? took : 10 * took);
    for (SimulatedWire::End* const end : ends_) end->turn_ends(ready_);
    while (!stalls_.empty() && stalls_.begin()->first <= ready_) {
        ready_ += stalls_.begin()->second;
        stalls_.erase(stalls_.begin());
    }
}

bool CoreSchedule::run_until(Instant end, const std::function<bool()>& done) {
    for (;;) {
        SimulatedCore* const core = *std::ranges::min_element(cores_, {}, &SimulatedCore::ready);
        const Instant next = calls_.empty() ? never : calls_.begin()->first;
        if (std::min(core->ready(), next) >= end) {
            now_ = end;
            return done && done();
        }
        if (next <= core->ready()) {
            now_ = next;
            const auto call = std::move(calls_.begin()->second);
            calls_.erase(calls_.begin());
            call();
            continue;
        }
        now_ = core->ready();
        core->turn();
        if (done && done()) return true;
    }
}

}  // namespace runnel::test
