// Which of our addresses a packet carries: the rules of RFC 6724 section 5, a row each.
#include <algorithm>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "ipv6_network.hpp"
#include "seed.hpp"

namespace runnel::ip {
namespace source_selection_test {

using namespace test;

struct Ours {
    const char* address;
    std::uint8_t prefix_length = 64;
    bool deprecated = false;
};
struct Case {
    const char* rule;
    std::vector<Ours> ours;  // besides the link-local one
    const char* destination;
    std::string chosen;
};

const std::string link_local = "fe80::ff:fe00:1";

Ipv6Address read(const char* text) {
    return parse_ip_address(text)->v6();
}

const std::vector<Case> cases{
    {"1: the destination itself", {{"2001:db8::1"}, {"2001:db8::2"}}, "2001:db8::2", "2001:db8::2"},
    {"1: even where it is deprecated",
     {{"2001:db8::1"}, {"2001:db8::2", 64, true}},
     "2001:db8::2",
     "2001:db8::2"},
    {"2: link-local to link-local", {{"2001:db8::1"}}, "fe80::5", link_local},
    {"2: global to global", {{"2001:db8::1"}}, "2001:db8:9::5", "2001:db8::1"},
    {"2: a scope that suffices, though another prefix is longer",
     {{"2001:db8::1"}},
     "2a00::1",
     "2001:db8::1"},
    {"2: link-local to a group of the link", {{"2001:db8::1"}}, "ff02::5", link_local},
    {"2: the smallest scope that suffices: site", {{"2001:db8::1"}}, "ff05::5", "2001:db8::1"},
    {"2: goes before 3", {{"2001:db8::1", 64, true}}, "2001:db8:9::5", "2001:db8::1"},
    {"3: deprecated", {{"2001:db8:1::1", 64, true}, {"2001:db8:2::1"}}, "2001:db8:1::5", "2001:db8:2::1"},
    {"3: all are deprecated",
     {{"2001:db8:1::1", 64, true}, {"2001:db8:2::1", 64, true}},
     "2001:db8:2::5",
     "2001:db8:2::1"},
    {"3: goes before 6",
     {{"2002:c000:204::1", 64, true}, {"2001:db8::1"}},
     "2002:c633:6401::1",
     "2001:db8::1"},
    {"6: 6to4 to 6to4", {{"2002:c000:204::1"}, {"2001:db8::1"}}, "2002:c633:6401::1", "2002:c000:204::1"},
    {"6: native to native", {{"2002:c000:204::1"}, {"2001:db8::1"}}, "2001:db8:9::5", "2001:db8::1"},
    {"6: unique local to unique local", {{"2001:db8::1"}, {"fd00:1::1"}}, "fd00:2::5", "fd00:1::1"},
    {"6: native, not unique local, to native", {{"fd00:1::1"}, {"2001:db8::1"}}, "2a00::1", "2001:db8::1"},
    {"6: Teredo to Teredo", {{"2001:db8::1"}, {"2001::1"}}, "2001::5", "2001::1"},
    {"6: goes before 8", {{"2001:0:1::1"}, {"2a00::1"}}, "2001:1::1", "2a00::1"},
    {"8: the longest prefix", {{"2001:db8:1::1"}, {"2001:db8:2::1"}}, "2001:db8:2::5", "2001:db8:2::1"},
    {"8: the longest prefix, either way round",
     {{"2001:db8:2::1"}, {"2001:db8:1::1"}},
     "2001:db8:2::5",
     "2001:db8:2::1"},
    {"8: no longer than the prefix of the address",
     {{"2001:db8::1", 32}, {"2001:db8:1::1", 33}},
     "2001:db8::2",
     "2001:db8:1::1"},
    {"none: the first of the configuration", {{"2001:db8::1"}, {"2001:db8::2"}}, "2a00::1", "2001:db8::1"},
};

TEST(Rfc6724, SourceIsChosenByTheRulesInTheirOrder) {
    for (const Case& one : cases) {
        Config config = ipv6_config();
        config.interfaces[0].ipv6.clear();
        for (const Ours& ours : one.ours)
            config.interfaces[0].ipv6.push_back(
                {.address = read(ours.address), .prefix_length = ours.prefix_length});
        Ipv6Addresses addresses(config);
        for (const Ours& ours : one.ours) {
            Ipv6Addresses::Range range =
                *std::ranges::find_if(addresses.configured(),
                                      [&](const auto& range) { return range.first() == read(ours.address); });
            range.deprecated = ours.deprecated;
            addresses.set_deprecated(range);
        }
        const auto chosen = addresses.source_for(0, read(one.destination));
        ASSERT_TRUE(chosen) << one.rule;
        EXPECT_EQ(to_string(*chosen), one.chosen) << one.rule;
    }
}

// The order in which addresses came decides only where no rule does.
TEST(Rfc6724, OrderOfTheAddressesDoesNotMatterWhereARuleDecides) {
    std::mt19937_64 random(seed());
    const std::vector<const char*> ours{"2001:db8:1::1", "2001:db8:2::1", "2002:c000:204::1",
                                        "fd00:1::1",     "2001::1",       "2a00:5::1"};
    for (const char* const destination : {"2001:db8:1::9", "2001:db8:2::9", "2002:c000:204::9", "fd00:1::9",
                                          "2001::9", "2a00:5::9", "fe80::9"}) {
        std::string first;
        for (int round = 0; round < 50; ++round) {
            std::vector<const char*> shuffled = ours;
            std::ranges::shuffle(shuffled, random);
            Config config = ipv6_config();
            config.interfaces[0].ipv6.clear();
            for (const char* const address : shuffled)
                config.interfaces[0].ipv6.push_back({.address = read(address)});
            const std::string chosen = to_string(*Ipv6Addresses(config).source_for(0, read(destination)));
            if (round == 0) first = chosen;
            EXPECT_EQ(chosen, first) << destination;
        }
    }
}

TEST(Rfc6724, TransportsAskForTheSourceOfTheInterfaceThatLeadsThere) {
    Config config = ipv6_config();
    config.interfaces.push_back(
        {.mac = other_mac, .address = {10, 1, 0, 1}, .ipv6 = {{.address = documentation(1, 7)}}});
    config.interfaces[1].port = 1;
    Network net(config);
    EXPECT_EQ(net.layer.source_for(documentation(9)), us6);
    EXPECT_EQ(net.layer.source_for(documentation(9, 7)), documentation(1, 7));
    EXPECT_EQ(net.layer.source_for(far_away6), std::nullopt) << "no route";
}

}  // namespace source_selection_test
}  // namespace runnel::ip
