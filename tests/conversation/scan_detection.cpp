// Port scans are told apart, told of at their beginning and their end, and nothing else is taken for one.
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "attacks.hpp"

namespace runnel::test {
namespace scan_detection_cases {

using tcp::AttackEpisode;
using tcp::AttackKind;

constexpr Ipv4Address scanner{192, 0, 2, 7};
constexpr std::pair<AttackKind, std::string_view> kinds[] = {{AttackKind::syn_scan, "S"},
                                                             {AttackKind::fin_scan, "F"},
                                                             {AttackKind::null_scan, ""},
                                                             {AttackKind::xmas_scan, "FPU"},
                                                             {AttackKind::ack_scan, "."}};

/// A segment with these flags to each port from `first` on, a millisecond apart.
void scan(Conversation& c, std::string_view flags, std::uint16_t first, std::uint16_t count,
          Ipv4Address source = scanner, Duration pause = 1ms) {
    for (std::uint16_t i = 0; i < count; ++i) {
        c.inject(Segment{}
                     .flags(flags)
                     .seq(0)
                     .ack(0)
                     .from(source, 60000)
                     .to(stack_address, static_cast<std::uint16_t>(first + i)));
        c.elapse(pause);
    }
    c.take_all();
}

TEST(ScanDetection, EachKindIsToldApartAtItsBeginningAndItsEnd) {
    for (const auto& [kind, flags] : kinds) {
        Watcher watcher;
        Conversation c{watched(watcher)};
        c.listen();  // one of the ports is open
        const Instant begin = c.instant();
        scan(c, flags, 70, 15);
        EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
        scan(c, flags, 85, 1);
        // A SYN to the open port may yet be completed, an ACK may be a late one.
        const bool open_port_counts = kind != AttackKind::syn_scan && kind != AttackKind::ack_scan;
        ASSERT_EQ(watcher.heard.size(), open_port_counts ? 1U : 0U) << watcher.all();
        scan(c, flags, 86, 1);
        ASSERT_EQ(watcher.heard.size(), 1U) << watcher.all();
        const AttackEpisode first = watcher.heard[0];
        EXPECT_EQ(first.kind, kind) << watcher.all();
        EXPECT_FALSE(first.ended);
        EXPECT_EQ(first.source, spoken(scanner));
        EXPECT_EQ(first.ports, 16U);
        EXPECT_EQ(first.segments, 16U);
        EXPECT_EQ(first.began, begin);

        scan(c, flags, 87, 400);
        scan(c, flags, 87, 400);  // once more: no new ports
        EXPECT_EQ(watcher.heard.size(), 1U) << watcher.all();
        c.elapse(9s);
        EXPECT_EQ(watcher.heard.size(), 1U) << watcher.all();
        c.elapse(2s);
        ASSERT_EQ(watcher.heard.size(), 2U) << watcher.all();
        const AttackEpisode last = watcher.heard[1];
        EXPECT_EQ(last.kind, kind);
        EXPECT_TRUE(last.ended);
        EXPECT_EQ(last.source, spoken(scanner));
        EXPECT_EQ(last.ports, open_port_counts ? 417U : 416U);
        EXPECT_EQ(last.segments, open_port_counts ? 817U : 816U);
        EXPECT_NEAR(static_cast<double>(last.duration.count()), 0.816e9, 2e6);
        std::uint64_t episodes = 0;
        for (const Counter counter :
             {Counter::tcp_syn_scans, Counter::tcp_fin_scans, Counter::tcp_null_scans,
              Counter::tcp_xmas_scans, Counter::tcp_ack_scans, Counter::tcp_syn_floods})
            episodes += c.count(counter);
        EXPECT_EQ(episodes, 1U);
        c.elapse(100s);
        c.take_all();
        EXPECT_EQ(c.stack().next_deadline(), never);
    }
}

TEST(ScanDetection, KindsOfOneSourceAtOnceAreEpisodesOfTheirOwn) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (std::uint16_t port = 100; port < 200; ++port)
        for (const auto& [kind, flags] : kinds) scan(c, flags, port, 1);
    c.elapse(20s);
    ASSERT_EQ(watcher.heard.size(), 10U) << watcher.all();
    for (const auto& [kind, flags] : kinds) {
        int begins = 0, ends = 0;
        for (const AttackEpisode& episode : watcher.heard) {
            if (episode.kind != kind) continue;
            ++(episode.ended ? ends : begins);
            EXPECT_EQ(episode.ports, episode.ended ? 100U : 16U);
        }
        EXPECT_EQ(begins, 1) << watcher.all();
        EXPECT_EQ(ends, 1) << watcher.all();
    }
}

TEST(ScanDetection, SynScanOfOpenPortsIsSeenByItsResets) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (std::uint16_t port = 100; port < 120; ++port) {
        c.listen(port);
        Flow& flow = c.add_flow(60000, port);
        flow.inject(syn());
        flow.expect(syn_ack());
        flow.inject(rst().seq(1));
    }
    ASSERT_EQ(watcher.heard.size(), 1U) << watcher.all();
    EXPECT_EQ(watcher.heard[0].kind, AttackKind::syn_scan);
}

