// What the options of the two SYNs settle: MSS, window scale, timestamps, SACK (RFC 9293 section 3.7.1, RFC
// 7323, RFC 2018).
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/tcp/config.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace runnel::tcp {

/// Octets of the IP and TCP header without options: MSS is MTU less this (RFC 9293 MUST-67).
[[nodiscard]] constexpr std::uint16_t headers_size(bool ipv6) noexcept {
    return ipv6 ? 60 : 40;
}
/// What a peer that says nothing accepts (RFC 9293 MUST-15).
[[nodiscard]] constexpr std::uint16_t default_mss(bool ipv6) noexcept {
    return ipv6 ? 1220 : 536;
}
/// A larger shift is taken as this (RFC 7323 section 2.3).
inline constexpr std::uint8_t max_window_shift = 14;

/// The smallest shift that lets a window field name the whole receive buffer.
[[nodiscard]] constexpr std::uint8_t receive_window_shift(const Config& config) noexcept {
    std::uint8_t shift = 0;
    while (shift < max_window_shift && config.receive_buffer >> shift > 65535) ++shift;
    return shift;
}

/// The window of a SYN or SYN-ACK: never scaled (RFC 7323 section 2.2).
[[nodiscard]] constexpr std::uint16_t syn_window(const Config& config) noexcept {
    return static_cast<std::uint16_t>(std::min<std::uint32_t>(config.receive_buffer, 65535));
}

/// What the peer's SYN or SYN-ACK offers, in the light of what we offer.
struct PeerOffer {
    std::uint16_t mss = 0;
    std::uint8_t snd_wscale = 0;
    bool window_scaling = false;
    bool timestamps = false;
    bool sack_permitted = false;
};

[[nodiscard]] constexpr PeerOffer peer_offer(const Config& config, const wire::TcpOptions& options,
                                             bool ipv6) noexcept {
    PeerOffer offer{.mss = default_mss(ipv6)};
    if (options.mss) offer.mss = std::max(*options.mss, config.min_peer_mss);
    offer.timestamps = config.timestamps && options.has_timestamps;
    offer.sack_permitted = config.sack && options.sack_permitted;
    offer.window_scaling = config.window_scaling && options.window_scale.has_value();
    if (offer.window_scaling) offer.snd_wscale = std::min(*options.window_scale, max_window_shift);
    return offer;
}

/// Most octets of data a segment to this peer carries: what it and the path take, less the options that each
/// segment really has (RFC 9293 MUST-16, RFC 6691).
[[nodiscard]] constexpr std::uint16_t segment_data_size(std::uint16_t peer_mss, std::uint16_t path_mtu,
                                                        bool ipv6, bool timestamps) noexcept {
    const auto path_mss = static_cast<std::uint16_t>(path_mtu - headers_size(ipv6));
    return static_cast<std::uint16_t>(std::min(peer_mss, path_mss) -
                                      (timestamps ? wire::tcp_timestamps_size : 0));
}

}  // namespace runnel::tcp
