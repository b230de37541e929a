// Segments and calls at random, most of them near the edges of what is acceptable. Nothing is expected but
// what always holds: the invariants of each frame sent, the octets that belong to their positions, one end
// for each connection, nothing lost.
#include <array>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conversation.hpp"
#include "seed.hpp"

namespace runnel::test {
namespace random_segments_cases {

/// The octets that belong at relative sequence number `sequence` on, modulo 2^32.
std::string octets_at(std::uint32_t sequence, std::size_t length) {
    std::string octets;
    for (std::size_t i = 0; i < length; ++i)
        octets += stream(static_cast<std::uint32_t>(sequence - 1 + i), 1);
    return octets;
}

class Chaos {
  public:
    Chaos(Conversation& conversation, std::uint64_t seed) : c_(conversation), random_(seed) {}

    Segment segment() {
        static constexpr std::array<std::uint8_t, 16> likely{flag::ack,
                                                             flag::ack,
                                                             flag::ack,
                                                             flag::ack | flag::psh,
                                                             flag::ack | flag::psh,
                                                             flag::ack,
                                                             flag::ack | flag::fin,
                                                             flag::ack | flag::urg,
                                                             flag::syn,
                                                             flag::syn | flag::ack,
                                                             flag::rst,
                                                             flag::rst | flag::ack,
                                                             flag::fin,
                                                             0,
                                                             flag::fin | flag::psh | flag::urg,
                                                             flag::ack | flag::ece | flag::cwr};
        Segment s;
        s.flag_bits = chance(20) ? static_cast<std::uint8_t>(random_()) : likely[random_() % likely.size()];
        if (s.has(flag::rst) && !chance(10)) s.flag_bits = flag::ack;  // or it is soon over
        const tcp::ConnectionInfo info = c_.info();
        const std::uint32_t window = info.rcv_wnd == 0 ? 65535 : info.rcv_wnd;
        const std::uint32_t next =
            info.state == tcp::State::closed ? c_.flow().peer_next : info.rcv_nxt - c_.flow().peer_isn;
        s.seq(near({next, next, next, next - 1, next + 1000, next + window, 0,
                    static_cast<std::uint32_t>(random_())}));
        const std::uint32_t end = c_.flow().stack_next;
        s.ack(near({end, pick(edges_), pick(edges_), 1, info.snd_una - c_.flow().stack_isn,
                    info.snd_una - c_.flow().stack_isn, static_cast<std::uint32_t>(random_())}));
        s.win(chance(3) ? static_cast<std::uint16_t>(random_() % 4) : static_cast<std::uint16_t>(random_()));
        if (chance(2))
            s.payload(
                octets_at(*s.sequence + (s.has(flag::syn) ? 1 : 0), random_() % (chance(4) ? 1461 : 20)));
        s.urgent_pointer = static_cast<std::uint16_t>(random_());
        if (stamped_ && !chance(10))
            s.ts(static_cast<std::uint32_t>(clock_ += random_() % 3),
                 chance(8) ? static_cast<std::uint32_t>(random_()) : pick(echoes_));
        // Also where it was not offered.
        if (!s.has(flag::syn) && (sacks_ ? chance(2) : chance(20)))
            s.sack_blocks = blocks(*s.acknowledgement);
        else if (chance(10))
            s.options.resize(random_() % 28, static_cast<std::uint8_t>(random_()));
        if (s.has(flag::syn) && chance(2)) s.mss(static_cast<std::uint16_t>(random_() % 2000));
        if (chance(3)) s.tos(static_cast<std::uint8_t>(random_() % 4));  // ECN
        return s;
    }

    /// SACK blocks of what is in flight, most of them on the edges of segments or near; some of what is not.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks(std::uint32_t acked) {
        std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks(1 + random_() % (stamped_ ? 3 : 4));
        for (auto& [left, right] : blocks) {
            const std::uint32_t end = c_.flow().stack_next;
            left = near({pick(edges_), pick(edges_), acked, end, static_cast<std::uint32_t>(random_())});
            right = chance(10) ? static_cast<std::uint32_t>(random_())
                               : near({pick(edges_), left + 1460, left + 1, left + 8, end});
            if (right < left && !chance(10)) std::swap(left, right);
        }
        return blocks;
    }

