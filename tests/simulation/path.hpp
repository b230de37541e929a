// A path as one speaks of it: rate, round-trip time, buffer in bandwidth-delay products, and what harms it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "world.hpp"

namespace runnel::test {

[[nodiscard]] constexpr double seconds(Duration duration) noexcept {
    return std::chrono::duration<double>(duration).count();
}

/// From the sender to the receiver there is a bottleneck with a drop-tail buffer and all the harm;
/// acknowledgements come back unharmed but for `loss_back`.
struct Path {
    std::uint64_t bits_a_second = 100'000'000;
    Duration rtt = 20ms;  ///< of an empty path
    double buffer = 1;    ///< bandwidth-delay products; never less than four full frames
    double loss = 0;
    double loss_back = 0;  ///< of acknowledgements
    double back_rate = 1;  ///< of the way back, as a share of `bits_a_second`
    BurstLoss bursts{};
    double reordering = 0;     ///< share of frames that are late
    double reorder_delay = 0;  ///< by so many round-trip times
    double duplication = 0;
    double corruption = 0;
    double mark_above = 0;  ///< bandwidth-delay products waiting: CE, or drop where the sender has no ECN

    /// Octets of frames on their way that just fill the path.
    [[nodiscard]] double bandwidth_delay() const;
    /// What drops or ruins a frame, by chance.
    [[nodiscard]] double lost() const;
    /// Octets a second of payload that the bottleneck carries in full frames with timestamps.
    [[nodiscard]] double capacity() const;
    /// The buffer in octets of frames.
    [[nodiscard]] std::uint64_t buffer_octets() const;
};

inline constexpr double full_segment = 1448;  ///< octets of payload, with timestamps
inline constexpr double full_frame = 1538;    ///< what it takes of the wire's time

/// The links of a `World`.
[[nodiscard]] std::array<LinkConfig, 2> links_of(const Path& path);

/// Buffers in which no flow over such a path is held back by its own host, and no luck ends a connection.
void make_room(tcp::Config& config, const Path& path);

/// The congestion control of that name (cubic, newreno, bbr, none); false where this build has none such.
bool choose_control(tcp::Config& config, std::string_view name);

}  // namespace runnel::test
