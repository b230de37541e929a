// Segments no larger than the path takes: what a router says (RFC 1191, RFC 5927 section 7), and what is to
// be suspected where none says anything (RFC 4821).
#pragma once

#include <cstdint>

#include "runnel/ip/internet_layer.hpp"
#include "runnel/tcp/core.hpp"

namespace runnel::tcp {

class PathMtuDiscovery {
  public:
    explicit PathMtuDiscovery(Core& core) noexcept : core_(core) {}

    /// "Fragmentation needed" about what this connection has in flight: the path MTU of the destination
    /// falls, segments shrink, and what was too large counts as lost and goes again, at once. No congestion
    /// has shown itself: the window stays (RFC 1191 section 6.5).
    void too_big(std::uint32_t slot, Tcb& tcb, const ip::IcmpError& error) noexcept;
    /// A retransmission time-out, before it is acted on. The segment is made no larger than what others have
    /// learnt of the path meanwhile; from the third one in a row on, than RFC 4821's starting points.
    void timed_out(Tcb& tcb) noexcept;

    /// New data is acknowledged on a connection that had its segments made smaller on suspicion. They become
    /// large again where small ones had vanished as well, so that it was the path that was cut, or after ten
    /// minutes (RFC 4821 section 7.7, RFC 8899 section 5.1.1): if the black hole is still there, it is found
    /// anew.
    static void progress(Core& core, Tcb& tcb, Cold& cold) noexcept;

  private:
    [[nodiscard]] static std::uint16_t data_in(const Tcb& tcb, std::uint16_t mtu) noexcept;
    [[nodiscard]] std::uint32_t first_segment_in_flight(const Tcb& tcb, const Cold& cold) const noexcept;
    void resend(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept;

    Core& core_;
};

}  // namespace runnel::tcp
