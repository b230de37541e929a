#include "path.hpp"

#include <algorithm>
#include <optional>

namespace runnel::test {

namespace {

// The enumerator of a name, where the enumeration has it.
template <class Algorithm>
std::optional<Algorithm> algorithm_of(std::string_view name) {
    if constexpr (requires { Algorithm::newreno; })
        if (name == "newreno") return Algorithm::newreno;
    if constexpr (requires { Algorithm::cubic; })
        if (name == "cubic") return Algorithm::cubic;
    if constexpr (requires { Algorithm::bbr; })
        if (name == "bbr") return Algorithm::bbr;
    if constexpr (requires { Algorithm::none; })
        if (name == "none") return Algorithm::none;
    return {};
}

// The window of `none` fills path and half the buffer.
template <class Config>
void fix_window(Config& config, const Path& path) {
    if constexpr (requires { config.fixed_window; }) {
        const double octets = path.bandwidth_delay() + static_cast<double>(path.buffer_octets()) / 2;
        config.fixed_window =
            static_cast<std::uint32_t>(std::max(octets * full_segment / full_frame, 8192.0));
    }
}

}  // namespace

double Path::bandwidth_delay() const {
    return static_cast<double>(bits_a_second) / 8 * seconds(rtt);
}

double Path::lost() const {
    return 1 - (1 - loss) * (1 - bursts.mean()) * (1 - corruption);
}

double Path::capacity() const {
    return static_cast<double>(bits_a_second) / 8 * full_segment / full_frame;
}

std::uint64_t Path::buffer_octets() const {
    return static_cast<std::uint64_t>(std::max(buffer * bandwidth_delay(), 4 * full_frame));
}

std::array<LinkConfig, 2> links_of(const Path& path) {
    LinkConfig back;
    back.delay = path.rtt / 2;
    back.bits_a_second = path.bits_a_second;
    LinkConfig there = back;
    back.loss = path.loss_back;
    back.bits_a_second = static_cast<std::uint64_t>(path.back_rate * static_cast<double>(path.bits_a_second));
    there.buffer = path.buffer_octets();
    there.loss = path.loss;
    there.bursts = path.bursts;
    there.reordering = path.reordering;
    there.reorder_delay =
        Duration{static_cast<std::int64_t>(path.reorder_delay * static_cast<double>(path.rtt.count()))};
    there.duplication = path.duplication;
    there.corruption = path.corruption;
    there.mark_above = static_cast<std::uint64_t>(path.mark_above * path.bandwidth_delay());
    return {there, back};
}

void make_room(tcp::Config& config, const Path& path) {
    const double window = path.bandwidth_delay() + static_cast<double>(path.buffer_octets());
    const auto octets = static_cast<std::uint32_t>(std::max(4 * window, 256.0 * 1024));
    config.send_buffer = config.receive_buffer = config.out_of_order_limit = octets;
    config.syn_retries = config.synack_retries = 12;
    config.time_wait_duration = 20min;  // as last octets are sent again a minute apart
    fix_window(config, path);
}

bool choose_control(tcp::Config& config, std::string_view name) {
    const auto algorithm = algorithm_of<tcp::CongestionAlgorithm>(name);
    if (algorithm) config.congestion = *algorithm;
    return algorithm.has_value();
}

}  // namespace runnel::test
