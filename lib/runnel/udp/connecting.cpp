// Making and ending connected sockets (RFC 1122 section 4.1.3.5, RFC 8085 section 5.2).

#include "runnel/ip/exception_path.hpp"
#include "runnel/udp/sockets.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::udp {

ConnectResult Sockets::connect(const SendOptions& options, Handler& handler) noexcept {
    const auto refused = [](ConnectError error) { return ConnectResult{{}, error}; };
    SendOptions settled = options;
    const IpAddress& remote = settled.remote_address;
    IpAddress& local = settled.local_address;
    const bool any_local = local.is_unspecified();
    if ((!remote.is_v4() && !internet_.speaks_ipv6()) || (!any_local && local.is_v4() != remote.is_v4()))
        return refused(ConnectError::family_unsupported);
    const auto from = departure_of(settled);
    if (!from || settled.remote_port == 0) return refused(ConnectError::no_route);
    if (any_local) local = from->source;
    if (!internet_.is_local(local)) return refused(ConnectError::not_our_address);
    // To a group it leaves where it leaves now; elsewhere an interface is not asked for.
    settled.interface = from->interface;

    if (connected_.full()) {
        counters_.drop(DropReason::udp_connected_full);
        return refused(ConnectError::sockets_full);
    }
    if (!connected_.may_lead_home(settled)) return refused(ConnectError::port_elsewhere);
    if (settled.local_port == 0) {
        // No port of a bound socket, whose datagrams it would take, nor of the kernel's, who would take its.
        constexpr auto udp = static_cast<std::uint8_t>(wire::IpProtocol::udp);
        settled.local_port = connected_.draw_port(settled, [&](std::uint16_t port) noexcept {
            return find_or_any(local, port) == nullptr && !internet_.exception().has_rule(udp, port);
        });
        if (settled.local_port == 0) return refused(ConnectError::no_port_free);
    } else if (connected_.find(remote, settled.remote_port, local, settled.local_port)) {
        return refused(ConnectError::address_in_use);
    }
    const ConnectedSocket socket = connected_.add(settled, handler);
    if (!socket) {
        counters_.drop(DropReason::udp_connected_full);
        return refused(ConnectError::sockets_full);
    }
    return {socket, ConnectError::none};
}

bool Sockets::disconnect(ConnectedSocket socket) noexcept {
    return connected_.remove(socket);
}

const SendOptions* Sockets::options_of(ConnectedSocket socket) const noexcept {
    const ConnectedSockets::Socket* const known = connected_.get(socket);
    return known == nullptr ? nullptr : &known->options;
}

}  // namespace runnel::udp
