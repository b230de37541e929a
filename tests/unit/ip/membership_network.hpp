// What the tests of group membership add to the network: queries in, reports read back.
#pragma once

#include <tuple>

#include "runnel/ip/group_memberships.hpp"
#include "runnel/wire/group_membership.hpp"
#include "runnel/wire/igmp.hpp"
#include "runnel/wire/mld.hpp"

#include "ipv6_network.hpp"

namespace runnel::test {

inline constexpr Ipv4Address group4{239, 1, 2, 3}, other_group4{233, 0, 0, 9};
inline constexpr Ipv6Address group6 = Ipv6Address::of(0xff15'0000'0000'0000, 0x1234);

/// One record of a report, or an older report or leave as if it were one.
struct Told {
    wire::GroupRecordType type{};
    IpAddress group{};
    std::vector<IpAddress> sources{};
    friend bool operator==(const Told&, const Told&) = default;
};
using enum wire::GroupRecordType;

/// The message of IGMP in a frame, whose header is as RFC 3376 section 4 asks.
struct IgmpFrame {
    Ipv4Address source{}, destination{};
    MacAddress link_destination{};
    Octets message{};
};
[[nodiscard]] inline std::optional<IgmpFrame> igmp_in(std::span<const std::byte> frame) {
    const auto link = wire::EthernetView::parse(frame);
    if (!link || link->type() != wire::EtherType::ipv4) return std::nullopt;
    const auto packet = packet_in(frame);
    if (packet.protocol() != wire::IpProtocol::igmp) return std::nullopt;
    EXPECT_EQ(packet.ttl(), 1);
    EXPECT_EQ(packet.tos(), 0xc0);
    EXPECT_EQ(packet.header_size(), 24U);
    EXPECT_TRUE(wire::has_ipv4_router_alert(packet.options()));
    EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(packet.payload())));
    EXPECT_EQ(link->destination(), wire::multicast_mac(packet.destination()));
    return IgmpFrame{packet.source(), packet.destination(), link->destination(),
                     Octets{packet.payload().begin(), packet.payload().end()}};
}

/// The records of a report of version 3.
[[nodiscard]] inline std::vector<Told> records_in(const IgmpFrame& frame) {
    const Octets& message = frame.message;
    EXPECT_EQ(message[0], std::byte{0x22});
    EXPECT_EQ(frame.destination, wire::igmpv3_routers);
    std::vector<Told> told;
    std::size_t at = 8;
    for (unsigned left = wire::load_be16(message, 6); left > 0; --left) {
        Told one{.type = wire::GroupRecordType{std::to_integer<std::uint8_t>(message.at(at))},
                 .group = Ipv4Address{wire::load_be32(message, at + 4)}};
        const std::size_t count = wire::load_be16(message, at + 2);
        at += 8;
        for (std::size_t i = 0; i < count; ++i, at += 4)
            one.sources.emplace_back(Ipv4Address{wire::load_be32(message, at)});
        told.push_back(one);
    }
    EXPECT_EQ(at, message.size());
    return told;
}

/// The MLD message in a frame, whose headers are as RFC 3810 section 5 asks.
struct MldFrame {
    Ipv6Address source{}, destination{};
    Octets message{};
};
[[nodiscard]] inline std::optional<MldFrame> mld_in(std::span<const std::byte> frame) {
    if (wire::EthernetView::parse(frame)->type() != wire::EtherType::ipv6) return std::nullopt;
    const Packet6 packet = packet6_in(frame);
    if (packet.header.next_header != 0) return std::nullopt;
    const auto whole = frame.subspan(wire::ethernet_header_size);
    EXPECT_TRUE(wire::has_mld_router_alert(whole, 48));
    EXPECT_EQ(packet.payload[0], std::byte{58});
    EXPECT_EQ(packet.header.hop_limit, 1);
    const Octets message(packet.payload.begin() + 8, packet.payload.end());
    EXPECT_TRUE(wire::checksum_holds(wire::checksum_add(
        message, wire::pseudo_header_sum(packet.header.source, packet.header.destination, 58,
                                         static_cast<std::uint32_t>(message.size())))));
    EXPECT_EQ(wire::EthernetView::parse(frame)->destination(),
              wire::multicast_mac(packet.header.destination));
    return MldFrame{packet.header.source, packet.header.destination, message};
}

