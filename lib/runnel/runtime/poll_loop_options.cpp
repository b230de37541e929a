#include "runnel/runtime/poll_loop_options.hpp"

#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

namespace runnel::runtime {

namespace {

void check(std::string_view name, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
    if (value < least || value > most)
        throw std::invalid_argument(
            fmt::format("poll loop: {} is {}, must be {} to {}", name, value, least, most));
}

}  // namespace

void validate(const PollLoopOptions& options) {
    check("receive_burst", options.receive_burst, 1, 512);
    check("transmit_burst", options.transmit_burst, 1, 512);
    check("transmit_bursts", options.transmit_bursts, 1, 1U << 16);
    check("mailbox_interval", options.mailbox_interval, 1, 1U << 24);
    if (options.drain < 0s) throw std::invalid_argument("poll loop: drain is negative, must be 0 or more");
}

}  // namespace runnel::runtime
