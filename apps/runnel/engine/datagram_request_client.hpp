// The client side of one core for `udp-rr`: requests in datagrams, and what answers them.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/datagram_client.hpp"
#include "engine/due_queue.hpp"

namespace runnel::load {

/// With a rate each request has an intended time, whatever the earlier ones do, as long as fewer than
/// `ClientOptions::window` are under way; without one so many are under way all the while, each followed by
/// the next after its think time. Flows are used in turn, and each may have several requests under way: a
/// response tells by its number which one it answers.
///
/// A request that is not answered within `ClientOptions::reply_timeout` counts as lost. What comes after that
/// is late, and what comes again is a duplicate.
class DatagramRequestClient final : public DatagramClient {
  public:
    DatagramRequestClient(Stack& stack, const ClientOptions& options);

  private:
    enum class State : std::uint8_t { unused, asking, answered, lost, late };
    struct Record {
        Instant intended, actual;
        State state = State::unused;
        bool measured = false;
    };

    void take(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept override;
    bool send_some(Instant now, std::uint32_t most) noexcept override;
    [[nodiscard]] bool all_answered(Instant now) noexcept override;
    void account() noexcept override;
    void given_up(std::uint64_t datagrams) noexcept override;
    std::uint32_t expire(Instant now) noexcept;
    bool ask(Instant intended, Instant now) noexcept;
    void done(Instant now) noexcept;
    [[nodiscard]] Record& record_of(std::uint64_t number) noexcept {
        return records_[number & (records_.size() - 1)];
    }

    Draws think_, request_, response_;
    std::vector<Record> records_;          // by number of request over all flows, the latest so many
    std::uint64_t next_ = 0, oldest_ = 0;  // to be sent; not yet known to be answered or lost
    std::uint32_t idle_;                   // without a rate: of those that may be under way, how many are not
    std::uint32_t request_octets_ = 0;     // of the next, which has been drawn already; 0: has not
    DueQueue<std::uint32_t> thinking_;
    Instant last_full_{Duration::min() / 2};  // one was due, and as many were under way as may be
};

}  // namespace runnel::load