[[nodiscard]] inline std::vector<Told> records_in(const MldFrame& frame) {
    const Octets& message = frame.message;
    EXPECT_EQ(message[0], std::byte{143});
    EXPECT_EQ(frame.destination, wire::mldv2_routers);
    std::vector<Told> told;
    std::size_t at = 8;
    for (unsigned left = wire::load_be16(message, 6); left > 0; --left) {
        Told one{.type = wire::GroupRecordType{std::to_integer<std::uint8_t>(message.at(at))},
                 .group = wire::load_ipv6(message.data() + at + 4)};
        const std::size_t count = wire::load_be16(message, at + 2);
        at += 20;
        for (std::size_t i = 0; i < count; ++i, at += 16)
            one.sources.emplace_back(wire::load_ipv6(message.data() + at));
        told.push_back(one);
    }
    EXPECT_EQ(at, message.size());
    return told;
}

struct QueryFields {
    std::uint8_t code = 100;  // of MLD: in tenths of a second, too
    std::uint8_t version = 3, robustness = 2, interval = 125, ttl = 1;
    bool alert = true;
    std::vector<IpAddress> sources{};
    IpAddress from{};         // unspecified: a router of the link
    IpAddress destination{};  // unspecified: all hosts, or the group
};

/// A query over IPv4 as a frame; without a group a general one.
[[nodiscard]] inline Octets igmp_query(Ipv4Address group = {}, const QueryFields& fields = {}) {
    Octets message(8);
    message[0] = std::byte{0x11};
    message[1] = static_cast<std::byte>(fields.version == 1 ? 0 : fields.code);
    wire::store_be32(message, 4, group.value);
    if (fields.version == 3) {
        message.resize(12 + 4 * fields.sources.size());
        message[8] = std::byte{fields.robustness};
        message[9] = std::byte{fields.interval};
        wire::store_be16(message, 10, static_cast<std::uint16_t>(fields.sources.size()));
        for (std::size_t i = 0; i < fields.sources.size(); ++i)
            wire::store_be32(message, 12 + 4 * i, fields.sources[i].v4().value);
    }
    wire::store_be16(message, 2, wire::checksum_finish(wire::checksum_add(message)));
    const Ipv4Address destination = !fields.destination.is_unspecified() ? fields.destination.v4()
                                    : group.is_unspecified()             ? ip::all_hosts
                                                                         : group;
    PacketFields header{.source = fields.from.is_unspecified() ? router : fields.from.v4(),
                        .destination = destination,
                        .protocol = wire::IpProtocol::igmp,
                        .ttl = fields.ttl};
    if (fields.alert) header.options = numbers({0x94, 4, 0, 0});
    return ethernet(ipv4(message, header), wire::EtherType::ipv4,
                    destination.is_multicast() ? wire::multicast_mac(destination) : our_mac);
}

/// A packet of MLD as a frame.
[[nodiscard]] inline Octets mld(Octets message, const Ipv6Address& source, const Ipv6Address& destination,
                                std::uint8_t hop_limit = 1, bool alert = true) {
    const Ipv6Fields fields{
        .source = source, .destination = destination, .next_header = 58, .hop_limit = hop_limit};
    seal6(message, 2, fields);
    const Octets options = alert ? numbers({58, 0, 5, 2, 0, 0, 1, 0}) : numbers({58, 0, 1, 4, 0, 0, 0, 0});
    Ipv6Fields first = fields;
    first.next_header = 0;
    return ethernet6(ipv6(options + message, first),
                     destination.is_multicast() ? wire::multicast_mac(destination) : our_mac);
}

