// A scenario comes to the line that its keys say; one that is wrong names file, line and key, and the mend.
#include "scenario/scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenario/keys.hpp"

namespace runnel::app::scenario {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string line_of(std::string_view text, const std::vector<std::string>& set = {},
                    std::optional<Role> role = {}) {
    Scenario scenario = parse(text, "a.toml");
    override_settings(scenario, set);
    return to_string(to_line(scenario, choose_role(scenario, role)));
}

// What is said of a scenario that is wrong.
std::string complaint(std::string_view text, const std::vector<std::string>& set = {},
                      std::optional<Role> role = {}) {
    try {
        return "nothing is wrong: " + line_of(text, set, role);
    } catch (const BadScenario& wrong) {
        return wrong.what();
    }
}

constexpr std::string_view two_machines = R"(rate = "50k"
recipe = "crr"

[tcp]
msl = "1s"

[client]
port = "net_null0"
address = "198.18.0.1/24"
target = "198.18.0.100:80"

[client.traffic]
duration = "3s"

[server]
port = "net_null1"
address = "198.18.0.100/24"
listen = ["80", "7:echo"]
)";

TEST(Scenario, KeysAreTheOptionsOfTheCommandAtTheTopOrUnderTheirHeading) {
    EXPECT_EQ(line_of("recipe = 'rst'\nrate = 5_000\nipv6 = true\none-address = false\n"),
              "runnel handshake --recipe rst --rate 5000 --ipv6");
    EXPECT_EQ(line_of("[traffic]\nrecipe = 'rst'\n[tcp]\nno-sack = true\n"),
              "runnel handshake --recipe rst --no-sack");
    EXPECT_EQ(line_of("goal = ['failures < 0.1 %', 'cps > 1k']\n"),
              "runnel handshake --goal 'failures < 0.1 %' --goal 'cps > 1k'");
    EXPECT_EQ(line_of(""), "runnel handshake");
}

// Whatever an option is called, its key has the same name: nothing is written down twice.
TEST(Scenario, EveryOptionOfEachCommandIsAKey) {
    for (Action (*declare)(CLI::App&) : {add_handshake, add_load, add_serve}) {
        CLI::App app;
        const Action action = declare(app);
        unsigned keys = 0;
        for (const CLI::Option* option : app.get_options()) {
            if (option == app.get_help_ptr()) continue;
            const std::string& key = option->get_lnames().front();
            // A list is too much for an option of one value, and no switch: whichever, the key is known.
            const std::string said = complaint(key + " = ['x', 'y']\n", {}, Role::client);
            EXPECT_THAT(said, testing::Not(HasSubstr("there is no such key")));
            ++keys;
        }
        EXPECT_GT(keys, 20U);
    }
}

TEST(Scenario, RolesTakeWhatIsTheirsAndWhatIsShared) {
    EXPECT_EQ(line_of(two_machines, {}, Role::client),
              "runnel load --port net_null0 --address 198.18.0.1/24 --target 198.18.0.100:80 --recipe crr "
              "--rate 50k --duration 3s --msl 1s");
    EXPECT_EQ(line_of(two_machines, {}, Role::server),
              "runnel serve --port net_null1 --address 198.18.0.100/24 --listen 80 --listen 7:echo --msl 1s");
    EXPECT_EQ(line_of(two_machines, {}, Role::both), "runnel handshake --recipe crr --rate 50k --msl 1s");
    EXPECT_THAT(complaint(two_machines), AllOf(HasSubstr("[client] and a [server]"), HasSubstr("--role")));
}

TEST(Scenario, TheOnlyRoleOfAFileIsItsRole) {
    EXPECT_THAT(line_of("[server]\nport = 'net_null0'\naddress = '192.0.2.1/24'\n"),
                StartsWith("runnel serve"));
}

TEST(Scenario, SetGoesBeforeTheFileAndARoleBeforeWhatIsShared) {
    EXPECT_EQ(line_of("rate = 10\nrecipe = 'rst'\n", {"rate=20k"}),
              "runnel handshake --recipe rst --rate 20k");
    EXPECT_EQ(line_of("[traffic]\nrate = 10\n", {"traffic.rate=max"}), "runnel handshake --rate max");
    EXPECT_THAT(line_of(two_machines, {"client.rate=7", "rate=8"}, Role::client), HasSubstr("--rate 7 "));
    EXPECT_THAT(line_of(two_machines, {"client.rate=7"}, Role::client), HasSubstr("--rate 7 "));
    EXPECT_THAT(
        line_of("rate = 1\n[client]\nrate = 2\nport = 'net_null0'\naddress = '192.0.2.1/24'\ntarget = "
                "'192.0.2.2:80'\n"),
        HasSubstr("--rate 2"));
    EXPECT_EQ(line_of("goal = 'cps > 1'\n", {"goal=tps > 1", "goal=drops = 0"}),
              "runnel handshake --goal 'tps > 1' --goal 'drops = 0'");
}

