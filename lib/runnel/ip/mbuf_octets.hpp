// Octets of the application's in as many mbufs as they take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "runnel/base/mbuf_stash.hpp"

namespace runnel::ip {

/// A chain that holds a copy of the octets, none included, with the pool's head room in front of the first;
/// null where there are not so many mbufs. Each takes as many octets as it has room for, but no more than
/// `most`, which is not 0. All have that head room.
[[nodiscard]] rte_mbuf* copy_octets(std::span<const std::byte> octets, MbufStash& stash,
                                    std::size_t most = SIZE_MAX) noexcept;

}  // namespace runnel::ip
