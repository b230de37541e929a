// Packets received in fragments: RFC 791, RFC 1122 section 3.3.2, RFC 3168 section 5.3, RFC 5722, RFC 6946,
// RFC 7112, RFC 8200 section 4.5.
#include "runnel/ip/reassembly.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "runnel/ip/link_output.hpp"
#include "runnel/ip/mbuf_checksum.hpp"

#include "fragments.hpp"

namespace runnel::ip {
namespace reassembly_test {

using namespace test;  // NOLINT: the words in which the tests are written

constexpr PacketFields of_udp{.protocol = wire::IpProtocol::udp};
constexpr Ipv6Fields of_udp6{.next_header = udp_protocol};

/// Both families, told apart by what a test needs of them.
struct Family {
    bool v6;
    [[nodiscard]] Config config() const { return v6 ? resolved_ipv6_config() : resolved_config(); }
    [[nodiscard]] Octets datagram(std::size_t size) const {
        return v6 ? udp6(pattern(size)) : udp_datagram(pattern(size), 4000, 5000);
    }
    [[nodiscard]] std::vector<Octets> cut(const Octets& message, std::size_t step,
                                          std::uint16_t id = 1) const {
        return v6 ? fragments6(message, step, of_udp6, id) : fragments4(message, step, of_udp, id);
    }
    [[nodiscard]] Octets piece(const Octets& message, std::size_t begin, std::size_t end, bool more,
                               std::uint16_t id = 1) const {
        const auto data = std::span{message}.subspan(begin, end - begin);
        return v6 ? fragment6(data, begin, more, of_udp6, id) : fragment4(data, begin, more, of_udp, id);
    }
};

class Reassembling : public testing::TestWithParam<bool> {
  protected:
    Family family{GetParam()};
    Network net{family.config()};

    /// Gives frames of which the last completes `message`, and no other completes anything.
    void expect_whole(const std::vector<Octets>& frames, const Octets& message) {
        for (std::size_t i = 0; i < frames.size(); ++i)
            ASSERT_EQ(net.give(frames[i]), i + 1 < frames.size() ? Upper::none : Upper::udp) << i;
        EXPECT_EQ(octets_of(net.in.mbuf), message);
        EXPECT_EQ(rte_mbuf_check(net.in.mbuf, 1, nullptr), 0);
        EXPECT_TRUE(transport_checksum_holds(net.in));
        if (family.v6)
            EXPECT_EQ(net.in.ipv6_pair(), (Ipv6Pair{peer6, us6}));
        else
            EXPECT_EQ(net.in.source, peer);
    }
};

INSTANTIATE_TEST_SUITE_P(Families, Reassembling, testing::Bool(),
                         [](const auto& given) { return given.param ? "Ipv6" : "Ipv4"; });

TEST_P(Reassembling, FragmentsInAnyOrderArePutTogether) {
    const Octets message = family.datagram(1000);
    const std::vector<Octets> frames = family.cut(message, 256);
    ASSERT_EQ(frames.size(), 4U);
    std::array<std::size_t, 4> order{0, 1, 2, 3};
    std::size_t orders = 0;
    do {
        std::vector<Octets> turned;
        for (const std::size_t i : order) turned.push_back(frames[i]);
        ASSERT_NO_FATAL_FAILURE(expect_whole(turned, message));
        ++orders;
    } while (std::ranges::next_permutation(order).found);
    EXPECT_EQ(orders, 24U);
    EXPECT_EQ(net.count(Counter::ip_reassembled), 24U);
    EXPECT_EQ(net.count(Counter::ip_fragments_in), 96U);
    EXPECT_EQ(net.layer.next_deadline(), never) << "nothing waits any more";
}

TEST_P(Reassembling, HeaderOfTheWholeIsThatOfAPacketInOnePiece) {
    const Octets message = family.datagram(100);
    ASSERT_NO_FATAL_FAILURE(expect_whole(family.cut(message, 48), message));
    const Octets whole = octets_of(net.in.mbuf);
    const auto* const header = rte_pktmbuf_mtod(net.in.mbuf, const std::byte*) - net.in.ip_header_size;
    if (family.v6) {
        EXPECT_EQ(net.in.ip_header_size, 40);
        const wire::Ipv6Header read = wire::load_ipv6_header(header);
        EXPECT_EQ(read.next_header, udp_protocol);
        EXPECT_EQ(read.payload_length, whole.size());
        EXPECT_EQ(read.source, peer6);
        EXPECT_EQ(read.destination, us6);
    } else {
        const Octets packet = Octets{header, header + 20} + whole;
        wire::Ipv4View view;
        ASSERT_EQ(wire::Ipv4View::parse(packet, view), wire::Ipv4Fault::none);
        EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(view.header_bytes())));
        EXPECT_FALSE(view.is_fragment());
        EXPECT_EQ(view.total_length(), packet.size());
    }
}

