// Echo requests of the application's, of any size and in both families, and what becomes of them: a reply
// with its round-trip time, an ICMP error, or nothing in time (RFC 792, RFC 1122 section 3.2.2.6, RFC 4443
// section 4). Who counts the hop limit up from 1 sees the routers on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/ip/raw_protocols.hpp"

namespace runnel::ip {

/// Octets of data of the largest echo request, over IPv4 and IPv6.
inline constexpr std::size_t largest_ping = 65507, largest_ipv6_ping = 65527;

/// Names one echo request of a stack, until it has ended. Numbers come again after 65536 requests.
using PingNumber = std::uint16_t;

struct PingReply {
    PingNumber number = 0;
    IpAddress source{};     ///< who answers: the remote address, or of a group any member
    Duration round_trip{};  ///< from the request's being queued to the reply's being received
    std::uint8_t ttl = 0, tos = 0;
};

/// Hears what becomes of echo requests. Each ends with one of the three calls; one to a group with
/// `timed_out`, after any number of replies. On the stack's thread; sending is allowed within. Outlives its
/// requests.
class PingHandler {
  public:
    virtual ~PingHandler() = default;

    /// `data` holds exactly the data of the reply, which may be none, or a chain. Whether it is that of the
    /// request is for the handler to see.
    virtual Ownership reply(const PingReply& about, rte_mbuf& data) noexcept = 0;
    /// A router or the remote host says that it could not be delivered; anybody on the way may forge it. Of
    /// "too big" the path's MTU has been lowered: another request leaves in smaller fragments.
    virtual void failed(PingNumber number, const IcmpError& error) noexcept = 0;
    virtual void timed_out(PingNumber number) noexcept = 0;
};

struct PingOptions {
    IpAddress remote{};  ///< a host, or a group
    IpAddress local{};   ///< one of ours; unspecified: that of the interface which leads there
    /// To a multicast group: by which interface; nothing: by the one that the routes lead to.
    std::optional<std::uint8_t> interface {};
    std::uint8_t tos = 0;
    std::uint8_t ttl = 0;        ///< 0: the default of the configuration; to a group 1
    Duration timeout{1s};        ///< above 0
    bool dont_fragment = false;  ///< larger than the path takes, a request is refused, and no router cuts it
};

enum class PingResult : std::uint8_t {
    sent,                ///< queued for sending, or kept until the neighbour answers
    family_unsupported,  ///< IPv6 where no interface speaks it, or addresses of two families
    no_route,            ///< nothing leads to the remote address
    no_interface,        ///< one is named, and there is none of that index, or it has no address of the
                         ///< family, or the remote address is not of a multicast group
    not_our_address,     ///< the local address is none of ours
    too_big,     ///< more than an echo request carries, or than the path takes where it may not be cut
    no_memory,   ///< not enough mbufs are free
    table_full,  ///< `Config::pings` wait for their replies already
    dropped,     ///< the queue of frames to send is full, or the neighbour does not answer; counted
};

struct PingSent {
    PingResult result = PingResult::sent;
    PingNumber number = 0;  ///< where it was sent
};

/// The echo requests of one stack. All calls from the stack's thread; allocates when constructed only.
class Pings {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    Pings(const Config& config, HashKey key, InternetLayer& internet, LinkOutput& link);
    Pings(const Pings&) = delete;
    Pings& operator=(const Pings&) = delete;

    /// Sends an echo request with a copy of the data. `handler` is not owned.
    PingSent send(const PingOptions& options, std::span<const std::byte> data, PingHandler& handler,
                  Instant now) noexcept;
    /// Forgets a request: nothing is heard of it any more. False where it has ended.
    bool forget(PingNumber number) noexcept;
    /// Requests that wait.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    // What the internet layer asks.

    /// Which core has sent the request that a received reply answers, or that an error is about, as the
    /// identifier says; nothing where the message is neither. Its checksum has not been looked at.
    [[nodiscard]] static std::optional<unsigned> core_of(const Ingress& in) noexcept;
    /// Takes the mbuf of an echo reply, sound so far, that answers a request of ours; else false.
    bool take_reply(Ingress& in, Instant now) noexcept;
    /// Takes an error about an echo request of ours; false where it is about none.
    bool take_error(const IcmpError& error) noexcept;
    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() const noexcept { return deadline_; }

  private:
    struct Ping {
        IpAddress remote{}, local{};
        PingHandler* handler = nullptr;  // null: nothing waits here
        Instant sent{}, deadline{};
        PingNumber number = 0;
    };

    [[nodiscard]] Ping* find(std::uint16_t identifier, PingNumber number) noexcept;
    [[nodiscard]] Ping* free_place() noexcept;
    PingHandler& end(Ping& ping) noexcept;

    InternetLayer& internet_;
    LinkOutput& link_;
    std::uint16_t identifier_;  // of all requests: ends with the number of the core, the rest is a secret
    PingNumber next_ = 0;
    std::size_t size_ = 0;
    Instant deadline_{never};  // no later than the earliest
    std::vector<Ping> pings_;  // a power of two: the number tells the place
};

}  // namespace runnel::ip
