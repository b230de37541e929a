// The sketch of sources, and the detectors of floods and scans, by themselves.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/tcp/flood_detector.hpp"
#include "runnel/tcp/scan_detector.hpp"
#include "runnel/tcp/source_sketch.hpp"

#include "seed.hpp"

namespace runnel::tcp {
namespace attack_detectors_test {

TEST(SourceSketch, EstimatesFromNoneToMillionsWithinSixStandardErrors) {
    std::mt19937_64 random{test::seed()};
    for (const std::uint32_t sources : {0U, 1U, 2U, 10U, 100U, 1000U, 2500U, 10'000U, 100'000U, 3'000'000U}) {
        SourceSketch sketch{random()};
        const auto first = static_cast<std::uint32_t>(random());
        for (std::uint32_t i = 0; i < sources; ++i) sketch.add(first + i);
        EXPECT_NEAR(sketch.estimate(), sources, 0.2 * sources + 0.5) << sources;
    }
}

TEST(SourceSketch, CountsASourceOnceAndForgetsAll) {
    SourceSketch sketch{1};
    for (int i = 0; i < 1000; ++i) sketch.add(0x0a000001);
    EXPECT_EQ(sketch.estimate(), 1U);
    sketch.clear();
    EXPECT_EQ(sketch.estimate(), 0U);
}

/// Seconds of a detector with room for 4096 half-open connections.
struct Seconds {
    FloodDetector detector{7, 4096};
    Instant now{};
    FloodDetector::Picture picture;
    std::uint32_t next_source = 1;