TEST_P(Reassembling, LargestDatagramIsTaken) {
    const Octets message = family.datagram(family.v6 ? 65527 : 65507);
    ASSERT_NO_FATAL_FAILURE(expect_whole(family.cut(message, 1448), message));
}

TEST_P(Reassembling, PacketsAreToldApartByWhatTheirFragmentsHaveInCommon) {
    const Octets message = family.datagram(200);
    std::vector<std::vector<Octets>> packets;
    for (std::uint16_t id = 1; id <= 20; ++id) packets.push_back(family.cut(message, 104, id));
    for (const auto& frames : packets) ASSERT_EQ(net.give(frames[1]), Upper::none);
    for (const auto& frames : packets) {
        ASSERT_EQ(net.give(frames[0]), Upper::udp);
        EXPECT_EQ(octets_of(net.in.mbuf), message);
    }
}

TEST_P(Reassembling, ExactDuplicatesChangeNothing) {
    const Octets message = family.datagram(500);
    const auto frames = family.cut(message, 128);
    for (std::size_t i = 0; i + 1 < frames.size(); ++i)
        for (int twice = 0; twice < 2; ++twice) ASSERT_EQ(net.give(frames[i]), Upper::none);
    EXPECT_EQ(net.reason_for(frames[0]), DropReason::ip_fragment_duplicate);
    EXPECT_EQ(net.count(DropReason::ip_fragment_duplicate), frames.size());
    ASSERT_EQ(net.give(frames.back()), Upper::udp);
    EXPECT_EQ(octets_of(net.in.mbuf), message);
}

TEST_P(Reassembling, OverlapOfAnyKindLosesThePacketAndWhatComesOfItYet) {
    const Octets message = family.datagram(400);  // 408 octets
    const auto frames = family.cut(message, 136);
    Octets other = message;
    for (std::byte& octet : other) octet ^= std::byte{1};
    const std::vector<std::pair<const char*, Octets>> kinds{
        {"its beginning over another's end", family.piece(message, 128, 272, true)},
        {"its end over another's beginning", family.piece(message, 0, 144, true)},
        {"within another", family.piece(message, 144, 152, true)},
        {"over all of another", family.piece(message, 128, 280, true)},
        {"over all", family.piece(message, 0, 400, true)},
        {"the same place, shorter", family.piece(message, 136, 264, true)},
        {"the same place, other octets", family.piece(other, 136, 272, true)},
        {"an end before what has come", family.piece(message, 200, 208, false)},
    };
    for (const auto& [kind, overlapping] : kinds) {
        // The second of three has come, and then, before or behind it, the first.
        for (const bool first_too : {false, true}) {
            net.run_until(net.now + 61s);
            (void)net.sent();
            const std::uint64_t before = net.count(DropReason::ip_fragment_overlap);
            ASSERT_EQ(net.give(frames[1]), Upper::none);
            if (first_too) {
                ASSERT_EQ(net.give(frames[0]), Upper::none);
            }
            ASSERT_EQ(net.give(overlapping), Upper::none) << kind;
            EXPECT_EQ(net.count(DropReason::ip_fragment_overlap), before + (first_too ? 3 : 2)) << kind;
            for (const Octets& frame : frames)
                EXPECT_EQ(net.reason_for(frame), DropReason::ip_fragment_overlap);
            EXPECT_TRUE(net.sent().empty()) << "in silence";
        }
    }
    // Its time over, the id may be used again; and nothing is said of what was condemned.
    net.run_until(net.now + 61s);
    EXPECT_TRUE(net.sent().empty());
    ASSERT_NO_FATAL_FAILURE(expect_whole(frames, message));
}

