#include "runnel/runtime/mailbox.hpp"

#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace runnel::runtime {
namespace mailbox_test {

TEST(Mailbox, GivesMessagesOnceAndInOrder) {
    Mailbox<int, 8> mailbox;
    EXPECT_TRUE(mailbox.empty());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(mailbox.post(i));
    EXPECT_FALSE(mailbox.empty());
    std::vector<int> got;
    const auto keep = [&](int message) { got.push_back(message); };
    EXPECT_EQ(mailbox.drain(keep), 5u);
    EXPECT_EQ(mailbox.drain(keep), 0u);
    EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
}

TEST(Mailbox, RefusesWhatItHasNoRoomForAndTakesItLater) {
    Mailbox<int, 4> mailbox;
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(mailbox.post(i));
    EXPECT_FALSE(mailbox.post(4));
    mailbox.drain([](int) {});
    EXPECT_TRUE(mailbox.post(4));
}

TEST(Mailbox, CarriesEveryMessageBetweenTwoThreadsInOrder) {
    Mailbox<std::uint64_t, 64> mailbox;
    constexpr std::uint64_t total = 300'000;
    std::thread sender{[&] {
        for (std::uint64_t i = 0; i < total;) {
            if (mailbox.post(i))
                ++i;
            else
                std::this_thread::yield();
        }
    }};
    std::uint64_t expected = 0, wrong = 0;
    while (expected < total) {
        if (mailbox.drain([&](std::uint64_t message) { wrong += message != expected++; }) == 0)
            std::this_thread::yield();
    }
    sender.join();
    EXPECT_EQ(wrong, 0u);
}

TEST(Mailbox, DestroysWhatACallCapturedAfterItHasRun) {
    CallMailbox mailbox;
    auto captured = std::make_shared<int>(0);
    ASSERT_TRUE(mailbox.post([captured] { ++*captured; }));
    EXPECT_GT(captured.use_count(), 1);
    mailbox.drain([](Call& call) { call(); });
    EXPECT_EQ(*captured, 1);
    EXPECT_EQ(captured.use_count(), 1);
}

}  // namespace mailbox_test
}  // namespace runnel::runtime
