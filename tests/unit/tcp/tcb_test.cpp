// The TCB's derived figures, and what finds it: the four-tuple, its hash, and the flow table's values.
#include "runnel/tcp/tcb.hpp"

#include <cstdint>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "runnel/base/flow_table.hpp"
#include "runnel/tcp/flow.hpp"

#include "seed.hpp"

namespace runnel::tcp {
namespace tcb_test {

static_assert(sizeof(Tcb) == 128 && alignof(Tcb) == 64, "an idle connection costs two cache lines");
static_assert(sizeof(Flow) == 12);
static_assert(sizeof(Cold) % 64 == 0 && sizeof(Cold) <= 512);

TEST(Owner, SurvivesTheFlowTable) {
    std::mt19937_64 random{test::seed()};
    for (const Table table : {Table::connection, Table::half_open, Table::time_wait})
        for (int i = 0; i < 1000; ++i) {
            const std::uint32_t slot = i == 0   ? 0
                                       : i == 1 ? Owner::max_slots
                                                : static_cast<std::uint32_t>(random() % Owner::max_slots);
            const std::uint32_t value = Owner{table, slot}.encode();
            ASSERT_NE(value, FlowTable::none);
            ASSERT_EQ(Owner::decode(value).table, table);
            ASSERT_EQ(Owner::decode(value).slot, slot);
        }
}

TEST(Owner, TablesDoNotShareValues) {
    EXPECT_EQ(
        (std::set<std::uint32_t>{Owner{Table::connection, 5}.encode(), Owner{Table::half_open, 5}.encode(),
                                 Owner{Table::time_wait, 5}.encode()}
             .size()),
        3U);
}

TEST(Flow, HashDependsOnEachBitOfTheTupleAndOnTheSecret) {
    std::mt19937_64 random{test::seed()};
    const HashKey key{random(), random()};
    const TupleHash hash{key};
    const Flow flow{Ipv4Address{static_cast<std::uint32_t>(random())},
                    Ipv4Address{static_cast<std::uint32_t>(random())}, static_cast<std::uint16_t>(random()),
                    static_cast<std::uint16_t>(random())};
    std::set<std::uint32_t> hashes{flow_hash(hash, flow), flow_hash(TupleHash{{key.k0 + 1, key.k1}}, flow),
                                   flow_hash(TupleHash{{key.k0, key.k1 + 1}}, flow)};
    std::size_t expected = 3;
    for (unsigned bit = 0; bit < 96; ++bit) {
        Flow other = flow;
        if (bit < 32)
            other.remote_address.value ^= 1U << bit;
        else if (bit < 64)
            other.local_address.value ^= 1U << (bit - 32);
        else if (bit < 80)
            other.remote_port = static_cast<std::uint16_t>(other.remote_port ^ 1U << (bit - 64));
        else
            other.local_port = static_cast<std::uint16_t>(other.local_port ^ 1U << (bit - 80));
        ASSERT_NE(other, flow);
        hashes.insert(flow_hash(hash, other));
        ++expected;
    }
    EXPECT_GE(hashes.size(), expected - 1) << "two of a hundred are the same once in 900,000 runs";
}

TEST(Tcb, FlightIsCountedAcrossTheEndOfTheNumbers) {
    Tcb tcb{};
    tcb.snd_una = SeqNum{0xffff'fff0U};
    tcb.snd_nxt = SeqNum{0x10};
    EXPECT_EQ(tcb.in_flight(), 0x20U);
}

TEST(Tcb, WindowThatThePeerHasUsedUpAndMoreIsNone) {
    Tcb tcb{};
    tcb.rcv_nxt = SeqNum{0xffff'ffffU};
    tcb.rcv_adv = SeqNum{99};
    EXPECT_EQ(tcb.rcv_wnd(), 100U);
    tcb.rcv_nxt = SeqNum{99};
    EXPECT_EQ(tcb.rcv_wnd(), 0U);
    tcb.rcv_nxt = SeqNum{100};  // a FIN came beyond the edge
    EXPECT_EQ(tcb.rcv_wnd(), 0U);
}

TEST(Tcb, LargestWindowOfThePeerIsKeptUnscaled) {
    Tcb tcb{};
    tcb.max_snd_wnd = 65535;
    tcb.snd_wscale = 14;
    EXPECT_EQ(tcb.largest_snd_wnd(), 65535U << 14);
}

TEST(Tcb, DataIsReceivedInThreeStates) {
    Tcb tcb{};
    std::set<State> receiving;
    for (auto number = static_cast<unsigned>(State::closed);
         number <= static_cast<unsigned>(State::time_wait); ++number) {
        tcb.state = static_cast<State>(number);
        if (tcb.can_receive()) receiving.insert(tcb.state);
        EXPECT_EQ(tcb.handshake_done(), tcb.state != State::closed && tcb.state != State::syn_sent &&
                                            tcb.state != State::syn_received);
    }
    EXPECT_EQ(receiving, (std::set<State>{State::established, State::fin_wait_1, State::fin_wait_2}));
}

}  // namespace tcb_test
}  // namespace runnel::tcp