TEST_P(Reassembling, EndThatIsContradictedLosesThePacket) {
    const Octets message = family.datagram(400);
    ASSERT_EQ(net.give(family.piece(message, 272, 408, false)), Upper::none);
    EXPECT_EQ(net.give(family.piece(message, 136, 200, false)), Upper::none);
    EXPECT_EQ(net.count(DropReason::ip_fragment_overlap), 2U);
    const Octets longer = message + pattern(64);
    ASSERT_EQ(net.give(family.piece(longer, 272, 408, false, 2)), Upper::none);
    EXPECT_EQ(net.give(family.piece(longer, 408, 472, true, 2)), Upper::none);
    EXPECT_EQ(net.count(DropReason::ip_fragment_overlap), 4U);
    ASSERT_EQ(net.give(family.piece(longer, 400, 472, true, 3)), Upper::none);
    EXPECT_EQ(net.give(family.piece(longer, 272, 400, false, 3)), Upper::none);
    EXPECT_EQ(net.count(DropReason::ip_fragment_overlap), 6U);
}

TEST_P(Reassembling, LateFragmentsOfAPacketThatIsLostWaitNoLonger) {
    const Octets message = family.datagram(400);
    const auto frames = family.cut(message, 136);
    ASSERT_EQ(net.give(frames[1]), Upper::none);
    const Instant start = net.now;
    EXPECT_EQ(net.layer.next_deadline(), start + 60s);
    net.run_until(start + 59s);
    ASSERT_EQ(net.give(frames[2]), Upper::none);
    EXPECT_EQ(net.layer.next_deadline(), start + 60s) << "from the first that came";
    net.run_until(start + 60s);
    EXPECT_EQ(net.count(DropReason::ip_fragment_timeout), 2U);
    EXPECT_TRUE(net.sent().empty()) << "without the first fragment nobody is told";
    EXPECT_EQ(net.give(frames[0]), Upper::none) << "the others are gone";
}

TEST_P(Reassembling, TimeThatIsOverIsSeenThoughNobodyHasRunTimers) {
    const Octets message = family.datagram(200);
    const auto frames = family.cut(message, 104);
    ASSERT_EQ(net.give(frames[1]), Upper::none);
    net.now += 60s;
    ASSERT_EQ(net.give(frames[0]), Upper::none);
    EXPECT_EQ(net.count(DropReason::ip_fragment_timeout), 1U);
}

TEST_P(Reassembling, TimeExceededQuotesTheFirstFragment) {
    const Octets message = family.datagram(400);
    const auto frames = family.cut(message, 136);
    ASSERT_EQ(net.give(frames[2]), Upper::none);
    ASSERT_EQ(net.give(frames[0]), Upper::none);
    net.run_until(net.now + 60s);
    EXPECT_EQ(net.count(DropReason::ip_fragment_timeout), 2U);
    const auto sent = net.sent();
    ASSERT_EQ(sent.size(), 1U);
    const auto quoted = std::span{frames[0]}.subspan(wire::ethernet_header_size);
    if (family.v6) {
        const Packet6 packet = packet6_in(sent[0]);
        EXPECT_TRUE(checksum_is_right(packet));
        EXPECT_EQ(packet.payload[0], std::byte{3});
        EXPECT_EQ(packet.payload[1], std::byte{1});
        EXPECT_EQ((Octets{packet.payload.begin() + 8, packet.payload.end()}),
                  (Octets{quoted.begin(), quoted.end()}));
    } else {
        const auto packet = packet_in(sent[0]);
        EXPECT_EQ(packet.payload()[0], std::byte{11});
        EXPECT_EQ(packet.payload()[1], std::byte{1});
        EXPECT_EQ((Octets{packet.payload().begin() + 8, packet.payload().end()}),
                  (Octets{quoted.begin(), quoted.end()}));
    }
}

