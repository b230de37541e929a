// Sets of result documents beside one another.
#include "results/comparison.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace runnel::results {
namespace comparison_test {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::ThrowsMessage;

Document trial(double cps, double p99_us, nlohmann::ordered_json rate = "max", const char* recipe = "crr") {
    return {"trial",
            {{"schema", "runnel.result/1"},
             {"command", "handshake"},
             {"recipe", recipe},
             {"verdict", "valid"},
             {"reason", ""},
             {"config", {{"rate", std::move(rate)}, {"cores", 2}}},
             {"connections", {{"attempted", 1000}, {"failed", 0}}},
             {"rate", {{"cps", cps}, {"tps", cps}}},
             {"generator", {{"busy_percent", {100.0, 50.0}}}},
             {"latency_us",
              {{"handshake",
                {{"intended",
                  {{"count", 1000}, {"p50", p99_us / 2}, {"p99", p99_us}, {"p999", p99_us * 2}}}}}}}}};
}

Side side(const char* name, std::initializer_list<double> rates, double p99_us = 100) {
    Side result{name, {}};
    for (const double cps : rates) result.trials.push_back(trial(cps, p99_us * cps / 1e6));
    return result;
}

TEST(Comparison, FasterSideIsFaster) {
    const auto c =
        compare({side("old", {1e6, 1.01e6, 0.99e6, 1e6}), side("new", {1.1e6, 1.11e6, 1.1e6, 1.09e6})}, {})
            .front();
    EXPECT_EQ(c.lines.front().metric.name, "connections/s");
    EXPECT_EQ(c.finding(), Finding::better);
    EXPECT_NEAR(c.lines.front().difference.share, 0.1, 0.01);
    EXPECT_THAT(to_text(c, {}), AllOf(HasSubstr("new is faster than old"), HasSubstr("1.10 M")));
}

TEST(Comparison, SidesThatDoNotDifferAreNotCalledDifferent) {
    const auto c =
        compare({side("a", {1e6, 1.001e6, 0.999e6, 1.002e6}), side("b", {1e6, 1.001e6, 0.998e6, 1.001e6})},
                {})
            .front();
    EXPECT_EQ(c.finding(), Finding::no_difference);
}

TEST(Comparison, DatagramsAreComparedByTheirRateLossAndOrder) {
    const auto datagrams = [](const char* name, std::initializer_list<double> rates, double lost) {
        Side result{name, {}};
        for (const double dps : rates) {
            Document one = trial(0, 1, "max", "udp-oneway");
            one.json["rate"]["dps"] = dps;
            one.json["datagrams"] = {
                {"to_server",
                 {{"sent", 1000}, {"lost", lost}, {"reordered_percent", 1.5}, {"jitter_us", {{"mean", 3}}}}},
                {"to_client", {{"sent", 0}, {"lost", 0}}}};
            result.trials.push_back(one);
        }
        return result;
    };
    const auto c =
        compare({datagrams("old", {1e6, 1.01e6, 0.99e6}, 10), datagrams("new", {2e6, 2.01e6, 1.99e6}, 20)},
                {})
            .front();
    EXPECT_EQ(c.lines.front().metric.name, "datagrams/s");
    EXPECT_EQ(c.finding(), Finding::better);
    EXPECT_EQ(c.lines.back().metric.name, "datagrams lost");
    EXPECT_DOUBLE_EQ(c.lines.back().a.mean, 1);
    EXPECT_DOUBLE_EQ(c.lines.back().b.mean, 2);
    EXPECT_THAT(to_text(c, {}), HasSubstr("out of order to the server"));
}

TEST(Comparison, NoisyTrialsDoNotTell) {
    const auto c = compare({side("a", {1e6, 1.5e6, 0.7e6}), side("b", {1.2e6, 0.9e6, 1.4e6})}, {}).front();
    EXPECT_EQ(c.finding(), Finding::unclear);
    EXPECT_THAT(to_text(c, {}), HasSubstr("these trials do not tell"));
}

TEST(Comparison, MannWhitneyNeedsFourASide) {
    const ComparisonOptions options{.test = results::Test::mann_whitney};
    const auto three = compare({side("a", {1e6, 1.01e6, 0.99e6}), side("b", {2e6, 2.01e6, 1.99e6})}, options);
    EXPECT_EQ(three.front().finding(), Finding::unclear);
    const auto four = compare(
        {side("a", {1e6, 1.01e6, 0.99e6, 1.02e6}), side("b", {2e6, 2.01e6, 1.99e6, 2.02e6})}, options);
    EXPECT_EQ(four.front().finding(), Finding::better);
}

TEST(Comparison, WhereTheRateWasSetLatencyIsWhatIsCompared) {
    Side a{"a", {}}, b{"b", {}};
    for (const double wobble : {0.0, 1.0, 2.0}) {
        a.trials.push_back(trial(100'000, 300 + wobble, 100'000));
        b.trials.push_back(trial(100'000, 200 + wobble, 100'000));
    }
    const auto c = compare({a, b}, {}).front();
    EXPECT_EQ(c.lines.front().metric.name, "handshake p99");
    EXPECT_EQ(c.finding(), Finding::better);  // less is better
    EXPECT_LT(c.lines.front().difference.share, 0);
}

TEST(Comparison, EachSideIsComparedWithTheFirst) {
    const auto all = compare({side("a", {1e6, 1e6}), side("b", {1.2e6, 1.2e6}), side("c", {0.8e6, 0.8e6})},
                             ComparisonOptions{});
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].finding(), Finding::better);
    EXPECT_EQ(all[1].finding(), Finding::worse);
}

