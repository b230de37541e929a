// What a run is told while it goes: another rate, to pause, to go on, to stop. Whoever is told by (a
// terminal, telemetry, a signal) asks here, and the control thread passes it on to the cores.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::load {

/// What becomes of connections that are open when a run is told to stop.
enum class Ending : std::uint8_t {
    drain,  ///< as at the end of the window: what is under way comes to its end, what is kept is closed by
            ///< FIN
    fin,    ///< FIN at once, whatever is under way
    reset,  ///< RST at once
    leave,  ///< of a server: nothing is told to the peers, who find nobody any more
};
/// "drain", "fin", "rst", "leave": as an option and an order name it.
[[nodiscard]] std::string_view to_string(Ending ending) noexcept;
[[nodiscard]] std::optional<Ending> parse_ending(std::string_view text) noexcept;

/// One thing that a run is told.
struct Order {
    enum class Kind : std::uint8_t { rate, pause, resume, stop };
    Kind kind = Kind::pause;
    std::optional<double> rate{};    ///< of `rate`: arrivals a second over all cores; nothing: max
    std::optional<Ending> ending{};  ///< of `stop`; nothing: as the run was set up
    std::string by{};                ///< who asks: "terminal", "telemetry", "signal"
};
[[nodiscard]] std::string_view to_string(Order::Kind kind) noexcept;

/// What is told of an order that was carried out.
struct Event {
    double t_s = 0;  ///< from the start of the window; below 0: before
    Order order;
};

/// Holds the orders until the control thread takes them. All calls from any thread, but not from an lcore:
/// there is a lock.
class Control {
  public:
    /// What a run can be told.
    struct Abilities {
        bool rate = false;    ///< there is a schedule
        bool pause = false;   ///< there is somebody who begins something
        bool serves = false;  ///< there are servers alone
        Ending ending = Ending::drain;
    };
    struct State {
        bool running = false;  ///< the cores run, and have not been told to stop
        bool paused = false;
        bool stopping = false;
        std::optional<double> rate{};  ///< over all cores; nothing: max, or there is none
        Abilities abilities{};
    };
    struct Answer {
        bool accepted = false;
        std::string sentence;  ///< for a person: what happens now, or why not and what to do
    };

    explicit Control(Ending ending = Ending::drain) { state_.abilities.ending = ending; }

    /// Checks an order against the state in which it will find the run; one that is accepted will be carried
    /// out within some hundredths of a second.
    Answer ask(Order order);
    [[nodiscard]] State state() const;

    /// For the control thread. The cores run: what they can be told, at which rate they begin.
    void begin(bool rate, bool pause, std::optional<double> begun_at);
    /// The same of servers alone, which begin nothing.
    void begin_serving();
    /// They are told to stop, or have ended: no order is accepted any more.
    void end();
    /// Orders in their sequence, once each.
    [[nodiscard]] std::vector<Order> take();

  private:
    mutable std::mutex mutex_;
    State state_;
    std::vector<Order> orders_;
    static constexpr std::size_t most_orders = 64;  // that wait
};

/// An order in words: "rate 50 k/s", "pause", "stop (rst)".
[[nodiscard]] std::string to_string(const Order& order);

}  // namespace runnel::load