TEST_P(Reassembling, TimeExceededIsRateLimited) {
    Config config = family.config();
    config.icmp_errors_per_second = 10;
    Network limited{config};
    const Octets message = family.datagram(400);
    for (std::uint16_t id = 1; id <= 40; ++id)
        ASSERT_EQ(limited.give(family.cut(message, 136, id)[0]), Upper::none);
    limited.run_until(limited.now + 60s);
    EXPECT_EQ(limited.sent().size(), 1U);
    EXPECT_EQ(limited.count(DropReason::icmp_rate_limited), 39U);
    EXPECT_EQ(limited.count(DropReason::ip_fragment_timeout), 40U);
}

TEST_P(Reassembling, FragmentThatNoPacketCanHaveIsDropped) {
    const Octets message = family.datagram(400);
    EXPECT_EQ(net.reason_for(family.piece(message, 8, 8, true)), DropReason::ip_fragment_malformed);
    EXPECT_EQ(net.reason_for(family.piece(message, 8, 8, false)), DropReason::ip_fragment_malformed);
    EXPECT_EQ(net.reason_for(family.piece(message, 0, 100, true)), DropReason::ip_fragment_malformed);
    // The ping of death: it ends beyond what a packet can have.
    const Octets large(70000);
    EXPECT_EQ(net.reason_for(family.piece(large, 65528, 65544, false)), DropReason::ip_fragment_malformed);
    EXPECT_EQ(net.layer.next_deadline(), never) << "none is kept";
}

TEST_P(Reassembling, HeadersSpreadOverTinyFragmentsAreReadWhole) {
    const Octets message = family.datagram(400);
    ASSERT_NO_FATAL_FAILURE(expect_whole(family.cut(message, 8), message));
    EXPECT_GE(net.in.mbuf->data_len, 128U - 48U);
    if (family.v6) return;
    const Octets segment = tcp_header() + pattern(300);
    const auto frames = fragments4(segment, 8);
    for (std::size_t i = 0; i + 1 < frames.size(); ++i) ASSERT_EQ(net.give(frames[i]), Upper::none);
    ASSERT_EQ(net.give(frames.back()), Upper::tcp);
    EXPECT_EQ(octets_of(net.in.mbuf), segment);
    EXPECT_GE(net.in.mbuf->data_len, 60U) << "the longest header of TCP";
}

TEST_P(Reassembling, PacketInMoreFragmentsThanAreKeptIsLost) {
    Config config = family.config();
    config.reassembly_fragments = 16;
    Network few{config};
    const Octets message = family.datagram(8 * 17 - 8);
    const auto frames = family.cut(message, 8);
    ASSERT_EQ(frames.size(), 17U);
    for (const Octets& frame : frames) EXPECT_EQ(few.give(frame), Upper::none);
    EXPECT_EQ(few.count(DropReason::ip_fragment_too_many), 17U);
    EXPECT_EQ(few.reason_for(frames[3]), DropReason::ip_fragment_too_many);
}

TEST_P(Reassembling, FragmentsInChainsAndInSharedMbufsAreTaken) {
    const Octets message = family.datagram(600);
    const auto frames = family.cut(message, 208);
    rte_mbuf* const shared = net.pool.mbuf(frames[0]);
    rte_mbuf_refcnt_update(shared, 1);
    ASSERT_EQ(net.give(shared), Upper::none);
    ASSERT_EQ(net.give(net.pool.chain(frames[2], {10, 30, 60})), Upper::none);
    ASSERT_EQ(net.give(net.pool.chain(frames[1], {70, 1})), Upper::udp);
    EXPECT_EQ(octets_of(net.in.mbuf), message);
    EXPECT_EQ(octets_of(shared), frames[0]) << "the other holder's octets are untouched";
    rte_pktmbuf_free(shared);
}

