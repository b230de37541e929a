#include "runnel/runtime/exception_task.hpp"

#include <algorithm>
#include <span>

namespace runnel::runtime {

ExceptionTask::~ExceptionTask() {
    while (first_ != last_) rte_pktmbuf_free(held_[first_++]);
}

bool ExceptionTask::carry(Instant now, std::size_t most) noexcept {
    bool worked = false;
    if (first_ == last_) {
        first_ = 0;
        last_ = stack_.take_exceptions(std::span{held_}.first(most));
    }
    if (first_ != last_ && now >= resume_) {
        const std::size_t sent = kernel_.send({held_.data() + first_, last_ - first_});
        first_ += sent;
        worked = sent > 0;
        if (first_ != last_) resume_ = now + pause;
    }
    std::array<rte_mbuf*, burst> received;
    const std::size_t n = kernel_.receive(std::span{received}.first(std::min(most, stack_.transmit_room())));
    if (n > 0) stack_.send_exceptions({received.data(), n}, interface_);
    return worked || n > 0;
}

}  // namespace runnel::runtime
