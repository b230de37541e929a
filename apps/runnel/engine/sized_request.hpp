// How a request of `rr` says its own length and that of its response, where sizes are drawn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace runnel::load {

/// The first eight octets of such a request: two numbers of four octets, in network order.
struct SizedRequest {
    static constexpr std::uint32_t octets = 8;
    static constexpr std::uint32_t most = 1U << 30;  ///< of either number

    std::uint32_t request = 0;   ///< octets of the request, these included
    std::uint32_t response = 0;  ///< octets of the response, at least 1

    [[nodiscard]] constexpr bool valid() const noexcept {
        return request >= octets && request <= most && response >= 1 && response <= most;
    }
    [[nodiscard]] constexpr std::array<std::byte, octets> encode() const noexcept {
        std::array<std::byte, octets> out{};
        for (unsigned i = 0; i < 4; ++i) {
            out[i] = static_cast<std::byte>(request >> (24 - 8 * i));
            out[4 + i] = static_cast<std::byte>(response >> (24 - 8 * i));
        }
        return out;
    }
    [[nodiscard]] static constexpr SizedRequest decode(std::span<const std::byte, octets> in) noexcept {
        SizedRequest sized;
        for (unsigned i = 0; i < 4; ++i) {
            sized.request = sized.request << 8 | std::to_integer<std::uint32_t>(in[i]);
            sized.response = sized.response << 8 | std::to_integer<std::uint32_t>(in[4 + i]);
        }
        return sized;
    }
    friend constexpr bool operator==(const SizedRequest&, const SizedRequest&) noexcept = default;
};

}  // namespace runnel::load
