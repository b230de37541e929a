// News between cores that share addresses: what ARP has told one of them, ICMP errors about another's
// connections, fragments, and copies of what is sent to groups, by mailbox (DESIGN.md, rule 3).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "runnel/base/bell.hpp"
#include "runnel/base/counters.hpp"
#include "runnel/ip/flow_owners.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/peer_cores.hpp"
#include "runnel/runtime/mailbox.hpp"
#include "runnel/runtime/task.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::runtime {

/// The mailboxes between each pair of cores. Made and destroyed by a control thread.
class NewsExchange {
  public:
    /// `cores` at most `Bell::most_cores`. `owners` says whose a connection is.
    NewsExchange(std::shared_ptr<const ip::FlowOwners> owners, unsigned cores)
        : owners_(std::move(owners)),
          cores_(cores),
          boxes_(std::size_t{cores} * cores),
          bells_(cores),
          hears_(cores) {}
    /// Frees the frames that are still in mailboxes.
    ~NewsExchange();
    NewsExchange(const NewsExchange&) = delete;
    NewsExchange& operator=(const NewsExchange&) = delete;

  private:
    friend class CoreNews;
    // A mailbox for each kind, so that a flood of one does not keep another out.
    struct Box {
        Mailbox<ip::NeighbourNews, 64> neighbours;
        Mailbox<ip::RouterNews, 16> routers;
        Mailbox<ip::IcmpError, 64> errors;
        Mailbox<rte_mbuf*, 64> frames;
        Mailbox<rte_mbuf*, 256> copies;  // of frames to groups: the receiver's own
    };

    [[nodiscard]] Box& box(unsigned from, unsigned to) noexcept { return boxes_[from * cores_ + to]; }

    std::shared_ptr<const ip::FlowOwners> owners_;
    unsigned cores_;
    std::vector<Box> boxes_;
    // Which groups a core hears, by `ip::group_bit`. It alone writes it.
    struct alignas(64) GroupSet {
        std::array<std::atomic<std::uint64_t>, ip::group_bits / 64> words{};

        [[nodiscard]] bool has(unsigned bit) const noexcept {
            return (words[bit / 64].load(std::memory_order_relaxed) >> bit % 64 & 1) != 0;
        }
        void set(unsigned bit, bool on) noexcept {
            const std::uint64_t word = words[bit / 64].load(std::memory_order_relaxed);
            const std::uint64_t mask = std::uint64_t{1} << bit % 64;
            words[bit / 64].store(on ? word | mask : word & ~mask, std::memory_order_relaxed);
        }
    };
    std::vector<Bell> bells_;                                      // by core
    std::vector<GroupSet> hears_;                                  // by core
    std::array<std::atomic<unsigned>, ip::group_bits> hearers_{};  // of each bit: how many cores hear it
};

/// One core's end of it: the stack tells it, and as a task of the core's loop it tells the stack.
class CoreNews final : public ip::PeerCores, public Task {
  public:
    /// `exchange` is not owned and outlives this.
    CoreNews(NewsExchange& exchange, unsigned core) noexcept : exchange_(exchange), core_(core) {}

    /// Who hears what the others tell. Not owned; outlives the loop's last turn.
    void attach(Stack& stack) noexcept { stack_ = &stack; }

    void tell(const ip::NeighbourNews& news) noexcept override;
    void tell_of_router(const ip::RouterNews& news) noexcept override;
    [[nodiscard]] bool pass_on(const ip::IcmpError& error) noexcept override;
    void tell(const ip::IcmpError& too_big) noexcept override;
    [[nodiscard]] bool pass_on(rte_mbuf* frame, const IpAddress& remote, const IpAddress& local,
                               std::uint16_t remote_port, std::uint16_t local_port) noexcept override;
    [[nodiscard]] bool give(rte_mbuf* frame, unsigned core) noexcept override;
    void set_hears(unsigned group_bit, bool hears) noexcept override;
    [[nodiscard]] bool others_hear(unsigned group_bit) const noexcept override {
        return exchange_.hearers_[group_bit].load(std::memory_order_relaxed) >
               (exchange_.hears_[core_].has(group_bit) ? 1U : 0U);
    }
    void share(const rte_mbuf& frame, rte_mempool* pool, unsigned group_bit) noexcept override;
    bool poll(Instant now) noexcept override;
    /// Tells the stack at once what has come, at the time of the last poll. Between receiving a burst and
    /// processing it: a core that has learned a neighbour has told so before any frame of that neighbour's
    /// that follows could arrive.
    bool deliver() noexcept;

    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

  private:
    template <class Mailbox, class Message>
    bool post(unsigned core, Mailbox NewsExchange::Box::*kind, const Message& message) noexcept;
    void deliver_from(NewsExchange::Box& box) noexcept;
    [[nodiscard]] unsigned owner_of(const IpAddress& remote, const IpAddress& local,
                                    std::uint16_t remote_port, std::uint16_t local_port) const noexcept;

    NewsExchange& exchange_;
    unsigned core_;
    Stack* stack_ = nullptr;
    Instant now_{};
    Counters counters_;
};

}  // namespace runnel::runtime
