// Frames that are cut short, too long, or have a bit turned: each is a counted drop and does nothing else.
#include <gtest/gtest.h>

#include "conversation.hpp"
#include "family.hpp"

namespace runnel::test {
namespace bad_input_cases {

constexpr std::size_t ethernet = 14, ip = 14, tcp_header = 34;

/// A segment of the flow, complete, as a frame.
Octets frame_of(Conversation& c, const Segment& segment) {
    return encode(c.flow().complete(segment), stack_mac, peer_mac);
}

void set_ip_checksum(Octets& frame) {
    frame[ip + 10] = frame[ip + 11] = 0;
    const std::uint16_t sum = internet_checksum(std::span{frame}.subspan(ip, 20));
    frame[ip + 10] = static_cast<std::uint8_t>(sum >> 8);
    frame[ip + 11] = static_cast<std::uint8_t>(sum);
}

/// Injects a frame that must be dropped: one more drop is counted, and nothing is sent or heard.
void expect_drop(Conversation& c, const Octets& frame, const std::string& what) {
    const std::uint64_t drops = c.all_drops();
    const std::uint64_t frames = c.count(Counter::frames_in);
    c.inject_frame(frame);
    EXPECT_EQ(c.all_drops(), drops + 1) << what;
    EXPECT_EQ(c.count(Counter::frames_in), frames + 1) << what;
    EXPECT_TRUE(c.events.empty()) << what;
    EXPECT_TRUE(c.take_all().empty()) << what;
    EXPECT_TRUE(c.other_frames.empty()) << what;
    c.events.clear();
    c.other_frames.clear();
}

void expect_alive(Conversation& c) {
    c.inject(data("alive").seq(1).ack(1));
    c.expect_data("alive");
    c.expect_within(500ms, ack().ack(6));
    c.expect_nothing();
}

TEST(BadInput, FrameCutAnywhereIsACountedDrop) {
    Conversation c;
    c.open_passive();
    const Octets whole = frame_of(c, data(stream(0, 100)).nop(4).seq(1));
    for (std::size_t n = 1; n < whole.size(); ++n)
        expect_drop(c, Octets(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)),
                    "cut to " + std::to_string(n));
    expect_alive(c);
}

TEST(BadInput, FrameWithOneBitTurnedIsACountedDrop) {
    Conversation c;
    c.open_passive();
    const Octets whole = frame_of(c, data(stream(0, 100)).nop(4).seq(1));
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        if (bit / 8 >= 6 && bit / 8 < 12) continue;  // the sender's Ethernet address: no checksum covers it
        Octets turned = whole;
        turned[bit / 8] = static_cast<std::uint8_t>(turned[bit / 8] ^ (1U << bit % 8));
        expect_drop(c, turned, "bit " + std::to_string(bit));
    }
    expect_alive(c);
}

TEST(BadInput, SynWithOneBitTurnedMakesNoConnection) {
    Conversation c;
    c.listen();
    const Octets whole = frame_of(c, syn().seq(0).mss(1460).wscale(7).nop().sack_permitted().nop(2).ts(1, 0));
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        if (bit / 8 >= 6 && bit / 8 < 12) continue;
        Octets turned = whole;
        turned[bit / 8] = static_cast<std::uint8_t>(turned[bit / 8] ^ (1U << bit % 8));
        expect_drop(c, turned, "bit " + std::to_string(bit));
    }
    c.expect_silence(10s);
}

TEST(Rfc9293, Must3WrongChecksumIsDroppedInSilence) {
    Conversation c;
    c.open_passive();
    expect_drop(c, frame_of(c, data("bad").seq(1).bad_checksum()), "wrong");
    EXPECT_EQ(c.dropped(DropReason::tcp_bad_checksum), 1U);
    Octets zero = frame_of(c, data("bad").seq(1));
    zero[tcp_header + 16] = zero[tcp_header + 17] = 0;
    expect_drop(c, zero, "zero");
    expect_drop(c, frame_of(c, syn().seq(0).from(peer_address, 41000).bad_checksum()), "SYN");
    expect_drop(c, frame_of(c, syn().seq(0).to(stack_address, 81).bad_checksum()), "no RST for it");
    expect_alive(c);
}