TEST(Scenario, WrongOnesNameFileLineAndKeyAndTheMend) {
    struct Case {
        std::string_view text;
        std::vector<const char*> said;
    };
    const std::vector<Case> cases{
        {"recipe = 'crr'\nrecipie = 'rst'\n", {"a.toml:2: recipie: ", "did you mean recipe?"}},
        {"[trafic]\nrate = 1\n", {"a.toml:2: [trafic]", "did you mean [traffic]?"}},
        {"[tcp]\n\nrate = 1\n", {"a.toml:3: rate: ", "[tcp]", "write it in [traffic]"}},
        {"[traffic]\ncores = 2\n", {"a.toml:2: cores: ", "above all sections"}},
        {"\nrate = '12x'\n", {"a.toml:2: rate: ", "\"12x\"", "k, M, G"}},
        {"rate = 0\n", {"a.toml:1: rate: ", "at least 1"}},
        {"duration = 5\n", {"a.toml:1: duration: ", "5s"}},
        {"recipe = 'get'\n",
         {"a.toml:1: recipe: ", "hold, rst, fin, crr, rr, http, stream, udp-rr, udp-oneway or none"}},
        {"ipv6 = 'perhaps'\n", {"a.toml:1: ipv6: ", "true or false"}},
        {"ipv6 = 1\n", {"a.toml:1: ipv6: ", "true or false"}},
        {"rate = [1, 2]\n", {"a.toml:1: rate: ", "one value"}},
        {"json = ''\n", {"a.toml:1: json: ", "empty"}},
        {"rate = 2026-01-01\n", {"a.toml:1: rate: ", "a text, a number"}},
        {"goal = [['cps > 1']]\n", {"a.toml:1: goal: ", "a text, a number"}},
        {"goal = ['cps > 1', 'cpz > 1']\n", {"a.toml:1: goal: ", "did you mean cps?"}},
        {"target = '192.0.2.1:80'\n", {"a.toml:1: target: ", "runnel load", "[client]"}},
        {"[client]\nwire = 'ring'\n", {"a.toml:2: wire: ", "above all tables"}},
        {"[client.traffic.more]\nrate = 1\n", {"a.toml:1: [traffic.more]"}},
        {"rate = 1\n[traffic]\nrate = 2\n", {"a.toml:3: rate: ", "a.toml:1"}},
        {"[client]\naddress = '192.0.2.1/24'\ntarget = '192.0.2.2:80'\n", {"a.toml: [client] has no port"}},
        {"help = true\n", {"a.toml:1: help: ", "no such key"}},
        {"recipe = \n", {"a.toml:1: "}},
        {"rate = 1\nrate = 2\n", {"a.toml:2: "}},
    };
    for (const Case& one : cases) {
        const std::string said = complaint(one.text);
        EXPECT_THAT(said, StartsWith(one.said.front())) << one.text;
        for (const char* part : one.said) EXPECT_THAT(said, HasSubstr(part)) << one.text;
    }
}

TEST(Scenario, WrongSetsAreNamed) {
    EXPECT_THAT(complaint("", {"rate"}), AllOf(StartsWith("--set: "), HasSubstr("key=value")));
    EXPECT_THAT(complaint("", {"a.b.c=1"}), AllOf(StartsWith("--set: "), HasSubstr("section.key")));
    EXPECT_THAT(complaint("", {"rote=1"}), AllOf(StartsWith("--set: rote"), HasSubstr("did you mean rate?")));
    EXPECT_THAT(complaint("", {"rate=fast"}), StartsWith("--set: rate: \"fast\""));
}

TEST(Scenario, ValuesReachTheCommandAsTheyStand) {
    const Line line = to_line(parse("json = '-'\ngoal = \"cps > 1\"\ntrace = true\n", "a.toml"), Role::both);
    EXPECT_THAT(line.arguments, ElementsAre("--json=-", "--goal=cps > 1", "--trace=true"));
    EXPECT_EQ(to_string({.subcommand = "load", .arguments = {"--path=/it's", "--json=-"}}),
              "runnel load --path '/it'\\''s' --json=-");
}

TEST(Scenario, AFileThatCannotBeReadIsNamed) {
    EXPECT_THROW(
        {
            try {
                (void)read("/nowhere/a.toml");
            } catch (const BadScenario& wrong) {
                EXPECT_THAT(wrong.what(),
                            AllOf(StartsWith("/nowhere/a.toml: "), HasSubstr("cannot be read")));
                throw;
            }
        },
        BadScenario);
}

}  // namespace
}  // namespace runnel::app::scenario
