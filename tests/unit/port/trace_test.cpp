#include "runnel/port/trace.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "runnel/port/ring_wire.hpp"

#include "numbered_frames.hpp"

namespace runnel::port {
namespace trace_test {

using test::FramePool;
using test::free_all;
using test::number_of;

struct Seen {
    Direction direction;
    std::uint32_t number;
    Instant when;
    friend bool operator==(const Seen&, const Seen&) = default;
};

class TracedRing : public testing::Test {
  protected:
    FramePool pool;
    RingWire ring{{.frames = 4}};
    Instant now{};
    std::vector<Seen> seen;
    TracedWire traced{ring.a(), [this] { return now; },
                      [this](Direction direction, const rte_mbuf& frame, Instant when) {
                          seen.push_back({direction, number_of(&frame), when});
                      }};
};

TEST_F(TracedRing, ShowsEachFrameWithDirectionAndTimeAndPassesItOn) {
    auto out = pool.frames(1, 2);
    now = Instant{5ms};
    ASSERT_EQ(traced.send(out), 2u);
    auto in = pool.frames(7, 1);
    ASSERT_EQ(ring.b().send(in), 1u);
    now = Instant{9ms};
    std::vector<rte_mbuf*> received(4);
    ASSERT_EQ(traced.receive(received), 1u);
    EXPECT_EQ(traced.receive(received), 0u);

    EXPECT_EQ(seen, (std::vector<Seen>{{Direction::sent, 1, Instant{5ms}},
                                       {Direction::sent, 2, Instant{5ms}},
                                       {Direction::received, 7, Instant{9ms}}}));
    rte_pktmbuf_free(received[0]);
    ASSERT_EQ(ring.b().receive(received), 2u);
    EXPECT_EQ(number_of(received[1]), 2u);
    free_all(std::span{received}.first(2));
}

TEST_F(TracedRing, ShowsAFrameThatWaitsForAFullWireOnce) {
    auto frames = pool.frames(0, 6);
    ASSERT_EQ(traced.send(frames), 4u);
    ASSERT_EQ(traced.send(std::span{frames}.subspan(4)), 0u);
    std::vector<rte_mbuf*> received(6);
    ASSERT_EQ(ring.b().receive(received), 4u);
    free_all(std::span{received}.first(4));
    ASSERT_EQ(traced.send(std::span{frames}.subspan(4)), 2u);

    std::vector<std::uint32_t> numbers;
    for (const Seen& one : seen) numbers.push_back(one.number);
    EXPECT_EQ(numbers, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5}));
}

}  // namespace trace_test
}  // namespace runnel::port
