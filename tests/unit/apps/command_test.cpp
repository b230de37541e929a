// A line that is wrong names what is wrong and the mend, on standard error, and nothing starts.
#include "command.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report.hpp"
#include "words.hpp"

namespace runnel::app {
namespace {

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
        {{"handshake", "--recipe", "get"}, {"--recipe", "get", "hold, rst, fin, crr, rr or stream"}},
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
        {{"handshake", "--recipe", "rr", "--rate", "1k"}, {"--rate 1000", "recipe rr"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80", "--recipe",
          "rr", "--rate", "1k"},
         {"--rate 1000", "recipe rr"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "192.0.2.2:80", "--recipe",
          "rr", "--request-octets", "0"},
         {"--request-octets", "1 to 1048576"}},
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
         {"--target", "192.0.2.1:80"}},
        {{"load", "--port", "net_null0", "--address", "192.0.2.1/24", "--target", "8.8.8.8:80"},
         {"--target", "8.8.8.8", "--allow-target"}},
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

}  // namespace
}  // namespace runnel::app
