// Who on this host is a member of which group on which interface, and through which source filter (RFC 1112
// section 7, RFC 3376 sections 2 and 3, RFC 3810 sections 3 and 4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runnel/base/counters.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/igmp.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/ipv6_addresses.hpp"
#include "runnel/ip/mld.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/ip/source_filter.hpp"

namespace runnel::ip {

/// What became of a wish to hear a group, or no longer.
enum class GroupResult : std::uint8_t {
    done,
    not_a_group,         ///< the address is not of a multicast group
    bad_source,          ///< a source is not one host's address, or not of the group's family
    no_interface,        ///< there is no such interface, or no route to the group where none is named
    family_unsupported,  ///< the interface has no address of the group's family
    already_member,      ///< the listener has joined the group, or lists the source, already
    not_member,          ///< the listener has not joined the group, or does not list the source
    wrong_mode,          ///< the listener hears the listed sources alone, or all but those: the call is for
                         ///< the other
    too_many_sources,    ///< a filter lists at most `SourceFilter::most_sources`
    too_many_listeners,  ///< a group has at most `GroupMemberships::most_listeners`
    source_specific,     ///< the group is for listed sources alone (RFC 4607)
    table_full,          ///< `Config::multicast_groups` are heard already
};
/// A sentence for a person: what is wrong, and the mend.
[[nodiscard]] std::string_view to_sentence(GroupResult result) noexcept;

/// Someone who hears a group: `who` stands for him, and `port` for what of him.
struct GroupListener {
    void* who = nullptr;
    std::uint16_t port = 0;
    friend bool operator==(const GroupListener&, const GroupListener&) = default;
};

/// The memberships of one stack, both families. All calls from the stack's thread. Joining and leaving may
/// allocate; what the network causes does not.
class GroupMemberships {
  public:
    static constexpr std::size_t most_listeners = 64;

    struct Member {
        GroupListener listener{};
        SourceFilter filter{};
    };

    /// `config` has been validated. References are not owned and outlive this.
    GroupMemberships(const Config& config, const Interfaces& interfaces, const Ipv6Addresses& addresses,
                     Igmp& igmp, Mld& mld, Counters& counters);

    /// From now on the listener hears the group on the interface through the filter; one that hears nobody
    /// ends that. This is IPMulticastListen (RFC 3376 section 2).
    GroupResult listen(const GroupListener& listener, std::uint8_t interface, const IpAddress& group,
                       SourceFilter filter);
    /// The filter of a listener; null where it has not joined. Until the next call of `listen`.
    [[nodiscard]] const SourceFilter* filter_of(const GroupListener& listener, std::uint8_t interface,
                                                const IpAddress& group) const noexcept;

    /// An interface has an IPv6 address, or no longer: the solicited-node group is reported as long as
    /// there is one with it (RFC 3810 section 6). Where the table is full it is heard and not reported, which
    /// is counted. Neither allocates: a router's word is enough for either.
    void hold_solicited_node(std::uint8_t interface, const Ipv6Address& address) noexcept;
    void release_solicited_node(std::uint8_t interface, const Ipv6Address& address) noexcept;

    /// There is any listener, or any to a group of IPv4.
    [[nodiscard]] bool any() const noexcept { return listened_ > 0; }
    [[nodiscard]] bool any_ipv4() const noexcept { return listened_ipv4_ > 0; }
    /// Somebody listens to the group.
    [[nodiscard]] bool hears(std::uint8_t interface, const IpAddress& group) const noexcept {
        return any() && !members(interface, group).empty();
    }
    /// Who listens to the group. Until the next call that changes it.
    [[nodiscard]] std::span<const Member> members(std::uint8_t interface,
                                                  const IpAddress& group) const noexcept;

    /// Rises with each group that is joined or left: see `link_groups`.
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
    /// Whether the solicited-node groups of all our addresses are among them, or not told of here at all.
    [[nodiscard]] bool lists_all() const noexcept { return lists_all_; }
    /// The Ethernet addresses of all groups that an interface is a member of, each once.
    [[nodiscard]] std::vector<MacAddress> link_groups(std::uint8_t interface) const;

    void advance(Instant now) noexcept {
        igmp_.reporter().advance(now);
        mld_.advance(now);
    }
    [[nodiscard]] Instant next_deadline() const noexcept;

  private:
    struct Group {
        std::uint8_t interface = 0;
        IpAddress address{};
        std::uint32_t holders = 0;  // addresses of ours whose solicited-node group it is
        std::vector<Member> members{};
    };

    [[nodiscard]] const Group* find(std::uint8_t interface, const IpAddress& group) const noexcept;
    [[nodiscard]] Group* find(std::uint8_t interface, const IpAddress& group) noexcept;
    [[nodiscard]] Group* add(std::uint8_t interface, const IpAddress& group) noexcept;
    [[nodiscard]] GroupResult refusal(std::uint8_t interface, const IpAddress& group,
                                      const SourceFilter& filter) const noexcept;
    void count_listened(const IpAddress& group, int by) noexcept;
    void note_heard(const IpAddress& group, int by) noexcept;
    /// Tells routers what all listeners of a group come to, and forgets one that has none.
    void settle(Group& group);
    void forget(Group& group) noexcept;
    [[nodiscard]] GroupReporter& reporter_of(const IpAddress& group) noexcept {
        return group.is_v4() ? igmp_.reporter() : mld_.reporter();
    }

    const Interfaces& interfaces_;
    const Ipv6Addresses& addresses_;
    Igmp& igmp_;
    Mld& mld_;
    Counters& counters_;
    PeerCores* peers_;
    std::size_t capacity_;
    bool reports_solicited_nodes_;
    bool lists_all_;
    std::size_t listened_ = 0, listened_ipv4_ = 0;   // groups with listeners
    std::array<std::uint32_t, group_bits> heard_{};  // of these, by `group_bit`
    std::uint32_t epoch_ = 0;
    std::vector<Group> groups_;  // in ascending order of interface and address; room for all is there
};

}  // namespace runnel::ip
