// One line of text for a frame, as `tcpdump -nn` prints it, for traces and for messages of tests.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace runnel::wire {

/// A frame from its Ethernet header on: "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 65535, options
/// [mss 1460], length 0". Sequence numbers are absolute. Any octets will do: of what cannot be read the line
/// says what is wrong, in brackets. A tag of IEEE 802.1Q is shown in front. No checksum is looked at.
/// Allocates; throws only `std::bad_alloc`.
[[nodiscard]] std::string describe(std::span<const std::byte> frame);

/// The same for a packet from its IPv4 or IPv6 header on.
[[nodiscard]] std::string describe_ip(std::span<const std::byte> packet);

}  // namespace runnel::wire