/// A query over IPv6 as a frame; version 2 or 3 as IGMP counts.
[[nodiscard]] inline Octets mld_query(const Ipv6Address& group = {}, const QueryFields& fields = {}) {
    Octets message(24);
    message[0] = std::byte{130};
    wire::store_be16(message, 4, static_cast<std::uint16_t>(fields.code * 100));
    wire::store_ipv6(message.data() + 8, group);
    if (fields.version == 3) {
        message.resize(28 + 16 * fields.sources.size());
        message[24] = std::byte{fields.robustness};
        message[25] = std::byte{fields.interval};
        wire::store_be16(message, 26, static_cast<std::uint16_t>(fields.sources.size()));
        for (std::size_t i = 0; i < fields.sources.size(); ++i)
            wire::store_ipv6(message.data() + 28 + 16 * i, fields.sources[i].v6());
    }
    return mld(message, fields.from.is_unspecified() ? peer_link_local : fields.from.v6(),
               !fields.destination.is_unspecified() ? fields.destination.v6()
               : group.is_unspecified()             ? all_nodes
                                                    : group,
               fields.ttl, fields.alert);
}

/// A network and one who joins, of either family: the same tests hold for both.
class Membership {
  public:
    explicit Membership(bool v4, const ip::Config& config = ipv6_config())
        : network(config), v4_(v4), group(v4 ? IpAddress{group4} : IpAddress{group6}) {}

    [[nodiscard]] IpAddress host(std::uint8_t number) const {
        return v4_ ? IpAddress{Ipv4Address{192, 0, 2, number}} : IpAddress{documentation(number, 5)};
    }
    [[nodiscard]] IpAddress nth_group(std::uint32_t n) const { return nth_after(group, n); }

    ip::GroupResult listen(ip::SourceFilter filter, std::uint16_t port = 1) {
        return network.layer.groups().listen({this, port}, 0, group, std::move(filter));
    }
    ip::GroupResult join(const IpAddress& which, std::uint16_t port = 1) {
        return network.layer.groups().listen({this, port}, 0, which, ip::SourceFilter::any());
    }
    ip::GroupResult leave(const IpAddress& which, std::uint16_t port = 1) {
        return network.layer.groups().listen({this, port}, 0, which, {});
    }
    void ask(const IpAddress& which = {}, const QueryFields& fields = {}) {
        const bool general = which.is_unspecified();
        network.give(v4_ ? igmp_query(general ? Ipv4Address{} : which.v4(), fields)
                         : mld_query(general ? Ipv6Address{} : which.v6(), fields));
    }

    /// What has been told since the last call, in whichever version; older reports are `mode_is_exclude`,
    /// leaves `change_to_include`.
    std::vector<Told> told() {
        std::vector<Told> all;
        reports = 0;
        for (const Octets& frame : network.sent()) {
            std::vector<Told> some;
            if (const auto igmp = igmp_in(frame)) {
                EXPECT_EQ(igmp->source, us);
                some = told_in(*igmp);
            } else if (const auto mld = mld_in(frame)) {
                EXPECT_EQ(mld->source, our_link_local);
                some = told_in(*mld);
            } else {
                ADD_FAILURE() << "neither IGMP nor MLD";
            }
            ++reports;
            all.insert(all.end(), some.begin(), some.end());
        }
        return all;
    }
    std::vector<Told> told_by(Instant until) {
        network.run_until(until);
        return told();
    }

    Network network;

  private:
    std::vector<Told> told_in(const IgmpFrame& frame) {
        type = std::to_integer<unsigned>(frame.message[0]);
        if (type == 0x22) return records_in(frame);
        const Ipv4Address about{wire::load_be32(frame.message, 4)};
        EXPECT_EQ(frame.message.size(), 8U);
        EXPECT_EQ(frame.destination, type == 0x17 ? wire::all_routers_v4 : about);
        return {{type == 0x17 ? change_to_include : mode_is_exclude, about, {}}};
    }
    std::vector<Told> told_in(const MldFrame& frame) {
        type = std::to_integer<unsigned>(frame.message[0]);
        if (type == 143) return records_in(frame);
        const Ipv6Address about = wire::load_ipv6(frame.message.data() + 8);
        EXPECT_EQ(frame.message.size(), 24U);
        EXPECT_EQ(frame.destination, type == 132 ? all_routers : about);
        return {{type == 132 ? change_to_include : mode_is_exclude, about, {}}};
    }

    bool v4_;

  public:
    IpAddress group;
    std::size_t reports = 0;  // messages of the last `told`
    unsigned type = 0;        // of the last message
};

}  // namespace runnel::test
