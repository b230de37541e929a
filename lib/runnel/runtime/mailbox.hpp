// Messages from one lcore to another, through rings without locks (DESIGN.md, rule 3). The control path only.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include <boost/lockfree/spsc_queue.hpp>

namespace runnel::runtime {

/// A bounded first-in-first-out of messages from one thread to another. `post` belongs to one thread, `drain`
/// to one other.
template <class Message, std::size_t Capacity = 256>
class Mailbox {
  public:
    /// False where the mailbox is full, and the message is as it was.
    [[nodiscard]] bool post(const Message& message) { return queue_.push(message); }

    /// Hands each waiting message, oldest first, to `receiver(Message&)`; returns how many.
    template <class Receiver>
    std::size_t drain(Receiver&& receiver) {
        return queue_.consume_all(std::forward<Receiver>(receiver));
    }
    /// A glance without cost: whether `drain` would find something. The receiver's thread only.
    [[nodiscard]] bool empty() const noexcept { return queue_.read_available() == 0; }

  private:
    boost::lockfree::spsc_queue<Message, boost::lockfree::capacity<Capacity>> queue_;
};

/// Functions that another thread runs: "do this on that core". A function must not throw, and what it
/// captures is destroyed on that core.
using Call = std::function<void()>;
using CallMailbox = Mailbox<Call, 64>;

}  // namespace runnel::runtime
