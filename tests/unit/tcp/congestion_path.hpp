// A sender with one congestion control over one bottleneck, in virtual time: what the unit tests of the
// controls run them on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <random>

#include "runnel/base/seq_num.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/congestion/reduction.hpp"
#include "runnel/tcp/congestion/window.hpp"

namespace runnel::test {

/// What the path does. It keeps the order of segments; ACKs are never lost, and each segment has its own.
struct PathOptions {
    double rate = 12.5e6 / 8;         ///< of the bottleneck, octets a second
    Duration rtt = 40ms;              ///< without a queue
    std::uint32_t buffer = 1U << 20;  ///< octets that wait before the bottleneck; beyond them the tail drops
    double loss = 0;                  ///< share of segments lost at random, in front of the bottleneck
    std::uint64_t seed = 1;
    std::uint64_t lose_every = 0;  ///< each so many-th segment is lost; 0: none
    SeqNum first_sequence{1};
    Instant begin{};
};

/// A sender that always knows what was lost: the third segment delivered beyond it says so. A lost segment
/// is replaced by a new one. Where the control does not own the window, recovery begins with `cwnd` at
/// ssthresh, as PRR would have it at its end.
template <class Control>
class Path {
  public:
    static constexpr std::uint32_t mss = 1448;

    explicit Path(const PathOptions& given) : options(given), now(given.begin), random_(given.seed) {}

    /// Runs for so long.
    void run(Duration span) {
        const Instant end = now + span;
        for (;;) {
            send();
            Instant next = end;
            if (!acks_.empty()) next = std::min(next, acks_.front().arrives);
            if (may_send(flight) && pace_next_ > now) next = std::min(next, pace_next_);
            if (application_rate > 0 && application_octets_ < mss)
                next = std::min(next, now + seconds((mss - application_octets_ + 1) / application_rate));
            if (flight > 0) next = std::min(next, timeout_at());
            advance(next);
            if (now >= end) return;
            if (!acks_.empty() && acks_.front().arrives <= now) {
                take_ack();
            } else if (flight > 0 && now >= timeout_at()) {
                time_out();
            }
        }
    }
    /// Runs to the next reduction, for `most` at most; true where there was one.
    bool run_to_reduction(Duration most) {
        const std::uint64_t before = reductions;
        const Instant end = now + most;
        while (reductions == before && now < end) run(1ms);
        return reductions != before;
    }

    [[nodiscard]] tcp::CongestionWindow window() {
        return {.cwnd = cwnd, .ssthresh = ssthresh, .mss = mss, .initial = 10 * mss, .srtt_us = srtt_us};
    }
    /// Octets that wait at the bottleneck.
    [[nodiscard]] double queue() const {
        const Duration left = bottleneck_free_ - now - options.rtt / 2;
        return left > 0ns ? static_cast<double>(left.count()) / 1e9 * options.rate : 0;
    }
    [[nodiscard]] double bandwidth_delay() const {
        return options.rate * static_cast<double>(options.rtt.count()) / 1e9;
    }

    PathOptions options;
    Instant now;
    typename Control::State state{};
    std::uint32_t cwnd = 10 * mss;
    std::uint32_t ssthresh = 0x7fffffff;
    std::uint32_t srtt_us = 0;
    double application_rate = 0;  ///< octets a second that the application has for sending; 0: no limit
    std::uint32_t flight = 0;
    std::uint64_t delivered = 0;  ///< octets
    std::uint64_t dropped = 0;    ///< segments, by the full buffer
    std::uint64_t reductions = 0;
    std::uint64_t timeouts = 0;
    bool black_hole = false;  ///< all that is sent is lost
    /// Called after each ACK.
    std::function<void(const tcp::AckSample&)> observe;

  private:
    struct Packet {
        std::uint64_t number;
        Instant sent, arrives;
        Instant first_sent, delivered_time;
        std::uint64_t delivered;
        bool application_limited;
    };

    static Duration seconds(double s) { return Duration{static_cast<std::int64_t>(s * 1e9)}; }
    [[nodiscard]] SeqNum sequence(std::uint64_t number) const {
        return options.first_sequence + static_cast<std::uint32_t>(number * mss);
    }
    [[nodiscard]] bool may_send(std::uint32_t out) const {
        return out + mss <= cwnd && (application_rate == 0 || application_octets_ >= mss);
    }
    [[nodiscard]] Instant timeout_at() const {
        return progress_ + std::max<Duration>(200ms, std::chrono::microseconds{3 * srtt_us});
    }

    void advance(Instant to) {
        if (to <= now) return;
        if (application_rate > 0)
            application_octets_ = std::min(
                application_octets_ + application_rate * static_cast<double>((to - now).count()) / 1e9, 1e6);
        now = to;
    }

