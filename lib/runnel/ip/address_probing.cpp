// Duplicate Address Detection, as Neighbour Discovery does it for IPv6 (RFC 4862 section 5.4), and what it
// does about others who claim our addresses later.
#include <algorithm>

#include "runnel/ip/neighbour_discovery.hpp"

namespace runnel::ip {

// The first packet of an interface is sent after a while, drawn at random, so that hosts that start together
// do not speak together (RFC 4862 section 5.4.2).
ProbeTimes NeighbourDiscovery::probe_times() const noexcept {
    const auto share = static_cast<std::int64_t>(siphash_1_3(key_, 0x6461'64, 0) % 1001);
    return {.probes = probes_,
            .delay = max_rtr_solicitation_delay * share / 1000,
            .interval = retrans_timer,
            .wait = retrans_timer};
}

void NeighbourDiscovery::begin(Instant now) noexcept {
    begun_ = true;
    for (const Ipv6Addresses::Range& range : addresses_.configured())
        detection_.begin(range, range.count, probe_times(), now);
}

bool NeighbourDiscovery::begin_use(const Ipv6Addresses::Range& range, Instant now) noexcept {
    if (probes_ == 0) {
        if (!addresses_.add(range, 0, range.count)) return false;
        tell(AddressEventKind::usable, range.first(), range.interface);
        return true;
    }
    return addresses_.add_tentative(range) && detection_.begin(range, range.count, probe_times(), now);
}

void NeighbourDiscovery::withdraw(const Ipv6Addresses::Range& range) noexcept {
    end_detection(range);
    addresses_.remove(range);
}

void NeighbourDiscovery::end_detection(const Ipv6Addresses::Range& range) noexcept {
    detection_.remove([&](const Ipv6Addresses::Range& one) {
        return one.interface == range.interface && one.first() == range.first();
    });
    addresses_.remove_tentative(range);
}

void NeighbourDiscovery::set_deprecated(const Ipv6Addresses::Range& range) noexcept {
    addresses_.set_deprecated(range);
    for (Detection::Probed& one : detection_)
        if (one.range.interface == range.interface && one.range.first() == range.first())
            one.range.deprecated = range.deprecated;
}

// Tells our own probe from another host's (RFC 7527 section 4.1).
std::uint64_t NeighbourDiscovery::nonce(const Ipv6Address& address) const noexcept {
    return siphash_1_3(key_, address.high(), address.low()) & 0xffff'ffff'ffff;
}

void NeighbourDiscovery::probe(const Ipv6Addresses::Range& range, std::uint32_t index) noexcept {
    if (!speaks_for_all_) return;
    const Ipv6Address target = range.at(index);
    const Ipv6Address group = target.solicited_node();
    rte_mbuf* const packet =
        make({.type = wire::Icmpv6Type::neighbour_solicitation, .target = target, .nonce = nonce(target)}, {},
             group);
    if (packet != nullptr) send(packet, interfaces_[range.interface], wire::multicast_mac(group));
}

void NeighbourDiscovery::tell(AddressEventKind kind, const Ipv6Address& address, std::uint8_t interface,
                              const MacAddress& mac, std::uint32_t more) const noexcept {
    if (observer_ != nullptr)
        observer_->address(
            {.kind = kind, .address = address, .mac = mac, .interface = interface, .more = more});
}

bool NeighbourDiscovery::note_duplicate(std::uint8_t interface, const Ipv6Address& address,
                                        const MacAddress& mac, Instant now) noexcept {
    for (Detection::Probed& one : detection_) {
        if (one.range.interface != interface || !one.range.holds(address)) continue;
        if (!one.note(static_cast<std::uint32_t>(address.low() - one.range.low))) return true;
        // It is made of the link address, which two stations have then: nothing of ours would get through.
        if (address == addresses_.link_local(interface)) {
            tell(AddressEventKind::disabled, address, interface, mac);
            addresses_.disable(interface);
            detection_.remove(
                [interface](const Ipv6Addresses::Range& range) { return range.interface == interface; });
            return true;
        }
        tell(AddressEventKind::duplicate, address, interface, mac, one.failed() ? one.count - 1 : 0);
        if (one.count == 1) {
            const Ipv6Addresses::Range range = one.range;
            end_detection(range);
            if (listener_ != nullptr) listener_->duplicate(range, now);
        }
        return true;
    }
    return false;
}

NeighbourPacket NeighbourDiscovery::duplicate(std::uint8_t interface, const Ipv6Address& address,
                                              const MacAddress& mac, Instant now) noexcept {
    note_duplicate(interface, address, mac, now);
    if (peers_ != nullptr)
        peers_->tell({.address = address, .mac = mac, .interface = interface, .conflict = true});
    return {.useless = DropReason::nd_address_conflict};
}

// Of an address in use: RFC 4862 leaves open what follows. It is kept, as IPv4 addresses are, and defended by
// an advertisement that overrides what others have learnt (RFC 4861 section 7.2.6).
NeighbourPacket NeighbourDiscovery::conflict(std::uint8_t interface, const Ipv6Address& address,
                                             const MacAddress& mac, Instant now) noexcept {
    const bool ours = mac == interfaces_[interface].mac;  // come back from the link
    if (!ours && addresses_.owns(interface, address) && defence_.due(address, now)) {
        advertise(interface, address);
        tell(AddressEventKind::conflict, address, interface, mac);
    }
    return {.useless = DropReason::nd_address_conflict};
}

void NeighbourDiscovery::finish(Detection::Probed& probed) noexcept {
    const Ipv6Addresses::Range& range = probed.range;
    addresses_.remove_tentative(range);
    probed.for_each_free([&](std::uint32_t first, std::uint32_t count) {
        if (addresses_.add(range, first, count))
            tell(AddressEventKind::usable, range.at(first), range.interface, {}, count - 1);
    });
}

}  // namespace runnel::ip
