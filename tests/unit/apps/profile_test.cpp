// The rate of a load over time.
#include "engine/profile.hpp"

#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quantity.hpp"

namespace runnel::load {
namespace profile_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(LoadProfile, RampClimbsEvenlyAndThenHolds) {
    const LoadProfile ramp = LoadProfile::parse("ramp:0-100/10s");
    EXPECT_EQ(ramp.rate_at(0s), 0);
    EXPECT_EQ(ramp.rate_at(5s), 50);
    EXPECT_EQ(ramp.rate_at(30s), 100);
    EXPECT_EQ(ramp.arrivals(10s), 500);
    EXPECT_EQ(ramp.arrivals(5s), 125);
    EXPECT_EQ(ramp.arrivals(20s), 1500);
    EXPECT_EQ(ramp.highest(5s), 50);
    EXPECT_EQ(ramp.highest(60s), 100);
}

TEST(LoadProfile, StepsJump) {
    const LoadProfile steps = LoadProfile::parse("steps:10,20,30/2s");
    EXPECT_EQ(steps.rate_at(1999ms), 10);
    EXPECT_EQ(steps.rate_at(2s), 20);
    EXPECT_EQ(steps.rate_at(5s), 30);
    EXPECT_EQ(steps.rate_at(100s), 30);
    EXPECT_EQ(steps.arrivals(6s), 120);
    EXPECT_EQ(steps.arrivals(3s), 40);
}

TEST(LoadProfile, ScheduleIsALineFromPointToPoint) {
    const LoadProfile schedule = LoadProfile::parse("schedule:0s=1k,10s=3k,10s=500,20s=0");
    EXPECT_EQ(schedule.rate_at(5s), 2000);
    EXPECT_EQ(schedule.rate_at(10s), 500);
    EXPECT_EQ(schedule.rate_at(15s), 250);
    EXPECT_EQ(schedule.rate_at(99s), 0);
    EXPECT_EQ(schedule.arrivals(99s), 20'000 + 2500);
    EXPECT_EQ(schedule.highest(99s), 3000);
}

TEST(LoadProfile, BurstsHaveTheirMeanAsRate) {
    const LoadProfile bursts = LoadProfile::parse("burst:100/10ms");
    EXPECT_EQ(bursts.rate_at(1s), 10'000);
    EXPECT_EQ(bursts.arrivals(1s), 10'000);
    EXPECT_EQ(bursts.arrivals(1ms), 100) << "the first comes at once";
}

TEST(LoadProfile, IsWrittenAsItIsRead) {
    for (const std::string text : {"50000", "schedule:0s=1000,10s=50000", "burst:100/10ms"})
        EXPECT_EQ(to_string(LoadProfile::parse(text)), text);
    EXPECT_EQ(LoadProfile::parse(to_string(LoadProfile::parse("steps:1k,2k/5s"))),
              LoadProfile::parse("steps:1k,2k/5s"));
    EXPECT_EQ(LoadProfile::parse("50k"), LoadProfile::constant(50'000));
    EXPECT_EQ(LoadProfile::parse("0.5"), LoadProfile::constant(0.5));
}

TEST(LoadProfile, SharesOfTheCoresAddUp) {
    const LoadProfile whole = LoadProfile::parse("ramp:0-100/10s");
    EXPECT_DOUBLE_EQ(whole.share(3, 0).arrivals(10s) * 3, 500);
    const LoadProfile bursts = LoadProfile::bursts(10, 1s);
    EXPECT_EQ(bursts.share(3, 0).burst()->count, 4U);
    EXPECT_EQ(bursts.share(3, 1).burst()->count + bursts.share(3, 2).burst()->count, 6U);
}

TEST(LoadProfile, WhatCannotBeIsRefusedWithTheMend) {
    const auto refused = [](const char* text, const char* why) {
        EXPECT_THAT([&] { (void)LoadProfile::parse(text); }, ThrowsMessage<app::BadQuantity>(HasSubstr(why)))
            << text;
    };
    refused("wave:5", "is no profile");
    refused("ramp:1k/10s", "write ramp:FROM-TO/TIME");
    refused("ramp:1k-2k/0", "takes no time");
    refused("steps:1k,2k", "write steps:RATE,RATE,.../TIME");
    refused("schedule:1s=5", "give its rate at 0s");
    refused("schedule:0s=5,2s=6,1s=7", "in the order of time");
    refused("schedule:0s=0", "0 all the time");
    refused("burst:0/1s", "at least 1");
    refused("-5", "");
}

}  // namespace profile_test
}  // namespace runnel::load
