// BBR version 1 over a bottleneck in virtual time.
#include "runnel/tcp/congestion/bbr.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "runnel/tcp/congestion/cubic.hpp"

#include "congestion_path.hpp"
#include "seed.hpp"

namespace runnel::tcp {
namespace bbr_test {

using test::PathOptions;
using BbrPath = test::Path<Bbr>;
using Mode = Bbr::Mode;

constexpr double megabit = 1e6 / 8;

/// What is delivered in `span`, as a share of what the bottleneck could carry.
double utilisation(BbrPath& path, Duration span) {
    const std::uint64_t before = path.delivered;
    path.run(span);
    return static_cast<double>(path.delivered - before) /
           (path.options.rate * std::chrono::duration<double>(span).count());
}

TEST(Bbr, ConvergesToTheRateAndTheRoundTripTimeOfThePath) {
    for (const double rate : {1 * megabit, 20 * megabit, 400 * megabit})
        for (const Duration rtt : {Duration{2ms}, Duration{40ms}, Duration{150ms}}) {
            BbrPath path({.rate = rate, .rtt = rtt, .buffer = 64U << 20, .seed = test::seed()});
            const Duration serialisation{static_cast<std::int64_t>(BbrPath::mss / rate * 1e9)};
            path.run(35 * rtt + 100 * serialisation + 300ms);
            EXPECT_NEAR(path.state.bottleneck_rate.best() / rate, 1, 0.1)
                << rate << " octets/s, " << rtt.count() << " ns";
            EXPECT_GE(path.state.rtprop_us, rtt / 1us);
            EXPECT_LE(path.state.rtprop_us, (rtt + rtt / 10 + 2 * serialisation) / 1us);
            EXPECT_EQ(path.state.mode, Mode::probe_bw);
            // All within ten seconds: no probe for the round trip yet.
            EXPECT_GT(utilisation(path, std::max<Duration>(1s, 20 * rtt)), 0.93);
        }
}

TEST(Bbr, StartUpDoublesInARoundAndTheQueueItLeavesIsDrained) {
    BbrPath path({.rate = 100 * megabit, .rtt = 40ms, .buffer = 64U << 20});
    double most = 0;
    std::set<Mode> modes;
    path.observe = [&](const AckSample&) {
        modes.insert(path.state.mode);
        most = std::max(most, path.queue());
    };
    path.run(280ms);  // 345 segments from 10 on take five rounds and more
    EXPECT_GT(path.state.bottleneck_rate.best(), 0.5F * static_cast<float>(path.options.rate));
    path.run(720ms);
    EXPECT_EQ(modes, (std::set{Mode::startup, Mode::drain, Mode::probe_bw}));
    EXPECT_GT(most, path.bandwidth_delay()) << "start-up had filled the path twice over";
    most = 0;
    path.run(3s);
    EXPECT_LT(most, path.bandwidth_delay() / 2) << "only the probing phase queues";
    EXPECT_EQ(path.dropped, 0U);
}

TEST(Bbr, GainsGoRoundInEightPhasesOfARoundTripEach) {
    BbrPath path({.rate = 50 * megabit, .rtt = 50ms});
    path.run(2s);
    ASSERT_EQ(path.state.mode, Mode::probe_bw);
    std::uint8_t last = path.state.cycle_index;
    int phases = 0, probes = 0;
    path.observe = [&](const AckSample&) {
        if (path.state.cycle_index == last) return;
        EXPECT_EQ(path.state.cycle_index, (last + 1) % 8);
        last = path.state.cycle_index;
        ++phases;
        probes += last == 0 ? 1 : 0;
    };
    path.run(4s);
    EXPECT_GE(phases, 60);
    EXPECT_LE(phases, 80);
    EXPECT_GE(probes, 7);
}

TEST(Bbr, FirstPhaseIsChosenByTheTimeAndIsNeverTheDrainingOne) {
    std::set<int> first;
    for (int i = 0; i < 60; ++i) {
        BbrPath path({.rate = 20 * megabit, .rtt = 10ms, .begin = Instant{i * 1234567ns}});
        int phase = -1;
        path.observe = [&](const AckSample&) {
            if (phase < 0 && path.state.mode == Mode::probe_bw) phase = path.state.cycle_index;
        };
        path.run(1s);
        first.insert(phase);
    }
    EXPECT_EQ(first, (std::set{0, 2, 3, 4, 5, 6, 7}));
}

TEST(Bbr, MeasuresTheRoundTripAnewEveryTenSeconds) {
    BbrPath path({.rate = 20 * megabit, .rtt = 40ms});
    // A competitor that comes and never goes: without a probe the round trip would never be seen as short
    // again.
    path.run(5s);
    path.options.rtt = 60ms;
    int probes = 0;
    std::uint32_t least_window = ~0U;
    Mode before = path.state.mode;
    Duration spent{};
    Instant entered{};
    path.observe = [&](const AckSample& ack) {
        if (path.state.mode == Mode::probe_rtt) {
            if (before != Mode::probe_rtt) {
                ++probes;
                entered = ack.now;
            }
            least_window = std::min(least_window, path.cwnd);
        } else if (before == Mode::probe_rtt) {
            spent += ack.now - entered;
            path.options.rtt += 1ms;
            EXPECT_GT(path.cwnd, path.bandwidth_delay()) << "the window is given back";
        }
        before = path.state.mode;
    };
    path.run(45s);
    EXPECT_GE(probes, 3);
    EXPECT_LE(probes, 5);
    EXPECT_EQ(least_window, 4 * BbrPath::mss);
    EXPECT_GE(spent, probes * 200ms);
    EXPECT_LE(spent, probes * 450ms);
    EXPECT_NEAR(path.state.rtprop_us, static_cast<double>(path.options.rtt / 1us), 2'000)
        << "the longer path is believed";
}

TEST(Bbr, RandomLossDoesNotBringItDown) {
    for (const double loss : {0.01, 0.05}) {
        const PathOptions options{.rate = 50 * megabit, .rtt = 40ms, .loss = loss, .seed = test::seed()};
        BbrPath path(options);
        path.run(3s);
        EXPECT_GT(utilisation(path, 15s), 0.85) << "loss " << loss;
        EXPECT_GT(path.reductions, 10U);
        EXPECT_NEAR(path.state.bottleneck_rate.best() / path.options.rate, 1, 0.1);

        test::Path<Cubic> cubic(options);
        cubic.run(18s);
        EXPECT_LT(cubic.delivered, path.delivered / 4) << "which CUBIC cannot do, nor should";
    }
}

TEST(Bbr, ShallowBufferDoesNotBringItDown) {
    BbrPath path({.rate = 50 * megabit, .rtt = 40ms, .buffer = 50'000});  // a fifth of the path
    path.run(3s);
    EXPECT_GT(path.dropped, 0U);
    EXPECT_GT(utilisation(path, 10s), 0.85);
}

TEST(Bbr, RecoveryBeginsWithAsMuchAsIsDeliveredAndEndsWithTheWindowThatWas) {
    BbrPath path({.rate = 50 * megabit, .rtt = 40ms});
    path.run(2s);
    ASSERT_EQ(path.reductions, 0U);
    path.options.loss = 0.3;
    while (path.reductions == 0) path.run(1ms);
    EXPECT_TRUE(path.state.packet_conservation);
    EXPECT_LE(path.cwnd, path.flight + 2 * BbrPath::mss);
    const std::uint32_t saved = path.state.prior_cwnd;
    EXPECT_GT(saved, path.bandwidth_delay());
    path.options.loss = 0;
    path.run(200ms);
    EXPECT_FALSE(path.state.recovering);
    EXPECT_GE(path.cwnd, saved - 4 * BbrPath::mss);
}

TEST(Bbr, TimeoutIsFollowedByTheRateThatWas) {
    BbrPath path({.rate = 50 * megabit, .rtt = 40ms});
    path.run(3s);
    path.black_hole = true;
    path.run(1s);
    EXPECT_GE(path.timeouts, 1U);
    EXPECT_EQ(path.cwnd, BbrPath::mss);
    path.black_hole = false;
    path.run(1s);
    EXPECT_GT(utilisation(path, 3s), 0.9);
}

TEST(Bbr, SamplesOfASenderWithLittleToSendDoNotLowerTheEstimate) {
    BbrPath path({.rate = 50 * megabit, .rtt = 20ms});
    path.run(3s);
    path.application_rate = 1 * megabit;
    path.run(1s);  // 50 rounds: five times the length of the filter
    EXPECT_GT(path.state.bottleneck_rate.best() / path.options.rate, 0.9);
    path.application_rate = 0;
    EXPECT_GT(utilisation(path, 500ms), 0.9) << "and the rate is there at once";
}

TEST(Bbr, SlowerPathIsBelievedWithinTheLengthOfTheFilter) {
    BbrPath path({.rate = 50 * megabit, .rtt = 20ms});
    path.run(3s);
    path.options.rate = 10 * megabit;
    path.run(3s);
    EXPECT_NEAR(path.state.bottleneck_rate.best() / (10 * megabit), 1, 0.1);
    path.options.rate = 100 * megabit;
    path.run(5s);
    EXPECT_NEAR(path.state.bottleneck_rate.best() / (100 * megabit), 1, 0.1)
        << "and the faster one by probing";
}

TEST(Bbr, RestartFromIdlenessIsAtTheRateOfThePathAndWithoutAProbe) {
    BbrPath path({.rate = 50 * megabit, .rtt = 20ms});
    path.run(3s);
    path.application_rate = 1;
    path.run(30s);
    EXPECT_EQ(path.flight, 0U);
    path.application_rate = 0;
    bool probed = false;
    path.observe = [&](const AckSample&) { probed = probed || path.state.mode == Mode::probe_rtt; };
    path.run(20ms);
    EXPECT_NEAR(static_cast<double>(Bbr::pacing_rate(path.state, path.window())) / path.options.rate, 1, 0.3);
    EXPECT_GT(utilisation(path, 1s), 0.9);
    EXPECT_FALSE(probed) << "the ten seconds have passed while nothing was asked of the path";
}

TEST(Bbr, PacesFromTheFirstSegmentOn) {
    Bbr::State state{};
    std::uint32_t cwnd = 14480, ssthresh = 0x7fffffff;
    CongestionWindow window{.cwnd = cwnd, .ssthresh = ssthresh, .mss = 1448, .initial = 14480};
    EXPECT_NEAR(static_cast<double>(Bbr::pacing_rate(state, window)), 2.885 * 14'480'000, 1e4)
        << "as if in 1 ms";
    window.srtt_us = 100'000;
    EXPECT_NEAR(static_cast<double>(Bbr::pacing_rate(state, window)), 2.885 * 144'800, 1e2);
    window.srtt_us = ~0U;
    window.initial = 1;
    EXPECT_GT(static_cast<double>(Bbr::pacing_rate(state, window)), 0U);
}

TEST(Bbr, MarksOfCongestionAndUndoneReductionsLeaveTheWindow) {
    BbrPath path({.rate = 50 * megabit, .rtt = 20ms});
    path.run(2s);
    const std::uint32_t cwnd = path.cwnd;
    for (const Reduction why : {Reduction::congestion_marks, Reduction::loss, Reduction::time_out}) {
        Bbr::ssthresh_after_loss(path.state, path.window(), path.flight, path.now, why);
        EXPECT_EQ(path.state.recovering, why != Reduction::congestion_marks);
        if (why == Reduction::time_out) path.cwnd = BbrPath::mss;
        Bbr::undo(path.state, path.window());
        EXPECT_EQ(path.cwnd, cwnd);
        EXPECT_FALSE(path.state.recovering);
    }
}

TEST(Bbr, IsTheSameWhereDeliveredOctetsAndSequenceNumbersComeRound) {
    // 2^32 octets of deliveries would take long: they begin just before.
    const auto run = [](std::uint64_t delivered) {
        BbrPath path({.rate = 50 * megabit, .rtt = 20ms, .loss = 0.001, .seed = 7});
        path.delivered = delivered;
        path.run(10s);
        return std::pair{path.delivered - delivered, path.cwnd};
    };
    const auto expected = run(1U << 30);
    for (const std::uint64_t begin : {0xffff'0000ULL, 0x7fff'0000ULL, 0xfff0'0000ULL}) {
        const auto [delivered, cwnd] = run(begin);
        // The phase of the cycle in which it begins depends on the count.
        EXPECT_NEAR(static_cast<double>(delivered), static_cast<double>(expected.first),
                    0.03 * static_cast<double>(expected.first));
        EXPECT_NEAR(cwnd, expected.second, 0.3 * expected.second);
    }
}

}  // namespace bbr_test
}  // namespace runnel::tcp
