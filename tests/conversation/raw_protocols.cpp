// A protocol that the application speaks itself, on the address of a TCP connection that goes on beside it
// (RFC 1122 section 3.2.2.1, RFC 4443 section 3.4).
#include "runnel/ip/raw_protocols.hpp"

#include <gtest/gtest.h>

#include "conversation.hpp"

namespace runnel::test {
namespace {

constexpr std::uint8_t ospf = 89;

/// Sends each packet's text back to where it came from.
class Mirror : public ip::RawHandler {
  public:
    explicit Mirror(Conversation& c) : c_(c) {}

    ip::Ownership packet(const ip::RawPacket& about, rte_mbuf& packet) noexcept override {
        ++heard;
        const auto* const octets = rte_pktmbuf_mtod(&packet, const std::byte*);
        const std::span<const std::byte> text{octets + about.header_size,
                                              std::size_t{packet.data_len} - about.header_size};
        if (c_.stack().raw().send({.remote = about.source, .protocol = about.protocol, .ttl = 1}, text,
                                  c_.instant()) == ip::RawSendResult::sent)
            ++sent;
        return ip::Ownership::returned;
    }

    int heard = 0, sent = 0;

  private:
    Conversation& c_;
};

Octets ospf_frame(std::string_view text) {
    const auto* const octets = reinterpret_cast<const std::uint8_t*>(text.data());
    return encode_ip(stack_mac, peer_mac, peer_address, stack_address, ospf, {octets, text.size()}, 1);
}

TEST(RawProtocol, PacketsOfAClaimedProtocolAreAnsweredByItsHandlerBesideAConnection) {
    Conversation c;
    Mirror mirror(c);
    c.stack().raw().claim(ospf, mirror);
    c.open_passive();
    for (int i = 0; i < 2; ++i) {
        c.inject_frame(ospf_frame("hello, neighbour of ours, are you there?"));
        ASSERT_EQ(c.other_frames.size(), 1U);
        EXPECT_EQ(c.other_frames[0].problems, "");
        EXPECT_EQ(c.other_frames[0].ttl, 1);
        EXPECT_EQ(c.other_frames[0].source, stack_address);
        EXPECT_EQ(c.other_frames[0].destination, peer_address);
        EXPECT_EQ(c.other_frames[0].kind, FrameKind::raw) << "no ICMP error";
        c.other_frames.clear();
        c.inject(data("x").seq(1 + static_cast<std::uint32_t>(i)).ack(1));
        c.expect_data("x");
    }
    EXPECT_EQ(mirror.heard, 2);
    EXPECT_EQ(mirror.sent, 2);
    EXPECT_EQ(c.all_drops(), 0U);
    c.expect(ack().ack(3));
}

TEST(RawProtocol, UnclaimedProtocolIsRefusedAtALimitedRateAndTheConnectionGoesOn) {
    StackConfig config = small_stack();
    config.ip.icmp_errors_per_second = 100;
    Conversation c(config);
    c.open_passive();
    const ErrorKind refused = speaks_ipv6() ? ErrorKind{4, 1} : ErrorKind{3, 2};
    std::size_t errors = 0;
    for (int i = 0; i < 1000; ++i) {
        c.inject_frame(ospf_frame("is anybody there?"));
        for (const Frame& frame : c.other_frames) {
            EXPECT_EQ(frame.kind, FrameKind::icmp);
            EXPECT_EQ(frame.icmp_type, refused.type);
            EXPECT_EQ(frame.icmp_code, refused.code);
            EXPECT_EQ(frame.problems, "");
        }
        errors += c.other_frames.size();
        c.other_frames.clear();
        c.elapse(1ms);
    }
    EXPECT_GE(errors, 95U);
    EXPECT_LE(errors, 110U);  // a second's worth, and the burst
    EXPECT_EQ(c.dropped(DropReason::ip_unknown_protocol), 1000U);
    EXPECT_EQ(c.dropped(DropReason::icmp_rate_limited), 1000 - errors);
    c.inject(data("alive").seq(1).ack(1));
    c.expect_data("alive");
}

}  // namespace
}  // namespace runnel::test