    void act() {
        tcp::Connection connection = c_.connection();
        switch (random_() % 12) {
            case 0:
                c_.send(stream(0, random_() % 5000));
                break;
            case 1:
                if (chance(5)) connection.shutdown();
                break;
            case 2:
                if (chance(30)) connection.close();
                break;
            case 3:
                if (chance(60)) connection.abort();
                break;
            case 4:
                connection.consume(std::min<std::size_t>(connection.info().unconsumed, random_() % 3000));
                break;
            case 5:
                c_.elapse(Duration{static_cast<std::int64_t>(random_() % 300'000'000)});
                break;
            case 6:
                if (chance(20)) c_.elapse(Duration{static_cast<std::int64_t>(random_() % 100'000'000'000)});
                break;
            default:
                c_.inject(segment());
        }
        c_.pump();
        note(c_.take_all());
    }
    /// Remembers what the stack has sent: edges of segments, timestamps.
    void note(const std::vector<Segment>& sent) {
        for (const Segment& s : sent) {
            edges_[random_() % edges_.size()] = *s.sequence + s.sequence_length();
            edges_[random_() % edges_.size()] = *s.sequence;
            if (const auto stamps = s.timestamps()) echoes_[random_() % echoes_.size()] = stamps->value;
        }
    }

    bool stamped_ = false;
    bool sacks_ = false;

  private:
    bool chance(unsigned one_in) { return random_() % one_in == 0; }
    std::uint32_t near(std::initializer_list<std::uint32_t> places) {
        const std::uint32_t place = places.begin()[random_() % places.size()];
        return chance(2) ? place : place + static_cast<std::uint32_t>(random_() % 9) - 4;
    }

    template <std::size_t N>
    std::uint32_t pick(const std::array<std::uint32_t, N>& places) {
        return places[random_() % N];
    }

    std::array<std::uint32_t, 8> edges_{};  // relative
    std::array<std::uint32_t, 4> echoes_{};
    Conversation& c_;
    std::mt19937_64 random_;
    std::uint64_t clock_ = 1000;
};

/// What must come about now and then, or the rest shows little.
constexpr std::array what_matters{Counter::tcp_fast_recoveries,      Counter::tcp_rto_expirations,
                                  Counter::tcp_loss_probes,          Counter::tcp_dsacks_in,
                                  Counter::tcp_sack_reneged,         Counter::tcp_spurious_recoveries,
                                  Counter::tcp_congestion_echoes_in, Counter::tcp_congestion_marks_in,
                                  Counter::tcp_bad_sack_blocks};
using Tally = std::array<std::uint64_t, what_matters.size()>;

void play(std::uint64_t seed, Tally& tally) {
    SCOPED_TRACE("replay: RUNNEL_SEED=" + std::to_string(seed));
    std::mt19937_64 random{seed};
    StackConfig config = small_stack();
    config.tcp.receive_buffer = 1024 + static_cast<std::uint32_t>(random() % 100000);
    config.tcp.out_of_order_limit = 20000;
    config.tcp.send_buffer = 20000;
    config.tcp.r2 = 200s;
    config.tcp.challenge_acks_per_second = 15;
    config.tcp.congestion = static_cast<tcp::CongestionAlgorithm>(random() % 4);
    if (random() % 3 == 0) config.tcp.sent_ranges = static_cast<std::uint32_t>(1 + random() % 8);
    if (random() % 2 == 0) config.tcp.ecn = tcp::Ecn::request;
    Conversation c{config};
    c.auto_consume = random() % 2 == 0;
    Chaos chaos{c, seed};
    bool numbers_known = true;  // which the peer's SYN settles
    chaos.sacks_ = random() % 4 != 0;
    const auto offered = [&](Segment segment) {
        if (chaos.sacks_) segment.sack_permitted();
        if (random() % 2 == 0)  // agrees to ECN; a SYN asks for it
            segment.flag_bits = static_cast<std::uint8_t>(*segment.flag_bits | flag::ece |
                                                          (segment.has(flag::ack) ? 0 : flag::cwr));
        return segment.mss(1460);
    };
    const auto open_passive = [&](const Segment& first) {
        c.listen();
        c.inject(first);
        const std::vector<Segment> answers = c.take_all();
        ASSERT_EQ(answers.size(), 1U);
        Segment third = ack();
        if (const auto stamps = answers.front().timestamps()) third.ts(1001, stamps->value);
        c.inject(third);
        c.expect_established();
    };
    switch (random() % 4) {
        case 0:
            open_passive(offered(syn()));
            break;
        case 1:
            chaos.stamped_ = true;
            open_passive(offered(syn()).wscale(static_cast<std::uint8_t>(random() % 15)).ts(1000, 0));
            break;
        case 2:
            c.connect();
            c.inject(offered(syn_ack()));
            c.expect_established();
            break;
        default:
            c.connect();
            numbers_known = false;
    }
    c.take_all();
    std::string got;
    int ended = 0;
    for (int i = 0; i < 300 && ended == 0; ++i) {
        chaos.act();
        for (const Event& event : c.events) {
            if (ended > 0) break;  // a new connection may follow, whose positions are others
            if (event.kind == Event::Kind::data) got += event.data;
            ended += event.kind == Event::Kind::closed ? 1 : 0;
        }
        c.events.clear();
        if (testing::Test::HasFailure()) return;
    }
    for (std::size_t i = 0; i < tally.size(); ++i) tally[i] += c.count(what_matters[i]);
    EXPECT_TRUE(!numbers_known || got == octets_at(1, got.size())) << "octets in a place that is not theirs";
}

TEST(RandomSegments, NeverBreakAnInvariant) {
    Tally tally{};
    for (std::uint64_t s = seed(); s < seed() + 300 && !testing::Test::HasFailure(); ++s) play(s, tally);
    for (std::size_t i = 0; i < tally.size(); ++i)
        EXPECT_GT(tally[i], 0U) << counter_descriptions()[static_cast<std::size_t>(what_matters[i])].name
                                << " " << tally[i];
}

}  // namespace random_segments_cases
}  // namespace runnel::test
