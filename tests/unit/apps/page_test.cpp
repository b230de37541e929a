// A result document as a page that needs nothing else, whatever stands in the document.
#include "results/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/result.hpp"
#include "results/chart.hpp"

namespace runnel::results {
namespace page_test {

using testing::HasSubstr;
using testing::Not;

Document example() {
    load::Result result;
    result.command = "handshake";
    result.recipe = load::Recipe::crr;
    result.wire = "ring";
    result.duration_s = 3;
    result.client_cores = result.server_cores = 1;
    result.connections = {.attempted = 30, .established = 30, .completed = 30};
    result.cps = 10;
    for (std::uint64_t i = 1; i <= 30; ++i) {
        result.latency.actual.handshake.record(i * 1000);
        result.latency.intended.handshake.record(i * 1500);
    }
    for (int second = 1; second <= 3; ++second)
        result.intervals.push_back(
            {.t_s = static_cast<double>(second),
             .cps = 10.0 * second,
             .handshake = {.count = 10, .p50 = 1000, .p90 = 2000, .p99 = 3000, .p999 = 4000, .max = 5000}});
    result.counters.drops[static_cast<std::size_t>(DropReason::tcp_paws)] = 7;
    result.busy_percent = {55.5, 44.4};
    result.config["recipe"] = "crr";
    return {"test", to_json(result)};
}

TEST(Page, LoadsNothing) {
    const std::string page = to_page(example());
    for (const char* loads : {"http:", "https:", "src=", "href=", "url(", "@import", "fetch(", "import("})
        EXPECT_THAT(page, Not(HasSubstr(loads)));
    EXPECT_THAT(page, HasSubstr("<!doctype html>"));
    EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
    EXPECT_THAT(page, HasSubstr("width=device-width"));
}

TEST(Page, ShowsWhatTheDocumentHas) {
    const std::string page = to_page(example());
    for (const char* shown : {"connections a second", "Distribution of latency", "from the intended time",
                              "p99.99", "Over time", "tcp_paws", "busy 55.5 %", "Configuration", "valid"})
        EXPECT_THAT(page, HasSubstr(shown));
    // The sentence of the reason, besides its name.
    EXPECT_THAT(
        page,
        HasSubstr(escaped(drop_descriptions()[static_cast<std::size_t>(DropReason::tcp_paws)].sentence)));
}

TEST(Page, ShowsDatagramsInPlaceOfConnections) {
    load::Result result;
    result.recipe = load::Recipe::udp_oneway;
    result.duration_s = 1;
    result.dps_to_server = 1234;
    result.datagrams.to_server = {.planned = 50,
                                  .sent = 50,
                                  .sent_known = 50,
                                  .counts = {.received = 47, .unique = 46, .duplicated = 1, .missing = 4}};
    result.datagrams.undelivered[static_cast<std::size_t>(load::Undelivered::port)] = 9;
    const std::string page = to_page({"test", to_json(result)});
    for (const char* shown : {"datagrams a second", "datagrams lost", "8 % of 50", "Datagrams to the server",
                              "ICMP errors", "port unreachable"})
        EXPECT_THAT(page, HasSubstr(shown));
    EXPECT_THAT(page, Not(HasSubstr("failed connections")));
    EXPECT_THAT(page, Not(HasSubstr("TIME-WAIT")));
}

TEST(Page, TakesTextOfTheDocumentAsText) {
    Document document = example();
    document.json["wire"] = "<script>alert('x')</script>";
    document.json["config"]["<b>"] = "\"><img onerror=x>";
    document.json["notes"] = {"<i>&"};
    document.json["drops"]["<u>"] = 1;
    const std::string page = to_page(document);
    for (const char* tag : {"<script>alert", "<img", "<i>&", "<u>", "<b>\""})
        EXPECT_THAT(page, Not(HasSubstr(tag)));
}

TEST(Page, IsMadeOfADocumentThatHasLittle) {
    const std::string page = to_page({"test", {{"schema", "runnel.result/1"}}});
    EXPECT_THAT(page, HasSubstr("no course over time"));
    EXPECT_THAT(page, HasSubstr("</html>"));
    // Types that a document of ours has not.
    EXPECT_NO_THROW((void)to_page({"test",
                                   {{"drops", "none"},
                                    {"intervals", 5},
                                    {"config", nullptr},
                                    {"generator", {{"busy_percent", {"x"}}}}}}));
}

TEST(Page, GoalsStandWithWhatWasMeasured) {
    Document document = example();
    document.json["goals"] = {{{"goal", "handshake_p99 < 1ms"}, {"shown", "45 us"}, {"met", true}},
                              {{"goal", "cps > 1M"}, {"shown", "10"}, {"met", false}}};
    const std::string page = to_page(document);
    EXPECT_THAT(page, HasSubstr("handshake_p99 &lt; 1ms"));
    EXPECT_THAT(page, HasSubstr("✗ missed"));
}

TEST(Chart, DrawsAPercentileAxisWithEachNineAsWide) {
    const std::string html =
        to_html({.title = "t",
                 .x = Scale::percentile,
                 .y = Scale::latency,
                 .series = {{"s", "s1", {{0, 1}, {90, 2}, {99, 3}, {99.9, 4}, {100, 5}}}}});
    for (const char* mark : {">0 %<", ">90 %<", ">99 %<", ">max<"}) EXPECT_THAT(html, HasSubstr(mark));
    // 64 to 504 over four tenfolds.
    for (const char* point : {"64.0,", "174.0,", "284.0,", "394.0,", "504.0,"})
        EXPECT_THAT(html, HasSubstr(point));
}

TEST(Chart, OfOneSecondIsAPoint) {
    EXPECT_THAT(to_html({.title = "t", .series = {{"s", "s1", {{1, 5}}}}}), HasSubstr("<circle"));
    EXPECT_EQ(to_html({.title = "t", .series = {{"s", "s1", {}}}}), "");
}

TEST(Chart, MarksAreShort) {
    EXPECT_EQ(marked(1'200'000, Scale::count), "1.2 M");
    EXPECT_EQ(marked(0, Scale::count), "0");
    EXPECT_EQ(marked(2.5e9, Scale::bits), "2.5 Gbit/s");
    EXPECT_EQ(marked(0.5, Scale::latency), "500 ns");
    EXPECT_EQ(marked(1500, Scale::latency), "1.5 ms");
    EXPECT_EQ(marked(99.9, Scale::percentile), "99.9 %");
}

}  // namespace page_test
}  // namespace runnel::results
