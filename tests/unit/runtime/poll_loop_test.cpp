#include "runnel/runtime/poll_loop.hpp"

#include <array>
#include <deque>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::runtime {
namespace poll_loop_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Frames are counted, not looked at: any distinct addresses serve, and none is freed.
class Frames {
  public:
    rte_mbuf* next() { return &frames_[used_++ % frames_.size()]; }
    std::vector<rte_mbuf*> take(std::size_t count) {
        std::vector<rte_mbuf*> result;
        for (std::size_t i = 0; i < count; ++i) result.push_back(next());
        return result;
    }

  private:
    std::vector<rte_mbuf> frames_ = std::vector<rte_mbuf>(8192);
    std::size_t used_ = 0;
};

class FakeWire final : public port::Wire {
  public:
    std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        largest_receive = std::max(largest_receive, out.size());
        std::size_t n = 0;
        for (; n < out.size() && !arriving.empty(); ++n, arriving.pop_front()) out[n] = arriving.front();
        return n;
    }
    std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        const std::size_t n = std::min(frames.size(), room);
        sent.insert(sent.end(), frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(n));
        room -= n;
        return n;
    }

    std::deque<rte_mbuf*> arriving;
    std::vector<rte_mbuf*> sent;
    std::size_t room = SIZE_MAX;
    std::size_t largest_receive = 0;
};

class FakeEndpoint {
  public:
    void set_behind(bool is_behind) noexcept { behind += is_behind ? 'b' : '-'; }
    void receive(std::span<rte_mbuf* const> burst, Instant now) noexcept {
        received.insert(received.end(), burst.begin(), burst.end());
        steps += 'r';
        last = now;
    }
    void advance(Instant now) noexcept {
        ++advanced;
        told = now;
        steps += 'a';
        if (deadline <= now) deadline = never;
    }
    std::size_t transmit(std::span<rte_mbuf*> out) noexcept {
        ++asked;
        std::size_t n = 0;
        for (; n < out.size() && !leaving.empty(); ++n, leaving.pop_front()) out[n] = leaving.front();
        if (n > 0) steps += 't';
        return n;
    }
    Instant next_deadline() const noexcept { return deadline; }

    std::vector<rte_mbuf*> received;
    std::deque<rte_mbuf*> leaving;
    Instant deadline = never, last{}, told{};
    int advanced = 0, asked = 0;
    std::string steps, behind;
};

class FakeTask final : public Task {
  public:
    bool poll(Instant) noexcept override {
        ++polled;
        if (endpoint != nullptr) {
            endpoint->steps += 'p';
            acts_at = endpoint->told;
        }
        return work_left > 0 && work_left-- > 0;
    }
    bool poll_behind(Instant now) noexcept override {
        ++polled_behind;
        return poll(now);
    }
    void begin_drain(Instant) noexcept override {
        ++drains;
        work_left = drain_turns;
    }
    bool drained() const noexcept override { return work_left == 0; }

    FakeEndpoint* endpoint = nullptr;
    int polled = 0, polled_behind = 0, drains = 0, work_left = 0, drain_turns = 0;
    Instant acts_at{};  // what the endpoint takes for the present
};

using Loop = BasicPollLoop<FakeEndpoint>;

