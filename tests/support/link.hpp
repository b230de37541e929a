// A simulated wire between two stacks, in virtual time: what it does to frames is drawn from a seed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "runnel/base/time.hpp"

#include "frame.hpp"

namespace runnel::test {

/// What a wire does to the frames of one direction. Probabilities are out of 1.
struct LinkConfig {
    double loss = 0;
    double duplication = 0;
    double corruption = 0;  ///< one bit of the IP packet is turned: its checksums must catch it
    Duration delay = 1ms;
    Duration jitter{};                ///< up to so much more, drawn for each frame: it reorders
    std::uint64_t bits_a_second = 0;  ///< 0: no limit
    std::uint32_t queue = 0;          ///< frames that may wait for the wire before it drops; 0: no limit
};

[[nodiscard]] std::string to_string(const LinkConfig& config);

/// One direction of a wire.
class Link {
  public:
    Link(const LinkConfig& config, std::uint64_t seed) : config_(config), random_(seed) {}

    /// A frame is put on the wire.
    void send(Octets frame, Instant now);
    /// When the next frame arrives; `never` where none is under way.
    [[nodiscard]] Instant next_arrival() const {
        return under_way_.empty() ? never : under_way_.begin()->first;
    }
    /// A frame that has arrived by now; to be called while `next_arrival()` has passed.
    [[nodiscard]] Octets take();

    /// From here on, of frames sent: 1 cuts the wire.
    void set_loss(double probability) { config_.loss = probability; }

    [[nodiscard]] std::uint64_t lost() const { return lost_; }
    [[nodiscard]] std::uint64_t corrupted() const { return corrupted_; }

  private:
    [[nodiscard]] bool happens(double probability) {
        return std::bernoulli_distribution{probability}(random_);
    }
    void deliver(Octets frame, Instant when);

    LinkConfig config_;
    std::mt19937_64 random_;
    std::multimap<Instant, Octets> under_way_;  // frames of one instant stay in their order
    Instant free_at_{Duration::min() / 2};      // when the wire has sent what waits
    std::uint64_t lost_ = 0, corrupted_ = 0;
};

}  // namespace runnel::test