TEST(Comparison, TrialsThatAreNotValidAreLeftOutAndSaid) {
    Side a = side("a", {1e6, 1e6, 1e6});
    a.trials[1].json["verdict"] = "generator-limited";
    const auto c = compare({a, side("b", {1e6, 1e6})}, {}).front();
    EXPECT_EQ(c.trials_a, 2U);
    EXPECT_THAT(c.notes, Contains(HasSubstr("1 of 3 trials are not valid, and left out")));
    for (Document& one : a.trials) one.json["verdict"] = "failed";
    EXPECT_THAT(
        [&] {
            (void)compare({a, side("b", {1e6})}, {});
        },
        ThrowsMessage<BadComparison>(AllOf(HasSubstr("no trial is valid"), HasSubstr("--all"))));
    EXPECT_EQ(compare({a, side("b", {1e6})}, {.all = true}).front().trials_a, 3U);
}

TEST(Comparison, OtherRecipesAreRefusedAndOtherSettingsNamed) {
    Side b = side("b", {1e6, 1e6});
    for (Document& one : b.trials) one.json["config"]["congestion"] = "bbr";
    EXPECT_THAT(compare({side("a", {1e6, 1e6}), b}, {}).front().differing,
                Contains(HasSubstr("congestion: null / bbr")));
    for (Document& one : b.trials) one.json["recipe"] = "rst";
    EXPECT_THAT(
        [&] {
            (void)compare({side("a", {1e6}), b}, {});
        },
        ThrowsMessage<BadComparison>(HasSubstr("like with like")));
}

class Files : public testing::Test {
  protected:
    Files() { std::filesystem::create_directories(folder); }
    ~Files() override { std::filesystem::remove_all(folder); }
    std::filesystem::path write(const char* name, const std::string& text) {
        std::ofstream(folder / name) << text;
        return folder / name;
    }
    std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("runnel_documents_" + std::to_string(::getpid()));
};

TEST_F(Files, HoldOneDocumentOrSeveralOrAnArray) {
    const std::string one = trial(1, 1).json.dump();
    EXPECT_EQ(read_documents(write("one.json", one)).size(), 1U);
    EXPECT_EQ(read_documents(write("two.json", one + "\n" + one + "\n")).size(), 2U);
    EXPECT_EQ(read_documents(write("list.json", "[" + one + "," + one + "," + one + "]")).size(), 3U);
    EXPECT_EQ(read_documents(folder).size(), 6U);
}

TEST_F(Files, ThatAreNoDocumentsSayWhatTheyAre) {
    const auto refused = [](const std::filesystem::path& path, const char* why) {
        EXPECT_THAT([&] { (void)read_documents(path); },
                    ThrowsMessage<BadDocument>(AllOf(HasSubstr(path.string()), HasSubstr(why))));
    };
    refused(folder / "none.json", "cannot be read");
    refused(folder, "no *.json");
    refused(write("empty.json", ""), "nothing in it");
    refused(write("cut.json", trial(1, 1).json.dump().substr(0, 60)), "not JSON");
    refused(write("other.json", "{\"schema\": \"other/9\"}"), "other/9");
    refused(write("number.json", "17"), "no result document");
}

}  // namespace comparison_test
}  // namespace runnel::results
