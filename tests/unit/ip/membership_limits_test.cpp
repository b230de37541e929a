// What strangers can make the groups of a host cost: memory, time, and answers.
#include <atomic>
#include <cstdlib>
#include <new>

#include "membership_network.hpp"

// Of the whole program, so that a test can tell whether anything was allocated meanwhile.
namespace runnel::test {
std::atomic<std::size_t> allocations{0};
}

// NOLINTBEGIN: the replacement must look like this
[[gnu::noinline]] void* operator new(std::size_t size) {
    runnel::test::allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
// NOLINTEND

namespace runnel::ip {
namespace membership_limits_test {

using namespace test;  // NOLINT: a test of the network

/// Counts what leaves; nothing of it is looked at.
struct CountingWriter final : ReportWriter {
    void add(std::uint8_t, wire::GroupRecordType, const IpAddress&,
             std::span<const IpAddress>) noexcept override {
        ++records;
    }
    void flush(std::uint8_t) noexcept override {}
    void report(std::uint8_t, wire::MembershipVersion, const IpAddress&) noexcept override { ++records; }
    void leave(std::uint8_t, const IpAddress&) noexcept override { ++records; }
    std::size_t records = 0;
};

class Limits : public testing::Test {
  protected:
    static constexpr std::size_t capacity = 64;

    static IpAddress nth(std::uint32_t n) { return Ipv4Address{group4.value + n}; }
    static wire::MembershipQuery query(Duration response, const IpAddress& group = Ipv4Address{},
                                       wire::MembershipVersion version = wire::MembershipVersion::third) {
        return {.version = version, .group = group, .max_response = response};
    }
    /// Lets time pass, as an owner of a stack does; returns how many records were told.
    std::size_t run(Duration by) {
        const std::size_t before = writer.records;
        const Instant until = now + by;
        while (reporter.next_deadline() <= until) {
            now = std::max(now, reporter.next_deadline());
            reporter.advance(now);
        }
        now = until;
        return writer.records - before;
    }

    CountingWriter writer;
    GroupReporter reporter{2, capacity, HashKey{1, 2}, writer};
    Instant now{1s};
};

TEST_F(Limits, GroupsOfAddressesAreHeldAskedForAndReleasedWithoutAllocating) {
    std::vector<std::byte> sources(4 * 200);
    for (std::size_t i = 0; i < 200; ++i)
        wire::store_be32(sources, 4 * i, 0xc0000200U + static_cast<unsigned>(i));
    const std::size_t before = allocations;
    for (std::uint32_t i = 0; i < capacity; ++i) EXPECT_TRUE(reporter.hear_all(0, nth(i)));
    EXPECT_FALSE(reporter.hear_all(0, nth(capacity))) << "the table is full";
    run(5s);
    std::size_t taken = 0;
    for (std::uint32_t i = 0; i < capacity; ++i) {
        auto one = query(1s, nth(i));
        one.source_count = i % 2 == 0 ? 10 : 200;
        one.sources = sources.data();
        taken += reporter.query(0, one, now) ? 1 : 0;
    }
    EXPECT_GE(taken, 44U) << "a full bucket holds up to an eighth less than 50";
    EXPECT_EQ(run(5s), taken);
    for (std::uint32_t i = 0; i < capacity; ++i) reporter.hear_nobody(0, nth(i));
    run(5s);
    EXPECT_EQ(allocations, before);
}

TEST_F(Limits, OneThatWasLeftMakesRoomForOneThatIsJoined) {
    for (std::uint32_t i = 0; i < capacity; ++i) EXPECT_TRUE(reporter.set(0, nth(i), SourceFilter::any()));
    EXPECT_FALSE(reporter.set(1, nth(1), SourceFilter::any()));
    run(5s);
    EXPECT_TRUE(reporter.set(0, nth(7), {}));
    EXPECT_TRUE(reporter.set(1, nth(1), SourceFilter::any()));
    EXPECT_EQ(run(5s), 2U) << "the join, twice";
    EXPECT_FALSE(reporter.set(1, nth(2), SourceFilter::any()));
}

TEST_F(Limits, QueriesBeyondTheirRateAreNotLookedAtAndThoseOfAnotherInterfaceAre) {
    reporter.set(0, nth(0), SourceFilter::any());
    run(5s);
    std::size_t taken = 0;
    for (int i = 0; i < 20000; ++i) {
        taken += reporter.query(0, query(1s), now) ? 1 : 0;
        if (i % 10 == 9) run(500us);  // 20000 in a second
    }
    EXPECT_GT(taken, 900U);
    EXPECT_LE(taken, 1060U);
    EXPECT_TRUE(reporter.query(1, query(1s), now));
}

TEST_F(Limits, QueryThatAllowsHoursIsAnsweredWithinTheBoundAndHoldsNoOtherUp) {
    reporter.set(0, nth(0), SourceFilter::any());
    run(5s);
    EXPECT_TRUE(reporter.query(0, query(8'387'584ms), now));
    EXPECT_EQ(run(GroupReporter::longest_response), 1U);
    EXPECT_TRUE(reporter.query(0, query(8'387'584ms), now));
    EXPECT_TRUE(reporter.query(0, query(1s), now));
    EXPECT_EQ(run(1s), 1U);
    EXPECT_EQ(run(1h), 0U);
}

TEST_F(Limits, GeneralQueriesThatWantAnAnswerAtOnceGetFourASecond) {
    for (std::uint32_t i = 0; i < capacity; ++i) reporter.set(0, nth(i), SourceFilter::any());
    run(5s);
    std::size_t records = 0;
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(reporter.query(0, query(0s), now));
        records += run(1ms);
    }
    EXPECT_GE(records, 3 * capacity);
    EXPECT_LE(records, 5 * capacity);
}

TEST_F(Limits, OlderQuerierHoldsToItsVersionForAQuarterOfAnHourAtMost) {
    reporter.set(0, nth(0), SourceFilter::any());
    run(5s);
    auto forged = query(1s);
    forged.robustness = 7;
    forged.query_interval = 31744s;
    EXPECT_TRUE(reporter.query(0, forged, now));
    run(5s);
    EXPECT_TRUE(reporter.query(0, query(3000s, {}, wire::MembershipVersion::first), now));
    EXPECT_EQ(reporter.version(0), wire::MembershipVersion::first);
    run(GroupReporter::longest_older_querier - 1s);
    EXPECT_EQ(reporter.version(0), wire::MembershipVersion::first);
    run(1s);
    EXPECT_EQ(reporter.version(0), wire::MembershipVersion::third);
}

TEST(Memberships, TableThatIsFullRefusesAnAddressAndCountsIt) {
    Config config = ipv6_config();
    config.report_solicited_nodes = true;
    config.multicast_groups = 4;  // of which the two of our own addresses take at most that many
    Membership host{false, config};
    for (std::uint32_t i = 0; i < 4; ++i) (void)host.join(host.nth_group(i));
    GroupMemberships& groups = host.network.layer.groups();
    EXPECT_TRUE(groups.lists_all());
    const std::size_t before = allocations;
    for (std::uint64_t i = 0; i < 5; ++i) groups.hold_solicited_node(0, documentation(0x100 + i));
    EXPECT_EQ(allocations, before);
    EXPECT_EQ(host.network.count(DropReason::membership_table_full), 5U);
    EXPECT_FALSE(groups.lists_all());
}

TEST(Memberships, ListenerOfAnAddressesGroupKeepsItWhenTheAddressGoes) {
    Config config = ipv6_config();
    config.report_solicited_nodes = true;
    Membership host{false, config};
    GroupMemberships& groups = host.network.layer.groups();
    const Ipv6Address address = documentation(0x77);
    const IpAddress group = address.solicited_node();
    EXPECT_EQ(groups.listen({&host, 1}, 0, group, {FilterMode::exclude, {IpAddress{peer6}}}),
              GroupResult::done);
    (void)host.told_by(host.network.now + 5s);
    const std::size_t before = allocations;
    groups.hold_solicited_node(0, address);
    groups.release_solicited_node(0, address);
    EXPECT_EQ(allocations, before);
    EXPECT_TRUE(groups.hears(0, group));
    (void)host.told_by(host.network.now + 5s);
    EXPECT_EQ(groups.listen({&host, 1}, 0, group, {}), GroupResult::done);
    const auto told = host.told_by(host.network.now);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0], (Told{change_to_include, group, {}}));
    EXPECT_FALSE(groups.hears(0, group));
}

TEST(Memberships, QueriesBeyondTheirRateAreCounted) {
    Membership host{true};
    host.join(host.group);
    (void)host.told_by(host.network.now + 5s);
    for (int i = 0; i < 100; ++i) host.ask(host.group, {.code = 10});
    const std::uint64_t refused = host.network.count(DropReason::membership_rate_limited);
    EXPECT_GE(refused, 50U);
    EXPECT_LE(refused, 57U);
    EXPECT_EQ(host.told_by(host.network.now + 5s).size(), 1U);
}

}  // namespace membership_limits_test
}  // namespace runnel::ip
