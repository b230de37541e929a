// The client side of one core for transactions that are more than one fixed exchange after the other: think
// times, sizes by distribution, a rate of transactions, a count of them on each connection, and HTTP/1.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/stack/stack.hpp"

#include "engine/arrivals.hpp"
#include "engine/client.hpp"
#include "engine/due_queue.hpp"
#include "engine/generator.hpp"
#include "engine/http_reader.hpp"

namespace runnel::load {

/// Two ways to run:
///
/// - Connections are kept: all are opened at first, as `TransferClient` does it, and carry transactions until
///   the end. With a rate, that is of transactions: each goes on a connection that has none under way, and
///   has an intended time whether there is one or not. One that the server closes in order is opened anew.
/// - With a count of transactions they come and go (`ClientOptions::comes_and_goes`): each carries so many
///   and ends. A rate is that of connections, as `Client` has it; without one, `window` of them are open.
///
/// `rr` asks for fixed sizes as `TransferClient` does; where sizes are drawn, each request begins with its
/// own length and that of its response, four octets each, in network order (`SizedResponder`).
class TransactionClient final : public Generator {
  public:
    static constexpr Duration opening_limit = 30s;

    /// `stack` is not owned and outlives the client; the connections must have ended, or the stack be gone,
    /// before the client goes.
    TransactionClient(Stack& stack, const ClientOptions& options);

    bool poll(Instant now) noexcept override;
    bool poll_behind(Instant now) noexcept override;
    [[nodiscard]] bool has_rate() const noexcept override {
        return options_.comes_and_goes || schedules_transactions();
    }
    void change_rate(std::optional<double> rate, Instant now) noexcept override;
    [[nodiscard]] bool can_pause() const noexcept override { return true; }

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

  private:
    enum class Kind : std::uint8_t { fixed, sized, http };
    struct Record {
        Instant syn_intended, syn_actual;
        Instant intended, actual;  // of the request under way
        std::uint64_t owed = 0;    // of `rr`: octets of the response that are still to come
        std::uint32_t generation = 0;
        std::uint32_t begun = 0;       // transactions
        std::uint32_t body = 0;        // octets of the request's body
        std::uint32_t body_left = 0;   // of these, not yet taken by TCP
        std::uint32_t response = 0;    // octets asked for; 0: what the server sends of itself
        bool in_use : 1 = false;       // begun and not ended
        bool measured : 1 = false;     // began in the window
        bool established : 1 = false;  // since then
        bool asking : 1 = false;       // a transaction is under way
        bool asked_in_window : 1 = false;
        bool head_left : 1 = false;  // the head of the request has not been taken yet
        bool answered : 1 = false;   // response data of the first transaction has come
        bool ending : 1 = false;     // it ends as the recipe wants
        bool last : 1 = false;       // the request under way asks for the end
        bool counted : 1 = false;    // its outcome is in the accounting
    };
    struct Slot {
        std::uint32_t slot = 0, generation = 0;
    };

    bool poll(Instant now, std::uint32_t most, bool behind) noexcept;
    bool step_phase(Instant now) noexcept;
    void begin_window(Instant now) noexcept;
    void end_window(Instant now) noexcept;
    void cut_off() noexcept;
    void finish() noexcept;
    void begin_pause(Instant now) noexcept override;
    void end_pause(Instant now) noexcept override;
    void follow(const Arrivals& next, Instant now) noexcept;
    std::uint32_t go_on(Instant now) noexcept;
    [[nodiscard]] Arrivals arrivals_of(const LoadProfile* profile, std::uint64_t limit,
                                       Instant start) const noexcept;
    void change_arrivals(const Arrivals& next, Instant now) noexcept;
    void note_given_up(std::uint64_t count) noexcept;
    bool connect(Instant intended, Instant now) noexcept;
    std::uint32_t open_connections(Instant now, std::uint32_t most) noexcept;
    std::uint32_t begin_arrivals(Instant now, std::uint32_t most, bool behind) noexcept;
    std::uint32_t end_thinking(Instant now) noexcept;
    std::uint32_t end_connections(Instant now) noexcept;
    void rest(tcp::Connection connection, Instant now) noexcept;
    void ask(tcp::Connection connection, Instant intended) noexcept;
    void put(tcp::Connection connection, Record& record) noexcept;
    std::size_t make_head(Record& record) noexcept;
    void answered(tcp::Connection connection, Record& record, bool server_keeps) noexcept;
    void end(tcp::Connection connection, Record& record) noexcept;
    [[nodiscard]] bool takes(const Slot& slot) const noexcept;
    [[nodiscard]] tcp::Connection connection_of(std::size_t slot) const noexcept;
    void note(Histogram LatencyHistograms::*which, Instant intended, Instant actual) noexcept;
    /// Whether a rate says when transactions begin.
    [[nodiscard]] bool schedules_transactions() const noexcept { return schedules_transactions_; }

    Stack& stack_;
    ClientOptions options_;
    bool schedules_transactions_;
    Kind kind_;
    tcp::ConnectOptions connect_;
    AddressPicker addresses_;
    Draws think_, request_, response_;
    std::vector<Record> records_;      // by slot
    std::vector<HttpReader> readers_;  // by slot, of HTTP
    DueQueue<Slot> thinking_;
    std::vector<Slot> idle_;  // a ring of those that wait for the schedule, or for the end of a pause
    std::size_t idle_begin_ = 0, idle_count_ = 0;
    std::vector<std::string> heads_;             // of HTTP: of each ask, as far as it is always the same
    std::string head_;                           // the one that is being put together
    std::optional<LoadProfile> before_, after_;  // the rate before and after the window
    Arrivals arrivals_;
    Instant opening_end_{}, phase_end_{}, window_begin_{}, paused_at_{};
    Instant window_end_ = never;  // the schedule of transactions ends here
    std::uint64_t to_open_ = 0;   // of those that are kept
    std::uint64_t opening_ = 0;   // SYN sent, and neither established nor failed
    std::size_t next_to_end_ = 0;
    bool ramping_ = false;                    // all are open, and the ramp's time runs
    bool measuring_ = false;                  // in the window
    bool stopping_ = false;                   // no transaction is begun
    bool stopped_ = false;                    // the order to stop has been followed
    bool answered_ = false;                   // some connection has been established, or has ended
    Instant last_full_{Duration::min() / 2};  // one was due, and as many were open, or asking, as may be
    Totals at_window_begin_;
};

}  // namespace runnel::load
