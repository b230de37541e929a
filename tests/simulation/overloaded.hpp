// A client and a server of the load engine, each on a core whose work takes time, and connections beside
// them that tell how the old fare among the new.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/base/histogram.hpp"
#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/client.hpp"
#include "engine/plan.hpp"
#include "engine/server.hpp"
#include "engine/transfer_responders.hpp"
#include "simulated_cores.hpp"

namespace runnel::test {

/// What is overloaded, and by how much.
struct Scene {
    CoreCosts client{}, server{};
    SimulatedWire::Options wire{};
    std::optional<double> offered;  ///< of what the scene carries at best; nothing: closed loop
    std::uint32_t window = 0;       ///< connections on their way at once; 0: the engine's default
    Duration duration = 12s;
    std::uint32_t half_open = 0;  ///< of the server, at once; 0: as the engine plans
};

/// Connections that were there before, and stay: each asks now and then, and is answered.
class Residents final : public tcp::Handler, public runtime::Task {
  public:
    static constexpr std::uint16_t port = 81;
    static constexpr unsigned count = 50;
    static constexpr Duration pause = 500ms;

    explicit Residents(Stack& stack) : stack_(stack) {}
    bool poll(Instant now) noexcept override;
    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void closed(tcp::Connection, tcp::CloseReason) noexcept override;
    void close() noexcept { closing_ = true; }

    unsigned lost = 0;   ///< ended before their time
    unsigned ended = 0;  ///< in order, after `close`
    std::uint64_t answers = 0;
    Duration slowest{};      ///< of the answers since this was last set to 0
    Histogram answer_times;  ///< nanoseconds

  private:
    struct One {
        tcp::Connection connection;
        Instant asked{}, next = never;
        bool waiting = false;
    };
    Stack& stack_;
    std::array<One, count> all_;
    Instant now_{};
    bool begun_ = false, closing_ = false;
};

/// One connection after the other is begun, at even times, whatever else happens: who ends when?
class Witnesses final : public tcp::Handler, public runtime::Task {
  public:
    static constexpr Duration pause = 20ms;

    Witnesses(Stack& stack, std::span<const std::byte> request) : stack_(stack), request_(request) {}
    bool poll(Instant now) noexcept override;
    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
    void closed(tcp::Connection, tcp::CloseReason) noexcept override;
    void stop() noexcept { stopped_ = true; }

    /// By how much one that was begun later has overtaken one that was begun earlier, at most.
    [[nodiscard]] Duration overtaken() const;
    /// Of those begun from `from` until `until`.
    [[nodiscard]] Duration oldest(Instant from, Instant until) const;
    [[nodiscard]] std::size_t begun() const noexcept { return all_.size(); }
    unsigned ended = 0, failed = 0, refused = 0;

  private:
    struct One {
        Instant begin, end = never;
    };
    Stack& stack_;
    std::span<const std::byte> request_;
    std::vector<One> all_;
    Instant now_{}, next_{};
    bool stopped_ = false;
};

/// A run of a scene. Time begins at 1 s.
class Overloaded {
  public:
    /// `best`: connections a second of the scene in a closed loop; needed where the load is open.
    explicit Overloaded(const Scene& scene, double best = 0);
    /// Expects that no mbuf is lost.
    ~Overloaded();

    static constexpr Instant start{1s};
    static constexpr Ipv4Address client_address{198, 18, 0, 1}, server_address{198, 18, 0, 2};
    static constexpr MacAddress client_mac{{2, 0, 0, 0, 0, 1}}, server_mac{{2, 0, 0, 0, 0, 2}};

    /// Runs so many seconds; appends to `completions`.
    void run(unsigned seconds);
    /// Ends the load, waits for what is on its way, and expects that nothing was lost, refused or forgotten.
    void finish();

    [[nodiscard]] Stack& client_stack() noexcept { return *client_stack_; }
    [[nodiscard]] Stack& server_stack() noexcept { return *server_stack_; }
    [[nodiscard]] std::uint64_t retransmissions() const noexcept;
    [[nodiscard]] std::string counters() const;

    load::CorePlan plan;
    port::MbufPool pool;
    std::optional<SimulatedWire> wire;
    SimulatedCore client_core, server_core;
    CoreSchedule cores;
    std::unique_ptr<load::Client> client;
    std::unique_ptr<Residents> residents;
    std::unique_ptr<Witnesses> witnesses;
    std::vector<std::uint64_t> completions;  ///< of each second

  private:
    std::unique_ptr<Stack> client_stack_, server_stack_;
    std::unique_ptr<load::Responder> shop_, desk_;
};

/// Connections a second that a scene carries in a closed loop.
[[nodiscard]] double best_of(Scene scene);

}  // namespace runnel::test
