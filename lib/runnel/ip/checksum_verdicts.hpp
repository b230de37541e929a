// What a port has found out about a frame's checksums.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

namespace runnel::ip {

// What a port has found out about checksums, of the bits of `ol_flags` in which it is believed. "None" of a
// mask's four values is: the port vouches for the octets though the field is not filled in. Its bits are
// those of "good" and "bad", so that "good" alone tells.
[[nodiscard]] constexpr bool ip_checksum_good(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0;
}
[[nodiscard]] constexpr bool ip_checksum_bad(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
}
[[nodiscard]] constexpr bool l4_checksum_good(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0;
}
[[nodiscard]] constexpr bool l4_checksum_bad(std::uint64_t verdicts) noexcept {
    return (verdicts & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD;
}
static_assert((RTE_MBUF_F_RX_IP_CKSUM_NONE & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0 &&
              (RTE_MBUF_F_RX_L4_CKSUM_NONE & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0);

}  // namespace runnel::ip
