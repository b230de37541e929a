// The flow of a transport: the four-tuple and its keyed hash.
#pragma once

#include <cstdint>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/tuple_hash.hpp"
#include "runnel/ip/internet_layer.hpp"

namespace runnel::ip {

/// The four-tuple of a connection or connected socket as this side sees it, in host order. Of IPv6 the two
/// address words are keyed digests (`FlowDigest`), and the addresses themselves are kept beside.
struct Flow {
    Ipv4Address remote_address{}, local_address{};
    std::uint16_t remote_port = 0, local_port = 0;

    friend constexpr bool operator==(const Flow&, const Flow&) noexcept = default;

    /// No IPv4 packet comes from class E (RFC 1112 section 4): the digests of IPv6 lie there.
    [[nodiscard]] constexpr bool is_ipv6() const noexcept { return remote_address.is_reserved(); }

    /// The two words that the keyed hashes read.
    [[nodiscard]] constexpr std::uint64_t addresses() const noexcept {
        return std::uint64_t{remote_address.value} << 32 | local_address.value;
    }
    [[nodiscard]] constexpr std::uint64_t ports() const noexcept {
        return std::uint64_t{remote_port} << 16 | local_port;
    }
};

/// The hash under which the flow table files it. Its key is secret, so that nobody can aim
/// collisions.
[[nodiscard]] inline std::uint32_t flow_hash(const TupleHash& hash, const Flow& flow) noexcept {
    static_assert(sizeof(Flow) == TupleHash::size, "the tuple is hashed as it lies in memory");
    return hash(&flow);
}

/// Makes flows of IPv6: the same twelve octets as of IPv4, so that all that is keyed by a flow serves both.
/// Secret, so that nobody can aim collisions; the few that chance brings are told apart by the addresses.
class FlowDigest {
  public:
    explicit FlowDigest(HashKey key) noexcept : hash_(key) {}

    [[nodiscard]] Flow operator()(const Ipv6Pair& pair, std::uint16_t remote_port,
                                  std::uint16_t local_port) const noexcept {
        const auto [remote, local] = hash_.addresses(&pair);
        constexpr std::uint32_t class_e = 0xf000'0000;
        return {Ipv4Address{static_cast<std::uint32_t>(remote) | class_e},
                Ipv4Address{static_cast<std::uint32_t>(local ^ remote >> 32)}, remote_port, local_port};
    }

  private:
    TupleHash hash_;
};

/// A flow with the addresses behind it.
struct Ends {
    const Flow& flow;
    const Ipv6Pair* ipv6 = nullptr;  ///< null: IPv4

    [[nodiscard]] IpAddress remote_address() const noexcept {
        return ipv6 == nullptr ? IpAddress{flow.remote_address} : IpAddress{ipv6->remote};
    }
    [[nodiscard]] IpAddress local_address() const noexcept {
        return ipv6 == nullptr ? IpAddress{flow.local_address} : IpAddress{ipv6->local};
    }
};

}  // namespace runnel::ip