TEST_P(Reassembling, SourceOverItsShareLosesItsOwnOldestPacketsAndNoOther) {
    const Octets message = family.datagram(1000);
    const auto good = family.cut(message, 512, 7);
    ASSERT_EQ(net.give(good[0]), Upper::none);
    // Another source, of the same /64 in many addresses, sends first fragments of 10,000 packets.
    const Octets piece = pattern(64);
    for (std::uint32_t i = 0; i < 10000; ++i) {
        const Octets frame =
            family.v6 ? fragment6(piece, 0, true,
                                  {.source = documentation(100 + i, 0x77), .next_header = udp_protocol}, i)
                      : fragment4(piece, 0, true,
                                  {.source = Ipv4Address{10, 0, 0, 77}, .protocol = wire::IpProtocol::udp},
                                  static_cast<std::uint16_t>(i));
        ASSERT_EQ(net.give(frame), Upper::none);
    }
    EXPECT_GT(net.count(DropReason::ip_fragment_displaced), 9900U - 128U);
    ASSERT_EQ(net.give(good[1]), Upper::udp);
    EXPECT_EQ(octets_of(net.in.mbuf), message);
    EXPECT_LE(rte_mempool_in_use_count(net.pool.get()), 1023U / 8 + 64 + 64);
}

TEST_P(Reassembling, WhereManySourcesFillTheTableTheOldestPacketLoses) {
    // 64 K keys from as many sources.
    const Octets piece = pattern(64);
    const auto from = [&](std::uint32_t i, bool last) {
        const auto data = std::span{piece};
        return family.v6
                   ? fragment6(data, last ? 64 : 0, !last,
                               {.source = documentation(1, i), .next_header = udp_protocol}, i)
                   : fragment4(data, last ? 64 : 0, !last,
                               {.source = Ipv4Address{0x0b000000 + i}, .protocol = wire::IpProtocol::udp},
                               static_cast<std::uint16_t>(i));
    };
    constexpr std::uint32_t keys = 65536;
    unsigned most = 0;
    for (std::uint32_t i = 1; i <= keys; ++i) {
        ASSERT_EQ(net.give(from(i, false)), Upper::none);
        most = std::max(most, rte_mempool_in_use_count(net.pool.get()));
    }
    EXPECT_LE(most, 1023U / 8 + 64 + 64) << "what is kept of fragments, and the stash";
    EXPECT_EQ(net.count(DropReason::ip_fragment_displaced), keys - 127U);
    // The newest are there yet, the oldest are not.
    EXPECT_EQ(net.give(from(keys, true)), Upper::udp);
    EXPECT_EQ(net.give(from(keys - 100, true)), Upper::udp);
    EXPECT_EQ(net.give(from(1, true)), Upper::none);
}

TEST_P(Reassembling, CongestionMarkOfAFragmentIsThatOfTheWhole) {
    const Octets message = family.datagram(200);
    const auto give = [&](std::uint8_t first, std::uint8_t second, std::uint16_t id) {
        const auto front = std::span{message}.first(104), back = std::span{message}.subspan(104);
        const auto frame = [&](std::span<const std::byte> data, std::size_t at, bool more, std::uint8_t ecn) {
            return family.v6 ? fragment6(data, at, more,
                                         {.next_header = udp_protocol,
                                          .traffic_class = static_cast<std::uint8_t>(0x48 | ecn)},
                                         id)
                             : fragment4(data, at, more,
                                         {.protocol = wire::IpProtocol::udp,
                                          .tos = static_cast<std::uint8_t>(0x48 | ecn)},
                                         id);
        };
        EXPECT_EQ(net.give(frame(front, 0, true, first)), Upper::none);
        return net.give(frame(back, 104, false, second));
    };
    constexpr std::uint8_t not_capable = 0, ect1 = 1, ect0 = 2, marked = 3;
    const std::vector<std::array<std::uint8_t, 3>> rules{{ect0, marked, marked},
                                                         {marked, ect0, marked},
                                                         {ect1, marked, marked},
                                                         {ect0, ect0, ect0},
                                                         {marked, marked, marked},
                                                         {ect1, ect1, ect1},
                                                         {not_capable, not_capable, not_capable}};
    std::uint16_t id = 50;
    for (const auto& [first, second, whole] : rules) {
        ASSERT_EQ(give(first, second, ++id), Upper::udp);
        EXPECT_EQ(net.in.tos, 0x48 | whole);
    }
    EXPECT_EQ(give(not_capable, marked, ++id), Upper::none);
    EXPECT_EQ(give(marked, not_capable, ++id), Upper::none);
    EXPECT_EQ(net.count(DropReason::ip_fragment_marks), 4U);
}

