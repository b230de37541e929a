// The client side of one core for `rr` and `stream`: opens all connections, carries traffic on them through
// ramp and window, and closes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/stack/stack.hpp"

#include "engine/client.hpp"
#include "engine/generator.hpp"
#include "engine/stream_source.hpp"

namespace runnel::load {

/// `Phase::ramp` begins with the opening; its time runs once each connection is established or has failed.
/// In `Phase::held` the traffic goes on, so that whoever looks at both sides then sees a rate and no tail.
/// When released, the transactions and octets under way come to their end, then the connections.
class TransferClient final : public Generator {
  public:
    /// How long the opening of all connections may take. What is not open by then counts as in flight, and
    /// fails the run.
    static constexpr Duration opening_limit = 30s;

    /// `stack` is not owned and outlives the client; the connections must have ended, or the stack be gone,
    /// before the client goes.
    TransferClient(Stack& stack, const ClientOptions& options);

    bool poll(Instant now) noexcept override;
    [[nodiscard]] bool can_pause() const noexcept override { return true; }

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

  private:
    struct Record {
        Instant since;  // SYN; of `rr` from then on the request under way
        /// Of `rr`: octets of the response that are still to come; of `stream`: received in a pause, and not
        /// yet taken from TCP.
        std::uint64_t owed = 0;
        std::uint32_t generation = 0;
        bool in_use : 1 = false;       // begun and not ended
        bool established : 1 = false;  // since then
        bool ending : 1 = false;       // we have closed it, as the recipe wants
        bool counted : 1 = false;      // its outcome is in the accounting
        bool waits : 1 = false;        // for the end of a pause
        bool refused : 1 = false;      // of `rr`: for want of memory the request has not been taken yet
    };
    static_assert(sizeof(Record) == 24);

    bool step_phase(Instant now) noexcept;
    void begin_window(Instant now) noexcept;
    void end_window(Instant now) noexcept;
    void cut_off() noexcept;
    void finish() noexcept;
    void begin_pause(Instant now) noexcept override { paused_at_ = now; }
    void end_pause(Instant now) noexcept override;
    std::uint32_t go_on() noexcept;
    std::uint32_t open_connections(Instant now) noexcept;
    std::uint32_t end_connections(Instant now) noexcept;
    void ask(tcp::Connection connection, Record& record) noexcept;
    void put(tcp::Connection connection, Record& record) noexcept;
    void push(tcp::Connection connection) noexcept;
    void end(tcp::Connection connection, Record& record) noexcept;
    [[nodiscard]] tcp::Connection connection_of(std::size_t slot) const noexcept;

    Stack& stack_;
    ClientOptions options_;
    tcp::ConnectOptions connect_;
    AddressPicker addresses_;
    StreamSource source_;
    std::vector<Record> records_;  // by slot
    Instant opening_end_{}, phase_end_{}, window_begin_{}, paused_at_{};
    std::size_t next_to_go_on_ = SIZE_MAX;  // after a pause: slots below have been looked at
    std::uint64_t opening_ = 0;             // SYN sent, and neither established nor failed
    std::size_t next_to_end_ = 0;
    bool ramping_ = false;    // all are open, and the ramp's time runs
    bool measuring_ = false;  // latencies: in the window
    bool stopping_ = false;   // no transaction is begun and nothing more sent
    Totals at_window_begin_;
};

}  // namespace runnel::load
