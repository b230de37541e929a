#include "runnel/runtime/core_news.hpp"

namespace runnel::runtime {

NewsExchange::~NewsExchange() {
    for (Box& box : boxes_)
        box.drain([](const News& news) {
            if (rte_mbuf* const* const frame = std::get_if<rte_mbuf*>(&news)) rte_pktmbuf_free(*frame);
        });
}

bool CoreNews::post(unsigned core, const NewsExchange::News& news) noexcept {
    if (!exchange_.box(core_, core).post(news)) [[unlikely]] {
        counters_.drop(DropReason::core_news_full);
        return false;
    }
    counters_.add(Counter::core_news_out);
    exchange_.bells_[core].ring(core_);
    return true;
}

// Under a key too short for IPv6 its frames stay where they come, and so does what comes of them.
unsigned CoreNews::owner_of(const IpAddress& remote, const IpAddress& local, std::uint16_t remote_port,
                            std::uint16_t local_port) const noexcept {
    if (!remote.is_v4() && !exchange_.owners_->toeplitz().hashes_ipv6()) return core_;
    return exchange_.owners_->owner(remote, local, remote_port, local_port);
}

void CoreNews::tell(const ip::NeighbourNews& news) noexcept {
    for (unsigned core = 0; core < exchange_.cores_; ++core)
        if (core != core_) post(core, news);
}

bool CoreNews::pass_on(const ip::IcmpError& error) noexcept {
    const unsigned owner =
        owner_of(error.destination, error.source, error.destination_port, error.source_port);
    if (owner == core_) return false;
    post(owner, error);
    return true;
}

void CoreNews::tell(const ip::IcmpError& too_big) noexcept {
    for (unsigned core = 0; core < exchange_.cores_; ++core)
        if (core != core_) post(core, too_big);
}

bool CoreNews::pass_on(rte_mbuf* frame, const IpAddress& remote, const IpAddress& local,
                       std::uint16_t remote_port, std::uint16_t local_port) noexcept {
    const unsigned owner = owner_of(remote, local, remote_port, local_port);
    if (owner == core_) return false;
    if (post(owner, frame))
        counters_.add(Counter::frames_handed_over);
    else
        rte_pktmbuf_free(frame);
    return true;
}

bool CoreNews::poll(Instant now) noexcept {
    now_ = now;
    return deliver();
}

void CoreNews::hear(Stack& stack, const NewsExchange::News& news) const noexcept {
    if (const auto* const neighbour = std::get_if<ip::NeighbourNews>(&news)) stack.hear(*neighbour, now_);
    if (const auto* const error = std::get_if<ip::IcmpError>(&news)) stack.hear(*error, now_);
}

bool CoreNews::deliver() noexcept {
    Bell::Set senders{};
    exchange_.bells_[core_].answer(senders);
    if (Bell::empty(senders)) [[likely]]
        return false;
    while (!Bell::empty(senders)) {
        const unsigned sender = Bell::first(senders, 0);
        Bell::remove(senders, sender);
        exchange_.box(sender, core_).drain([&](const NewsExchange::News& news) {
            if (rte_mbuf* const* const frame = std::get_if<rte_mbuf*>(&news)) {
                if (stack_ != nullptr)
                    stack_->receive({frame, 1}, now_);
                else
                    rte_pktmbuf_free(*frame);
            } else if (stack_ != nullptr) {
                hear(*stack_, news);
            }
        });
    }
    return true;
}

}  // namespace runnel::runtime
