// What a search asks of the document of a trial.
#include "search/trial_run.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runnel::search {
namespace trial_run_test {

using testing::HasSubstr;

constexpr Trial trial{.load = 1000, .duration = 2s};

results::Document document_of(const char* text) {
    return {.source = "test", .json = nlohmann::ordered_json::parse(text)};
}

TEST(TrialOutcome, LosesWhatOfTheConnectionsPlannedWasNotCarried) {
    const Outcome outcome =
        outcome_of(document_of(R"({"connections": {"attempted": 2000, "unsent": 100, "completed": 1500},
                        "rate": {"cps": 750},
                        "latency_us": {"handshake": {"intended": {"count": 1900, "p99": 42.5},
                                                     "actual": {"count": 1900, "p99": 1}}}})"),
                   trial, {});
    EXPECT_DOUBLE_EQ(outcome.loss_ratio, 0.25);
    EXPECT_EQ(outcome.carried, 750);
    EXPECT_EQ(outcome.latency_us, 42.5);
    EXPECT_EQ(outcome.trial.load, 1000U);
}

TEST(TrialOutcome, CountsTransactionsWhereTheRateIsTheirs) {
    constexpr auto text = R"({"connections": {"attempted": 10, "completed": 10},
                              "transactions": {"planned": 2000, "answered": 1990},
                              "rate": {"cps": 5, "tps": 995}, "config": {"transactions": %s},
                              "latency_us": {"transaction": {"intended": {"count": 1990, "p50": 7}}}})";
    const auto with = [&](const std::string& each) {
        std::string all = text;
        all.replace(all.find("%s"), 2, each);
        return outcome_of(document_of(all.c_str()), trial, {.histogram = "transaction", .percentile = "p50"});
    };
    EXPECT_DOUBLE_EQ(with("0").loss_ratio, 1 - 1990.0 / 2000);
    EXPECT_EQ(with("0").carried, 995);
    EXPECT_EQ(with("0").latency_us, 7);
    // With ten on each connection it is that of connections.
    EXPECT_EQ(with("10").loss_ratio, 0);
    EXPECT_EQ(with("10").carried, 5);
}

TEST(TrialOutcome, CountsDatagramsThatArrived) {
    const auto text = [](const char* recipe, const char* transactions) {
        return fmt::format(R"({{"recipe": "{}", "connections": {{"attempted": 0}}, {}
                               "datagrams": {{"to_server": {{"planned": 1000, "unique": 900}},
                                              "to_client": {{"planned": 1000, "unique": 1000}}}},
                               "rate": {{"dps": 1900, "tps": 80}}}})",
                           recipe, transactions);
    };
    const Outcome one_way = outcome_of(document_of(text("udp-oneway", "").c_str()), trial, {});
    EXPECT_NEAR(one_way.loss_ratio, 0.05, 1e-12);
    EXPECT_EQ(one_way.carried, 1900);
    const Outcome requests = outcome_of(
        document_of(text("udp-rr", R"("transactions": {"planned": 100, "answered": 80},)").c_str()), trial,
        {});
    EXPECT_NEAR(requests.loss_ratio, 0.2, 1e-12);
    EXPECT_EQ(requests.carried, 80);
}

TEST(TrialOutcome, WithoutALatencyHasNone) {
    const Outcome outcome = outcome_of(document_of(R"({"connections": {"attempted": 20, "completed": 0},
                                   "latency_us": {"handshake": {"intended": {"count": 0, "p99": 0}}}})"),
                                       trial, {});
    EXPECT_EQ(outcome.loss_ratio, 1);
    EXPECT_FALSE(outcome.latency_us);
}

TEST(TrialOutcome, OfNothingPlannedIsNone) {
    try {
        static_cast<void>(outcome_of(document_of(R"({"connections": {"attempted": 0}})"), trial, {}));
        FAIL() << "a trial of nothing says nothing";
    } catch (const TrialFailed& failed) {
        EXPECT_THAT(failed.what(), HasSubstr("1000/s of 2s had nothing to send"));
    }
}

}  // namespace trial_run_test
}  // namespace runnel::search
