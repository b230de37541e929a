// A configuration of dperf comes to a scenario that can be run, and what it says besides is named with its
// line.
#include "scenario/dperf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenario/keys.hpp"

namespace runnel::app::scenario {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string line_of(const std::vector<Imported>& tables, Role role) {
    return to_string(to_line(parse(join(tables), "imported"), role));
}

constexpr std::string_view client = R"(# connections a second
mode        client
cpu         0 2-3
duration    1.5m
cps         0.5m
slow_start  60
port        0000:01:00.0 10.6.245.3 10.6.245.1
client      10.6.245.3 100
server      10.6.247.3 1
listen      8080 1
)";

constexpr std::string_view server = R"(mode server
cpu 1
duration 2h
port 0000:02:00.0 10.6.247.3 10.6.247.1
client 10.6.245.3 100
server 10.6.247.3 1
listen 8080 2
payload_size 1000
)";

TEST(Dperf, ConnectionsASecondAreARateOfCrr) {
    const Imported imported = import_dperf(client, "client.conf");
    EXPECT_EQ(imported.role, Role::client);
    EXPECT_THAT(imported.lacks, IsEmpty());
    EXPECT_EQ(
        line_of({imported}, Role::client),
        "runnel load --port 0000:01:00.0 --address 10.6.245.3/25 --gateway 10.6.245.1 --cores 3 --addresses "
        "100 --target 10.6.247.3:8080 --recipe crr --rate 500000 --duration 90s --ramp-up 1m");
    EXPECT_THAT(imported.table, HasSubstr("taskset -c 0,2-3"));
}

TEST(Dperf, DatagramsAreRequestsOfUdpRr) {
    const std::string once{
        "mode client\ncpu 0\nport 0000:01:00.0 10.6.245.3 10.6.245.1\nclient 10.6.245.3 1\n"
        "server 10.6.247.3 1\nlisten 53 1\nprotocol udp\ncps 100k\npayload_size 100\n"};
    const Imported rate = import_dperf(once, "client.conf");
    EXPECT_THAT(rate.lacks, IsEmpty());
    EXPECT_THAT(line_of({rate}, Role::client),
                AllOf(HasSubstr("--target 10.6.247.3:53 --recipe udp-rr --rate 100000"),
                      HasSubstr("--ramp-up 30s --request-octets 100 --response-octets 100")));
    const Imported kept = import_dperf(once + "cc 5k\nkeepalive 10ms\n", "client.conf");
    EXPECT_THAT(kept.lacks, ElementsAre(HasSubstr("cps 100k")));
    EXPECT_THAT(line_of({kept}, Role::client),
                AllOf(HasSubstr("--recipe udp-rr"), HasSubstr("--connections 5000"),
                      HasSubstr("--concurrency 5000"), HasSubstr("--think 10ms")));
    const Imported answers = import_dperf(
        "mode server\ncpu 1\nport 0000:02:00.0 10.6.247.3 10.6.247.1\nclient 10.6.245.3 1\nserver 10.6.247.3 "
        "1\n"
        "listen 53 2\nprotocol udp\npayload_size 1000\n",
        "server.conf");
    EXPECT_THAT(line_of({answers}, Role::server),
                AllOf(HasSubstr("--listen 53:udp"), HasSubstr("--listen 54:udp"),
                      HasSubstr("--response-octets 1000")));
}

TEST(Dperf, ServerAnswersOnEachPortWithAResponseOfThatSize) {
    const Imported imported = import_dperf(server, "server.conf");
    EXPECT_EQ(imported.role, Role::server);
    EXPECT_THAT(imported.lacks, ElementsAre(AllOf(StartsWith("server.conf:5: client 10.6.245.3 100: "))));
    const std::string line = line_of({imported}, Role::server);
    EXPECT_THAT(
        line,
        AllOf(StartsWith("runnel serve --port 0000:02:00.0 --address 10.6.247.3/29 --gateway 10.6.247.1"),
              HasSubstr("--listen 8080:crr --listen 8081:crr"), HasSubstr("--duration 2h")));
    const std::size_t at = line.find("--size ") + 7;
    const unsigned long size = std::stoul(line.substr(at));
    EXPECT_GT(size, 700U);  // 1000 less the header
    EXPECT_LT(size, 1000U);
}

TEST(Dperf, BothSidesMakeOneScenario) {
    const std::vector<Imported> tables{import_dperf(client, "client.conf"),
                                       import_dperf(server, "server.conf")};
    EXPECT_THAT(line_of(tables, Role::client), StartsWith("runnel load "));
    EXPECT_THAT(line_of(tables, Role::server), StartsWith("runnel serve "));
    EXPECT_THAT(line_of(tables, Role::both), StartsWith("runnel handshake"));
    EXPECT_THROW(static_cast<void>(join({tables[0], tables[0]})), BadScenario);
}

