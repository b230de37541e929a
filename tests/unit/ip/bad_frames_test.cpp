// Frames that no honest station sends: each truncation and each flipped bit of a sample of every kind, and
// octets at random, are taken or are a counted drop; nothing crashes, no mbuf is lost.
#include <random>

#include <gtest/gtest.h>

#include "network.hpp"
#include "seed.hpp"

namespace runnel::ip {
namespace bad_frames_test {

using namespace test;  // NOLINT: the words in which the tests are written

std::vector<Octets> samples() {
    const Octets quote = ipv4(tcp_header(), {.source = us, .destination = peer});
    const Octets options{std::byte{7}, std::byte{7}, std::byte{4}, std::byte{0},
                         std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1}};
    return {
        ethernet(ipv4(tcp_header() + pattern(10))),
        ethernet(ipv4(tcp_header(), {.options = options})),
        ethernet(ipv4(udp_datagram(pattern(13), 4000, 53), {.protocol = wire::IpProtocol::udp})),
        ethernet(ipv4(icmp(wire::IcmpType::echo_request, 0, 1, pattern(17)),
                      {.protocol = wire::IpProtocol::icmp})),
        ethernet(ipv4(icmp(wire::IcmpType::destination_unreachable, 3, 0, quote),
                      {.protocol = wire::IpProtocol::icmp})),
        ethernet(ipv4(pattern(30), {.protocol = wire::IpProtocol{99}})),
        tagged(ipv4(tcp_header()), 0),
        arp(wire::ArpOperation::request, peer_mac, peer, us),
        arp(wire::ArpOperation::reply, peer_mac, peer, us, our_mac, our_mac),
    };
}

// Gives a frame; what the layer keeps for itself must be answered, counted, learnt from, or a
// fragment.
void expect_accounted(Network& net, rte_mbuf* frame) {
    std::uint64_t before = 0, after = 0;
    const auto total = [&net] {
        std::uint64_t sum =
            net.count(Counter::arp_in) + net.count(Counter::icmp_in) + net.count(Counter::ip_fragments_in);
        for (std::size_t i = 0; i < drop_count; ++i) sum += net.count(static_cast<DropReason>(i));
        return sum;
    };
    before = total();
    const Upper upper = net.give(frame);
    after = total();
    if (upper == Upper::none) {
        ASSERT_GT(after, before) << "a frame vanished uncounted";
    }
    (void)net.sent();
}

TEST(BadInput, EveryTruncationIsTakenOrCounted) {
    Network net{resolved_config()};
    for (const Octets& sample : samples())
        for (std::size_t size = 0; size <= sample.size(); ++size)
            expect_accounted(net, net.pool.mbuf(std::span{sample}.first(size)));
}

TEST(BadInput, EveryFlippedBitIsTakenOrCounted) {
    Network net{resolved_config()};
    for (const Octets& sample : samples())
        for (std::size_t bit = 0; bit < sample.size() * 8; ++bit) {
            Octets changed = sample;
            changed[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
            expect_accounted(net, net.pool.mbuf(changed));
            // Behind a checksum made right again too, so that the checks beyond it are reached.
            if (bit / 8 < 14 || bit / 8 >= 34 || wire::load_be16(changed, 12) != 0x0800) continue;
            Octets packet(changed.begin() + 14, changed.end());
            seal(packet);
            std::copy(packet.begin(), packet.end(), changed.begin() + 14);
            expect_accounted(net, net.pool.mbuf(changed));
        }
}

TEST(BadInput, DamagedFramesInRandomChainsAreTakenOrCounted) {
    std::mt19937_64 random{seed()};
    const auto all = samples();
    Network net{resolved_config()};
    for (int round = 0; round < 20000; ++round) {
        Octets frame = all[random() % all.size()];
        for (auto flips = random() % 3; flips > 0; --flips)
            frame[random() % frame.size()] = static_cast<std::byte>(random());
        frame.resize(1 + random() % (frame.size() + 8));
        std::vector<std::size_t> cut;
        for (auto pieces = random() % 4; pieces > 0; --pieces) cut.push_back(random() % 40);
        expect_accounted(net, net.pool.chain(frame, cut));
        net.run_until(net.now + Duration{static_cast<std::int64_t>(random() % 10'000'000)});
    }
}

}  // namespace bad_frames_test
}  // namespace runnel::ip
