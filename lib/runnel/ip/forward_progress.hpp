// What a transport knows of a neighbour without asking it: whether what we send gets through (RFC 4861
// section 7.3.1). The internet layer asks, once when it begins to doubt a neighbour and once when it would
// probe it, so that a transport has nothing to tell while packets flow.
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/ip_address.hpp"

namespace runnel::ip {

/// A flow of a transport as this side sees it.
struct TransportFlow {
    IpAddress remote{}, local{};
    std::uint16_t remote_port = 0, local_port = 0;
};

/// Who can tell of a flow's progress. Called on the stack's thread.
class ForwardProgress {
  public:
    ForwardProgress() = default;
    virtual ~ForwardProgress() = default;
    ForwardProgress(const ForwardProgress&) = delete;
    ForwardProgress& operator=(const ForwardProgress&) = delete;

    /// A number that changes whenever the peer shows that what we have sent has reached it; nothing where the
    /// flow is not known (any more).
    [[nodiscard]] virtual std::optional<std::uint64_t> progress_of(
        const TransportFlow& flow) const noexcept = 0;
};

}  // namespace runnel::ip
