// How fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation): what congestion controls that
// model the path are fed with.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/tcp/congestion/ack_sample.hpp"
#include "runnel/tcp/scoreboard.hpp"

namespace runnel::tcp {

/// Octets and microseconds, both modulo 2^32. Belongs to a cold block.
class DeliveryRate {
  public:
    [[nodiscard]] std::uint32_t delivered() const noexcept { return delivered_; }

    /// The stamp of a segment that leaves at `now_us`; `flight` is what was outstanding before it.
    [[nodiscard]] SendStamp stamp(std::uint32_t now_us, std::uint32_t flight) noexcept {
        if (flight == 0) {
            first_sent_us_ = now_us;
            delivered_us_ = now_us;
        }
        return {.sent_us = now_us,
                .first_sent_us = first_sent_us_,
                .delivered = delivered_,
                .delivered_us = delivered_us_,
                .app_limited = app_limited_};
    }

    /// The sender had nothing more to send while the window would have let it (section 3.4 of the draft).
    void limited_by_application(std::uint32_t flight) noexcept {
        app_limited_ = true;
        app_limited_until_ = delivered_ + flight;
    }

    /// `octets` of a range have been delivered, cumulatively or by SACK.
    void delivered(const SendStamp& stamp, std::uint32_t octets, std::uint32_t now_us) noexcept {
        delivered_ += octets;
        delivered_us_ = now_us;
        const bool newer = !sampled_ || static_cast<std::int32_t>(stamp.delivered - prior_.delivered) > 0 ||
                           (stamp.delivered == prior_.delivered &&
                            static_cast<std::int32_t>(stamp.sent_us - prior_.sent_us) >= 0);
        if (!newer) return;
        sampled_ = true;
        prior_ = stamp;
        first_sent_us_ = stamp.sent_us;
    }

    /// Closes the sample of one ACK and writes it down. A sample over less than the least round trip is none:
    /// it would measure a burst of ACKs.
    void finish(AckSample& ack, std::uint32_t now_us, std::uint32_t min_rtt_us) noexcept {
        ack.total_delivered = delivered_;
        if (!sampled_) return;
        sampled_ = false;
        if (app_limited_ && static_cast<std::int32_t>(delivered_ - app_limited_until_) > 0)
            app_limited_ = false;
        ack.prior_delivered = prior_.delivered;
        ack.rate_app_limited = prior_.app_limited;
        const std::uint32_t sending = prior_.sent_us - prior_.first_sent_us;
        const std::uint32_t acknowledging = now_us - prior_.delivered_us;
        const std::uint32_t interval = std::max(sending, acknowledging);
        if (interval == 0 || interval < min_rtt_us) return;
        ack.rate_delivered = delivered_ - prior_.delivered;
        ack.rate_interval_us = interval;
    }

  private:
    std::uint32_t delivered_ = 0;
    std::uint32_t delivered_us_ = 0;
    std::uint32_t first_sent_us_ = 0;
    std::uint32_t app_limited_until_ = 0;
    SendStamp prior_{};  // of the newest segment that the present ACK delivered
    bool app_limited_ = false;
    bool sampled_ = false;
};

}  // namespace runnel::tcp