TEST_P(Reassembling, OptionsAreOfTheFirstFragment) {
    const Octets message = family.datagram(200);
    if (family.v6) {
        // Destination options before the fragment header: of the others they are not looked at.
        const auto with_options = [&](std::size_t begin, std::size_t end, bool more, bool options) {
            Octets payload = options ? numbers({44, 0, 1, 4, 0, 0, 0, 0}) : Octets{};
            Octets header(8);
            header[0] = std::byte{options ? udp_protocol : std::uint8_t{59}};
            wire::store_be16(header, 2, static_cast<std::uint16_t>(begin | (more ? 1U : 0U)));
            payload = std::move(payload) + header;
            payload = std::move(payload) + std::span{message}.subspan(begin, end - begin);
            return ethernet6(ipv6(payload, {.next_header = options ? std::uint8_t{60} : std::uint8_t{44}}));
        };
        ASSERT_EQ(net.give(with_options(104, message.size(), false, false)), Upper::none);
        ASSERT_EQ(net.give(with_options(0, 104, true, true)), Upper::udp);
        EXPECT_EQ(net.in.ip_header_size, 48);
    } else {
        PacketFields fields = of_udp;
        fields.options = numbers({1, 1, 1, 0});
        ASSERT_EQ(net.give(fragment4(std::span{message}.subspan(104), 104, false, of_udp)), Upper::none);
        ASSERT_EQ(net.give(fragment4(std::span{message}.first(104), 0, true, fields)), Upper::udp);
        EXPECT_EQ(net.in.ip_header_size, 24);
    }
    EXPECT_EQ(octets_of(net.in.mbuf), message);
    EXPECT_TRUE(transport_checksum_holds(net.in));
}

/// Keeps the frames that it is given for other cores.
class Owners final : public PeerCores {
  public:
    void tell(const NeighbourNews&) noexcept override {}
    bool pass_on(const IcmpError&) noexcept override { return false; }
    void tell_of_router(const RouterNews&) noexcept override {}
    void tell(const IcmpError&) noexcept override {}
    bool pass_on(rte_mbuf* frame, const IpAddress& remote, const IpAddress& local, std::uint16_t remote_port,
                 std::uint16_t local_port) noexcept override {
        asked.push_back({remote, local, remote_port, local_port});
        if ((remote_port == 0 ? fragments_are_ours : segments_are_ours)) return false;
        passed.push_back(octets_of(frame));
        rte_pktmbuf_free(frame);
        return true;
    }
    struct Asked {
        IpAddress remote, local;
        std::uint16_t remote_port, local_port;
        friend bool operator==(const Asked&, const Asked&) = default;
    };
    void start(bool fragments, bool segments) {
        fragments_are_ours = fragments;
        segments_are_ours = segments;
        asked.clear();
        passed.clear();
    }
    bool fragments_are_ours = true, segments_are_ours = true;
    std::vector<Asked> asked;
    std::vector<Octets> passed;
};

