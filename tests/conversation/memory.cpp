// Memory that is spent and comes back: whoever was refused is told, and all in turn.
#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace memory_cases {

using tcp::CloseReason;
using tcp::Error;

/// All mbufs of the pool, until told otherwise.
class Hog {
  public:
    Hog() { take(); }
    ~Hog() { release(); }
    Hog(const Hog&) = delete;
    Hog& operator=(const Hog&) = delete;
    void take() {
        for (void* one = nullptr; rte_mempool_get(mbuf_pool(), &one) == 0;) all_.push_back(one);
    }
    void release(std::size_t most = SIZE_MAX) {
        for (; most > 0 && !all_.empty(); --most) {
            rte_mempool_put(mbuf_pool(), all_.back());
            all_.pop_back();
        }
    }

  private:
    std::vector<void*> all_;
};

TEST(Memory, WritableFollowsARefusalOnceThereAreMbufsAgain) {
    StackConfig config = small_stack();
    config.tcp.send_buffer = 1U << 20;
    Conversation c{config};
    c.open_passive();
    {
        Hog hog;
        static constexpr std::array<std::byte, 4> word{};
        std::size_t sent = 0;
        tcp::SendResult result;
        for (; (result = c.connection().send_static(word)).error == Error::none; ++sent) {
        }
        EXPECT_EQ(result.error, Error::no_memory);
        EXPECT_LT(sent, 200U);
        c.elapse(50ms);
        c.expect_no_event();
        EXPECT_LE(c.stack().next_deadline(), c.instant() + 1ms) << "what others give back is seen by looking";
    }
    c.elapse(1ms);
    c.expect_event(Event::Kind::writable);
    EXPECT_EQ(c.send("x").error, Error::none);
    c.take_all();
    c.elapse(5ms);
    c.expect_no_event();
    c.inject(rst().seq(1));
    c.expect_closed(CloseReason::reset);
}

TEST(Memory, WritableFollowsARefusalOnceThereIsAColdBlockAgain) {
    StackConfig config = small_stack();
    config.tcp.cold_blocks = 1;
    Conversation c{config};
    c.open_passive();
    tcp::Connection first = c.connection();
    Flow& second = c.add_flow(50000);
    second.inject(syn().mss(1460));
    second.expect(syn_ack());
    second.inject(ack());
    c.expect_established();
    const tcp::Connection other = c.connection();
    c.inject(data("hello"));
    EXPECT_EQ(first.send(std::as_bytes(std::span{std::string_view{"an answer"}})).error, Error::none);
    c.expect_data("hello");
    c.pump();
    c.expect(data("an answer"));
    tcp::Connection refused = other;
    EXPECT_EQ(refused.send(std::as_bytes(std::span{std::string_view{"too"}})).error, Error::no_memory);
    c.elapse(20ms);
    c.expect_no_event();
    c.inject(ack());  // what was sent is acknowledged, and the block free
    c.elapse(1ms);
    EXPECT_EQ(c.expect_event(Event::Kind::writable).connection.slot(), other.slot());
    EXPECT_EQ(refused.send(std::as_bytes(std::span{std::string_view{"too"}})).error, Error::none);
    second.expect(data("too"));
}

TEST(Memory, WhoWaitsForItIsToldInTurnAndNobodyTwiceBeforeAllOthers) {
    constexpr unsigned connections = 40;
    Conversation c{small_stack()};
    c.listen();
    std::vector<tcp::Connection> all;
    for (unsigned i = 0; i < connections; ++i) {
        Flow& flow = c.add_flow(static_cast<std::uint16_t>(50000 + i));
        flow.inject(syn().mss(1460));
        flow.expect(syn_ack());
        flow.inject(ack());
        c.expect_established();
        all.push_back(c.connection());
    }
    static constexpr std::array<std::byte, 4> word{};
    Hog hog;
    for (tcp::Connection& one : all)
        while (one.send_static(word).error == Error::none) {
        }
    c.take_all();
    c.events.clear();
    // A few mbufs come back at a time, and whoever is told takes what he can.
    std::map<std::uint32_t, int> told;
    for (int round = 0; round < 400; ++round) {
        hog.release(2);
        c.elapse(1ms);
        for (const Event& event : c.events) {
            if (event.kind != Event::Kind::writable) continue;
            ++told[event.connection.slot()];
            tcp::Connection one = event.connection;
            while (one.send_static(word).error == Error::none) {
            }
        }
        c.events.clear();
        const auto [least, most] =
            std::ranges::minmax(all, {}, [&](const tcp::Connection& one) { return told[one.slot()]; });
        // Within a round some have been told once more than those behind them; they all are in one round.
        ASSERT_LE(told[most.slot()] - told[least.slot()], 2) << "round " << round;
    }
    EXPECT_EQ(told.size(), connections);
    hog.release();
}

TEST(Memory, ConnectionThatEndsWhileItWaitsIsToldNothingMore) {
    Conversation c{small_stack()};
    c.open_passive();
    {
        Hog hog;
        static constexpr std::array<std::byte, 4> word{};
        while (c.connection().send_static(word).error == Error::none) {
        }
        c.abort();
        c.expect_closed(CloseReason::aborted);
    }
    c.elapse(1s);
    c.expect_no_event();
    EXPECT_EQ(c.stack().next_deadline(), never);
    c.take_all();
}

}  // namespace memory_cases
}  // namespace runnel::test
