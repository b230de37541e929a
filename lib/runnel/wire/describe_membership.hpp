// Messages of IGMP and MLD for a person to read, as tcpdump would write them: a part of the line of
// describe.hpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace runnel::wire {

/// "igmp v3 report, 1 group record(s) [gaddr 239.1.2.3 to_ex { }]". Any octets will do.
[[nodiscard]] std::string describe_igmp(std::span<const std::byte> message);
/// "multicast listener query v2 [max resp 1000 ms] [gaddr ff15::1]". For queries, reports and dones.
[[nodiscard]] std::string describe_mld(std::span<const std::byte> message);

}  // namespace runnel::wire