TEST(ScanDetection, EndsWithTheStack) {
    Watcher watcher;
    {
        Conversation c{watched(watcher)};
        scan(c, "F", 100, 30);
    }
    ASSERT_EQ(watcher.heard.size(), 2U) << watcher.all();
    EXPECT_TRUE(watcher.heard[1].ended);
    EXPECT_EQ(watcher.heard[1].ports, 30U);
}

TEST(ScanDetection, OnePortOverAndOverIsNone) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (const auto& [kind, flags] : kinds)
        for (int i = 0; i < 200; ++i) scan(c, flags, 81, 1);
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(ScanDetection, APortNowAndThenIsNone) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (const auto& [kind, flags] : kinds) scan(c, flags, 100, 40, scanner, 5s);
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(ScanDetection, ManySourcesWithAPortEachAreNone) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (std::uint32_t i = 0; i < 5000; ++i)
        scan(c, "S", static_cast<std::uint16_t>(1000 + i), 1, Ipv4Address{(100U << 24) + i});
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(ScanDetection, AmongManySourcesTheScannerIsFound) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (std::uint32_t i = 0; i < 5000; ++i) {
        scan(c, "S", 81, 1, Ipv4Address{(100U << 24) + i}, 1us);
        if (i % 100 == 0) scan(c, "S", static_cast<std::uint16_t>(1000 + i), 1, scanner, 1us);
    }
    ASSERT_EQ(watcher.heard.size(), 1U) << watcher.all();
    EXPECT_EQ(watcher.heard[0].source, spoken(scanner));
}

TEST(ScanDetection, SixteenScansAreFollowedAtOnceAndMoreWait) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    for (std::uint32_t i = 0; i < 40; ++i) scan(c, "S", 100, 20, Ipv4Address{(100U << 24) + i});
    EXPECT_EQ(watcher.heard.size(), 16U) << watcher.all();
    c.elapse(20s);
    EXPECT_EQ(watcher.heard.size(), 32U) << watcher.all();
    scan(c, "S", 100, 20, Ipv4Address{(100U << 24) + 99});
    EXPECT_EQ(watcher.heard.size(), 33U) << watcher.all();
}

TEST(ScanDetection, ConnectionsThatCompleteAreNone) {
    Watcher watcher;
    StackConfig config = watched(watcher);
    Conversation c{config};
    for (std::uint16_t port = 100; port < 150; ++port) {
        c.listen(port);
        Flow& flow = c.add_flow(60000, port);
        flow.inject(syn().mss(1460));
        flow.expect(syn_ack());
        flow.inject(data("x"));
        flow.inject(rst());
        flow.inject(ack());  // what comes late
        flow.inject(fin());
    }
    c.take_all();
    c.events.clear();
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
}

TEST(ScanDetection, LateSegmentsOfConnectionsThatThisSideOpenedAreNone) {
    Watcher watcher;
    Conversation c{watched(watcher)};
    c.open_active();
    c.abort();
    c.take_all();
    c.events.clear();
    scan(c, ".", 20000, 200, peer_address);   // ACKs of what has been forgotten
    scan(c, "F.", 20000, 200, peer_address);  // FINs
    scan(c, "P.", 20000, 200, peer_address);  // data
    scan(c, "S.", 20000, 200, peer_address);  // SYN-ACKs
    scan(c, "R.", 20000, 200, peer_address);  // resets
    EXPECT_TRUE(watcher.heard.empty()) << watcher.all();
    scan(c, ".", 100, 20, peer_address);  // ports that it never opens from
    EXPECT_EQ(watcher.heard.size(), 1U) << watcher.all();
}

TEST(ScanDetection, LinesForALogNameKindFiguresAndSource) {
    AttackEpisode episode{.kind = AttackKind::xmas_scan,
                          .began = Instant{5s},
                          .duration = 1500ms,
                          .segments = 40,
                          .sources = 1,
                          .ports = 20,
                          .source = scanner};
    EXPECT_EQ(to_string(episode), "XMAS scan begins: 20 ports, 40 segments in 1.5 s from 192.0.2.7");
    episode.ended = true;
    EXPECT_EQ(to_string(episode), "XMAS scan ends: 20 ports, 40 segments in 1.5 s from 192.0.2.7");
    episode = {
        .kind = AttackKind::syn_flood, .duration = 1s, .segments = 2000, .completed = 25, .sources = 1900};
    EXPECT_EQ(to_string(episode),
              "SYN flood begins: 2000 SYNs in 1.0 s from about 1900 sources, 1.2 % completed");
}

}  // namespace scan_detection_cases
}  // namespace runnel::test
