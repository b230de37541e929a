#include "runnel/runtime/core_news.hpp"

namespace runnel::runtime {

void CoreNews::post(unsigned core, const NewsExchange::News& news) noexcept {
    if (!exchange_.box(core_, core).post(news)) [[unlikely]] {
        counters_.drop(DropReason::core_news_full);
        return;
    }
    counters_.add(Counter::core_news_out);
    exchange_.bells_[core].ring(core_);
}

void CoreNews::tell(const ip::NeighbourNews& news) noexcept {
    for (unsigned core = 0; core < exchange_.cores_; ++core)
        if (core != core_) post(core, news);
}

bool CoreNews::pass_on(const ip::IcmpError& error) noexcept {
    // Under a key too short for IPv6 its frames stay where they come, and so do errors.
    if (!error.destination.is_v4() && !exchange_.owners_->toeplitz().hashes_ipv6()) return false;
    const unsigned owner =
        exchange_.owners_->owner(error.destination, error.source, error.destination_port, error.source_port);
    if (owner == core_) return false;
    post(owner, error);
    return true;
}

bool CoreNews::poll(Instant now) noexcept {
    now_ = now;
    return deliver();
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
            if (stack_ != nullptr) std::visit([&](const auto& what) { stack_->hear(what, now_); }, news);
        });
    }
    return true;
}

}  // namespace runnel::runtime
