// Two stacks, 10.0.0.1 and 10.0.0.2, joined by a simulated wire and driven by their deadlines in virtual
// time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runnel/stack/stack.hpp"

#include "family.hpp"
#include "invariants.hpp"
#include "link.hpp"

namespace runnel::test {

class World {
  public:
    /// `links[0]` carries from the first stack to the second. Where `static_neighbours` is not set, ARP finds
    /// the peer.
    World(std::uint64_t seed, const std::array<LinkConfig, 2>& links,
          const std::function<void(StackConfig&, int)>& adapt = {}, bool static_neighbours = true);
    /// Destroys the stacks; `problems()` is not asked any more.
    ~World();

    [[nodiscard]] Stack& stack(int which) { return *ends_[static_cast<std::size_t>(which)].stack; }
    [[nodiscard]] Link& link(int from) { return ends_[static_cast<std::size_t>(from)].out; }
    [[nodiscard]] static Ipv4Address address(int which) {
        return Ipv4Address{10, 0, 0, static_cast<std::uint8_t>(1 + which)};
    }

    [[nodiscard]] Duration now() const { return now_ - Instant{}; }
    [[nodiscard]] Instant instant() const { return now_; }

    /// Moves to the next event: a frame that arrives or a deadline. False where nothing is left to happen.
    bool step();
    /// Steps until `done` or until nothing is left, at most to `limit`. True where it is done.
    bool run(const std::function<bool()>& done, Duration limit);
    /// Steps until nothing is left to happen; false where that is not so by `limit`.
    bool drain(Duration limit);
    /// Lets a stack neither receive nor run its timers until then, as a core that is busy elsewhere.
    void stall(int which, Duration until);
    /// Calls at a time, as an application's own timer would.
    void at(Duration time, std::function<void()> call) { calls_.emplace(Instant{} + time, std::move(call)); }
    /// Fetches what the stacks have to send: to be called after the application has called them.
    void pump();

    /// Frames that broke an invariant, and other signs of a defect.
    [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

  private:
    struct End {
        std::unique_ptr<Stack> stack;
        Invariants invariants;
        Link out;
        Instant stalled_until{};
        Rejoining rejoining{};  // what the invariants see of fragments that come in
    };
    [[nodiscard]] Instant next_event();
    void serve(std::size_t which);
    void trace(const char* what, std::size_t which, const Frame& frame) const;

    std::vector<End> ends_;
    std::multimap<Instant, std::function<void()>> calls_;
    Instant now_{};
    std::uint64_t idle_steps_ = 0;
    bool tracing_;
    std::vector<std::string> problems_;
};

}  // namespace runnel::test
