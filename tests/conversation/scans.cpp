// Segments that nobody honest sends: port scans, forged sources, groups (RFC 9293 section 3.10.7, MUST-46, 57
// and 63; RFC 1122 section 3.2.1.3).
#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace scans_cases {

TEST(PortScan, ClosedPortAnswersEachKindAsRfc9293Says) {
    Conversation c;
    c.inject(syn().seq(0));
    c.expect(rst_ack().flags("R.").seq(0).ack(1));
    c.inject(Segment{}.flags("").seq(0));  // NULL
    c.expect(rst_ack().flags("R.").seq(0).ack(0));
    c.inject(Segment{}.flags("F").seq(0));  // FIN
    c.expect(rst_ack().flags("R.").seq(0).ack(1));
    c.inject(Segment{}.flags("FPU").seq(0));  // XMAS
    c.expect(rst_ack().flags("R.").seq(0).ack(1));
    c.inject(Segment{}.flags(".").seq(0).ack(99));  // ACK
    c.expect(rst().flags("R").seq(99));
    c.inject(Segment{}.flags("F.").seq(0).ack(98));  // Maimon
    c.expect(rst().flags("R").seq(98));
}

TEST(PortScan, OpenPortIsSilentToNullFinAndXmas) {
    Conversation c;
    c.listen();
    c.inject(Segment{}.flags("").seq(0));
    c.inject(Segment{}.flags("F").seq(0));
    c.inject(Segment{}.flags("FPU").seq(0));
    c.expect_silence(10s);
    c.inject(Segment{}.flags(".").seq(0).ack(99));  // ACK
    c.expect(rst().flags("R").seq(99));
    c.expect_no_event();
}

TEST(PortScan, HalfOpenScanLeavesNothingBehind) {
    Conversation c;
    c.listen();
    for (std::uint16_t i = 0; i < 100; ++i) {
        Flow& scanner = c.add_flow(static_cast<std::uint16_t>(50000 + i));
        scanner.inject(syn());
        scanner.expect(syn_ack());
        scanner.inject(rst().seq(1));
    }
    c.expect_no_event();
    EXPECT_EQ(c.stack().next_deadline(), never);
    EXPECT_EQ(c.dropped(DropReason::tcp_half_open_full), 0U);
}

TEST(Land, SynFromOurOwnAddressAndPortIsIgnored) {
    Conversation c;
    c.listen();
    c.inject(syn().from(stack_address, service_port));
    c.expect_silence(10s);
    c.inject(syn().from(stack_address, 1234));
    c.expect_silence(10s);
    EXPECT_EQ(c.all_drops(), 2U);
}

TEST(Rfc9293, Must63SynFromAnInvalidSourceIsIgnored) {
    Conversation c;
    c.listen();
    std::uint64_t injected = 0;
    for (const Ipv4Address source :
         {Ipv4Address{0, 0, 0, 0}, Ipv4Address{127, 0, 0, 1}, Ipv4Address{127, 255, 255, 254},
          Ipv4Address{224, 0, 0, 1}, Ipv4Address{239, 255, 255, 255}, Ipv4Address{240, 0, 0, 1},
          Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 0, 0, 255}}) {
        c.inject(syn().from(source, peer_port));
        c.inject(ack().from(source, peer_port).seq(5).ack(5));
        injected += 2;
        c.expect_nothing();
    }
    c.expect_silence(10s);
    EXPECT_EQ(c.all_drops(), injected);
    EXPECT_EQ(c.count(Counter::tcp_resets_out), 0U);
}

TEST(Rfc9293, Must57SegmentToAGroupIsDroppedInSilence) {
    constexpr MacAddress group_mac{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}};
    Conversation c;
    c.listen();
    std::uint64_t injected = 0;
    for (const Ipv4Address destination :
         {Ipv4Address{224, 0, 0, 1}, Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 0, 0, 255}})
        for (const MacAddress& mac : {stack_mac, MacAddress::broadcast(), group_mac})
            for (const std::uint16_t port : {service_port, std::uint16_t{81}}) {
                c.inject(syn().to(destination, port).ethernet_to(mac));
                ++injected;
                c.expect_nothing();
            }
    c.expect_silence(10s);
    EXPECT_EQ(c.all_drops(), injected);
}

