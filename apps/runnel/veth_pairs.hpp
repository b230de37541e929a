// Pairs of virtual Ethernet interfaces in a network namespace of this process's own.
#pragma once

#include <cstdint>
#include <string>

namespace runnel::app {

/// Takes this thread, and those that it starts from now on, into a new network namespace, and makes `pairs`
/// pairs there, up, with no addresses: the kernel only carries frames. All goes with the process. Throws
/// `std::runtime_error` with cause and mend.
void make_veth_pairs(unsigned pairs, std::uint32_t mtu);

/// The name of an end.
[[nodiscard]] std::string veth_name(unsigned pair, bool server);

}  // namespace runnel::app
