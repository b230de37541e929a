// The client side of one core for `hold`: opens connections and keeps them, lets each carry transactions at
// random, and closes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runnel/stack/stack.hpp"

#include "engine/arrivals.hpp"
#include "engine/client.hpp"
#include "engine/generator.hpp"
#include "engine/random_order.hpp"

namespace runnel::load {

/// Made for as many connections as memory holds: what a connection needs while it is on its way lies in a
/// record of few, and one that is merely held costs nothing beside its TCB, whose word of the application's
/// says how it stands.
///
/// The window ends when its time is over; without a rate not before all connections are open (or have
/// failed), and not before all transactions are answered, unless nothing has moved for as long as the drain
/// may take.
class HoldClient final : public Generator {
  public:
    /// `stack` is not owned and outlives the client; the connections must have ended, or the stack be gone,
    /// before the client goes.
    HoldClient(Stack& stack, const ClientOptions& options);

    bool poll(Instant now) noexcept override;
    [[nodiscard]] bool has_rate() const noexcept override { return true; }
    void change_rate(std::optional<double> rate, Instant now) noexcept override;
    [[nodiscard]] bool can_pause() const noexcept override { return true; }

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

  private:
    /// How a connection stands.
    enum class Stand : std::uint8_t {
        opening,  ///< a record says since when
        held,
        asking,  ///< a request is under way, of which a record says more
        ending,  ///< its outcome is in the accounting
    };
    /// The word that TCP keeps with the connection.
    struct Word {
        Stand stand = Stand::opening;
        std::uint32_t record = 0;

        [[nodiscard]] static Word decode(std::uint64_t word) noexcept {
            return {static_cast<Stand>(word & 3), static_cast<std::uint32_t>(word >> 32)};
        }
        [[nodiscard]] std::uint64_t encode() const noexcept {
            return std::uint64_t{record} << 32 | static_cast<std::uint64_t>(stand);
        }
    };
    struct Record {
        Instant intended, actual;
        std::uint64_t owed = 0;  // octets of the response that are still to come
    };
    static constexpr std::uint32_t most_batch = 64;

    bool step_phase(Instant now) noexcept;
    void end_window(Instant now) noexcept;
    void begin_pause(Instant now) noexcept override { arrivals_.pause(now); }
    void end_pause(Instant now) noexcept override { arrivals_.resume(now); }
    void finish() noexcept;
    [[nodiscard]] bool window_over(Instant now) noexcept;
    [[nodiscard]] bool all_open(Instant now) const noexcept;
    std::uint32_t begin_connections(Instant now) noexcept;
    std::uint32_t begin_transactions(Instant now) noexcept;
    std::uint32_t end_connections(Instant now) noexcept;
    bool ask(tcp::Connection connection, Instant now) noexcept;
    [[nodiscard]] bool more_to_ask() const noexcept;
    void lose(Word word, std::uint64_t Accounting::*outcome) noexcept;
    /// Connections on their way.
    [[nodiscard]] std::uint64_t busy() const noexcept { return opening_ + asking_ + ending_; }

    Stack& stack_;
    ClientOptions options_;
    tcp::ConnectOptions connect_;
    AddressPicker addresses_;
    std::vector<Record> records_;
    std::vector<std::uint32_t> free_records_;
    Arrivals arrivals_;
    RandomOrder order_;
    std::uint32_t rounds_ = 0;  // of transactions, begun
    Instant window_begin_{}, phase_end_{}, last_move_{}, first_request_{}, closing_begin_{};
    std::uint32_t next_to_close_ = 0;  // slots below have been closed
    std::uint64_t opening_ = 0, asking_ = 0, ending_ = 0;
    bool intends_;  // a schedule says, or has said, when connections are intended
};

}  // namespace runnel::load