TEST(Rfc1122, SegmentToOurAddressInALinkBroadcastIsDroppedInSilence) {
    Conversation c;
    c.listen();
    c.inject(syn().ethernet_to(MacAddress::broadcast()));
    c.inject(syn().seq(0).to(stack_address, 81).ethernet_to(MacAddress::broadcast()));
    c.expect_silence(10s);
    EXPECT_EQ(c.all_drops(), 2U);
}

TEST(Rfc1122, SegmentForAnotherHostIsDroppedInSilence) {
    Conversation c;
    c.listen();
    c.inject(syn().to(Ipv4Address{10, 0, 0, 3}, service_port));
    c.inject(syn().ethernet_to(MacAddress{{0x02, 0, 0, 0, 0, 0x99}}));
    c.inject(syn().to(Ipv4Address{127, 0, 0, 1}, service_port));
    c.expect_silence(10s);
    EXPECT_EQ(c.all_drops(), 3U);
}

TEST(Rfc9293, Must46OpenToAGroupIsRefusedAndNoSynIsSent) {
    Conversation c;
    for (const Ipv4Address address :
         {Ipv4Address{255, 255, 255, 255}, Ipv4Address{10, 0, 0, 255}, Ipv4Address{224, 0, 0, 1},
          Ipv4Address{239, 1, 2, 3}, Ipv4Address{240, 0, 0, 1}, Ipv4Address{127, 0, 0, 1},
          Ipv4Address{0, 0, 0, 0}}) {
        tcp::ConnectOptions options;
        options.remote_address = spoken(address);
        options.remote_port = 80;
        options.handler = &c.handler();
        const tcp::ConnectResult result = c.stack().connect(options);
        EXPECT_EQ(result.error, tcp::Error::invalid_address) << to_string(address);
        EXPECT_FALSE(result.connection.alive());
        c.pump();
        c.expect_nothing();
    }
    c.expect_silence(10s);
    c.expect_no_event();
}

TEST(Connecting, FromAnAddressThatIsNotOursIsRefused) {
    Conversation c;
    tcp::ConnectOptions options;
    options.remote_address = spoken(peer_address);
    options.remote_port = 80;
    options.local_address = spoken(Ipv4Address{10, 0, 0, 77});
    options.handler = &c.handler();
    EXPECT_EQ(c.stack().connect(options).error, tcp::Error::invalid_address);
    c.pump();
    c.expect_nothing();
}

TEST(Connecting, WhereNoRouteLeadsIsRefused) {
    StackConfig config = small_stack();
    config.ip.routes.clear();
    Conversation c{config};
    tcp::ConnectOptions options;
    options.remote_address = spoken(Ipv4Address{192, 0, 2, 1});
    options.remote_port = 80;
    options.handler = &c.handler();
    EXPECT_EQ(c.stack().connect(options).error, tcp::Error::no_route);
    c.pump();
    c.expect_nothing();
}

TEST(Rfc1122, TimeToLiveOfOneIsEnoughForTheHostItself) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).ttl(1));
    c.expect(syn_ack());
}

TEST(Rfc9293, Must50UnknownIpOptionsAreIgnored) {
    Conversation c;
    c.listen();
    c.inject(syn().mss(1460).ip_options({1, 1, 1, 0x94, 4, 0, 0, 0}));  // NOPs, router alert
    c.expect(syn_ack());
    c.inject(ack().ip_options({30, 4, 1, 2}));  // unknown
    c.expect_established();
    c.inject(data("optional").ip_options({7, 7, 4, 0, 0, 0, 0, 0}));  // record route
    c.expect_data("optional");
}

}  // namespace scans_cases
}  // namespace runnel::test
