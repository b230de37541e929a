// A simulated wire between two stacks, in virtual time: what it does to frames is drawn from a seed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runnel/base/time.hpp"

#include "frame.hpp"

namespace runnel::test {

/// Loss in bursts, the model of Gilbert and Elliott: the wire is good or bad, and a frame moves it from one
/// to the other before it is judged. Probabilities are out of 1.
struct BurstLoss {
    double begin = 0;         ///< a frame turns a good wire bad
    double end = 1;           ///< a frame turns a bad wire good: a burst lasts 1/end frames on average
    double loss = 1;          ///< of a frame while the wire is bad
    Duration longest = 50ms;  ///< a burst is over after this, however few frames have met it

    /// The share of all frames that is lost.
    [[nodiscard]] double mean() const { return begin == 0 ? 0 : loss * begin / (begin + end); }
};

/// What a wire does to the frames of one direction. Probabilities are out of 1. A frame is lost or not, then
/// waits in the buffer for its turn at the rate, then travels for the delay; what reorders does so after the
/// buffer.
struct LinkConfig {
    double loss = 0;
    BurstLoss bursts{};  ///< besides `loss`
    double duplication = 0;
    /// Octets of an IP packet that goes whole: a larger one is cut, whatever its sender has said, as by a
    /// tunnel on the way. What a fragment carries may be lost, late or doubled by itself. 0: none is cut.
    std::uint16_t cut = 0;
    double corruption = 0;  ///< one bit of the IP packet is turned: its checksums must catch it
    Duration delay = 1ms;
    Duration jitter{};      ///< up to so much more, drawn for each frame: it reorders
    double reordering = 0;  ///< a frame is late by `reorder_delay`, and the next overtake it
    Duration reorder_delay{};
    std::uint64_t bits_a_second = 0;  ///< 0: no limit. A frame counts with 24 octets of preamble, FCS and gap
    std::uint32_t queue = 0;          ///< frames that may wait for the wire before it drops; 0: no limit
    std::uint64_t buffer = 0;         ///< octets that may wait for the wire before it drops; 0: no limit
    /// Octets waiting from which on a frame is marked (CE, RFC 3168) where its sender is capable of ECN, and
    /// dropped where it is not; 0: never.
    std::uint64_t mark_above = 0;
};

[[nodiscard]] std::string to_string(const LinkConfig& config);

/// What became of the frames.
struct LinkCounts {
    std::uint64_t sent = 0;
    std::uint64_t lost = 0;     ///< by chance
    std::uint64_t dropped = 0;  ///< for want of room, or at the threshold of marking
    std::uint64_t marked = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t corrupted = 0;
    std::uint64_t reordered = 0;  ///< made late
    std::uint64_t cut = 0;        ///< packets
};

/// One direction of a wire.
class Link {
  public:
    Link(const LinkConfig& config, std::uint64_t seed) : config_(config), random_(seed) {}

    /// A frame is put on the wire.
    void send(Octets frame, Instant now);
    /// When the next frame arrives; `never` where none is under way.
    [[nodiscard]] Instant next_arrival() const;
    /// A frame that has arrived by now; to be called while `next_arrival()` has passed.
    [[nodiscard]] Octets take();

    /// From here on, of frames sent: 1 cuts the wire.
    void set_loss(double probability) { config_.loss = probability; }

    [[nodiscard]] const LinkConfig& config() const { return config_; }
    [[nodiscard]] const LinkCounts& counts() const { return counts_; }
    /// Octets that wait for the wire, the one that it sends included.
    [[nodiscard]] std::uint64_t waiting(Instant now) const;

  private:
    struct UnderWay {
        Instant when;
        std::uint64_t number;  // frames of one instant stay in the order in which they were sent
        Octets frame;
    };
    [[nodiscard]] bool happens(double probability) {
        return probability > 0 && std::bernoulli_distribution{probability}(random_);
    }
    void carry(Octets frame, Instant now);
    [[nodiscard]] bool lost_by_chance(Instant now);
    [[nodiscard]] bool late_comes_first() const;
    void damage(Octets& frame);
    void deliver(Octets frame, Instant when, bool late);

    LinkConfig config_;
    std::mt19937_64 random_;
    std::deque<UnderWay> in_order_;  // nearly all: each arrives behind the one before
    std::multimap<std::pair<Instant, std::uint64_t>, Octets> late_;  // what others, in order, may overtake
    Instant free_at_{Duration::min() / 2};                           // when the wire has sent what waits
    Instant bad_until_{Duration::min() / 2};  // the burst under way is over then at the latest
    bool bad_ = false;                        // amid a burst of loss
    std::uint64_t next_number_ = 0;
    std::uint32_t next_id_ = 0;  // of packets that are cut
    bool damaged_ = false;       // the last frame
    bool spared_ = false;        // the packet that is being cut: a fragment of it is damaged already
    LinkCounts counts_;
};

/// Puts together what a `Link` has cut, for those who look on: independently of the library, and with no
/// regard to what a host must refuse.
class Rejoining {
  public:
    /// A frame that has arrived; the whole packet's, where it completes one or is none of the fragments.
    /// Empty otherwise.
    [[nodiscard]] Octets add(const Octets& frame);

  private:
    struct Packet {
        std::map<std::size_t, Octets> pieces;  // data by offset
        std::size_t total = 0;
        Octets head;  // the first fragment's frame up to its data
    };
    std::map<std::pair<Octets, std::uint32_t>, Packet> packets_;  // by addresses and id
};

}  // namespace runnel::test
