// UDP (RFC 768, RFC 1122 section 4.1): ports, sockets with handlers, and errors handed to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/udp/config.hpp"
#include "runnel/udp/connected_sockets.hpp"
#include "runnel/udp/group_receivers.hpp"
#include "runnel/udp/handler.hpp"
#include "runnel/udp/send_options.hpp"

namespace runnel::udp {

/// Why `connect` was not carried out.
enum class ConnectError : std::uint8_t {
    none,
    family_unsupported,  ///< IPv6 where no interface speaks it, or addresses of two families
    no_route,            ///< nothing leads to the remote address, or no datagram may go there, or its port is
                         ///< 0; or there is no such interface
    not_our_address,     ///< the local address is none of ours
    address_in_use,      ///< a connected socket has these addresses and ports
    no_port_free,        ///< every ephemeral port to that remote address and port is taken
    port_elsewhere,      ///< what the peer sends to that local port reaches another core (Config::home_ports)
    sockets_full,        ///< all connected sockets are in use (Config::connected)
};

struct ConnectResult {
    ConnectedSocket socket{};
    ConnectError error = ConnectError::none;
};

/// The sockets of one core, bound and connected. All calls from one thread; allocates when constructed only.
class Sockets {
  public:
    /// References are not owned and outlive this. Throws `std::invalid_argument` where the configuration
    /// cannot be, and `std::runtime_error` where memory does not suffice.
    Sockets(const Config& config, const Secrets& secrets, ip::InternetLayer& internet, Counters& counters,
            MbufStash& stash);
    ~Sockets();
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;

    /// Hands `handler` what arrives at a port of one of our addresses; unspecified: of all of them, and of
    /// broadcast addresses and the groups that every host hears. The socket of an address goes before that of
    /// all. Throws `std::invalid_argument` where the address is not ours, the port is 0 or bound already at
    /// that address, and `std::length_error` where all sockets are in use.
    void bind(IpAddress address, std::uint16_t port, Handler& handler);
    /// Undoes `bind`; false where nothing was bound.
    bool unbind(IpAddress address, std::uint16_t port) noexcept;

    /// What the tables of this configuration take that grow with the number of connected sockets, in octets
    /// (see `EalArray` for where it lies).
    [[nodiscard]] static constexpr std::size_t memory_needed(const Config& config) noexcept {
        return ConnectedSockets::bytes(config.connected);
    }

    /// Makes a socket that exchanges datagrams with one remote address and port alone (RFC 1122 section
    /// 4.1.3.5, RFC 8085 section 5.2): `handler`, which is not owned and outlives the socket, hears what the
    /// peer sends to the local address and port, before any bound socket does, and the ICMP errors about what
    /// is sent to the peer. `options` say how `send` sends. A local address not given is settled now and
    /// stays as it is; a port not given is drawn (RFC 6056). Any number may share a local port, and be beside
    /// a bound socket there. One connected to a group sends to it, and hears nothing: nobody sends from a
    /// group.
    ConnectResult connect(const SendOptions& options, Handler& handler) noexcept;
    /// Undoes `connect`; false where the socket is over.
    bool disconnect(ConnectedSocket socket) noexcept;
    /// How it sends, both addresses and ports settled; null where it is over. Until the next call.
    [[nodiscard]] const SendOptions* options_of(ConnectedSocket socket) const noexcept;
    /// Octets of data of the largest datagram that leaves whole to the peer at present (RFC 1122 section
    /// 3.4, GET_MAXSIZES); 0 where the socket is over, or no route leads there any more.
    [[nodiscard]] std::size_t largest_whole(ConnectedSocket socket, Instant now) const noexcept;
    /// Sends a copy of the octets to the peer. The way there is found once, and again when route, neighbour
    /// or address have changed.
    SendResult send(ConnectedSocket socket, std::span<const std::byte> payload, Instant now) noexcept;
    /// Sends the octets of an mbuf (chain). Takes the mbuf in every case.
    SendResult send(ConnectedSocket socket, rte_mbuf* payload, Instant now) noexcept;

    /// Sockets that hear multicast groups.
    [[nodiscard]] GroupReceivers& groups() noexcept { return groups_; }

    /// Sends a copy of the octets.
    SendResult send_to(const SendOptions& options, std::span<const std::byte> payload, Instant now) noexcept;
    /// Sends the octets of an mbuf (chain). Takes the mbuf in every case.
    SendResult send_to(const SendOptions& options, rte_mbuf* payload, Instant now) noexcept;

