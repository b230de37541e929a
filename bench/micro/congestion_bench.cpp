// What one ACK costs in each congestion control, beside the call alone.
#include <cstdint>
#include <memory>

#include <benchmark/benchmark.h>

#include "runnel/tcp/congestion/control.hpp"

namespace {

using namespace runnel;
using namespace runnel::tcp;

constexpr std::uint32_t mss = 1448;

struct Sender {
    std::uint32_t cwnd = 1000 * mss;
    std::uint32_t ssthresh = 0x7fff'ffff;
    std::uint32_t delivered = 0;
    AckSample ack;

    CongestionWindow window() noexcept {
        return {.cwnd = cwnd, .ssthresh = ssthresh, .mss = mss, .initial = 10 * mss, .srtt_us = 40'000};
    }
    /// The next ACK of two segments, on a path of 40 ms that is full.
    void next() noexcept {
        delivered += 2 * mss;
        ack.now += 80us;
        ack.delivered = ack.acknowledged = 2 * mss;
        ack.flight_before = cwnd;
        ack.flight = cwnd - 2 * mss;
        ack.rtt_us = 40'000;
        ack.snd_una = SeqNum{delivered};
        ack.snd_nxt = SeqNum{delivered + cwnd};
        ack.total_delivered = delivered;
        ack.prior_delivered = delivered - 1000 * mss;
        ack.rate_delivered = 1000 * mss;
        ack.rate_interval_us = 40'000;
    }
};

// The window is set back to where it was, so that each ACK meets the same phase.
void acknowledge(benchmark::State& run, CongestionAlgorithm algorithm, bool slow_start) {
    Sender sender;
    CongestionState state;
    with_congestion_control(algorithm, state, [](auto, auto& part) noexcept { std::construct_at(&part); });
    benchmark::DoNotOptimize(algorithm);
    const std::uint32_t cwnd = sender.cwnd;
    if (!slow_start) {
        with_congestion_control(algorithm, state, [&](auto control, auto& part) noexcept {
            sender.ssthresh =
                control.ssthresh_after_loss(part, sender.window(), cwnd, sender.ack.now, Reduction::loss);
        });
        sender.cwnd = sender.ssthresh = cwnd;
    }
    for (auto _ : run) {
        sender.next();
        with_congestion_control(algorithm, state, [&](auto control, auto& part) noexcept {
            control.acknowledged(part, sender.window(), sender.ack);
        });
        benchmark::DoNotOptimize(sender.cwnd);
        sender.cwnd = cwnd;
    }
}

void none(benchmark::State& run) {
    acknowledge(run, CongestionAlgorithm::none, true);
}
void newreno_slow_start(benchmark::State& run) {
    acknowledge(run, CongestionAlgorithm::newreno, true);
}
void newreno_avoidance(benchmark::State& run) {
    acknowledge(run, CongestionAlgorithm::newreno, false);
}
void cubic_slow_start_hystart(benchmark::State& run) {
    acknowledge(run, CongestionAlgorithm::cubic, true);
}
void cubic_avoidance(benchmark::State& run) {
    acknowledge(run, CongestionAlgorithm::cubic, false);
}
void bbr(benchmark::State& run) {
    acknowledge(run, CongestionAlgorithm::bbr, true);
}

// A loss and the ACK after it, which begins an epoch: with CUBIC's cube root.
void reduce(benchmark::State& run, CongestionAlgorithm algorithm) {
    Sender sender;
    CongestionState state;
    with_congestion_control(algorithm, state, [](auto, auto& part) noexcept { std::construct_at(&part); });
    benchmark::DoNotOptimize(algorithm);
    const std::uint32_t cwnd = sender.cwnd;
    for (auto _ : run) {
        with_congestion_control(algorithm, state, [&](auto control, auto& part) noexcept {
            sender.ssthresh =
                control.ssthresh_after_loss(part, sender.window(), cwnd, sender.ack.now, Reduction::loss);
            sender.cwnd = sender.ssthresh;
            sender.next();
            control.acknowledged(part, sender.window(), sender.ack);
        });
        benchmark::DoNotOptimize(sender.cwnd);
        sender.cwnd = cwnd;
    }
}
void newreno_reduction(benchmark::State& run) {
    reduce(run, CongestionAlgorithm::newreno);
}
void cubic_reduction(benchmark::State& run) {
    reduce(run, CongestionAlgorithm::cubic);
}

BENCHMARK(none);
BENCHMARK(newreno_slow_start);
BENCHMARK(newreno_avoidance);
BENCHMARK(cubic_slow_start_hystart);
BENCHMARK(cubic_avoidance);
BENCHMARK(bbr);
BENCHMARK(newreno_reduction);
BENCHMARK(cubic_reduction);

}  // namespace

BENCHMARK_MAIN();
