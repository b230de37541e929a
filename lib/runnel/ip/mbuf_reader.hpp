// The octets of an mbuf chain, read from front to end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <rte_mbuf.h>

namespace runnel::ip {

class MbufReader {
  public:
    /// Starts at octet `at` of `part`, which has so many. Not owned.
    MbufReader(const rte_mbuf* part, std::size_t at) noexcept : part_(part), at_(at) {}

    /// Copies the next octets, which are there.
    void copy(std::byte* to, std::size_t size) noexcept {
        while (size > 0) {
            if (at_ == part_->data_len) {
                part_ = part_->next;
                at_ = 0;
                continue;
            }
            const std::size_t run = std::min<std::size_t>(size, part_->data_len - at_);
            std::memcpy(to, rte_pktmbuf_mtod_offset(part_, const std::byte*, at_), run);
            to += run;
            at_ += run;
            size -= run;
        }
    }

  private:
    const rte_mbuf* part_;
    std::size_t at_;
};

}  // namespace runnel::ip
