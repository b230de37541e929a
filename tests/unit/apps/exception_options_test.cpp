// Which ports are the kernel's, as a person writes it.
#include "exception_options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quantity.hpp"

namespace runnel::app {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ExceptionRules, ArePortsAndRangesOfEitherProtocol) {
    ExceptionSettings settings;
    add_rules("tcp:22,udp:500-4500,tcp:179", settings);
    add_rules("udp:520", settings);
    ASSERT_EQ(settings.tcp.size(), 2U);
    EXPECT_EQ(settings.tcp[0].first, 22);
    EXPECT_EQ(settings.tcp[0].last, 22);
    EXPECT_EQ(settings.tcp[1].first, 179);
    ASSERT_EQ(settings.udp.size(), 2U);
    EXPECT_EQ(settings.udp[0].first, 500);
    EXPECT_EQ(settings.udp[0].last, 4500);
    EXPECT_TRUE(is_the_kernels(settings, 22));
    EXPECT_FALSE(is_the_kernels(settings, 23));
    EXPECT_FALSE(is_the_kernels(settings, 500)) << "that is UDP's";
}

TEST(ExceptionRules, WhatIsNoneIsRefusedWithTheMend) {
    for (const char* wrong : {"", "22", "sctp:22", "tcp", "tcp:22,", "TCP:22"})
        EXPECT_THAT(
            [&] {
                ExceptionSettings settings;
                add_rules(wrong, settings);
            },
            ThrowsMessage<BadQuantity>(HasSubstr("is no rule; write tcp:22")))
            << wrong;
    for (const char* wrong :
         {"tcp:", "tcp:0", "tcp:65536", "tcp:22-", "tcp:-22", "tcp:30-20", "udp:ssh", "udp:1-2-3"})
        EXPECT_THAT(
            [&] {
                ExceptionSettings settings;
                add_rules(wrong, settings);
            },
            ThrowsMessage<BadQuantity>(HasSubstr("names no ports from 1 to 65535")))
            << wrong;
}

TEST(ExceptionRules, WantAWayToTheKernel) {
    ExceptionSettings settings;
    EXPECT_FALSE(exception_config(settings));
    add_rules("tcp:22", settings);
    EXPECT_THAT([&] { (void)exception_config(settings); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("--exception auto")));
    settings.way = port::KernelWay::tap;
    ASSERT_TRUE(exception_config(settings));
    EXPECT_EQ(exception_config(settings)->tcp.size(), 1U);
}

}  // namespace
}  // namespace runnel::app