    /// A second with so many SYNs from so many sources, of which so many are completed. What it makes known.
    std::optional<AttackEpisode> pass(std::uint64_t syns, std::uint32_t sources, std::uint64_t answered) {
        if (now == Instant{}) detector.turn(now, picture);  // the first second begins
        for (std::uint64_t i = 0; i < syns; ++i) detector.syn(next_source + i % sources, true);
        next_source += sources;
        now += FloodDetector::window;
        EXPECT_TRUE(detector.over(now));
        picture.answered += answered;
        return detector.turn(now, picture);
    }
};

TEST(FloodDetector, HalfTheTableFilledIsAFloodAndLessIsNot) {
    for (const std::uint32_t half_open : {0U, 2047U, 2048U}) {
        Seconds s;
        s.picture.half_open = half_open;
        EXPECT_EQ(s.pass(40, 40, 0).has_value(), half_open == 2048);
    }
}

TEST(FloodDetector, SynsThatWouldFillTheTableInAMinuteAreAFlood) {
    Seconds below, above;
    EXPECT_FALSE(below.pass(65, 65, 0));
    EXPECT_TRUE(above.pass(66, 66, 0));
}

TEST(FloodDetector, AFullTableMakesAFloodOfFewSyns) {
    Seconds s;
    EXPECT_FALSE(s.pass(40, 40, 0));
    ++s.picture.overflowed;
    EXPECT_TRUE(s.pass(40, 40, 0));
}

TEST(FloodDetector, WhereHalfAreCompletedThereIsNone) {
    Seconds half, less;
    EXPECT_FALSE(half.pass(10'000, 10'000, 5000));
    EXPECT_TRUE(less.pass(10'000, 10'000, 4999));
}

TEST(FloodDetector, FewSourcesMustCompleteLessStill) {
    Seconds third, fifth;
    EXPECT_FALSE(third.pass(10'000, 10, 3333));
    EXPECT_TRUE(fifth.pass(10'000, 10, 2000));
}

TEST(FloodDetector, EpisodeGoesOnThroughCalmSecondsAndEndsAfterFive) {
    Seconds s;
    const auto begun = s.pass(1000, 1000, 10);
    ASSERT_TRUE(begun);
    EXPECT_FALSE(begun->ended);
    EXPECT_EQ(begun->segments, 1000U);
    EXPECT_EQ(begun->completed, 10U);
    EXPECT_EQ(begun->began, Instant{});
    EXPECT_EQ(begun->duration, 1s);
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(s.pass(10, 10, 10));
    EXPECT_FALSE(s.pass(1000, 1000, 0));  // it has not ended
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(s.pass(0, 1, 0));
    const auto ended = s.pass(0, 1, 0);
    ASSERT_TRUE(ended);
    EXPECT_TRUE(ended->ended);
    EXPECT_EQ(ended->segments, 2040U);
    EXPECT_EQ(ended->completed, 50U);
    EXPECT_EQ(ended->duration, 6s);
    EXPECT_NEAR(ended->sources, 2040, 400);
    EXPECT_EQ(s.detector.deadline(), never);
}

TEST(FloodDetector, AfterHoursOfSilenceItEndsAtOnce) {
    Seconds s;
    ASSERT_TRUE(s.pass(1000, 1000, 0));
    EXPECT_NE(s.detector.deadline(), never);
    s.now += 5h;
    const auto ended = s.detector.turn(s.now, s.picture);
    ASSERT_TRUE(ended);
    EXPECT_TRUE(ended->ended);
    EXPECT_EQ(ended->duration, 1s);
}

TEST(ScanDetector, AgreesWithAModelThatRemembersAll) {
    // Few enough sources that the table forgets none.
    std::mt19937_64 random{test::seed()};
    ScanDetector detector{HashKey{random(), random()}};
    std::map<std::pair<std::uint32_t, AttackKind>, std::set<std::uint16_t>> model;
    std::map<std::pair<std::uint32_t, AttackKind>, std::uint64_t> segments;
    int begun = 0;
    Instant now{1h};
    for (int i = 0; i < 3000; ++i) {
        const auto source = static_cast<std::uint32_t>(random() % 3);
        const auto kind = static_cast<AttackKind>(1 + random() % 5);
        const auto port = static_cast<std::uint16_t>(random() % (source == 0 ? 15 : 500));
        now += 1ms;
        auto& ports = model[{source, kind}];
        ports.insert(port);
        ++segments[{source, kind}];
        const auto news = detector.touch(Ipv4Address{source}, kind, port, now);
        if (!news) continue;
        ++begun;
        EXPECT_FALSE(news->ended);
        EXPECT_EQ(news->source, Ipv4Address{source});
        EXPECT_EQ(news->kind, kind);
        EXPECT_EQ(ports.size(), ScanDetector::least_ports);
    }
    EXPECT_EQ(begun, 10);
    EXPECT_EQ(detector.deadline() > now, true);
    int ended = 0;
    detector.advance(now + ScanDetector::quiet, [&](const AttackEpisode& episode) {
        ++ended;
        EXPECT_TRUE(episode.ended);
        EXPECT_EQ(episode.ports, (model[{episode.source.v4().value, episode.kind}].size()));
        EXPECT_EQ(episode.segments, (segments[{episode.source.v4().value, episode.kind}]));
    });
    EXPECT_EQ(ended, 10);
    EXPECT_EQ(detector.deadline(), never);
}

TEST(ScanDetector, WholePortRangeIsCountedExactly) {
    ScanDetector detector{HashKey{1, 2}};
    const Instant now{1h};
    for (std::uint32_t port = 0; port < 65536; ++port)
        detector.touch(Ipv4Address{1}, AttackKind::syn_scan, static_cast<std::uint16_t>(port * 7919), now);
    detector.finish([](const AttackEpisode& episode) { EXPECT_EQ(episode.ports, 65536U); });
}

TEST(ScanDetector, AMillionSourcesDoNotPushOutAScanThatIsFollowed) {
    std::mt19937_64 random{test::seed()};
    ScanDetector detector{HashKey{random(), random()}};
    Instant now{1h};
    for (std::uint16_t port = 0; port < 16; ++port)
        detector.touch(Ipv4Address{1}, AttackKind::fin_scan, port, now);
    for (std::uint32_t i = 2; i < 1'000'000; ++i)
        EXPECT_FALSE(detector.touch(Ipv4Address{i}, AttackKind::fin_scan, 80, now += 1us));
    detector.touch(Ipv4Address{1}, AttackKind::fin_scan, 16, now);
    int ended = 0;
    detector.finish([&](const AttackEpisode& episode) {
        ++ended;
        EXPECT_EQ(episode.ports, 17U);
    });
    EXPECT_EQ(ended, 1);
}

}  // namespace attack_detectors_test
}  // namespace runnel::tcp
