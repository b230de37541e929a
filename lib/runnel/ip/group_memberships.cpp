#include "runnel/ip/group_memberships.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "runnel/ip/peer_cores.hpp"

namespace runnel::ip {

namespace {

constexpr auto place_of_group = [](const auto& group) { return std::tuple{group.interface, group.address}; };

bool may_send(const IpAddress& source, bool v4) noexcept {
    if (source.is_v4() != v4 || source.is_unspecified()) return false;
    if (!v4) return !source.v6().is_multicast() && !source.v6().is_loopback();
    return !source.v4().is_multicast() && !source.v4().is_reserved() && !source.v4().is_loopback();
}

// 232/8 and ff3x::/32: whoever hears such a group says whom he hears (RFC 4607 section 1).
bool is_source_specific(const IpAddress& group) noexcept {
    if (group.is_v4()) return group.v4().value >> 24 == 232;
    const auto& octets = group.v6().octets;
    return octets[0] == 0xff && octets[1] >> 4 == 3 && octets[2] == 0 && octets[3] == 0;
}

// Of these no router need know: everybody is a member, or they do not reach beyond the host (RFC 3376 section
// 5, RFC 3810 section 6).
bool is_reported(const IpAddress& group) noexcept {
    if (group.is_v4()) return group.v4() != all_hosts;
    const unsigned scope = group.v6().octets[1] & 0xf;
    return group.v6() != all_nodes && scope > 1;
}

}  // namespace

std::string_view to_sentence(GroupResult result) noexcept {
    switch (result) {
        case GroupResult::done:
            return "It is done.";
        case GroupResult::not_a_group:
            return "The address is not of a multicast group; give one of 224.0.0.0/4 or ff00::/8.";
        case GroupResult::bad_source:
            return "A source is not the address of a host of the group's family; give a unicast address.";
        case GroupResult::no_interface:
            return "There is no such interface, or no route leads to the group; name an interface by its "
                   "index.";
        case GroupResult::family_unsupported:
            return "The interface has no address of the group's family; give it one, or name another "
                   "interface.";
        case GroupResult::already_member:
            return "The listener has joined the group, or lists the source, already; leave it first.";
        case GroupResult::not_member:
            return "The listener has not joined the group, or does not list the source; join it first.";
        case GroupResult::wrong_mode:
            return "The listener has joined the group in the other filter mode; set the whole filter "
                   "instead.";
        case GroupResult::too_many_sources:
            return "The filter lists more than 64 sources; list fewer, or hear all and sort them out.";
        case GroupResult::too_many_listeners:
            return "The group has 64 listeners already; let one of them pass the datagrams on.";
        case GroupResult::source_specific:
            return "The group is of 232.0.0.0/8 or ff3x::/32, which are heard from listed sources alone; "
                   "join "
                   "it with a source, or use another group.";
        case GroupResult::table_full:
            return "As many groups are heard as multicast_groups allows; leave one, or configure more.";
    }
    return "";
}

GroupMemberships::GroupMemberships(const Config& config, const Interfaces& interfaces,
                                   const Ipv6Addresses& addresses, Igmp& igmp, Mld& mld, Counters& counters)
    : interfaces_(interfaces),
      addresses_(addresses),
      igmp_(igmp),
      mld_(mld),
      counters_(counters),
      peers_(config.peers),
      capacity_(config.multicast_groups),
      reports_solicited_nodes_(config.report_solicited_nodes),
      lists_all_(config.report_solicited_nodes) {
    groups_.reserve(capacity_);
    // Of several cores each does: a query comes to any of them.
    // Before the first probe for an address (RFC 4862 section 5.4.2).
    for (const Ipv6Addresses::Range& range : addresses.configured())
        for (std::uint32_t i = 0; i < range.count && lists_all_; ++i)
            hold_solicited_node(range.interface, range.at(i));
}

const GroupMemberships::Group* GroupMemberships::find(std::uint8_t interface,
                                                      const IpAddress& group) const noexcept {
    const auto found = std::ranges::lower_bound(groups_, std::tuple{interface, group}, {}, place_of_group);
    return found != groups_.end() && found->interface == interface && found->address == group ? &*found
                                                                                              : nullptr;
}

GroupMemberships::Group* GroupMemberships::find(std::uint8_t interface, const IpAddress& group) noexcept {
    return const_cast<Group*>(std::as_const(*this).find(interface, group));
}

GroupMemberships::Group* GroupMemberships::add(std::uint8_t interface, const IpAddress& group) noexcept {
    if (groups_.size() >= capacity_) return nullptr;
    ++epoch_;
    const auto at = std::ranges::lower_bound(groups_, std::tuple{interface, group}, {}, place_of_group);
    return &*groups_.insert(at, Group{.interface = interface, .address = group});
}

GroupResult GroupMemberships::refusal(std::uint8_t interface, const IpAddress& group,
                                      const SourceFilter& filter) const noexcept {
    if (!is_multicast(group)) return GroupResult::not_a_group;
    if (interface >= interfaces_.size()) return GroupResult::no_interface;
    if (group.is_v4() ? !interfaces_[interface].speaks_ipv4() : !addresses_.speaks(interface))
        return GroupResult::family_unsupported;
    // RFC 4604 section 2.2: routers forward nothing to who names no source.
    if (is_source_specific(group) && filter.mode() == FilterMode::exclude)
        return GroupResult::source_specific;
    if (filter.sources().size() > SourceFilter::most_sources) return GroupResult::too_many_sources;
    for (const IpAddress& source : filter.sources())
        if (!may_send(source, group.is_v4())) return GroupResult::bad_source;
    return GroupResult::done;
}

GroupResult GroupMemberships::listen(const GroupListener& listener, std::uint8_t interface,
                                     const IpAddress& address, SourceFilter filter) {
    if (const GroupResult wrong = refusal(interface, address, filter); wrong != GroupResult::done)
        return wrong;
    Group* group = find(interface, address);
    if (group == nullptr) {
        if (filter.none()) return GroupResult::not_member;
        group = add(interface, address);
        if (group == nullptr) return GroupResult::table_full;
    }
    const auto known = std::ranges::find(group->members, listener, &Member::listener);
    if (known == group->members.end()) {
        if (filter.none()) return GroupResult::not_member;
        if (group->members.size() == most_listeners) return GroupResult::too_many_listeners;
        if (group->members.empty()) count_listened(address, 1);
        group->members.push_back({listener, std::move(filter)});
    } else if (filter.none()) {
        group->members.erase(known);
        if (group->members.empty()) count_listened(address, -1);
    } else {
        known->filter = std::move(filter);
    }
    settle(*group);
    return GroupResult::done;
}

void GroupMemberships::count_listened(const IpAddress& group, int by) noexcept {
    const bool before = any();
    listened_ += static_cast<std::size_t>(by);
    if (group.is_v4()) listened_ipv4_ += static_cast<std::size_t>(by);
    note_heard(group, by);
    if (any() == before) return;
    // Queries for members concern whoever is one.
    note_heard(all_hosts, by);
    note_heard(all_nodes, by);
}

void GroupMemberships::note_heard(const IpAddress& group, int by) noexcept {
    std::uint32_t& heard = heard_[group_bit(group)];
    const bool before = heard > 0;
    heard += static_cast<std::uint32_t>(by);
    if (peers_ != nullptr && before != (heard > 0)) peers_->set_hears(group_bit(group), heard > 0);
}

void GroupMemberships::settle(Group& group) {
    std::vector<const SourceFilter*> filters;
    for (const Member& member : group.members) filters.push_back(&member.filter);
    const SourceFilter all = group.holders > 0 ? SourceFilter::any() : merge(filters);
    if (is_reported(group.address)) reporter_of(group.address).set(group.interface, group.address, all);
    if (all.none()) forget(group);
}

void GroupMemberships::forget(Group& group) noexcept {
    groups_.erase(groups_.begin() + (&group - groups_.data()));
    ++epoch_;
}

const SourceFilter* GroupMemberships::filter_of(const GroupListener& listener, std::uint8_t interface,
                                                const IpAddress& group) const noexcept {
    for (const Member& member : members(interface, group))
        if (member.listener == listener) return &member.filter;
    return nullptr;
}

void GroupMemberships::hold_solicited_node(std::uint8_t interface, const Ipv6Address& address) noexcept {
    if (!reports_solicited_nodes_) return;
    const Ipv6Address solicited = address.solicited_node();
    Group* group = find(interface, solicited);
    if (group == nullptr) group = add(interface, solicited);
    if (group == nullptr) {
        counters_.drop(DropReason::membership_table_full);
        if (lists_all_) ++epoch_;
        lists_all_ = false;
        return;
    }
    if (++group->holders == 1) mld_.reporter().hear_all(interface, solicited);
}

// Where a listener of the application's has joined the group besides, it stays reported for all senders until
// one of them says something else; each one's own filter holds.
void GroupMemberships::release_solicited_node(std::uint8_t interface, const Ipv6Address& address) noexcept {
    const Ipv6Address solicited = address.solicited_node();
    Group* const group = find(interface, solicited);
    if (group == nullptr || group->holders == 0 || --group->holders > 0 || !group->members.empty()) return;
    mld_.reporter().hear_nobody(interface, solicited);
    forget(*group);
}

std::span<const GroupMemberships::Member> GroupMemberships::members(std::uint8_t interface,
                                                                    const IpAddress& group) const noexcept {
    const Group* const found = find(interface, group);
    if (found == nullptr) return {};
    return found->members;
}

std::vector<MacAddress> GroupMemberships::link_groups(std::uint8_t interface) const {
    std::vector<MacAddress> macs;
    for (const Group& group : groups_) {
        if (group.interface != interface) continue;
        macs.push_back(group.address.is_v4() ? wire::multicast_mac(group.address.v4())
                                             : wire::multicast_mac(group.address.v6()));
    }
    std::ranges::sort(macs);
    const auto repeated = std::ranges::unique(macs);
    macs.erase(repeated.begin(), repeated.end());
    return macs;
}

Instant GroupMemberships::next_deadline() const noexcept {
    return std::min(igmp_.reporter().next_deadline(), mld_.reporter().next_deadline());
}

}  // namespace runnel::ip
