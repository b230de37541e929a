#include "runnel/runtime/core_news.hpp"

namespace runnel::runtime {

NewsExchange::~NewsExchange() {
    for (Box& box : boxes_) {
        box.frames.drain([](rte_mbuf* frame) { rte_pktmbuf_free(frame); });
        box.copies.drain([](rte_mbuf* copy) { rte_pktmbuf_free(copy); });
    }
}

template <class Mailbox, class Message>
bool CoreNews::post(unsigned core, Mailbox NewsExchange::Box::*kind, const Message& message) noexcept {
    if (!(exchange_.box(core_, core).*kind).post(message)) [[unlikely]] {
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
        if (core != core_) post(core, &NewsExchange::Box::neighbours, news);
}

void CoreNews::tell_of_router(const ip::RouterNews& news) noexcept {
    for (unsigned core = 0; core < exchange_.cores_; ++core)
        if (core != core_) post(core, &NewsExchange::Box::routers, news);
}

bool CoreNews::pass_on(const ip::IcmpError& error) noexcept {
    const unsigned owner =
        owner_of(error.destination, error.source, error.destination_port, error.source_port);
    if (owner == core_) return false;
    post(owner, &NewsExchange::Box::errors, error);
    return true;
}

void CoreNews::tell(const ip::IcmpError& too_big) noexcept {
    for (unsigned core = 0; core < exchange_.cores_; ++core)
        if (core != core_) post(core, &NewsExchange::Box::errors, too_big);
}

bool CoreNews::pass_on(rte_mbuf* frame, const IpAddress& remote, const IpAddress& local,
                       std::uint16_t remote_port, std::uint16_t local_port) noexcept {
    const unsigned owner = owner_of(remote, local, remote_port, local_port);
    if (owner == core_) return false;
    if (post(owner, &NewsExchange::Box::frames, frame))
        counters_.add(Counter::frames_handed_over);
    else
        rte_pktmbuf_free(frame);
    return true;
}

bool CoreNews::give(rte_mbuf* frame, unsigned core) noexcept {
    if (core >= exchange_.cores_ || core == core_) return false;
    if (post(core, &NewsExchange::Box::frames, frame))
        counters_.add(Counter::frames_handed_over);
    else
        rte_pktmbuf_free(frame);
    return true;
}

void CoreNews::set_hears(unsigned group_bit, bool hears) noexcept {
    NewsExchange::GroupSet& known = exchange_.hears_[core_];
    if (known.has(group_bit) == hears) return;
    known.set(group_bit, hears);
    if (hears)
        exchange_.hearers_[group_bit].fetch_add(1, std::memory_order_relaxed);
    else
        exchange_.hearers_[group_bit].fetch_sub(1, std::memory_order_relaxed);
}

void CoreNews::share(const rte_mbuf& frame, rte_mempool* pool, unsigned group_bit) noexcept {
    for (unsigned core = 0; core < exchange_.cores_; ++core) {
        if (core == core_ || !exchange_.hears_[core].has(group_bit)) continue;
        rte_mbuf* const copy = rte_pktmbuf_copy(&frame, pool, 0, UINT32_MAX);
        if (copy == nullptr) {
            counters_.drop(DropReason::no_mbuf);
            continue;
        }
        if (!post(core, &NewsExchange::Box::copies, copy)) rte_pktmbuf_free(copy);
    }
}

bool CoreNews::poll(Instant now) noexcept {
    now_ = now;
    return deliver();
}

void CoreNews::deliver_from(NewsExchange::Box& box) noexcept {
    box.neighbours.drain([this](const ip::NeighbourNews& news) {
        if (stack_ != nullptr) stack_->hear(news, now_);
    });
    box.routers.drain([this](const ip::RouterNews& news) {
        if (stack_ != nullptr) stack_->hear(news, now_);
    });
    box.errors.drain([this](const ip::IcmpError& error) {
        if (stack_ != nullptr) stack_->hear(error, now_);
    });
    box.frames.drain([this](rte_mbuf* frame) {
        if (stack_ != nullptr)
            stack_->take_over(frame, now_);
        else
            rte_pktmbuf_free(frame);
    });
    box.copies.drain([this](rte_mbuf* copy) {
        if (stack_ != nullptr)
            stack_->hear_copy(copy, now_);
        else
            rte_pktmbuf_free(copy);
    });
}

bool CoreNews::deliver() noexcept {
    Bell::Set senders{};
    exchange_.bells_[core_].answer(senders);
    if (Bell::empty(senders)) [[likely]]
        return false;
    while (!Bell::empty(senders)) {
        const unsigned sender = Bell::first(senders, 0);
        Bell::remove(senders, sender);
        deliver_from(exchange_.box(sender, core_));
    }
    return true;
}

}  // namespace runnel::runtime
