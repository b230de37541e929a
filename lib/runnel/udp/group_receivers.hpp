// Sockets that hear multicast groups: joining and leaving, with all senders or some of them (RFC 3678, RFC
// 1112 section 7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/ip_address.hpp"
#include "runnel/ip/group_memberships.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/source_filter.hpp"
#include "runnel/udp/handler.hpp"

namespace runnel::udp {

/// One membership: what is sent to this port of the group, and comes by this interface, goes to the handler.
struct GroupSocket {
    IpAddress group{};
    std::uint16_t port = 0;
    Handler* handler = nullptr;  ///< not owned; outlives the membership
    std::optional<std::uint8_t> interface {
    };  ///< index; nothing: the one by which the group would be sent to
};

/// The memberships of one core's sockets. Any number of handlers may hear the same port of the same group,
/// and each is handed a copy of its own; none of them need be bound. Calls name what RFC 3678 calls them. All
/// from the stack's thread; routers are told at the next `Stack::advance`.
class GroupReceivers {
  public:
    /// Not owned; outlives this.
    explicit GroupReceivers(ip::InternetLayer& internet) noexcept : internet_(internet) {}

    /// Hears all senders (MCAST_JOIN_GROUP). `already_member` where the socket is one, in either mode.
    ip::GroupResult join(const GroupSocket& socket);
    /// Ends the membership, in either mode (MCAST_LEAVE_GROUP).
    ip::GroupResult leave(const GroupSocket& socket);
    /// Of a socket that hears all senders: this one no longer, or again (MCAST_BLOCK_SOURCE,
    /// MCAST_UNBLOCK_SOURCE). `wrong_mode` where it hears listed ones alone.
    ip::GroupResult block(const GroupSocket& socket, const IpAddress& source);
    ip::GroupResult unblock(const GroupSocket& socket, const IpAddress& source);
    /// Hears this sender, besides those joined so before (MCAST_JOIN_SOURCE_GROUP). `wrong_mode` where the
    /// socket hears all.
    ip::GroupResult join_source(const GroupSocket& socket, const IpAddress& source);
    /// Undoes that; with the last sender the membership ends (MCAST_LEAVE_SOURCE_GROUP).
    ip::GroupResult leave_source(const GroupSocket& socket, const IpAddress& source);
    /// Sets the whole filter at once, joined or not (setsourcefilter); one that hears nobody ends the
    /// membership.
    ip::GroupResult set_filter(const GroupSocket& socket, ip::SourceFilter filter);
    /// The present filter (getsourcefilter); null where the socket is no member. Until the next call.
    [[nodiscard]] const ip::SourceFilter* filter(const GroupSocket& socket) const noexcept;

    // What `Sockets` asks.

    /// Who hears a datagram, in a bounded list.
    struct Hearers {
        std::array<Handler*, ip::GroupMemberships::most_listeners> handlers{};
        std::size_t count = 0;
    };
    [[nodiscard]] Hearers hearers(const Datagram& about) const noexcept;
    /// Whether one of them still does.
    [[nodiscard]] bool hears(Handler& handler, const Datagram& about) const noexcept;

  private:
    struct Place {
        ip::GroupListener listener{};
        std::uint8_t interface = 0;
        ip::GroupResult wrong = ip::GroupResult::done;
    };
    [[nodiscard]] Place place_of(const GroupSocket& socket) const noexcept;
    ip::GroupResult change(const GroupSocket& socket, ip::FilterMode mode, const IpAddress& source,
                           bool listed);

    ip::InternetLayer& internet_;
};

}  // namespace runnel::udp
