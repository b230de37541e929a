// Accounting, line rate, verdict, and the result document of MEASURE.md.
#include "engine/result.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/target.hpp"

namespace runnel::load {
namespace result_test {

using testing::HasSubstr;

constexpr Accounting clean{.attempted = 1000, .unsent = 0, .established = 1000, .completed = 1000};

TEST(Accounting, ResidualIsZeroExactlyWhereEachAttemptHasOneOutcome) {
    constexpr Accounting all{.attempted = 100,
                             .unsent = 10,
                             .established = 80,
                             .completed = 70,
                             .refused = 5,
                             .reset = 6,
                             .timed_out = 4,
                             .in_flight = 5};
    EXPECT_EQ(all.residual(), 0);
    Accounting lost = all;
    lost.completed -= 1;
    EXPECT_EQ(lost.residual(), 1);
    Accounting twice = all;
    twice.reset += 2;
    EXPECT_EQ(twice.residual(), -2);
}

TEST(LineRate, MinimalFrameCosts84OctetsOnTheWire) {
    // 14.88 M frames of 64 octets, FCS included, fill 10 Gbit/s (MEASURE.md).
    const FrameCount one{.frames = 14'880'952, .octets = 14'880'952ULL * 60};
    EXPECT_NEAR(percent_of_line_rate(one, {}, 1.0, 10e9), 100.0, 0.001);
    EXPECT_NEAR(percent_of_line_rate({}, one, 2.0, 25e9), 20.0, 0.001);
}

TEST(LineRate, ShorterFramesArePaddedAndLongerOnesCostWhatTheyAre) {
    EXPECT_EQ(wire_octets({.frames = 1, .octets = 54}), 84U);
    EXPECT_EQ(wire_octets({.frames = 1, .octets = 1514}), 1538U);
}

TEST(Verdict, CleanRunIsValid) {
    EXPECT_EQ(judge(clean, std::nullopt).exit_status(), ExitStatus::good);
    EXPECT_EQ(judge(clean, 500.0).exit_status(), ExitStatus::good);
}

TEST(Verdict, RateThatWasNotOfferedIsGeneratorLimited) {
    Accounting short_of = clean;
    short_of.attempted += 500;
    short_of.unsent = 500;
    const Judgement judgement = judge(short_of, 750.0);
    EXPECT_EQ(judgement.verdict, Verdict::generator_limited);
    EXPECT_EQ(judgement.exit_status(), ExitStatus::generator_limited);
    EXPECT_THAT(judgement.reason, HasSubstr("500 of 1500"));
}

TEST(Verdict, AFewLateConnectionsAreNotALimit) {
    Accounting almost = clean;
    almost.attempted += 1;
    almost.unsent = 1;
    EXPECT_EQ(judge(almost, 750.0).verdict, Verdict::valid);
}

TEST(Verdict, WhereAsManyWereOpenAsMayBeTheTargetIsTheLimit) {
    Accounting full{
        .attempted = 1000, .unsent = 250, .unsent_full = 250, .established = 750, .completed = 750};
    EXPECT_EQ(judge(full, 1000.0).verdict, Verdict::failed);
    EXPECT_THAT(judge(full, 1000.0).reason, HasSubstr("the target is the limit"));
    full.unsent_full = 100;
    EXPECT_EQ(judge(full, 1000.0).verdict, Verdict::generator_limited)
        << "it has not offered the rest either";
}

TEST(Verdict, FailureOutweighsTheGeneratorsLimit) {
    Accounting failed = clean;
    failed.attempted += 501;
    failed.unsent = 500;
    failed.timed_out = 1;
    EXPECT_EQ(judge(failed, 750.0).exit_status(), ExitStatus::goal_missed);
}

TEST(Verdict, ResidualIsAFailure) {
    Accounting open = clean;
    open.attempted += 1;
    EXPECT_THAT(judge(open, std::nullopt).reason, HasSubstr("residual 1"));
    EXPECT_EQ(judge(open, std::nullopt).exit_status(), ExitStatus::goal_missed);
}

TEST(Verdict, TargetThatAnswersNothingIsAFailureAndNotTheGeneratorsLimit) {
    Accounting silent;
    silent.attempted = 100;
    silent.unsent = 99;
    silent.in_flight = 1;
    EXPECT_EQ(judge(silent, 100.0).verdict, Verdict::failed);
    EXPECT_THAT(judge(silent, 100.0).reason, testing::HasSubstr("did not answer"));
}

TEST(Verdict, RunWithoutAConnectionHasNotMeasuredAnything) {
    EXPECT_EQ(judge({}, std::nullopt).exit_status(), ExitStatus::goal_missed);
}

Result example() {
    Result result;
    result.command = "handshake";
    result.started = "2026-01-31T12:00:00Z";
    result.host = this_host();
    result.config["rate"] = "max";
    result.recipe = Recipe::crr;
    result.wire = "ring";
    result.client_cores = 2;
    result.server_cores = 2;
    result.duration_s = 2;
    result.connections = clean;
    result.cps = 500;
    result.client_tx = {.frames = 3000, .octets = 210'000};
    result.client_rx = {.frames = 3000, .octets = 300'000};
    result.server_tx = result.client_rx;
    result.server_rx = result.client_tx;
    result.connections_counted = 1000;
    for (std::uint64_t i = 1; i <= 1000; ++i) result.latency.actual.handshake.record(i * 1000);
    result.latency.intended = result.latency.actual;
    result.counters.drops[static_cast<std::size_t>(DropReason::tcp_paws)] = 3;
    result.busy_percent = {12.5, 99.0};
    result.judgement = judge(result.connections, result.asked_cps);
    result.intervals.push_back({.t_s = 1, .cps = 500, .established = 500, .in_flight = 7});
    return result;
}

TEST(ResultDocument, HasEveryFieldOfTheSchema) {
    const auto json = to_json(example());
    const std::vector<std::string> pointers{"/schema",
                                            "/command",
                                            "/version",
                                            "/started",
                                            "/host/cpu",
                                            "/host/cores",
                                            "/host/kernel",
                                            "/host/dpdk",
                                            "/host/hugepages",
                                            "/config",
                                            "/seed",
                                            "/recipe",
                                            "/wire",
                                            "/client_cores",
                                            "/server_cores",
                                            "/duration_s",
                                            "/connections/attempted",
                                            "/connections/unsent",
                                            "/connections/established",
                                            "/connections/completed",
                                            "/connections/refused",
                                            "/connections/reset",
                                            "/connections/timed_out",
                                            "/connections/in_flight",
                                            "/connections/residual",
                                            "/rate/offered_cps",
                                            "/rate/cps",
                                            "/rate/cps_per_core",
                                            "/rate/tps",
                                            "/rate/goodput_bps",
                                            "/rate/percent_of_line_rate/10G",
                                            "/rate/percent_of_line_rate/25G",
                                            "/rate/percent_of_line_rate/100G",
                                            "/packets/client_tx",
                                            "/packets/client_rx",
                                            "/packets/server_tx",
                                            "/packets/server_rx",
                                            "/packets/per_connection",
                                            "/packets/bytes_per_connection",
                                            "/retransmissions/syn",
                                            "/retransmissions/synack",
                                            "/retransmissions/data",
                                            "/retransmissions/fin",
                                            "/retransmissions/tlp",
                                            "/retransmissions/rto",
                                            "/retransmissions/fast",
                                            "/drops",
                                            "/generator/busy_percent",
                                            "/generator/schedule_lag_us/p50",
                                            "/generator/schedule_lag_us/p99",
                                            "/generator/schedule_lag_us/max",
                                            "/generator/tx_full",
                                            "/verdict",
                                            "/reason",
                                            "/intervals/0/t_s",
                                            "/intervals/0/cps",
                                            "/intervals/0/established",
                                            "/intervals/0/in_flight",
                                            "/intervals/0/retransmissions",
                                            "/intervals/0/drops",
                                            "/intervals/0/handshake_p99_us"};
    for (const std::string& pointer : pointers)
        EXPECT_TRUE(json.contains(nlohmann::ordered_json::json_pointer(pointer))) << pointer;
    for (const char* latency : {"handshake", "ttfb", "ttlb", "close", "transaction"})
        for (const char* from : {"intended", "actual"})
            for (const char* figure : {"count", "min", "p50", "p90", "p99", "p999", "p9999", "max", "mean"})
                EXPECT_TRUE(json.at("latency_us").at(latency).at(from).contains(figure))
                    << latency << from << figure;
}

TEST(ResultDocument, CarriesWhatWasMeasured) {
    const auto json = to_json(example());
    EXPECT_EQ(json["schema"], "runnel.result/1");
    EXPECT_EQ(json["connections"]["completed"], 1000);
    EXPECT_EQ(json["connections"]["residual"], 0);
    EXPECT_EQ(json["rate"]["offered_cps"], 500.0);
    EXPECT_EQ(json["rate"]["cps_per_core"], 250.0);
    EXPECT_EQ(json["packets"]["per_connection"], 6.0);
    EXPECT_EQ(json["packets"]["bytes_per_connection"], 510.0);
    EXPECT_NEAR(json["latency_us"]["handshake"]["actual"]["p50"].get<double>(), 500, 8);
    EXPECT_EQ(json["latency_us"]["handshake"]["actual"]["max"], 1000.0);
    EXPECT_EQ(json["drops"].size(), 1U);
    EXPECT_EQ(json["drops"]["tcp_paws"], 3);
    EXPECT_EQ(json["verdict"], "valid");
    EXPECT_TRUE(json["seed"].is_null());
}

TEST(ResultDocument, DrawsADistributionToItsGreatestValue) {
    Result result = example();
    Histogram& h = result.latency.actual.ttlb;
    h.clear();
    // A long tail: each tenth of the rarest is ten times as slow, up to one second for one in 10,000.
    constexpr int values = 10'000;
    const auto us_at = [](int rank) { return 1e6 / (values + 1 - rank); };
    for (int rank = 1; rank <= values; ++rank) h.record(static_cast<std::uint64_t>(us_at(rank) * 1000));
    const auto points = to_json(result)["latency_us"]["ttlb"]["actual"]["distribution"];
    ASSERT_GT(points.size(), 30U);
    EXPECT_EQ(points.front()[0], 0.0);
    EXPECT_EQ(points.front()[1], 100.0);
    EXPECT_EQ(points.back()[0], 100.0);
    EXPECT_EQ(points.back()[1], 1'000'000.0);
    for (std::size_t i = 1; i < points.size(); ++i) {
        EXPECT_GT(points[i][0], points[i - 1][0]);
        EXPECT_GT(points[i][1], points[i - 1][1]);
        const auto percent = points[i][0].get<double>();
        const double us = us_at(static_cast<int>(std::ceil(percent * values / 100 - 1e-4)));
        EXPECT_NEAR(points[i][1].get<double>(), us, us / 64);
    }
    EXPECT_TRUE(to_json(Result{})["latency_us"]["ttlb"]["actual"]["distribution"].empty());
}

TEST(ResultDocument, IntervalHasPercentilesOfWhatThereWas) {
    Result result = example();
    result.intervals = {{.t_s = 1, .handshake = {.count = 5, .p50 = 1500, .p99 = 2500, .max = 3500}}};
    const auto interval = to_json(result)["intervals"][0];
    EXPECT_EQ(interval["handshake_us"]["p50"], 1.5);
    EXPECT_EQ(interval["handshake_us"]["max"], 3.5);
    EXPECT_EQ(interval["handshake_p99_us"], 2.5);
    EXPECT_FALSE(interval.contains("transaction_us"));
}

TEST(ResultDocument, TextKeepsArraysOfNumbersOnALine) {
    const nlohmann::ordered_json json{{"pairs", {{1, 2.5}, {3, -4e9}}},
                                      {"words", {"[1,", "2]"}},
                                      {"none", nlohmann::ordered_json::array()}};
    const std::string text = document_text(json);
    EXPECT_THAT(text, HasSubstr("[1, 2.5]"));
    EXPECT_EQ(nlohmann::ordered_json::parse(text), json);
}

Result transactions() {
    Result result = example();
    result.recipe = Recipe::rr;
    result.connections = {.attempted = 10, .established = 10, .completed = 10};
    result.transactions = {.asked = 2000, .answered = 2000};
    result.tps = 1000;
    result.transactions_counted = 2000;
    result.client_tx = {.frames = 2000, .octets = 320'000};
    result.client_rx = {.frames = 2000, .octets = 400'000};
    result.counted_s = 2;
    return result;
}

Result streams() {
    Result result = example();
    result.recipe = Recipe::stream;
    result.connections = {.attempted = 2, .established = 2, .completed = 2};
    result.octets = {.client_sent = 5000, .server_received = 5000, .server_sent = 70, .client_received = 70};
    result.goodput_to_server_bps = 3e9;
    result.goodput_bps = 4e9;
    result.goodput_to_client_bps = 1e9;
    // 10 Gbit/s for a second.
    result.client_tx = {.frames = 812'743, .octets = 812'743ULL * 1514};
    result.client_rx = {.frames = 1, .octets = 66};
    result.counted_s = 1;
    return result;
}

TEST(Verdict, TransactionWithoutAnAnswerIsAFailure) {
    EXPECT_EQ(judge_transfer(transactions()).exit_status(), ExitStatus::good);
    Result lost = transactions();
    lost.transactions = {.asked = 2000, .answered = 1999, .lost = 1};
    EXPECT_THAT(judge_transfer(lost).reason, HasSubstr("1 of 2000 transactions"));
    EXPECT_EQ(judge_transfer(lost).exit_status(), ExitStatus::goal_missed);
    Result forgotten = transactions();
    forgotten.transactions = {.asked = 2000, .answered = 1999};
    EXPECT_THAT(judge_transfer(forgotten).reason, HasSubstr("residual 1"));
    Result none = transactions();
    none.tps = 0;
    EXPECT_EQ(judge_transfer(none).verdict, Verdict::failed);
}

TEST(Verdict, OctetThatDidNotArriveIsAFailureWhereBothSidesAreOurs) {
    EXPECT_EQ(judge_transfer(streams()).exit_status(), ExitStatus::good);
    Result missing = streams();
    missing.octets.server_received -= 1;
    EXPECT_THAT(judge_transfer(missing).reason, HasSubstr("1 to the server and 0 to the client are missing"));
    Result back = streams();
    back.octets.client_received += 2;
    EXPECT_THAT(judge_transfer(back).reason, HasSubstr("0 to the server and -2 to the client"));
    back.server_cores = 0;
    EXPECT_EQ(judge_transfer(back).verdict, Verdict::valid);
    Result silent = streams();
    silent.goodput_bps = 0;
    EXPECT_EQ(judge_transfer(silent).verdict, Verdict::failed);
}

TEST(Verdict, KeptConnectionThatFailedOrWasNotOpenedIsAFailure) {
    Result reset = streams();
    reset.connections = {.attempted = 2, .established = 2, .completed = 1, .reset = 1};
    EXPECT_EQ(judge_transfer(reset).verdict, Verdict::failed);
    Result few = streams();
    few.connections = {.attempted = 2, .unsent = 1, .established = 1, .completed = 1};
    EXPECT_THAT(judge_transfer(few).reason, HasSubstr("1 of 2 connections were not opened"));
}

TEST(ResultDocument, CarriesTransactionsAndTheirPackets) {
    const auto json = to_json(transactions());
    EXPECT_EQ(json["rate"]["tps"], 1000.0);
    EXPECT_EQ(json["transactions"]["answered"], 2000);
    EXPECT_EQ(json["transactions"]["residual"], 0);
    EXPECT_EQ(json["packets"]["per_transaction"], 2.0);
    EXPECT_EQ(json["packets"]["bytes_per_transaction"], 360.0);
    EXPECT_EQ(json["packets"]["per_connection"], 0.0) << "only the frames of the window are counted";
    EXPECT_THAT(to_text(transactions()),
                testing::AllOf(HasSubstr("1.00 k transactions/s"), HasSubstr("2.000 a transaction")));
    EXPECT_FALSE(to_json(example()).contains("transactions"));
}

TEST(ResultDocument, CarriesOctetsAndGoodputOfEachDirection) {
    const auto json = to_json(streams());
    EXPECT_EQ(json["rate"]["goodput_bps"], 4e9);
    EXPECT_EQ(json["rate"]["goodput_to_server_bps"], 3e9);
    EXPECT_EQ(json["rate"]["goodput_to_client_bps"], 1e9);
    EXPECT_EQ(json["octets"]["server_received"], 5000);
    EXPECT_EQ(json["octets"]["residual_to_client"], 0);
    EXPECT_NEAR(json["rate"]["percent_of_line_rate"]["10G"].get<double>(), 100, 0.1);
    EXPECT_THAT(to_text(streams()), HasSubstr("4.00 Gbit/s"));
    EXPECT_FALSE(to_json(example()).contains("octets"));
}

TEST(ResultText, ShowsResidualPacketsAndDropsWithTheirReason) {
    const std::string text = to_text(example());
    EXPECT_THAT(text, HasSubstr("500 connections/s"));
    EXPECT_THAT(text, testing::ContainsRegex("residual +0"));
    EXPECT_THAT(text, HasSubstr("6.000 a connection"));
    EXPECT_THAT(text, HasSubstr("3 tcp_paws"));
    EXPECT_THAT(text, HasSubstr("valid"));
}

TEST(Target, OnlyTestNetworksAreAimedAtUnasked) {
    for (const Ipv4Address safe :
         {Ipv4Address{10, 255, 0, 1}, Ipv4Address{172, 31, 255, 255}, Ipv4Address{192, 168, 0, 1},
          Ipv4Address{198, 19, 255, 1}, Ipv4Address{203, 0, 113, 9}, Ipv4Address{127, 0, 0, 1}})
        EXPECT_TRUE(is_test_address(safe)) << to_string(safe);
    for (const Ipv4Address other :
         {Ipv4Address{8, 8, 8, 8}, Ipv4Address{172, 32, 0, 1}, Ipv4Address{198, 20, 0, 1},
          Ipv4Address{192, 0, 3, 1}, Ipv4Address{11, 0, 0, 1}})
        EXPECT_FALSE(is_test_address(other)) << to_string(other);
}

}  // namespace result_test
}  // namespace runnel::load
