// Octets of the application's in as many mbufs as they take.
#pragma once

#include <cstddef>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/mbuf_stash.hpp"

namespace runnel::ip {

/// A chain that holds a copy of the octets, none included, with the pool's head room in front of the first;
/// null where there are not so many mbufs.
[[nodiscard]] rte_mbuf* copy_octets(std::span<const std::byte> octets, MbufStash& stash) noexcept;

}  // namespace runnel::ip