TEST(Dperf, KeptConnectionsAreTransactions) {
    std::string text{client};
    text += "cc 20k\nkeepalive 1ms\npayload_size 1400\n";
    const Imported imported = import_dperf(text, "a");
    const std::string line = line_of({imported}, Role::client);
    EXPECT_THAT(line,
                AllOf(HasSubstr("--recipe rr"), HasSubstr("--connections 20000"), HasSubstr("--think 1ms"),
                      HasSubstr("--request-octets 1400"), HasSubstr("--response-octets 1400")));
    EXPECT_THAT(line, testing::Not(HasSubstr("--rate")));
    EXPECT_THAT(imported.lacks,
                ElementsAre(StartsWith("a:5: cps 0.5m: "), StartsWith("a:6: slow_start 60: ")));
    std::string serving{server};
    serving += "keepalive 1s\n";
    EXPECT_THAT(line_of({import_dperf(serving, "b")}, Role::server), HasSubstr("--listen 8080:rr"));
}

TEST(Dperf, ConnectionsThatEndAfterSomeRequestsAreOpenedAtTheRate) {
    std::string text{client};
    text += "cc 20k\nkeepalive 1ms 10\n";
    const Imported imported = import_dperf(text, "a");
    EXPECT_THAT(line_of({imported}, Role::client),
                AllOf(HasSubstr("--recipe rr"), HasSubstr("--rate 500000"), HasSubstr("--transactions 10"),
                      HasSubstr("--think 1ms"), HasSubstr("--ramp-up 1m")));
    EXPECT_THAT(imported.lacks, ElementsAre(StartsWith("a:11: cc 20k: ")));
}

TEST(Dperf, FramesAndMssAreOfTheFamily) {
    std::string text = R"(mode client
cpu 0
cps 1k
keepalive 1ms
port 0000:01:00.0 2001:db8::3 2001:db8::1
client 2001:db8::3 1
server 2001:db8:1::3 1
packet_size 1514
mss 1400
)";
    EXPECT_THAT(
        line_of({import_dperf(text, "a")}, Role::client),
        AllOf(HasSubstr("--address 2001:db8::3/126"), HasSubstr("--target '[2001:db8:1::3]:80'"),
              HasSubstr("--mtu 1460"), HasSubstr("--request-octets 1440"), HasSubstr("--duration 100s")));
}

TEST(Dperf, WhatHasNoCounterpartIsNamedWithItsLine) {
    std::string text{client};
    text += "tx_burst 128\nlaunch_num 10\nfrobnicate 3\nvxlan 1 2 3\ntcp_rst 0\nrss\ncps 3\nprotocol sctp\n";
    const Imported imported = import_dperf(text, "a");
    EXPECT_THAT(imported.lacks,
                ElementsAre(StartsWith("a:11: tx_burst 128: "), StartsWith("a:12: launch_num 10: "),
                            AllOf(StartsWith("a:13: frobnicate 3: "), HasSubstr("no word of dperf's")),
                            StartsWith("a:14: vxlan 1 2 3: "), StartsWith("a:15: tcp_rst 0: "),
                            StartsWith("a:17: cps 3: "), StartsWith("a:18: protocol sctp: ")));
    const std::string scenario = join({imported});
    for (const std::string& lack : imported.lacks) EXPECT_THAT(scenario, HasSubstr("#   " + lack + "\n"));
    EXPECT_THAT(line_of({imported}, Role::client), HasSubstr("--rate 500000 "));
}

TEST(Dperf, WrongOnesNameFileLineAndWord) {
    struct Case {
        std::string line;
        std::string said;
    };
    for (const Case& one : std::vector<Case>{{"mode proxy", "a:2: mode: \"proxy\""},
                                             {"duration 1w", "a:4: duration: "},
                                             {"cps many", "a:5: cps: \"many\""},
                                             {"port 0000:01:00.0", "a:7: port: has no gateway"},
                                             {"port bond4:2(0,1) 10.0.0.1 10.0.0.2", "a:7: port: bonds"},
                                             {"client 10.6.245 3", "a:8: client: "},
                                             {"listen 70000 1", "a:10: listen: "},
                                             {"cpu x", "a:3: cpu: names no CPU"}}) {
        // In place of the line that has this word.
        std::string text{client};
        const std::size_t from = text.find("\n" + one.line.substr(0, one.line.find(' '))) + 1;
        text.replace(from, text.find('\n', from) - from, one.line);
        try {
            static_cast<void>(import_dperf(text, "a"));
            ADD_FAILURE() << one.line;
        } catch (const BadScenario& wrong) {
            EXPECT_THAT(wrong.what(), StartsWith(one.said));
        }
    }
    for (const char* missing : {"mode", "port", "client", "server", "cpu", "cps"}) {
        std::string text{client};
        text.replace(text.find(std::string{"\n"} + missing) + 1, 1, "#");
        try {
            static_cast<void>(import_dperf(text, "a"));
            ADD_FAILURE() << missing;
        } catch (const BadScenario& wrong) {
            EXPECT_THAT(wrong.what(), HasSubstr(std::string{"has no word "} + missing));
        }
    }
}

}  // namespace
}  // namespace runnel::app::scenario