TEST_P(Reassembling, FragmentsGoToTheCoreOfTheirAddressesAndTheSegmentToThatOfItsPorts) {
    Owners owners;
    Config config = family.config();
    config.peers = &owners;
    Network core{config};
    const Octets segment = tcp_header(40000, 80) + pattern(300);
    const auto frames = family.v6 ? fragments6(segment, 104) : fragments4(segment, 104);
    const IpAddress remote = family.v6 ? IpAddress{peer6} : IpAddress{peer};
    const IpAddress local = family.v6 ? IpAddress{us6} : IpAddress{us};
    owners.start(false, true);
    for (const Octets& frame : frames) EXPECT_EQ(core.give(frame), Upper::none);
    EXPECT_EQ(owners.passed, frames) << "as they came";
    EXPECT_EQ(owners.asked.front(), (Owners::Asked{remote, local, 0, 0}));

    owners.start(true, false);
    for (const Octets& frame : frames) EXPECT_EQ(core.give(frame), Upper::none);
    EXPECT_EQ(owners.asked.back(), (Owners::Asked{remote, local, 40000, 80}));
    ASSERT_EQ(owners.passed.size(), 1U);
    // What the owner receives is the frame of the whole segment.
    Network owner{family.config()};
    ASSERT_EQ(owner.give(owners.passed[0]), Upper::tcp);
    EXPECT_EQ(octets_of(owner.in.mbuf), segment);

    owners.start(true, true);
    for (std::size_t i = 0; i < frames.size(); ++i)
        EXPECT_EQ(core.give(frames[i]), i + 1 < frames.size() ? Upper::none : Upper::tcp);
    EXPECT_EQ(octets_of(core.in.mbuf), segment);
}

TEST(Rfc792, NoTimeExceededIsSentAboutAnIcmpErrorButAboutAnEcho) {
    Network net{resolved_config()};
    const Octets quote = ipv4(tcp_header(), {.source = us, .destination = peer});
    const PacketFields of_icmp{.protocol = wire::IpProtocol::icmp};
    ASSERT_EQ(net.give(fragment4(icmp(wire::IcmpType::time_exceeded, 0, 0, quote), 0, true, of_icmp, 1)),
              Upper::none);
    net.run_until(net.now + 60s);
    EXPECT_EQ(net.count(DropReason::ip_fragment_timeout), 1U);
    EXPECT_TRUE(net.sent().empty());
    ASSERT_EQ(net.give(fragment4(icmp(wire::IcmpType::echo_request, 0, 0, pattern(40)), 0, true, of_icmp, 2)),
              Upper::none);
    net.run_until(net.now + 60s);
    EXPECT_EQ(net.sent().size(), 1U);
}

TEST(Rfc1122, NoTimeExceededIsSentAboutAPacketToAGroup) {
    Network net{resolved_config()};
    Octets frame =
        fragment4(pattern(64), 0, true, {.destination = subnet_broadcast, .protocol = wire::IpProtocol::udp});
    std::fill_n(frame.begin(), 6, std::byte{0xff});
    ASSERT_EQ(net.give(frame), Upper::none);
    net.run_until(net.now + 60s);
    EXPECT_EQ(net.count(DropReason::ip_fragment_timeout), 1U);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc791, FragmentsOfProtocolsWithOneIdAreOfSeveralPackets) {
    Network net{resolved_config()};
    const Octets datagram = udp_datagram(pattern(100), 1, 2);
    ASSERT_EQ(net.give(fragment4(std::span{datagram}.first(56), 0, true, of_udp)), Upper::none);
    ASSERT_EQ(net.give(fragment4(pattern(40), 56, false)), Upper::none) << "of TCP";
    ASSERT_EQ(net.give(fragment4(std::span{datagram}.subspan(56), 56, false, of_udp)), Upper::udp);
}

