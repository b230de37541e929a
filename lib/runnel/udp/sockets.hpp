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
#include "runnel/udp/group_receivers.hpp"
#include "runnel/udp/handler.hpp"

namespace runnel::udp {

struct Config {
    std::uint32_t sockets = 1024;  ///< bound sockets at once, 1 to 16777216
};

/// How a datagram is to leave.
struct SendOptions {
    IpAddress remote_address{};
    std::uint16_t remote_port = 0;
    IpAddress local_address{};     ///< one of ours; unspecified: that of the interface which leads there
    std::uint16_t local_port = 0;  ///< 0: no answer is wanted
    std::uint8_t tos = 0;
    std::uint8_t ttl = 0;  ///< 0: the default of the configuration; to a group 1 (RFC 1112 section 6.1)
    /// Larger than the path takes, a datagram is refused; false: it leaves in fragments, up to 65,507 octets
    /// of data, of IPv6 65,527.
    bool dont_fragment = true;
    /// Of a datagram to a multicast group: by which interface it leaves; nothing: by the route to the group,
    /// or the first interface of the family.
    std::optional<std::uint8_t> interface {};
    /// Of such: the sockets of this core that hear the group get it too, at the next `Stack::advance`.
    bool loop = false;
};

enum class SendResult : std::uint8_t {
    sent,                ///< queued for sending, or kept until the neighbour answers
    family_unsupported,  ///< IPv6 where no interface speaks it, or addresses of two families
    no_route,            ///< nothing leads to the remote address, or no datagram may go there; or there is no
                         ///< such interface
    not_our_address,     ///< the local address is none of ours
    too_big,             ///< larger than the MTU of the path as far as it is known, or than any datagram
    no_memory,           ///< no mbuf is free, or its room is too small
    dropped,             ///< the queue of frames to send is full, or the neighbour does not answer; counted
};

/// The bound sockets of one core. All calls from one thread; allocates when constructed only.
class Sockets {
  public:
    /// References are not owned and outlive this. Throws `std::invalid_argument` where the configuration
    /// cannot be.
    Sockets(const Config& config, ip::InternetLayer& internet, Counters& counters, MbufStash& stash);
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

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

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

    // Where a datagram leaves: of a group by an interface, else by the route.
    struct Way {
        IpAddress source;
        std::optional<std::uint8_t> interface;
    };
    [[nodiscard]] std::optional<Way> way_to(const SendOptions& options) const noexcept;
    [[nodiscard]] std::size_t largest_packet(const SendOptions& options, const Way& way,
                                             Instant now) const noexcept;
    [[nodiscard]] bool deliver_to_group(const Datagram& about, rte_mbuf* payload, bool also_bound) noexcept;
    void give(Handler& handler, const Datagram& about, rte_mbuf* payload, bool copy) noexcept;
    void loop(const SendOptions& options, const Way& way, const IpAddress& local,
              const rte_mbuf* payload) noexcept;

    /// By address too: many addresses may have a socket on one port. Nobody but the application binds, so
    /// nobody else can aim at a bucket.
    [[nodiscard]] std::uint32_t& bucket_of(const IpAddress& address, std::uint16_t port) noexcept;
    [[nodiscard]] Handler* find(const IpAddress& address, std::uint16_t port) noexcept;
    [[nodiscard]] Handler* find_or_any(const IpAddress& address, std::uint16_t port) noexcept;
    void drop(rte_mbuf* mbuf, DropReason reason) noexcept;
    SendResult refuse(rte_mbuf* mbuf, SendResult why, DropReason reason) noexcept;

    ip::InternetLayer& internet_;
    Counters& counters_;
    MbufStash& stash_;
    GroupReceivers groups_;
    std::vector<Looped> looped_;   // room for all is there
    std::vector<Looped> looping_;  // those that are being handed out
    std::size_t size_ = 0;
    std::uint32_t free_ = none;
    std::vector<Socket> sockets_;
    std::vector<std::uint32_t> buckets_;
};

}  // namespace runnel::udp