    void send() {
        while (may_send(flight) && pace_next_ <= now) {
            const std::uint64_t rate = Control::pacing_rate(state, window());
            if (rate > 0) pace_next_ = now + seconds(mss / static_cast<double>(rate));
            if (application_rate > 0) application_octets_ -= mss;
            if (flight == 0 && next_ > 0) Control::restarted(state, window(), now);
            if (flight == 0) first_sent_ = delivered_time_ = progress_ = now;
            Packet packet{next_, now, {}, first_sent_, delivered_time_, delivered, limited_until_ != 0};
            ++next_;
            flight += mss;
            if (options.lose_every != 0 && next_ % options.lose_every == 0) continue;
            if (black_hole || std::uniform_real_distribution<>{}(random_) < options.loss) continue;
            const Instant reaches = now + options.rtt / 2;
            const Instant starts = std::max(bottleneck_free_, reaches);
            if (static_cast<double>((starts - reaches).count()) / 1e9 * options.rate + mss > options.buffer) {
                ++dropped;
                continue;
            }
            bottleneck_free_ = starts + seconds(mss / options.rate);
            packet.arrives = bottleneck_free_ + options.rtt / 2;
            acks_.push_back(packet);
        }
        if (application_rate > 0 && application_octets_ < mss && flight + mss <= cwnd)
            limited_until_ = delivered + flight + 1;
    }

    void take_ack() {
        const Packet packet = acks_.front();
        acks_.pop_front();
        progress_ = now;
        tcp::AckSample ack;
        ack.now = now;
        ack.flight_before = flight;
        ack.delivered = ack.acknowledged = mss;
        if (packet.number >= first_out_) {
            // What lies before it, and is not said to be lost yet, is missing: the order is kept.
            if (missing_ == 0) first_missing_ = first_out_;
            missing_ += packet.number - first_out_;
            first_out_ = packet.number + 1;
        }
        flight -= std::min(flight, mss);
        since_missing_ = missing_ > 0 ? since_missing_ + 1 : 0;
        std::uint64_t lost = 0;
        if (missing_ > 0 && since_missing_ >= 3) {
            lost = missing_;
            ack.lost = static_cast<std::uint32_t>(missing_ * mss);
            flight -= std::min(flight, ack.lost);
            missing_ = 0;
            since_missing_ = 0;
        }
        delivered += mss;
        delivered_time_ = now;
        if (limited_until_ != 0 && delivered >= limited_until_) limited_until_ = 0;
        ack.rtt_us = static_cast<std::uint32_t>((now - packet.sent).count() / 1000);
        srtt_us = srtt_us == 0 ? ack.rtt_us : srtt_us - srtt_us / 8 + ack.rtt_us / 8;
        ack.flight = flight;
        ack.snd_una = sequence(first_out_);
        ack.snd_nxt = sequence(next_);
        ack.total_delivered = static_cast<std::uint32_t>(delivered);
        ack.prior_delivered = static_cast<std::uint32_t>(packet.delivered);
        ack.rate_delivered = static_cast<std::uint32_t>(delivered - packet.delivered);
        const Duration interval = std::max(packet.sent - packet.first_sent, now - packet.delivered_time);
        ack.rate_interval_us = static_cast<std::uint32_t>(interval.count() / 1000);
        ack.rate_app_limited = packet.application_limited;
        first_sent_ = packet.sent;

        if (lost > 0 && !recovering_) {
            ++reductions;
            recovering_ = true;
            timed_out_ = false;
            recover_ = recovered_ = next_;
            reduce(flight + ack.lost, tcp::Reduction::loss);
            if (!Control::owns_window) cwnd = ssthresh;
        } else if (recovering_ && lost == 0 && first_out_ >= recovered_) {
            recovering_ = false;
        }
        // What replaces a segment from before the recovery is delivered in it, too.
        if (lost > 0 && first_missing_ < recover_) recovered_ = next_ + lost;
        ack.in_recovery = recovering_;
        if (!recovering_ || timed_out_ || Control::owns_window) Control::acknowledged(state, window(), ack);
        if (observe) observe(ack);
    }

    void time_out() {
        ++timeouts;
        reduce(flight, tcp::Reduction::time_out);
        recovering_ = timed_out_ = true;
        recover_ = recovered_ = next_;
        first_out_ = next_;
        flight = 0;
        missing_ = 0;
        since_missing_ = 0;
        acks_.clear();
        cwnd = mss;
        progress_ = now;
    }

    void reduce(std::uint32_t out, tcp::Reduction why) {
        ssthresh = Control::ssthresh_after_loss(state, window(), out, now, why);
    }

    std::mt19937_64 random_;
    std::deque<Packet> acks_;
    std::uint64_t next_ = 0;
    std::uint64_t first_out_ = 0;
    std::uint64_t missing_ = 0;
    std::uint32_t since_missing_ = 0;
    std::uint64_t first_missing_ = 0;
    std::uint64_t recover_ = 0;    // the first number that was not sent when the recovery began
    std::uint64_t recovered_ = 0;  // with all below it delivered the recovery ends
    std::uint64_t limited_until_ = 0;
    bool recovering_ = false;
    bool timed_out_ = false;
    double application_octets_ = 0;
    Instant bottleneck_free_{};
    Instant pace_next_{};
    Instant first_sent_{}, delivered_time_{}, progress_{};
};

}  // namespace runnel::test
