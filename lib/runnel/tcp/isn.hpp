// Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 section 5.4), both from one keyed hash.
#pragma once

#include <cstdint>

#include "runnel/base/block_prf.hpp"
#include "runnel/base/seq_num.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/flow.hpp"

namespace runnel::tcp {

/// What a new incarnation of a connection starts with.
struct InitialNumbers {
    SeqNum iss{};
    /// Added to the timestamp clock. The same for each incarnation of a four-tuple, so that timestamps grow
    /// from one to the next (RFC 6191) and tell nothing of how long the host is up.
    std::uint32_t timestamp_offset = 0;
};

/// ISN = M + F(four-tuple, secret): M ticks each 4 microseconds, F is a keyed function under a per-start
/// secret (RFC 6528 section 3). ISNs of one four-tuple grow, ISNs of different ones are unrelated.
[[nodiscard]] inline InitialNumbers initial_numbers(const BlockPrf& secret, const Flow& flow,
                                                    Instant now) noexcept {
    const std::uint64_t f = secret(flow.addresses(), flow.ports());
    const auto m = static_cast<std::uint64_t>(now.time_since_epoch().count()) / 4000;
    return {SeqNum{static_cast<std::uint32_t>(m + f)}, static_cast<std::uint32_t>(f >> 32)};
}

}  // namespace runnel::tcp
