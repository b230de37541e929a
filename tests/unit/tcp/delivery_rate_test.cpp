// The estimate of the delivery rate (draft-cheng-iccrg-delivery-rate-estimation).
#include "runnel/tcp/delivery_rate.hpp"

#include <deque>

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace delivery_rate_test {

constexpr std::uint32_t mss = 1000;
constexpr std::uint32_t rtt = 20'000;          // microseconds
constexpr std::uint32_t epoch = 0xffff'8000U;  // the clock comes round within each test

struct Path {
    struct Out {
        SendStamp stamp;
        std::uint32_t arrives;
    };
    DeliveryRate rate{};
    std::deque<Out> out{};
    std::uint32_t now = epoch;
    AckSample sample{};

    void send() {
        const auto flight = static_cast<std::uint32_t>(out.size()) * mss;
        out.push_back({rate.stamp(now, flight), now + rtt});
    }
    /// The oldest comes to be acknowledged.
    void ack() {
        now = out.front().arrives;
        rate.delivered(out.front().stamp, mss, now);
        out.pop_front();
        sample = {};
        rate.finish(sample, now, rtt);
    }
    [[nodiscard]] double octets_a_second() const {
        return sample.rate_interval_us == 0 ? 0 : 1e6 * sample.rate_delivered / sample.rate_interval_us;
    }
};

TEST(DeliveryRate, OfASteadyStreamIsMeasuredWithinFivePerCent) {
    Path path;
    constexpr std::uint32_t gap = 500;  // a segment each: 2,000,000 octets a second
    for (std::uint32_t i = 0; i < rtt / gap; ++i) {
        path.send();
        path.now += gap;
    }
    for (int i = 0; i < 200; ++i) {  // from now on one arrives as one leaves
        path.ack();
        path.send();
        if (i < 50) continue;
        ASSERT_NEAR(path.octets_a_second(), 2e6, 1e5) << i;
        ASSERT_FALSE(path.sample.rate_app_limited);
        ASSERT_EQ(path.sample.total_delivered - path.sample.prior_delivered, path.sample.rate_delivered);
    }
    EXPECT_EQ(path.rate.delivered(), 200 * mss);
}

// A burst that arrives at once was sent at once: it is the slower of the two that counts.
TEST(DeliveryRate, AcksThatComeTogetherDoNotRaiseIt) {
    Path path;
    constexpr std::uint32_t gap = 500;
    for (int i = 0; i < 40; ++i) {
        path.send();
        path.now += gap;
    }
    for (Path::Out& out : path.out) out.arrives = path.out.back().arrives;
    for (int i = 0; i < 40; ++i) {
        path.ack();
        ASSERT_LE(path.octets_a_second(), 2.1e6);
    }
}

TEST(DeliveryRate, SampleOverLessThanTheLeastRoundTripIsNone) {
    DeliveryRate rate;
    const SendStamp stamp = rate.stamp(epoch, 0);
    rate.delivered(stamp, mss, epoch + rtt - 1);
    AckSample sample;
    rate.finish(sample, epoch + rtt - 1, rtt);
    EXPECT_EQ(sample.rate_interval_us, 0U);
    EXPECT_EQ(sample.rate_delivered, 0U);
    EXPECT_EQ(sample.total_delivered, mss) << "what was delivered counts nevertheless";

    const SendStamp next = rate.stamp(epoch + rtt, 0);
    rate.delivered(next, mss, epoch + 2 * rtt);
    sample = {};
    rate.finish(sample, epoch + 2 * rtt, rtt);
    EXPECT_EQ(sample.rate_interval_us, rtt);
    EXPECT_EQ(sample.rate_delivered, mss);
}

TEST(DeliveryRate, AckThatDeliversNothingIsNoSample) {
    DeliveryRate rate;
    (void)rate.stamp(epoch, 0);
    AckSample sample;
    rate.finish(sample, epoch + 10 * rtt, rtt);
    EXPECT_EQ(sample.rate_interval_us, 0U);
}

TEST(DeliveryRate, AtNoTimeAtAllIsNoDivisionByZero) {
    DeliveryRate rate;
    rate.delivered(rate.stamp(epoch, 0), mss, epoch);
    AckSample sample;
    rate.finish(sample, epoch, 0);
    EXPECT_EQ(sample.rate_interval_us, 0U);
}

TEST(DeliveryRate, SaysThatTheApplicationWasTheLimitUntilWhatWasOutThenIsDelivered) {
    Path path;
    path.send();
    path.send();
    path.rate.limited_by_application(2 * mss);  // nothing more to send
    path.now += 100;
    path.send();
    path.send();
    path.ack();
    EXPECT_FALSE(path.sample.rate_app_limited) << "it was sent before";
    path.ack();
    path.send();
    EXPECT_FALSE(path.sample.rate_app_limited);
    path.ack();
    EXPECT_TRUE(path.sample.rate_app_limited) << "sent while the application had nothing more";
    path.send();  // the limit is past: three are delivered
    path.ack();
    EXPECT_TRUE(path.sample.rate_app_limited);
    path.ack();
    EXPECT_TRUE(path.sample.rate_app_limited) << "sent when two were delivered";
    path.ack();
    EXPECT_FALSE(path.sample.rate_app_limited);
}

}  // namespace delivery_rate_test
}  // namespace runnel::tcp
