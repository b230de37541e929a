// What frames cost on an Ethernet, and the share of a link that they fill.
#pragma once

#include <algorithm>
#include <cstdint>

namespace runnel::load {

/// Frames and octets in one direction, as counted at the port: from the Ethernet header on, without FCS.
struct FrameCount {
    std::uint64_t frames = 0;
    std::uint64_t octets = 0;
};

/// Octets that the frames occupy on the wire: FCS (4), preamble, start delimiter and gap (20), and at least
/// 64 octets a frame (IEEE 802.3). The least is taken over the sum: where short and long frames mix, a little
/// low.
[[nodiscard]] constexpr std::uint64_t wire_octets(const FrameCount& count) noexcept {
    return std::max(count.octets + 4 * count.frames, 64 * count.frames) + 20 * count.frames;
}

/// Percent of a link of `link_bps` bit/s that the fuller direction takes, if `one` and `other` passed in
/// `seconds`.
[[nodiscard]] constexpr double percent_of_line_rate(const FrameCount& one, const FrameCount& other,
                                                    double seconds, double link_bps) noexcept {
    if (seconds <= 0) return 0;
    const auto octets = static_cast<double>(std::max(wire_octets(one), wire_octets(other)));
    return 100 * octets * 8 / seconds / link_bps;
}

}  // namespace runnel::load
