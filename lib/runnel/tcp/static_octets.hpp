// Packets that refer to static octets (Connection::send_static), which belong to no mbuf.
#pragma once

#include <cstdint>
#include <span>

#include <rte_mbuf.h>

namespace runnel::tcp {

/// What DPDK wants of octets outside of mbufs: a count of the packets that refer to them. It outlives its
/// stack by as much as packets do that have left and are not freed yet. One owner thread; packets may be
/// freed on any.
class StaticOctets {
  public:
    /// Throws `std::runtime_error` where EAL memory does not suffice.
    StaticOctets();
    ~StaticOctets();
    StaticOctets(const StaticOctets&) = delete;
    StaticOctets& operator=(const StaticOctets&) = delete;

    /// Makes an empty, plain mbuf refer to octets that devices reach, at most 65,535 of them.
    void attach(rte_mbuf* mbuf, std::span<const std::byte> octets) noexcept;

  private:
    rte_mbuf_ext_shared_info* shared_;
};

}  // namespace runnel::tcp
