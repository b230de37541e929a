// What the view of a run says and how it fits, what its keys order, what Prometheus is given.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "live/layout.hpp"
#include "live/news.hpp"
#include "live/prometheus.hpp"
#include "live/view.hpp"
#include "seed.hpp"

namespace runnel::app::live {
namespace live_test {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

load::Observation observation() {
    load::Sample before, after;
    before.time = Instant{1s};
    after.time = Instant{2s};
    after.totals = {.started = 5010, .established = 5000, .completed = 4990};
    before.totals.completed = 2490;
    after.open = 20;
    after.clients.counters[static_cast<std::size_t>(Counter::tcp_syns_out)] = 2500;
    after.clients.counters[static_cast<std::size_t>(Counter::frames_in)] = 1'234'567;
    after.clients.drops[static_cast<std::size_t>(DropReason::tcp_no_connection)] = 12;
    for (std::uint64_t i = 1; i <= 100; ++i) after.latency.handshake.record(1000 * i);
    for (int core = 0; core < 3; ++core)
        after.cores.push_back({.loop = {.cycles = 100, .busy_cycles = 40}, .longest_gap = 1ms});
    load::Observation seen = observe({.command = "load",
                                      .what = "crr, rate 2.5 k/s, towards 192.0.2.1:80",
                                      .wire = "port 0 (driver net_tap)"},
                                     before, after);
    seen.phase = "measured";
    seen.t_s = 12;
    seen.state = {.running = true, .rate = 2500.0, .abilities = {.rate = true, .pause = true}};
    return seen;
}

std::string text_of(const std::vector<Line>& lines) {
    std::string text;
    for (const Line& line : lines) {
        for (const Span& span : line) text += span.text;
        text += '\n';
    }
    return text;
}

TEST(LiveView, FillsATerminalOfAnySizeExactly) {
    std::mt19937_64 random{test::seed()};
    load::Observation seen = observation();
    for (std::size_t& drop : seen.sample.clients.drops) drop = random() % 3 * (random() >> random() % 64);
    seen.recent = seen.sample.clients;
    for (int core = 0; core < 60; ++core)
        seen.cores.push_back({.busy_percent = static_cast<double>(random() % 101)});
    Scene scene{.seen = &seen, .answer = std::string(300, 'a')};
    for (int i = 0; i < 500; ++i) scene.history.push_back(static_cast<double>(random() % 1000));
    for (int i = 0; i < 8; ++i) scene.news.push_back(std::string(random() % 300, 'n'));
    const load::Observation* const all[] = {nullptr, &seen};
    for (const load::Observation* one : all)
        for (std::size_t width = 1; width < 260; width += 1 + random() % 3)
            for (const std::size_t height : {1U, 9U, 10U, 12U, 24U, 25U, 50U, 120U}) {
                scene.seen = one;
                scene.help = random() % 8 == 0;
                scene.plain_text = random() % 2 == 0;
                seen.facts.client = random() % 4 != 0;
                const std::vector<Line> lines = lay_out(scene, width, height);
                ASSERT_EQ(lines.size(), height) << width;
                for (const Line& line : lines)
                    ASSERT_EQ(columns(line), width) << height << '\n' << text_of(lines);
            }
}

TEST(LiveView, SaysRatesByFlagAndDirectionLatenciesDropsAndCores) {
    const load::Observation seen = observation();
    for (const std::size_t width : {80U, 200U}) {
        const std::string text = text_of(lay_out({.seen = &seen}, width, 40));
        EXPECT_THAT(text, HasSubstr("2.50 k connections/s"));
        EXPECT_THAT(text, HasSubstr("asked 2.50 k/s"));
        EXPECT_THAT(text, HasSubstr("1.23 M"));
        EXPECT_THAT(text, testing::ContainsRegex("SYN +2.50 k +0 "));
        EXPECT_THAT(text, testing::ContainsRegex("handshake +49.9 us"));
        EXPECT_THAT(text, testing::ContainsRegex("12 +12/s +tcp_no_connection"));
        EXPECT_THAT(text, HasSubstr(" 40 %"));
        EXPECT_THAT(text, HasSubstr("measured  12 s"));
        EXPECT_THAT(text, HasSubstr("failed 0"));
    }
    EXPECT_THAT(text_of(lay_out({.seen = &seen, .plain_text = true}, 80, 24)),
                testing::Each(testing::AllOf(testing::Gt('\0'), testing::Lt('\x7f'))));
}

TEST(LiveView, OffersOnlyKeysThatTheRunTakes) {
    load::Observation seen = observation();
    EXPECT_THAT(text_of(lay_out({.seen = &seen}, 80, 24)), HasSubstr("+ - rate"));
    seen.state.abilities = {};
    const std::string text = text_of(lay_out({.seen = &seen}, 80, 24));
    EXPECT_THAT(text, Not(HasSubstr("+ - rate")));
    EXPECT_THAT(text, Not(HasSubstr(" pause")));
    EXPECT_THAT(text, HasSubstr("q stop"));
}

TEST(LiveView, KeysOrderRatesPausesAndTheEnd) {
    const load::Observation seen = observation();
    load::Control::State state = seen.state;
    using Kind = load::Order::Kind;
    EXPECT_EQ(order_of('+', &seen, state)->rate, 2750.0);
    EXPECT_EQ(order_of('-', &seen, state)->rate, 2273.0);
    EXPECT_EQ(order_of('*', &seen, state)->rate, 5000.0);
    EXPECT_EQ(order_of('/', &seen, state)->rate, 1250.0);
    EXPECT_EQ(order_of('m', &seen, state)->rate, std::nullopt);
    EXPECT_EQ(order_of('p', &seen, state)->kind, Kind::pause);
    EXPECT_EQ(order_of('q', &seen, state)->kind, Kind::stop);
    EXPECT_EQ(order_of('z', &seen, state), std::nullopt);
    state.paused = true;
    EXPECT_EQ(order_of('p', &seen, state)->kind, Kind::resume);
    // From max to what is carried, and a tenth off; small rates go by one, and not below it.
    state.rate = std::nullopt;
    EXPECT_EQ(order_of('-', &seen, state)->rate, 2273.0);
    state.rate = 1.0;
    EXPECT_EQ(order_of('+', &seen, state)->rate, 2.0);
    EXPECT_EQ(order_of('-', &seen, state)->rate, 1.0);
    EXPECT_EQ(order_of('/', &seen, state)->rate, 1.0);
}

TEST(LiveNews, KeepsWholeLinesAndPrintsThemWhenTheViewIsGone) {
    News news;
    fmt::print(news.file(), "first\nsecond\nhalf");
    std::fflush(news.file());
    EXPECT_THAT(news.latest(8), testing::ElementsAre("first", "second"));
    for (std::size_t i = 0; i < News::most_lines + 9; ++i) fmt::print(news.file(), "{}\n", i);
    std::fflush(news.file());
    EXPECT_THAT(news.latest(1), testing::ElementsAre(fmt::format("{}", News::most_lines + 8)));
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* const out = open_memstream(&text, &size);
    news.print(out);
    std::fclose(out);
    EXPECT_THAT(text, HasSubstr("(11 lines before these are not shown)\n9\n10\n"));
    std::free(text);
    EXPECT_TRUE(news.latest(8).empty());
}

TEST(LiveMetrics, HaveEveryCounterAndHistogramsThatAddUp) {
    const load::Observation seen = observation();
    const auto families = metrics(seen);
    const auto find = [&](const std::string& name) -> const prometheus::MetricFamily& {
        const auto found = std::ranges::find(families, name, &prometheus::MetricFamily::name);
        EXPECT_NE(found, families.end()) << name;
        return *found;
    };
    for (const CounterDescription& description : counter_descriptions())
        EXPECT_EQ(find(fmt::format("runnel_{}_total", description.name)).help, description.sentence);
    EXPECT_EQ(find("runnel_drops_total").metric.size(), drop_count);
    EXPECT_EQ(find("runnel_tcp_syns_out_total").metric.at(0).counter.value, 2500);
    const auto& histogram = find("runnel_handshake_seconds").metric.at(0).histogram;
    EXPECT_EQ(histogram.sample_count, 100U);
    EXPECT_NEAR(histogram.sample_sum, 5050e-6, 1e-9);
    // 1 to 100 us; 65.536 us and less are 65 of them.
    for (const auto& bucket : histogram.bucket) {
        const auto expected = static_cast<std::uint64_t>(std::min(100.0, bucket.upper_bound * 1e6));
        EXPECT_EQ(bucket.cumulative_count, expected) << bucket.upper_bound;
    }
}

}  // namespace live_test
}  // namespace runnel::app::live