TEST(BadInput, LengthsThatDoNotFitAreCountedDrops) {
    Conversation c;
    c.open_passive();
    const Octets good = frame_of(c, data(stream(0, 100)).seq(1));
    for (const unsigned length : {0U, 19U, 20U, 39U, 141U, 1500U, 65535U}) {
        Octets frame = good;
        frame[ip + 2] = static_cast<std::uint8_t>(length >> 8);
        frame[ip + 3] = static_cast<std::uint8_t>(length);
        set_ip_checksum(frame);
        expect_drop(c, frame, "IP total length " + std::to_string(length));
    }
    for (unsigned words = 0; words < 16; ++words) {
        if (words == 5) continue;
        Octets frame = good;
        frame[ip] = static_cast<std::uint8_t>(0x40 | words);
        if (words > 5) {  // the checksum of the longer header is right, and what follows is no TCP
            frame[ip + 10] = frame[ip + 11] = 0;
            const std::uint16_t sum = internet_checksum(std::span{frame}.subspan(ip, words * 4));
            frame[ip + 10] = static_cast<std::uint8_t>(sum >> 8);
            frame[ip + 11] = static_cast<std::uint8_t>(sum);
        } else {
            set_ip_checksum(frame);
        }
        if (words < 5 || speaks_ipv6()) {  // of IPv6 that is the version's octet
            expect_drop(c, frame, "IP header length " + std::to_string(words));
            continue;
        }
        // The octets of TCP make no options: their sender is told so (RFC 1122 section 3.2.2.5).
        const std::uint64_t before = c.dropped(DropReason::ip_bad_option);
        c.inject_frame(frame);
        EXPECT_EQ(c.dropped(DropReason::ip_bad_option), before + 1) << words;
        EXPECT_TRUE(c.take_all().empty()) << words;
        ASSERT_EQ(c.other_frames.size(), 1U) << words;
        EXPECT_EQ(c.other_frames[0].kind, FrameKind::icmp);
        EXPECT_EQ(c.other_frames[0].icmp_type, 12);
        EXPECT_EQ(c.other_frames[0].problems, "");
        c.other_frames.clear();
    }
    expect_alive(c);
}

TEST(BadInput, DataOffsetThatDoesNotFitIsACountedDrop) {
    Conversation c;
    c.open_passive();
    for (unsigned words = 0; words < 16; ++words) {
        if (words == 5) continue;
        Octets frame = frame_of(c, data("abcd").seq(1));
        frame[tcp_header + 12] = static_cast<std::uint8_t>(words << 4);
        frame[tcp_header + 16] = frame[tcp_header + 17] = 0;
        const std::uint32_t pseudo = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6 + 24;
        const std::uint16_t sum = internet_checksum(std::span{frame}.subspan(tcp_header, 24), pseudo);
        frame[tcp_header + 16] = static_cast<std::uint8_t>(sum >> 8);
        frame[tcp_header + 17] = static_cast<std::uint8_t>(sum);
        if (words == 6) continue;  // it fits: the octets are options then
        expect_drop(c, frame, "data offset " + std::to_string(words));
    }
    EXPECT_EQ(c.dropped(DropReason::tcp_bad_data_offset), 14U);
    expect_alive(c);
}

TEST(BadInput, PaddingAfterTheIpPacketIsNoData) {
    Conversation c;
    c.open_passive();
    Octets frame = frame_of(c, data("four").seq(1));
    ASSERT_EQ(frame.size(), 60U);
    for (std::size_t i = 58; i < 60; ++i) frame[i] = 0xff;
    frame.resize(80, 0xff);
    c.inject_frame(frame);
    c.expect_data("four");
    c.expect_within(500ms, ack().ack(5));
}

TEST(BadInput, OtherVersionsAndProtocolsAreCountedDrops) {
    Conversation c;
    Octets frame = frame_of(c, syn());
    for (const unsigned version : {0U, 5U, 6U, 15U}) {
        Octets other = frame;
        other[ip] = static_cast<std::uint8_t>(version << 4 | 5);
        set_ip_checksum(other);
        expect_drop(c, other, "version " + std::to_string(version));
    }
    for (const std::uint16_t type :
         {std::uint16_t{0}, std::uint16_t{46}, std::uint16_t{0x86dd}, std::uint16_t{0x88cc}}) {
        Octets other = frame;
        other[ethernet - 2] = static_cast<std::uint8_t>(type >> 8);
        other[ethernet - 1] = static_cast<std::uint8_t>(type);
        expect_drop(c, other, "EtherType " + std::to_string(type));
    }
}

TEST(BadInput, FragmentThatNoPacketCanHaveIsACountedDrop) {
    Conversation c;
    c.open_passive();
    // More follow, but it ends at no multiple of eight octets; or it ends beyond the largest packet.
    for (const unsigned field : {0x2000U, 0x2001U, 0x1fffU, 0x3fffU}) {
        Octets frame = frame_of(c, data("fragment!").seq(1));
        frame[ip + 6] = static_cast<std::uint8_t>(field >> 8);
        frame[ip + 7] = static_cast<std::uint8_t>(field);
        set_ip_checksum(frame);
        expect_drop(c, frame, "fragment " + std::to_string(field));
    }
    expect_alive(c);
}

TEST(BadInput, SegmentInSeveralMbufsIsReadWhole) {
    StackConfig config = small_stack();
    config.ip.interfaces[0].mtu = 9000;
    Conversation c{config};
    c.open_passive(syn().mss(8960));
    c.inject(data(stream(0, 8960)));  // an mbuf of the pool holds 2,048
    c.expect_data(stream(0, 8960));
    c.expect_within(500ms, ack().ack(8961));
}

}  // namespace bad_input_cases
}  // namespace runnel::test