    /// Takes a received datagram: checks it, hands it to its socket, or answers "port unreachable".
    void input(ip::Ingress& in, Instant now) noexcept;
    /// Hands an ICMP error to the socket that sent the quoted datagram; false where there is none, for the
    /// caller to count.
    bool icmp_error(const ip::IcmpError& error) noexcept;

    /// Hands out datagrams of our own to groups that we hear.
    void advance() noexcept;
    /// Whether `advance` has any.
    [[nodiscard]] bool has_looped() const noexcept { return !looped_.empty(); }

    /// How many are bound, and how many connected.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t connected() const noexcept { return connected_.size(); }

  private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    struct Socket {
        IpAddress address{};
        std::uint16_t port = 0;
        Handler* handler = nullptr;
        std::uint32_t next = none;  // of the same bucket, or of the free ones
    };

    struct Looped {
        Datagram about;
        rte_mbuf* payload;
    };
    static constexpr std::size_t most_looped = 256;

    // Where a datagram leaves: of a group by an interface, else by the route, which a connected socket keeps.
    struct Departure {
        IpAddress source;
        std::optional<std::uint8_t> interface;
        ip::Way* way = nullptr;
    };
    [[nodiscard]] std::optional<Departure> departure_of(const SendOptions& options) const noexcept;
    [[nodiscard]] static Departure departure_of(ConnectedSockets::Socket& socket) noexcept {
        return {socket.options.local_address, socket.options.interface, &socket.way};
    }
    [[nodiscard]] SendResult find_departure(const SendOptions& options, Departure& from) const noexcept;
    [[nodiscard]] std::size_t path_mtu(const IpAddress& remote, const Departure& from,
                                       Instant now) const noexcept;
    SendResult depart(const SendOptions& options, const Departure& from, rte_mbuf* payload,
                      Instant now) noexcept;
    // What `depart` is about, but for the octets themselves.
    struct Parcel {
        bool ipv6 = false;
        bool is_cut = false;  // into segments
        ip::Ipv6Pair pair{};
        ip::Output how{};
    };
    /// Whether a send of so many octets may leave; `parcel` says how, if so.
    [[nodiscard]] SendResult inspect(const SendOptions& options, const Departure& from, std::size_t size,
                                     Parcel& parcel, Instant now) const noexcept;
    [[nodiscard]] bool write_header(const SendOptions& options, rte_mbuf* packet,
                                    std::size_t size) const noexcept;
    void count_sent(const SendOptions& options, const Parcel& parcel, std::size_t size) noexcept;
    SendResult depart(const SendOptions& options, const Departure& from, std::span<const std::byte> data,
                      Instant now) noexcept;
    SendResult depart_singly(const SendOptions& options, const Departure& from, rte_mbuf* payload,
                             Instant now) noexcept;
    [[nodiscard]] bool deliver_to_group(const Datagram& about, rte_mbuf* payload, bool also_bound) noexcept;
    void give(Handler& handler, const Datagram& about, rte_mbuf* payload, bool copy) noexcept;
    void loop(const SendOptions& options, const Departure& from, const rte_mbuf* payload) noexcept;

    /// By address too: many addresses may have a socket on one port. Nobody but the application binds, so
    /// nobody else can aim at a bucket.
    [[nodiscard]] std::uint32_t& bucket_of(const IpAddress& address, std::uint16_t port) noexcept;
    [[nodiscard]] Handler* find(const IpAddress& address, std::uint16_t port) noexcept;
    [[nodiscard]] Handler* find_or_any(const IpAddress& address, std::uint16_t port) noexcept;
    void drop(rte_mbuf* mbuf, DropReason reason) noexcept;
    // Counts why, and takes the mbuf back where there is one.
    SendResult refuse(rte_mbuf* mbuf, SendResult why) noexcept;

    ip::InternetLayer& internet_;
    Counters& counters_;
    MbufStash& stash_;
    GroupReceivers groups_;
    ConnectedSockets connected_;
    std::vector<Looped> looped_;   // room for all is there
    std::vector<Looped> looping_;  // those that are being handed out
    std::size_t size_ = 0;
    std::uint32_t free_ = none;
    std::vector<Socket> sockets_;
    std::vector<std::uint32_t> buckets_;
};

}  // namespace runnel::udp
