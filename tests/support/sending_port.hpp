// What a port makes of a frame that a stack gives it, as far as the stack left work to it: checksums, and the
// cutting of large TCP segments and UDP datagrams (RTE_MBUF_F_TX_* in rte_mbuf_core.h).
#pragma once

#include <vector>

#include <rte_mbuf.h>

#include "frame.hpp"

namespace runnel::test {

/// The frames that reach the wire. PSH and FIN stand on the last piece of a large segment, CWR on the first.
/// IPv4 ids count on.
/// Throws `std::runtime_error` where the stack has broken DPDK's rules. The mbuf stays the caller's.
[[nodiscard]] std::vector<Octets> frames_of(const rte_mbuf& frame);

}  // namespace runnel::test
