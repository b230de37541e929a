// Large segments left to the port to cut (TSO), data sent without a copy, and segments received that are
// taken as one (GRO). The script sees the frames that leave the port.
#include <atomic>
#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include <rte_malloc.h>

#include "conversation.hpp"

namespace runnel::test {
namespace segmentation_cases {

using tcp::Error;

/// A stack on a port that cuts segments and takes chains.
StackConfig cutting_stack(std::uint8_t chain = 8, std::uint8_t large_chain = 255) {
    StackConfig config = small_stack();
    config.ip.interfaces[0].offloads = {.tx_ip_checksum = true,
                                        .tx_tcp_checksum = true,
                                        .tx_tcp_segmentation = true,
                                        .tx_chain = chain,
                                        .tx_large_chain = large_chain};
    config.tcp.congestion = tcp::CongestionAlgorithm::none;  // the peer's window is all that holds back
    config.tcp.fixed_window = 1U << 20;
    return config;
}

const std::vector<Segment> offers{syn().mss(1460), syn().mss(1460).sack_permitted(),
                                  syn().mss(1460).ts(1, 0).sack_permitted()};

std::span<const std::byte> octets_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

// -- sending

TEST(LargeSegments, LeaveAsOneAndAreCountedAsMany) {
    for (const Segment& offer : {offers[0], offers[1]}) {
        SCOPED_TRACE(to_string(offer));
        Conversation c{cutting_stack()};
        c.open_passive(offer);
        const std::uint64_t frames = c.count(Counter::frames_out), segments = c.count(Counter::tcp_out);
        c.send(stream(0, 10 * 1460));
        for (std::uint32_t i = 0; i < 10; ++i)
            c.expect(data(stream(i * 1460, 1460)).flags(i == 9 ? "P." : ".").seq(1 + i * 1460));
        c.expect_nothing();
        EXPECT_EQ(c.count(Counter::frames_out) - frames, 1U);
        EXPECT_EQ(c.count(Counter::tcp_out) - segments, 10U);
        EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
        c.inject(ack());
        EXPECT_EQ(c.info().unacknowledged, 0U);
    }
}

TEST(LargeSegments, CarryTimestampsInEachPiece) {
    Conversation c{cutting_stack()};
    c.open_passive(offers[2]);
    c.send(stream(0, 3 * 1448));
    for (std::uint32_t i = 0; i < 3; ++i)
        c.expect(data(stream(i * 1448, 1448)).flags(i == 2 ? "P." : ".").seq(1 + i * 1448));
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
}

// As virtio has it.
TEST(LargeSegments, HaveAHeaderChecksumWhereThePortMakesNone) {
    StackConfig config = cutting_stack();
    config.ip.interfaces[0].offloads.tx_ip_checksum = false;
    Conversation c{config};
    c.open_passive();
    c.send(stream(0, 4 * 1460));
    EXPECT_EQ(c.take_all().size(), 4U);
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
}

TEST(LargeSegments, ShortEndFollowsByItself) {
    Conversation c{cutting_stack()};
    c.open_passive();
    c.send(stream(0, 3 * 1460 + 100));
    for (std::uint32_t i = 0; i < 3; ++i) c.expect(data(stream(i * 1460, 1460)).seq(1 + i * 1460));
    c.expect(data(stream(4380, 100)).flags("P.").seq(4381));
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
}

TEST(LargeSegments, EndWithTheFin) {
    Conversation c{cutting_stack()};
    c.open_passive(syn().mss(1460).win(0));
    c.inject(ack().win(0));
    c.send(stream(0, 2 * 1460));
    c.shutdown();
    c.inject(ack().win(5000));
    c.expect(data(stream(0, 1460)).flags(".").seq(1));
    c.expect(fin().payload(stream(1460, 1460)).flags("FP.").seq(1461));
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
    c.inject(ack().ack(2922));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(LargeSegments, KeepWithinThePeersWindow) {
    Conversation c{cutting_stack()};
    c.open_passive();
    c.inject(ack().win(5000));
    c.send(stream(0, 20000));
    for (std::uint32_t i = 0; i < 3; ++i) c.expect(data(stream(i * 1460, 1460)).seq(1 + i * 1460));
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
}

TEST(LargeSegments, KeepWithinTheCongestionWindow) {
    StackConfig config = cutting_stack();
    config.tcp.congestion = tcp::CongestionAlgorithm::newreno;
    for (const Segment& offer : {offers[0], offers[1]}) {
        Conversation c{config};
        c.open_passive(offer);
        c.send(stream(0, 60000));
        EXPECT_EQ(c.take_all().size(), 10U);  // RFC 6928
        EXPECT_GE(c.count(Counter::tcp_large_out), 1U);
        c.inject(ack().ack(1 + 2 * 1460));
        EXPECT_EQ(c.take_all().size(), 3U);  // two acknowledged, and the window grows by one an ACK
    }
}

TEST(LargeSegments, AreAsLongAsIpAllows) {
    Conversation c{cutting_stack()};
    c.open_passive(syn().mss(1460).wscale(7));
    c.inject(ack().win(65535));
    c.send(stream(0, 200'000));
    EXPECT_EQ(c.take_all().size(), 200'000U / 1460 + 1);
    EXPECT_GE(c.count(Counter::tcp_large_out), 4U);
    EXPECT_LE(c.count(Counter::tcp_large_out), 6U);
    c.inject(ack());
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(LargeSegments, AreNoLongerThanAMillisecondAtThePaceOfTheWindowButTwo) {
    StackConfig config = cutting_stack();
    config.tcp.fixed_window = 40 * 1460;
    Conversation c{config};
    c.listen();
    c.inject(offers[1]);
    c.expect(syn_ack());
    c.elapse(100ms);  // the round trip: forty segments in 100 ms are less than one in a millisecond
    c.inject(ack());
    const std::uint64_t frames = c.count(Counter::frames_out);
    c.send(stream(0, 20 * 1460));
    EXPECT_EQ(c.take_all().size(), 20U);
    EXPECT_EQ(c.count(Counter::frames_out) - frames, 10U);
    EXPECT_EQ(c.count(Counter::tcp_large_out), 10U);
}

TEST(LargeSegments, AreNotMadeWhereTheSettingIsOffOrThePortCutsNone) {
    for (const bool setting : {true, false}) {
        StackConfig config = cutting_stack();
        config.tcp.segmentation = setting;
        config.ip.interfaces[0].offloads.tx_tcp_segmentation = !setting;
        Conversation c{config};
        c.open_passive();
        c.send(stream(0, 10 * 1460));
        EXPECT_EQ(c.take_all().size(), 10U);
        EXPECT_EQ(c.count(Counter::tcp_large_out), 0U);
    }
}

TEST(LargeSegments, HaveNoMoreMbufsThanThePortTakes) {
    for (const std::uint8_t most : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}}) {
        Conversation c{cutting_stack(1, most)};
        c.open_passive();
        // Each in an mbuf of its own.
        for (std::uint32_t i = 0; i < 12; ++i) {
            const std::string text = stream(i * 1000, 1000);
            rte_mbuf* mbuf = to_mbuf({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
            ASSERT_EQ(c.connection().send(mbuf).error, Error::none);
        }
        c.pump();
        std::string got;
        for (const Segment& s : c.take_all()) got += *s.text;
        EXPECT_TRUE(got == stream(0, 12000));
        if (most < 4)  // two full segments lie in three or four mbufs, behind that of the header
            EXPECT_EQ(c.count(Counter::tcp_large_out), 0U) << int{most};
        else
            EXPECT_GT(c.count(Counter::tcp_large_out), 0U);
    }
}

// RFC 3168 section 6.1.2: the one segment that says CWR; a port would have to know that.
TEST(LargeSegments, SayCwrInASegmentByItself) {
    StackConfig config = cutting_stack();
    config.tcp.ecn = tcp::Ecn::accept;
    config.tcp.congestion = tcp::CongestionAlgorithm::newreno;
    Conversation c{config};
    c.listen();
    c.inject(syn().mss(1460).sack_permitted().flags("SEW"));
    c.expect(syn_ack().flags("SE."));
    c.inject(ack());
    c.send(stream(0, 10 * 1460));
    c.take_all();
    c.inject(ack().ack(1 + 1460).flags("E."));
    c.inject(ack().ack(1 + 10 * 1460));
    const std::uint64_t large = c.count(Counter::tcp_large_out);
    c.send(stream(14600, 5 * 1460));
    const std::vector<Segment> sent = c.take_all();
    ASSERT_EQ(sent.size(), 5U);
    int with_cwr = 0;
    for (const Segment& s : sent) with_cwr += s.has(flag::cwr) ? 1 : 0;
    EXPECT_TRUE(sent[0].has(flag::cwr));
    EXPECT_EQ(with_cwr, 1);
    EXPECT_GT(c.count(Counter::tcp_large_out), large);
}

TEST(LargeSegments, LostPieceIsSentAgainByItself) {
    Conversation c{cutting_stack()};
    c.open_passive(offers[1]);
    c.send(stream(0, 10 * 1460));
    EXPECT_EQ(c.take_all().size(), 10U);
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
    c.elapse(10ms);
    c.inject(ack().ack(1 + 1460).sack({{1 + 2 * 1460, 1 + 10 * 1460}}));
    c.expect_within(20ms, data(stream(1460, 1460)).seq(1461));
    c.expect_nothing();
    EXPECT_EQ(c.count(Counter::tcp_data_retransmits), 1U);
    c.inject(ack().ack(1 + 10 * 1460));
    EXPECT_EQ(c.info().unacknowledged, 0U);
}

TEST(LargeSegments, AreSentAgainWholeAfterATimeOutSegmentBySegment) {
    for (const Segment& offer : {offers[0], offers[1]}) {
        SCOPED_TRACE(to_string(offer));
        Conversation c{cutting_stack()};
        c.open_passive(offer);
        c.send(stream(0, 4 * 1460));
        EXPECT_EQ(c.take_all().size(), 4U);
        std::uint32_t acknowledged = 0;
        c.elapse(5s);
        ASSERT_FALSE(c.take_all().empty());
        while (acknowledged < 4) {
            c.inject(ack().ack(1 + ++acknowledged * 1460));
            c.elapse(10ms);
        }
        c.take_all();
        EXPECT_EQ(c.info().unacknowledged, 0U);
        EXPECT_EQ(c.info().unsent, 0U);
    }
}

// -- without a copy

/// Octets of the application's own in memory that devices reach, and whether they are free again.
class OwnBuffer {
  public:
    explicit OwnBuffer(std::string_view text)
        : size_(static_cast<std::uint16_t>(text.size())), memory_(rte_malloc(nullptr, text.size(), 64)) {
        std::memcpy(memory_, text.data(), text.size());
        shared_.free_cb = [](void*, void* self) { static_cast<OwnBuffer*>(self)->free_ = true; };
        shared_.fcb_opaque = this;
        rte_mbuf_ext_refcnt_set(&shared_, 1);
    }
    ~OwnBuffer() { rte_free(memory_); }
    OwnBuffer(const OwnBuffer&) = delete;
    OwnBuffer& operator=(const OwnBuffer&) = delete;

    /// An mbuf that refers to them (rte_pktmbuf_attach_extbuf).
    [[nodiscard]] rte_mbuf* mbuf() {
        rte_mbuf* const one = rte_pktmbuf_alloc(mbuf_pool());
        rte_pktmbuf_attach_extbuf(one, memory_, reinterpret_cast<rte_iova_t>(memory_), size_, &shared_);
        one->data_off = 0;
        one->data_len = size_;
        one->pkt_len = size_;
        return one;
    }
    [[nodiscard]] bool is_free() const { return free_; }

  private:
    std::uint16_t size_;
    void* memory_;
    rte_mbuf_ext_shared_info shared_{};
    std::atomic<bool> free_{false};
};

/// A port that takes chains, with and without checksums of its own.
StackConfig chaining_stack(bool checksums) {
    StackConfig config = cutting_stack();
    config.ip.interfaces[0].offloads = {
        .tx_ip_checksum = checksums, .tx_tcp_checksum = checksums, .tx_chain = 8};
    config.tcp.refer_from = 512;
    return config;
}

TEST(SendInPlace, BufferIsFreeOnceItIsAcknowledgedAndThePortHasLetGo) {
    for (const bool checksums : {true, false})
        for (const bool acknowledged_first : {true, false}) {
            OwnBuffer buffer{stream(0, 3001)};
            Conversation c{chaining_stack(checksums)};
            c.port_holds = 100;
            c.open_passive();
            c.connection().set_nagle(false);
            ASSERT_EQ(c.connection().send(buffer.mbuf()).accepted, 3001U);
            c.pump();
            c.expect(data(stream(0, 1460)).seq(1));
            c.expect(data(stream(1460, 1460)).seq(1461));
            c.expect(data(stream(2920, 81)).flags("P.").seq(2921));
            EXPECT_EQ(c.count(Counter::tcp_referred_out), 2U) << "81 octets are copied";
            if (acknowledged_first) {
                c.inject(ack());
                EXPECT_FALSE(buffer.is_free()) << "the port still reads it";
                c.port_lets_go();
            } else {
                c.port_lets_go();
                EXPECT_FALSE(buffer.is_free()) << "it may have to be sent again";
                c.inject(ack());
            }
            EXPECT_TRUE(buffer.is_free());
        }
}

TEST(SendInPlace, BufferIsSentAgainFromWhereItLies) {
    OwnBuffer buffer{stream(0, 1000)};
    Conversation c{chaining_stack(false)};
    c.port_holds = 100;
    c.open_passive();
    ASSERT_EQ(c.connection().send(buffer.mbuf()).accepted, 1000U);
    c.pump();
    c.expect(data(stream(0, 1000)).seq(1));
    c.expect_within(2s, data(stream(0, 1000)).seq(1));
    c.expect_within(4s, data(stream(0, 1000)).seq(1));
    EXPECT_GE(c.count(Counter::tcp_referred_out), 3U);
    c.inject(ack());
    EXPECT_FALSE(buffer.is_free());
    c.port_lets_go();
    EXPECT_TRUE(buffer.is_free());
}

TEST(SendInPlace, BufferOfAConnectionThatEndsIsFreeWhenThePortLetsGo) {
    OwnBuffer buffer{stream(0, 2000)};
    Conversation c{chaining_stack(true)};
    c.port_holds = 100;
    c.open_passive();
    ASSERT_EQ(c.connection().send(buffer.mbuf()).accepted, 2000U);
    c.pump();
    c.take_all();
    c.inject(rst().seq(1));
    EXPECT_FALSE(c.connection().alive());
    EXPECT_FALSE(buffer.is_free());
    c.port_lets_go();
    EXPECT_TRUE(buffer.is_free());
}

TEST(SendInPlace, PortMayLetGoAfterTheStackIsGone) {
    OwnBuffer buffer{stream(0, 2000)};
    {
        Conversation c{cutting_stack()};
        c.port_holds = 100;
        c.open_passive();
        c.connection().set_nagle(false);
        auto* const fixed = static_cast<char*>(rte_malloc(nullptr, 5000, 64));
        std::memcpy(fixed, stream(2000, 5000).data(), 5000);
        ASSERT_EQ(c.connection().send(buffer.mbuf()).accepted, 2000U);
        ASSERT_EQ(c.connection().send_static(octets_of({fixed, 5000})).accepted, 5000U);
        c.pump();
        std::string got;
        for (const Segment& s : c.take_all()) got += *s.text;
        EXPECT_TRUE(got == stream(0, 7000));
        EXPECT_GT(c.count(Counter::tcp_referred_out), 0U);
        // `fixed` stays, as static octets do; it is only as long as this process that anybody may ask for it.
    }
    EXPECT_TRUE(buffer.is_free());
}

TEST(SendInPlace, ChecksumsOverChainsWithPiecesOfOddLengthAreRight) {
    StackConfig config = chaining_stack(false);
    config.tcp.refer_from = 1;
    Conversation c{config};
    c.open_passive();
    c.connection().set_nagle(false);
    std::uint32_t at = 0;
    for (const std::uint32_t size : {301U, 7U, 599U, 1U, 552U, 1001U}) {
        const std::string text = stream(at, size);
        ASSERT_EQ(
            c.connection().send(to_mbuf({reinterpret_cast<const std::uint8_t*>(text.data()), size})).error,
            Error::none);
        at += size;
    }
    c.pump();
    std::string got;
    for (const Segment& s : c.take_all()) got += *s.text;  // the script has looked at the checksums
    EXPECT_TRUE(got == stream(0, at));
    EXPECT_EQ(c.count(Counter::tcp_referred_out), 2U);
}

TEST(SendInPlace, PortWithoutChainsGetsACopyWhichIsCounted) {
    OwnBuffer buffer{stream(0, 2920)};
    StackConfig config = chaining_stack(true);
    config.ip.interfaces[0].offloads.tx_chain = 1;
    Conversation c{config};
    c.port_holds = 100;
    c.open_passive();
    ASSERT_EQ(c.connection().send(buffer.mbuf()).accepted, 2920U);
    c.pump();
    EXPECT_EQ(c.take_all().size(), 2U);
    EXPECT_EQ(c.count(Counter::frames_linearized), 2U);
    EXPECT_EQ(c.count(Counter::tcp_referred_out), 0U);
    c.inject(ack());
    EXPECT_TRUE(buffer.is_free()) << "the port has a copy";
}

TEST(SendInPlace, TooManyPiecesForThePortAreCopied) {
    StackConfig config = chaining_stack(true);
    config.ip.interfaces[0].offloads.tx_chain = 3;
    config.tcp.refer_from = 1;
    Conversation c{config};
    c.open_passive();
    c.connection().set_nagle(false);
    for (const std::uint32_t at : {0U, 500U, 1000U}) {
        const std::string text = stream(at, at == 1000 ? 460 : 500);
        ASSERT_EQ(c.connection()
                      .send(to_mbuf({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}))
                      .error,
                  Error::none);
    }
    c.pump();
    c.expect(data(stream(0, 1460)).seq(1));
    EXPECT_EQ(c.count(Counter::frames_linearized), 1U);
    EXPECT_EQ(c.count(Counter::tcp_referred_out), 0U);
}

TEST(SendInPlace, StaticOctetsThatNoDeviceReachesAreCopied) {
    static const std::string fixed = stream(0, 1460);  // of the process, not of EAL
    Conversation c{chaining_stack(true)};
    c.open_passive();
    ASSERT_EQ(c.connection().send_static(octets_of(fixed)).accepted, 1460U);
    c.pump();
    c.expect(data(stream(0, 1460)).seq(1));
    EXPECT_EQ(c.count(Counter::tcp_referred_out), 0U);
}

TEST(SendInPlace, LargeSegmentOfEveryKindOfOctets) {
    static const std::string fixed = stream(5000, 9000);
    OwnBuffer buffer{stream(14000, 9000)};
    StackConfig config = cutting_stack();
    Conversation c{config};
    c.port_holds = 100;
    c.open_passive(syn().mss(1460).win(0));
    c.inject(ack().win(0));
    c.connection().send(octets_of(stream(0, 5000)));
    ASSERT_EQ(c.connection().send_static(octets_of(fixed)).accepted, 9000U);
    ASSERT_EQ(c.connection().send(buffer.mbuf()).accepted, 9000U);
    c.pump();
    c.inject(ack().win(65535));
    std::string got;
    for (const Segment& s : c.take_all()) got += *s.text;
    EXPECT_TRUE(got == stream(0, got.size()));
    EXPECT_GE(got.size(), 15U * 1460);
    EXPECT_EQ(c.count(Counter::tcp_large_out), 1U);
    c.elapse(1s);
    c.take_all();
    c.inject(ack());
    c.port_lets_go();
    EXPECT_TRUE(buffer.is_free());
}

TEST(SendInPlace, NoMbufForALargeSegmentLeavesASmallOne) {
    StackConfig config = cutting_stack(1);
    config.mbuf_stash = 64;
    config.mbuf_reserve = 40;
    Conversation c{config};
    c.open_passive(syn().mss(1460).win(0));
    c.inject(ack().win(0));
    for (std::uint32_t at = 0; at < 58400; at += 100) {  // each in an mbuf of its own
        const std::string text = stream(at, 100);
        ASSERT_EQ(
            c.connection().send(to_mbuf({reinterpret_cast<const std::uint8_t*>(text.data()), 100})).error,
            Error::none);
    }
    c.pump();
    std::vector<rte_mbuf*> taken;
    while (rte_mbuf* mbuf = rte_pktmbuf_alloc(mbuf_pool())) taken.push_back(mbuf);
    rte_pktmbuf_free(taken.back());  // for the script
    taken.pop_back();
    c.port_holds = 1000;
    c.inject(ack().win(65535));
    EXPECT_GT(c.dropped(DropReason::no_mbuf), 0U);
    EXPECT_EQ(c.count(Counter::tcp_large_out), 0U);
    const std::vector<Segment> sent = c.take_all();
    ASSERT_FALSE(sent.empty());
    for (std::uint32_t i = 0; i < sent.size(); ++i) EXPECT_TRUE(*sent[i].text == stream(i * 1460, 1460));
    for (rte_mbuf* mbuf : taken) rte_pktmbuf_free(mbuf);
    c.port_lets_go();
    c.pump();
    EXPECT_GT(c.count(Counter::tcp_large_out), 0U) << "its turn was not over";
    std::size_t end = sent.size() * 1460;
    for (const Segment& s : c.take_all()) {
        EXPECT_TRUE(*s.text == stream(end, s.text->size()));
        end += s.text->size();
    }
    EXPECT_EQ(end, 58400U);
}

// -- receiving

TEST(MergedSegments, AreDeliveredAtOnceAndAcknowledgedAtOnce) {
    Conversation c;
    c.open_passive();
    std::vector<Segment> burst;
    for (std::uint32_t i = 0; i < 5; ++i) burst.push_back(data(stream(i * 1000, 1000)).flags("."));
    c.inject_burst(burst);
    EXPECT_EQ(c.count(Counter::tcp_merged_in), 4U);
    const Event event = c.expect_event(Event::Kind::data);
    EXPECT_TRUE(event.data == stream(0, 5000));
    c.expect_no_event();
    c.expect(ack().ack(5001));
    c.expect_nothing();
}

TEST(MergedSegments, AreNotMadeWhereTheSettingIsOff) {
    StackConfig config = small_stack();
    config.tcp.merge_segments = false;
    Conversation c{config};
    c.open_passive();
    c.inject_burst({data(stream(0, 1000)).flags("."), data(stream(1000, 1000)).flags(".")});
    EXPECT_EQ(c.count(Counter::tcp_merged_in), 0U);
    c.expect(ack().ack(2001));
}

TEST(MergedSegments, EndWithAPushAndWithAShorterOne) {
    Conversation c;
    c.open_passive();
    c.inject_burst({data(stream(0, 1000)).flags("."), data(stream(1000, 1000)).flags("P."),
                    data(stream(2000, 1000)).flags("."), data(stream(3000, 10)).flags("."),
                    data(stream(3010, 10)).flags("."), data(stream(3020, 1000)).flags(".")});
    EXPECT_EQ(c.expect_event(Event::Kind::data).data.size(), 2000U);
    EXPECT_EQ(c.expect_event(Event::Kind::data).data.size(), 1010U);
    EXPECT_EQ(c.expect_event(Event::Kind::data).data.size(), 10U);
    EXPECT_EQ(c.expect_event(Event::Kind::data).data.size(), 1000U);
    EXPECT_EQ(c.count(Counter::tcp_merged_in), 2U);
}

TEST(MergedSegments, OnesThatSaySomethingAreTakenByThemselves) {
    const auto merged = [](const Segment& offer, const Segment& first, const Segment& second) {
        StackConfig config = small_stack();
        config.tcp.ecn = tcp::Ecn::accept;
        Conversation c{config};
        c.open_passive(offer);
        c.inject_burst({first, second});
        c.expect_data(stream(0, 2000));
        return c.count(Counter::tcp_merged_in) > 0;
    };
    const Segment plain = syn().mss(1460);
    const Segment first = data(stream(0, 1000)).flags("."), second = data(stream(1000, 1000)).flags(".");
    const auto with = [](Segment segment, auto change) {
        change(segment);
        return segment;
    };
    EXPECT_TRUE(merged(plain, first, second));
    EXPECT_FALSE(merged(plain, first, with(second, [](Segment& s) { s.win(60000); })));
    EXPECT_FALSE(merged(plain, first, with(second, [](Segment& s) { s.flags("F."); })));
    EXPECT_FALSE(merged(plain, first, with(second, [](Segment& s) { s.flags("W."); })));
    EXPECT_FALSE(merged(plain, first, with(second, [](Segment& s) { s.flags("E."); })));
    EXPECT_FALSE(merged(plain, first, with(second, [](Segment& s) { s.tos(3); })));
    EXPECT_FALSE(merged(plain, with(first, [](Segment& s) { s.flags("P."); }), second));
    const Segment stamped = syn().mss(1460).ts(10, 0);
    const auto at = [&](const Segment& s, std::uint32_t value) {
        return with(s, [value](Segment& t) { t.ts(value, 0); });
    };
    EXPECT_TRUE(merged(stamped, at(first, 11), at(second, 11)));
    EXPECT_FALSE(merged(stamped, at(first, 11), at(second, 12)));
}

// RFC 5681 section 4.2: each segment out of order gets its duplicate ACK at once.
TEST(MergedSegments, NoneIsMadeOutOfOrder) {
    Conversation c;
    c.open_passive();
    c.inject_burst({data(stream(1000, 1000)).flags(".").seq(1001),
                    data(stream(2000, 1000)).flags(".").seq(2001),
                    data(stream(3000, 1000)).flags(".").seq(3001)});
    for (int i = 0; i < 3; ++i) c.expect(ack().ack(1));
    EXPECT_EQ(c.count(Counter::tcp_merged_in), 0U);
    // What fills the gap is not joined with what lies behind it either.
    c.inject_burst({data(stream(0, 500)).flags(".").seq(1), data(stream(500, 500)).flags(".").seq(501)});
    EXPECT_EQ(c.count(Counter::tcp_merged_in), 0U);
    c.expect_data(stream(0, 4000));
}

TEST(MergedSegments, OtherConnectionsBetweenDoNotMixIn) {
    Conversation c;
    c.open_passive();
    Flow& other = c.add_flow(40001);
    other.inject(syn().mss(1460));
    other.expect(syn_ack());
    other.inject(ack());
    c.take_all();
    c.events.clear();
    std::vector<Octets> frames;
    for (std::uint32_t i = 0; i < 3; ++i) {
        frames.push_back(
            encode(c.flow().complete(data(stream(i * 100, 100)).flags(".")), stack_mac, peer_mac));
        frames.push_back(
            encode(other.complete(data(stream(5000 + i * 100, 100)).flags(".")), stack_mac, peer_mac));
    }
    c.inject_frames(frames);
    std::string of_first, of_second;
    const tcp::Connection first = c.events.front().connection;
    for (const Event& event : c.events) (event.connection == first ? of_first : of_second) += event.data;
    EXPECT_TRUE(of_first == stream(0, 300));
    EXPECT_TRUE(of_second == stream(5000, 300));
}

TEST(MergedSegments, BeyondTheWindowAreCutOff) {
    StackConfig config = small_stack();
    config.tcp.receive_buffer = 2500;
    Conversation c{config};
    c.auto_consume = false;
    c.open_passive();
    c.inject_burst({data(stream(0, 1000)).flags("."), data(stream(1000, 1000)).flags("."),
                    data(stream(2000, 1000)).flags(".")});
    c.expect_data(stream(0, 2500));
    c.expect(ack().ack(2501).win(0));
}

// As it comes from a port or a link that joins segments: longer than any frame.
TEST(MergedSegments, ThatTheLinkHasJoinedAreAcknowledgedAtOnce) {
    Conversation c;
    c.open_passive();
    c.inject(data(stream(0, 1460)));
    c.expect_nothing();
    c.expect_after(40ms, ack().ack(1461));
    c.inject(data(stream(1460, 2000)));
    c.expect(ack().ack(3461));
}

}  // namespace segmentation_cases
}  // namespace runnel::test