TEST(Rfc8200, FragmentWhoseLengthOrPlaceIsWrongIsToldOfWithWhatIsWrong) {
    Network net{resolved_ipv6_config()};
    const auto problem_at = [&](const Octets& frame) -> std::optional<std::uint32_t> {
        EXPECT_EQ(net.reason_for(frame), DropReason::ip_fragment_malformed);
        const auto frames = net.sent();
        if (frames.size() != 1) return std::nullopt;
        const Packet6 packet = packet6_in(frames[0]);
        EXPECT_TRUE(checksum_is_right(packet));
        EXPECT_EQ(packet.payload[0], std::byte{4});
        EXPECT_EQ(packet.payload[1], std::byte{0});
        return wire::load_be32(packet.payload, 4);
    };
    EXPECT_EQ(problem_at(fragment6(pattern(101), 8, true, of_udp6)), 4U) << "the payload length";
    EXPECT_EQ(problem_at(fragment6(pattern(100), 65480, false, of_udp6)), 42U) << "the fragment offset";
    EXPECT_EQ(problem_at(fragment6(pattern(96), 65440, true, of_udp6)), 42U);
}

TEST(Rfc6946, AtomicFragmentIsAPacketOfItsOwnWhateverWaitsUnderItsId) {
    Network net{resolved_ipv6_config()};
    const Octets message = udp6(pattern(200)), other = udp6(pattern(30));
    const auto frames = fragments6(message, 104, of_udp6, 9);
    ASSERT_EQ(net.give(frames[0]), Upper::none);
    ASSERT_EQ(net.give(fragment6(other, 0, false, of_udp6, 9)), Upper::udp);
    EXPECT_EQ(octets_of(net.in.mbuf), other);
    ASSERT_EQ(net.give(frames[1]), Upper::udp);
    EXPECT_EQ(octets_of(net.in.mbuf), message);
}

TEST(Rfc7112, FirstFragmentWithoutAllHeadersIsToldOfAndDropped) {
    Network net{resolved_ipv6_config()};
    const Octets segment = tcp_header() + pattern(200);
    const auto frames = fragments6(segment, 16);
    EXPECT_EQ(net.reason_for(frames[0]), DropReason::ip_incomplete_chain);
    const auto sent = net.sent();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(packet6_in(sent[0]).payload[0], std::byte{4});
    EXPECT_EQ(packet6_in(sent[0]).payload[1], std::byte{3});
    for (std::size_t i = 1; i < frames.size(); ++i) EXPECT_EQ(net.give(frames[i]), Upper::none);
    net.run_until(net.now + 60s);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Rfc6980, SolicitationInFragmentsIsNotBelieved) {
    Network net{ipv6_config()};
    const Ipv6Fields fields{.next_header = icmpv6_protocol, .hop_limit = 255};
    Octets octets(wire::size_of({.target = us6, .link_address = peer_mac}));
    wire::write(wire::NeighbourMessage{.target = us6, .link_address = peer_mac}, octets);
    seal6(octets, 2, fields);
    const auto frames = fragments6(octets, 16, fields);
    for (std::size_t i = 0; i + 1 < frames.size(); ++i) ASSERT_EQ(net.give(frames[i]), Upper::none);
    EXPECT_EQ(net.reason_for(frames.back()), DropReason::nd_malformed);
    EXPECT_TRUE(net.sent().empty());
}

TEST(Reassembly, BudgetIsBoundedByThePoolAndNoSourceHasAllOfIt) {
    Pool pool{8191};
    Counters counters;
    MbufStash stash{pool.get(), {.capacity = 64, .reserve = 8}};
    TransmitQueue queue{64};
    LinkOutput link{counters, stash, queue};
    Config config = plain_config();
    EXPECT_EQ(Reassembly(config, {}, link).most_mbufs(), 8191U / 8);
    config.reassembly_mbufs = 400;
    EXPECT_EQ(Reassembly(config, {}, link).most_mbufs(), 400U);
    EXPECT_EQ(Reassembly(config, {}, link).most_mbufs_of_source(), 100U);
    config.reassembly_mbufs = 80;
    EXPECT_EQ(Reassembly(config, {}, link).most_mbufs_of_source(), 60U) << "a large packet, but not all";
}

}  // namespace reassembly_test
}  // namespace runnel::ip
