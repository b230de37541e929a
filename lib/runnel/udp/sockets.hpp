// UDP (RFC 768, RFC 1122 section 4.1): ports, sockets with handlers, and errors handed to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/counters.hpp"
#include "runnel/base/ip_address.hpp"
#include "runnel/base/mbuf_stash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/internet_layer.hpp"

namespace runnel::udp {

struct Config {
    std::uint32_t sockets = 1024;  ///< bound sockets at once, 1 to 16777216
};

/// What became of an mbuf given to a handler.
enum class Ownership : std::uint8_t {
    returned,  ///< the stack takes the mbuf back when the call returns
    taken,     ///< the handler owns it now: it sends it on with `Sockets::send_to`, or frees it with
               ///< `rte_pktmbuf_free`
};

/// Where a received datagram came from and went to.
struct Datagram {
    IpAddress source_address, destination_address;
    std::uint16_t source_port = 0;  ///< 0: the sender wants no answer
    std::uint16_t destination_port = 0;
    std::uint8_t ttl = 0, tos = 0;
    bool group =
        false;  ///< sent to a broadcast or multicast address: an answer comes from an address of our own
};

/// An ICMP error about a datagram that was sent (RFC 1122 section 4.1.3.3).
struct IcmpReport {
    std::uint8_t type = 0, code = 0;
    std::uint16_t next_hop_mtu = 0;  ///< of "fragmentation needed" or "packet too big", else 0
    IpAddress local_address, remote_address;
    std::uint16_t local_port = 0, remote_port = 0;
};

/// Hears what arrives at sockets. One handler may serve any number of them, and outlives their binding. Every
/// call comes on the stack's thread; sending, binding and unbinding are allowed within.
class Handler {
  public:
    virtual ~Handler() = default;

    /// A datagram. `payload` holds exactly its data, which may be none, or a chain.
    virtual Ownership datagram(const Datagram& about, rte_mbuf& payload) noexcept = 0;
    /// A router or the remote host could not deliver, or says so: anybody may forge it.
    virtual void error(const IcmpReport&) noexcept {}
};

/// How a datagram is to leave.
struct SendOptions {
    IpAddress remote_address{};
    std::uint16_t remote_port = 0;
    IpAddress local_address{};     ///< one of ours; unspecified: that of the interface which leads there
    std::uint16_t local_port = 0;  ///< 0: no answer is wanted
    std::uint8_t tos = 0;
    std::uint8_t ttl = 0;  ///< 0: the default of the configuration
    /// Larger than the path takes, a datagram is refused; false: it leaves in fragments, up to 65,507 octets
    /// of data, of IPv6 65,527.
    bool dont_fragment = true;
};

enum class SendResult : std::uint8_t {
    sent,                ///< queued for sending, or kept until the neighbour answers
    family_unsupported,  ///< IPv6 where no interface speaks it, or addresses of two families
    no_route,            ///< nothing leads to the remote address, or no datagram may go there
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

    /// Hands `handler` what arrives at a port of one of our addresses; unspecified: of all of them, and of
    /// groups. The socket of an address goes before that of all. Throws `std::invalid_argument` where the
    /// address is not ours, the port is 0 or bound already at that address, and `std::length_error` where all
    /// sockets are in use.
    void bind(IpAddress address, std::uint16_t port, Handler& handler);
    /// Undoes `bind`; false where nothing was bound.
    bool unbind(IpAddress address, std::uint16_t port) noexcept;

    /// Sends a copy of the octets.
    SendResult send_to(const SendOptions& options, std::span<const std::byte> payload, Instant now) noexcept;
    /// Sends the octets of an mbuf (chain). Takes the mbuf in every case.
    SendResult send_to(const SendOptions& options, rte_mbuf* payload, Instant now) noexcept;

    /// Takes a received datagram: checks it, hands it to its socket, or answers "port unreachable".
    void input(ip::Ingress& in, Instant now) noexcept;
    /// Hands an ICMP error to the socket that sent the quoted datagram; false where there is none, for the
    /// caller to count.
    bool icmp_error(const ip::IcmpError& error) noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

  private:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    struct Socket {
        IpAddress address{};
        std::uint16_t port = 0;
        Handler* handler = nullptr;
        std::uint32_t next = none;  // of the same bucket, or of the free ones
    };

    [[nodiscard]] std::uint32_t& bucket_of(std::uint16_t port) noexcept {
        return buckets_[port & (buckets_.size() - 1)];
    }
    [[nodiscard]] Handler* find(const IpAddress& address, std::uint16_t port) noexcept;
    [[nodiscard]] Handler* find_or_any(const IpAddress& address, std::uint16_t port) noexcept;
    [[nodiscard]] rte_mbuf* copy_of(std::span<const std::byte> payload) noexcept;
    void drop(rte_mbuf* mbuf, DropReason reason) noexcept;
    SendResult refuse(rte_mbuf* mbuf, SendResult why, DropReason reason) noexcept;

    ip::InternetLayer& internet_;
    Counters& counters_;
    MbufStash& stash_;
    std::size_t size_ = 0;
    std::uint32_t free_ = none;
    std::vector<Socket> sockets_;
    std::vector<std::uint32_t> buckets_;
};

}  // namespace runnel::udp