class PollLoopTurn : public testing::Test {
  protected:
    Clock clock{1'000'000'000, 0};
    Frames frames;
    FakeWire wire;
    FakeEndpoint endpoint;
    FakeTask task;
};

TEST_F(PollLoopTurn, ReceivesThenAdvancesThenPollsThenSends) {
    Loop loop{{}, clock};
    loop.add(endpoint, wire);
    loop.add(task);
    task.endpoint = &endpoint;
    wire.arriving.push_back(frames.next());
    endpoint.leaving.push_back(frames.next());
    EXPECT_TRUE(loop.turn(Instant{5s}));
    EXPECT_EQ(endpoint.steps, "rapt");
    EXPECT_EQ(endpoint.last, Instant{5s});
    EXPECT_EQ(wire.sent.size(), 1u);
}

TEST_F(PollLoopTurn, IsIdleWhereNothingArrivesNoTimerIsDueAndNoTaskWorks) {
    Loop loop{{}, clock};
    loop.add(endpoint, wire);
    loop.add(task);
    EXPECT_FALSE(loop.turn(Instant{1s}));
    task.work_left = 1;
    EXPECT_TRUE(loop.turn(Instant{1s}));
    EXPECT_FALSE(loop.turn(Instant{1s}));
}

TEST_F(PollLoopTurn, TellsAnIdleEndpointTheTimeBeforeATaskActsOnIt) {
    task.endpoint = &endpoint;
    Loop loop{{}, clock};
    loop.add(endpoint, wire);
    loop.add(task);
    for (const Instant now : {Instant{1s}, Instant{4s}, Instant{5s}}) {
        EXPECT_FALSE(loop.turn(now)) << "it is idle none the less";
        EXPECT_EQ(task.acts_at, now);
    }
}

TEST_F(PollLoopTurn, RunsATimerOnItsDeadlineAndNotBefore) {
    Loop loop{{}, clock};
    loop.add(endpoint, wire);
    endpoint.deadline = Instant{3s};
    EXPECT_FALSE(loop.turn(Instant{3s} - 1ns));
    EXPECT_EQ(endpoint.advanced, 0);
    EXPECT_TRUE(loop.turn(Instant{3s}));
    EXPECT_EQ(endpoint.advanced, 1);
}

TEST_F(PollLoopTurn, FetchesAndSendsInBurstsOfTheSizeAskedFor) {
    Loop loop{{.receive_burst = 16, .transmit_burst = 8, .transmit_bursts = 3}, clock};
    loop.add(endpoint, wire);
    const auto in = frames.take(40), out = frames.take(30);
    wire.arriving.assign(in.begin(), in.end());
    endpoint.leaving.assign(out.begin(), out.end());
    loop.turn(Instant{});
    EXPECT_EQ(wire.largest_receive, 16u);
    EXPECT_EQ(endpoint.received.size(), 16u);
    EXPECT_EQ(wire.sent.size(), 24u);  // three bursts of eight; a turn's work is bounded
    loop.turn(Instant{});
    loop.turn(Instant{});
    EXPECT_EQ(endpoint.received, in);
    EXPECT_EQ(wire.sent, out);
}

TEST_F(PollLoopTurn, LooksAtWhatHasArrivedBeforeItRunsTimersForWhichThatMayBeTheAnswer) {
    Loop loop{{.receive_burst = 8}, clock};
    loop.add(endpoint, wire);
    const auto in = frames.take(20);
    wire.arriving.assign(in.begin(), in.end());
    endpoint.deadline = Instant{1s};  // it passed while this core stood still
    for (int turn = 0; turn < 3; ++turn) loop.turn(Instant{2s});
    EXPECT_EQ(endpoint.steps, "rrra");
    EXPECT_EQ(endpoint.behind, "bb-");
}

TEST_F(PollLoopTurn, RunsTimersInTheEndHoweverMuchArrives) {
    Loop loop{{.receive_burst = 8}, clock};
    loop.add(endpoint, wire);
    for (int turn = 0; turn < 650; ++turn) {
        const auto in = frames.take(8);
        wire.arriving.assign(in.begin(), in.end());
        EXPECT_TRUE(loop.turn(Instant{Duration{turn}}));
    }
    EXPECT_EQ(endpoint.advanced, 10);
}

TEST_F(PollLoopTurn, TellsTasksWhereMoreHasArrivedThanItFetchedOrTheWireHasRefused) {
    Loop loop{{.receive_burst = 8, .transmit_burst = 8}, clock};
    loop.add(endpoint, wire);
    loop.add(task);
    const auto in = frames.take(9);
    wire.arriving.assign(in.begin(), in.end());
    loop.turn(Instant{1s});
    EXPECT_EQ(task.polled_behind, 1);
    loop.turn(Instant{1s});
    EXPECT_EQ(task.polled_behind, 1);
    endpoint.leaving.push_back(frames.next());
    wire.room = 0;
    loop.turn(Instant{1s});
    EXPECT_EQ(task.polled_behind, 1) << "refused only now";
    loop.turn(Instant{1s});
    EXPECT_EQ(task.polled_behind, 2);
    wire.room = SIZE_MAX;
    loop.turn(Instant{1s});
    loop.turn(Instant{1s});
    EXPECT_EQ(task.polled_behind, 3);
    EXPECT_EQ(task.polled, 6);
}

TEST_F(PollLoopTurn, HoldsWhatTheWireRefusesAndAsksForNoMoreUntilItIsGone) {
    Loop loop{{.transmit_burst = 8}, clock};
    loop.add(endpoint, wire);
    const auto out = frames.take(20);
    endpoint.leaving.assign(out.begin(), out.end());
    wire.room = 5;
    loop.turn(Instant{});
    EXPECT_EQ(wire.sent.size(), 5u);
    EXPECT_EQ(endpoint.leaving.size(), 12u);

    const int asked = endpoint.asked;
    EXPECT_FALSE(loop.turn(Instant{}));  // nothing moved: waiting for the peer is not work
    EXPECT_EQ(endpoint.asked, asked);

    wire.room = SIZE_MAX;
    EXPECT_TRUE(loop.turn(Instant{}));
    EXPECT_EQ(wire.sent, out);
}

TEST_F(PollLoopTurn, LosesDoublesAndReordersNothingOverAWireThatRefusesAtRandom) {
    std::mt19937_64 random{test::seed()};
    Loop loop{{.receive_burst = 7, .transmit_burst = 5, .transmit_bursts = 2}, clock};
    loop.add(endpoint, wire);
    const auto in = frames.take(3000), out = frames.take(3000);
    std::size_t given_in = 0, given_out = 0;
    for (int turn = 0;
         turn < 100'000 && (endpoint.received.size() < in.size() || wire.sent.size() < out.size()); ++turn) {
        for (auto n = random() % 12; n > 0 && given_in < in.size(); --n)
            wire.arriving.push_back(in[given_in++]);
        for (auto n = random() % 12; n > 0 && given_out < out.size(); --n)
            endpoint.leaving.push_back(out[given_out++]);
        wire.room = random() % 14;
        loop.turn(Instant{Duration{turn}});
    }
    EXPECT_EQ(endpoint.received, in);
    EXPECT_EQ(wire.sent, out);
}

TEST_F(PollLoopTurn, ServesSeveralEndpointsEachOverItsOwnWire) {
    FakeWire other_wire;
    FakeEndpoint other;
    Loop loop{{}, clock};
    loop.add(endpoint, wire);
    loop.add(other, other_wire);
    const auto mine = frames.take(3), theirs = frames.take(2);
    endpoint.leaving.assign(mine.begin(), mine.end());
    other.leaving.assign(theirs.begin(), theirs.end());
    other_wire.arriving.push_back(mine[0]);
    loop.turn(Instant{});
    EXPECT_EQ(wire.sent, mine);
    EXPECT_EQ(other_wire.sent, theirs);
    EXPECT_TRUE(endpoint.received.empty());
    EXPECT_EQ(other.received.size(), 1u);
}

TEST_F(PollLoopTurn, RunsPostedCallsOnceInTheirOrder) {
    Loop loop{{.mailbox_interval = 4}, clock};
    std::vector<int> ran;
    ASSERT_TRUE(loop.post([&] { ran.push_back(1); }));
    ASSERT_TRUE(loop.post([&] { ran.push_back(2); }));
    for (int i = 0; i < 8; ++i) loop.turn(Instant{});
    EXPECT_EQ(ran, (std::vector{1, 2}));
}

TEST_F(PollLoopTurn, TurnsOnWhileItsTasksDrainAndStopsWhenToldTo) {
    Loop loop{{}, Clock{}};
    loop.add(endpoint, wire);
    loop.add(task);
    task.drain_turns = 1000;
    std::thread runner{[&] { loop.run(); }};
    while (loop.statistics().read().iterations < 100) std::this_thread::yield();
    EXPECT_FALSE(loop.drained());
    loop.drain();
    while (!loop.drained()) std::this_thread::yield();
    const std::uint64_t drained_at = loop.statistics().read().iterations;
    while (loop.statistics().read().iterations < drained_at + 100) std::this_thread::yield();
    loop.stop();
    runner.join();

    EXPECT_EQ(task.drains, 1);
    EXPECT_EQ(task.work_left, 0);
    const LoopStatistics::Values values = loop.statistics().read();
    EXPECT_EQ(values.iterations, static_cast<std::uint64_t>(task.polled));
    EXPECT_EQ(values.busy_iterations, 1000u);
    EXPECT_LE(values.busy_cycles, values.cycles);
    EXPECT_GT(values.busy_cycles, 0u);
}

TEST_F(PollLoopTurn, StopsWithoutDrainingWhereThatIsTheOrder) {
    Loop loop{{.idle = Idle::yield}, Clock{}};
    loop.add(task);
    loop.stop();
    loop.run();
    EXPECT_EQ(task.polled, 1);
    EXPECT_EQ(task.drains, 0);
}

TEST_F(PollLoopTurn, CountsFramesAndRefusals) {
    Loop loop{{.transmit_burst = 4}, Clock{}};
    loop.add(endpoint, wire);
    const auto in = frames.take(9), out = frames.take(6);
    wire.arriving.assign(in.begin(), in.end());
    endpoint.leaving.assign(out.begin(), out.end());
    wire.room = 4;  // the second burst is refused once, on the first turn, and goes on the second
    loop.turn(Instant{});
    wire.room = SIZE_MAX;
    loop.stop();
    loop.run();
    const LoopStatistics::Values values = loop.statistics().read();
    EXPECT_EQ(values.frames_in, 9u);
    EXPECT_EQ(values.frames_out, 6u);
    EXPECT_EQ(values.transmit_full, 1u);
}

TEST(PollLoopOptions, NameTheOneOutOfRange) {
    EXPECT_THAT([] { validate({.receive_burst = 0}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("receive_burst is 0")));
    EXPECT_THAT([] { validate({.transmit_burst = 1000}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("transmit_burst is 1000")));
    EXPECT_THAT([] { validate({.drain = -1s}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("drain is negative")));
}

}  // namespace poll_loop_test
}  // namespace runnel::runtime
