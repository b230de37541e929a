// A line that is wrong names what is wrong and the mend, on standard error, and nothing starts.
#include "command.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report.hpp"
#include "words.hpp"

namespace runnel::app {
namespace command_test {

using testing::AllOf;
using testing::HasSubstr;

struct Answer {
    int status;
    std::string out, error;
};

Answer answer(std::vector<const char*> words) {
    words.insert(words.begin(), "runnel");
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = run_command(static_cast<int>(words.size()), words.data());
    std::fflush(stdout);
    std::fflush(stderr);
    Answer result{status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
    return result;
}

TEST(Command, SearchSaysWhatItLacks) {
    EXPECT_THAT(answer({"search"}).error, HasSubstr("behind --, such as runnel search -- handshake"));
    EXPECT_THAT(answer({"search", "--", "serve"}).error, HasSubstr("\"serve\" makes no load"));
    EXPECT_THAT(answer({"search", "--", "handshake", "--rate", "5"}).error,
                HasSubstr("--rate is of the search"));
    EXPECT_THAT(answer({"search", "--goal", "loss=1%,speed=3", "--", "handshake"}).error,
                AllOf(HasSubstr("--goal"), HasSubstr("\"speed=3\" is no part of a goal")));
    EXPECT_THAT(answer({"search", "--goal", "latency=5", "--", "handshake"}).error, HasSubstr("unit"));
    const Answer a = answer({"search", "--min", "10", "--max", "5", "--", "handshake"});
    EXPECT_EQ(a.status, 1);
    EXPECT_FALSE(a.error.empty());
}

TEST(Command, UnknownOptionNamesItselfAndTheOneMeant) {
    const Answer a = answer({"handshake", "--recipie", "crr"});
    EXPECT_EQ(a.status, 1);
    EXPECT_THAT(a.error,
                AllOf(HasSubstr("runnel handshake: --recipie"), HasSubstr("did you mean --recipe?")));
}

TEST(Command, UnknownSubcommandNamesTheOneMeant) {
    const Answer a = answer({"handshak"});
    EXPECT_EQ(a.status, 1);
    EXPECT_THAT(a.error, HasSubstr("did you mean handshake?"));
}

TEST(Command, WrongValueNamesItsOptionAndTheMend) {
    struct Case {
        std::vector<const char*> words;
        std::vector<const char*> said;
    };
    const std::vector<Case> cases{
        {{"handshake", "--rate", "12x"}, {"--rate", "12x", "k, M, G"}},
        {{"handshake", "--rate", "0"}, {"--rate", "at least 1"}},
        {{"handshake", "--duration", "5"}, {"--duration", "no unit", "5s"}},
        {{"handshake", "--recipe", "get"},
         {"--recipe", "get", "hold, rst, fin, crr, rr, http, stream, udp-rr, udp-oneway or none"}},
        {{"handshake", "--window", "2M"}, {"--window", "2M", "1048576"}},
        {{"handshake", "--checksum", "none"}, {"--checksum", "software or offload"}},
        {{"handshake", "--huge", "maybe"}, {"--huge", "auto, yes or no"}},
        {{"handshake", "--msl", "1h"}, {"--msl", "10m"}},
        {{"handshake", "--congestion", "vegas"}, {"--congestion", "vegas", "cubic, newreno, bbr or none"}},
        {{"handshake", "--wire", "token-ring"}, {"--wire", "token-ring", "ring, memif, vhost or af_packet"}},
        {{"handshake", "--mtu", "9217"}, {"--mtu", "9217", "9216"}},
        {{"handshake", "--zero-copy"}, {"--zero-copy", "memif", "--wire ring"}},
        {{"handshake", "--wire", "memif", "--checksum", "offload"}, {"--checksum", "memif", "software"}},
        {{"handshake", "--recipe", "stream", "--direction", "up"},
         {"--direction", "up", "to-server, to-client or both"}},
        {{"handshake", "--recipe", "stream", "--buffer", "1k"}, {"--buffer", "1k", "16384"}},
        {{"handshake", "--recipe", "stream", "--rate", "1k"}, {"--rate 1000", "recipe stream"}},
        {{"handshake", "--recipe", "rr", "--think", "5"}, {"--think", "no unit"}},
        {{"handshake", "--think", "5ms"}, {"--think 5ms", "rr and http", "crr"}},
        {{"handshake", "--recipe", "rr", "--request-octets", "4,9"}, {"--request-octets 4", "8 octets"}},
        {{"handshake", "--recipe", "rr", "--response-octets", "normal:5"},
         {"--response-octets", "\"normal\" is no distribution"}},
        {{"handshake", "--recipe", "crr", "--transactions", "3"}, {"--transactions 3", "crr", "rr or http"}},
        {{"handshake", "--recipe", "http", "--request", "FETCH /"}, {"--request", "FETCH /", "GET"}},
        {{"handshake", "--recipe", "http", "--header", "Host: x"}, {"--header", "Host is made here"}},
        {{"handshake", "--max-lag", "1us"}, {"--max-lag", "1us", "1ms"}},
        {{"handshake", "--delay", "soon"}, {"--delay", "soon"}},
        {{"handshake", "--stall", "5s"}, {"--stall", "200ms/5s"}},
        {{"serve", "--port", "net_null0", "--address", "192.0.2.1/24", "--stall", "5s/1s"},
         {"--stall", "5s/1s", "less than from one to the next"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80", "--recipe",
          "rr", "--rate", "1k", "--concurrency", "5"},
         {"--concurrency 5", "recipe rr", "--connections"}},
        {{"handshake", "--rate", "ramp:1k-50k"}, {"--rate", "ramp:FROM-TO/TIME"}},
        {{"handshake", "--rate", "burst:0/1s"}, {"--rate", "burst:0/1s", "at least 1"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80", "--rate",
          "saw:1-2/1s"},
         {"--rate", "saw:1-2/1s", "steps:"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80",
          "--arrivals", "erlang"},
         {"--arrivals", "erlang", "even or poisson"}},
        {{"handshake", "--concurrency", "0"}, {"--concurrency", "at least 1"}},
        {{"handshake", "--ramp-up", "1s"}, {"--ramp-up", "--rate"}},
        {{"handshake", "--cores", "3"}, {"--cores", "3", "even"}},
        {{"handshake", "--recipe", "hold"}, {"--recipe hold", "--connections"}},
        {{"handshake", "--recipe", "hold", "--connections", "100M", "--client-addresses", "1"},
         {"100000000", "client addresses"}},
        {{"handshake", "--json"}, {"--json"}},
        {{"serve", "--port", "net_null0", "--address", "192.0.2.1"}, {"--address", "192.0.2.1/24"}},
        {{"serve", "--port", "net_null0", "--address", "192.0.2.1/24", "--listen", "80:ftp"},
         {"--listen", "80:echo"}},
        {{"serve", "--port", "net_null0", "--address", "192.0.2.1/24", "--listen", "80", "--listen",
          "80:echo"},
         {"--listen", "80", "twice"}},
        {{"serve", "--address", "192.0.2.1/24"}, {"--port"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2"},
         {"--target", "192.0.2.2", "10.0.0.1:80"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "8.8.8.8:80"},
         {"--target", "8.8.8.8", "--allow-target 8.8.8.8"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target",
          "203.0.113.254-203.0.114.1:80"},
         {"--target", "203.0.114.0", "--allow-target"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "8.8.8.8:80",
          "--allow-target", "8.8.4.0/24"},
         {"--target", "8.8.8.8"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "8.8.8.8:80",
          "--allow-target", "google"},
         {"--allow-target", "google"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "[2001:db8::1]:80"},
         {"--target", "2001:db8::1", "one family"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.9:80", "--clients",
          "192.0.2.5-192.0.2.20"},
         {"--target", "192.0.2.9", "our own"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.200:80",
          "--clients", "192.0.3.0/24"},
         {"--clients", "192.0.3.254", "192.0.2.1/24", "shorter prefix"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "198.18.0.1:80",
          "--gateway", "192.0.2.9", "--clients", "192.0.2.5-192.0.2.20"},
         {"--clients", "192.0.2.9", "one side"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80",
          "--client-ports", "9-5"},
         {"--client-ports", "5-9"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80", "--choose",
          "any"},
         {"--choose", "any", "sequential, random or hashed"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80",
          "--gateway-mac", "02:00:00:00:00:01"},
         {"--gateway-mac", "--gateway"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80", "--vlan",
          "4095"},
         {"--vlan", "4095", "4094"}},
        {{"load", "--port", "net_null0", "--address", "10.0.0.1/8", "--target", "10.9.0.1:80", "--recipe",
          "fin", "--rate", "200k", "--duration", "10m", "--msl", "30s", "--time-wait-table", "100M",
          "--clients", "10.0.0.1-10.0.0.16"},
         {"200 k connections/s with 1m TIME-WAIT need 12.0 M pairs", "16 client addresses", "give 1.03 M"}},
        {{"handshake", "--attack", "teardrop:1k"}, {"--attack", "teardrop:1k", "syn-flood"}},
        {{"handshake", "--attack", "syn-flood"}, {"--attack", "syn-flood:100k"}},
        {{"handshake", "--attack", "udp-flood:1k", "--attack-octets", "9000"}, {"--attack-octets", "1400"}},
        {{"handshake", "--recipe", "none"}, {"--recipe none", "--attack"}},
        {{"handshake", "--recipe", "none", "--attack", "rst:1k", "--rate", "5"}, {"--recipe none", "--rate"}},
    };
    for (const Case& one : cases) {
        const Answer a = answer(one.words);
        EXPECT_EQ(a.status, 1) << a.error;
        EXPECT_THAT(a.error, testing::StartsWith(std::string{"runnel "} + one.words[0] + ": "));
        for (const char* said : one.said) EXPECT_THAT(a.error, HasSubstr(said));
        EXPECT_EQ(a.out, "");
    }
}

TEST(Command, DocumentShowsTheLoadAsItWasAskedFor) {
    const load::Traffic traffic{.recipe = load::Recipe::fin,
                                .duration = 20s,
                                .profile = load::LoadProfile::parse("ramp:1k-5k/10s"),
                                .arrivals = load::ArrivalProcess::poisson,
                                .seed = 7,
                                .ramp_up = 2s,
                                .concurrency = 500};
    const load::CorePlan plan = load::plan_core(traffic, 1, 0);
    nlohmann::ordered_json config;
    describe_traffic(traffic, plan, config);
    EXPECT_EQ(config["rate"], "schedule:0s=1000,10s=5000");
    EXPECT_EQ(config["arrivals"], "poisson");
    EXPECT_EQ(config["arrivals_seed"], 7);
    EXPECT_EQ(config["concurrency"], 500);
    EXPECT_EQ(config["ramp_up"], "2s");
    EXPECT_THAT(what_is_asked(traffic, 1), AllOf(HasSubstr("poisson"), HasSubstr("500 kept open")));
    EXPECT_EQ(load::LoadProfile::parse(config["rate"].get<std::string>()), *traffic.profile);
}

TEST(Command, DocumentShowsTransactionsAndTheServersWaysAsTheyWereAskedFor) {
    load::Traffic traffic{.recipe = load::Recipe::http, .rate = 100, .transactions = 3};
    traffic.sizes = {.think = load::parse_times("uniform:1ms-5ms"),
                     .request = load::parse_sizes("64,576*4"),
                     .response = load::parse_sizes("exponential:10k")};
    traffic.http = {.asks = {{"POST", "/form"}}, .headers = {"Accept: */*"}, .host = "test.example"};
    nlohmann::ordered_json config;
    describe_traffic(traffic, load::plan_core(traffic, 1, 0), config);
    describe_behaviour({.delay = load::parse_times("5ms"), .stall = load::parse_stall("200ms/5s")}, config);
    EXPECT_EQ(config["transactions"], 3);
    EXPECT_EQ(load::parse_times(config["think"].get<std::string>()), traffic.sizes.think);
    EXPECT_EQ(load::parse_sizes(config["request_octets"].get<std::string>()), traffic.sizes.request);
    EXPECT_EQ(load::parse_sizes(config["response_octets"].get<std::string>()), traffic.sizes.response);
    EXPECT_EQ(config["requests"], nlohmann::ordered_json({"POST /form"}));
    EXPECT_EQ(config["headers"], nlohmann::ordered_json({"Accept: */*"}));
    EXPECT_EQ(config["host"], "test.example");
    EXPECT_EQ(config["keep_alive"], true);
    EXPECT_EQ(config["server_delay"], "5ms");
    EXPECT_EQ(config["server_stall"], "200ms/5s");
    EXPECT_EQ(what_is_asked(traffic, 1), "3 transactions a connection, rate 100/s");
    traffic.transactions = 0;
    EXPECT_EQ(what_is_asked(traffic, 1), "2000 connections kept, transactions at rate 100/s");
}

TEST(Command, TooLittleMemoryIsSaidBeforeTheStartWithTheFigureNeeded) {
    const Answer a = answer({"handshake", "--recipe", "hold", "--connections", "250M", "--cores", "2"});
    EXPECT_EQ(a.status, 1);
    EXPECT_THAT(a.error, AllOf(HasSubstr("250000000 connections"), HasSubstr("GiB of memory are needed"),
                               HasSubstr("available")));
}

TEST(Command, HelpTeachesByExample) {
    for (const char* subcommand : {"handshake", "load", "serve"}) {
        const Answer a = answer({subcommand, "--help"});
        EXPECT_EQ(a.status, 0);
        EXPECT_THAT(a.out, AllOf(HasSubstr("Example"), HasSubstr(std::string{"runnel "} + subcommand),
                                 HasSubstr("--msl")));
    }
    const Answer a = answer({"--help"});
    EXPECT_EQ(a.status, 0);
    EXPECT_THAT(a.out, AllOf(HasSubstr("handshake"), HasSubstr("load"), HasSubstr("serve"),
                             HasSubstr("Exit status")));
}

TEST(Command, NothingNearGivesNoAdvice) {
    EXPECT_EQ(nearest("--recipy", {"--recipe", "--rate"}), "--recipe");
    EXPECT_EQ(nearest("--xyzzyplugh", {"--recipe", "--rate"}), "");
}

}  // namespace command_test
}  // namespace runnel::app
