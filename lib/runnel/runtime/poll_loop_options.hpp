// The settings of a poll loop.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::runtime {

/// What the loop does when there is nothing to do.
enum class Idle : std::uint8_t {
    spin,   ///< polls on: the least latency, the core to itself
    yield,  ///< after some idle iterations lets other threads of the CPU run: where loops, or a kernel peer,
            ///< share CPUs
};

struct PollLoopOptions {
    std::uint32_t receive_burst = 64;   ///< frames fetched at once, 1 to 512
    std::uint32_t transmit_burst = 64;  ///< frames sent at once, 1 to 512
    std::uint32_t transmit_bursts =
        8;  ///< of these, most in an iteration of one link: what is left waits a turn
    std::uint32_t mailbox_interval = 64;  ///< iterations between two glances into the mailbox
    Idle idle = Idle::spin;
    std::uint32_t idle_iterations = 64;  ///< idle iterations in a row before the loop yields
    Duration drain = 0s;                 ///< how long `Runtime::stop` lets tasks end what runs
};

/// Throws `std::invalid_argument` naming the option that is out of range.
void validate(const PollLoopOptions& options);

}  // namespace runnel::runtime
