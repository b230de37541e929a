// How frames go to the kernel and come from it: in bounded bursts, and where one side takes none, at no cost
// to the other.
#include "runnel/runtime/exception_task.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include <gtest/gtest.h>

#include <rte_mbuf.h>

#include "runnel/stack/stack.hpp"

#include "seed.hpp"

namespace runnel::runtime {
namespace exception_task_test {

constexpr MacAddress our_mac{{2, 0, 0, 0, 0, 1}};

/// The port towards the kernel.
class KernelWire final : public port::Wire {
  public:
    ~KernelWire() override {
        for (rte_mbuf* const frame : arriving) rte_pktmbuf_free(frame);
    }
    std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        std::size_t n = 0;
        for (; n < out.size() && !arriving.empty(); ++n, arriving.pop_front()) out[n] = arriving.front();
        return n;
    }
    std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        ++sends;
        const std::size_t n = std::min(frames.size(), room);
        room -= n;
        for (std::size_t i = 0; i < n; ++i) {
            numbers.push_back(rte_pktmbuf_mtod(frames[i], const std::uint8_t*)[14]);
            rte_pktmbuf_free(frames[i]);
        }
        return n;
    }

    std::deque<rte_mbuf*> arriving;
    std::vector<std::uint8_t> numbers;  // of the frames sent, in their order
    std::size_t room = SIZE_MAX;
    int sends = 0;
};

class ExceptionTaskTest : public testing::Test {
  protected:
    ExceptionTaskTest()
        : pool_(rte_pktmbuf_pool_create("exception_task", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                        SOCKET_ID_ANY)) {}
    ~ExceptionTaskTest() override {
        EXPECT_EQ(rte_mempool_avail_count(pool_), 2047U) << "an mbuf was lost";
        rte_mempool_free(pool_);
    }

    StackConfig config() const {
        StackConfig config;
        config.ip.interfaces = {{.mac = our_mac, .address = Ipv4Address{10, 0, 0, 1}}};
        config.ip.exception.emplace().queue = 256;
        config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 64;
        config.transmit_queue = 64;
        config.secret = std::array<std::uint64_t, 2>{test::seed(), 1};
        return config;
    }
    /// A frame of a type that the stack does not speak, with a number in it.
    rte_mbuf* frame(std::uint8_t number) const {
        rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool_);
        auto* const octets = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(mbuf, 60));
        std::fill_n(octets, 60, std::uint8_t{0});
        std::copy(our_mac.octets.begin(), our_mac.octets.end(), octets);
        octets[12] = 0x88;
        octets[13] = 0xcc;
        octets[14] = number;
        return mbuf;
    }
    void give(Stack& stack, unsigned first, unsigned count) const {
        for (unsigned i = first; i < first + count; ++i) {
            rte_mbuf* const one = frame(static_cast<std::uint8_t>(i));
            stack.receive({&one, 1}, now);
        }
    }
    static std::size_t sent(Stack& stack) {
        std::array<rte_mbuf*, 256> out{};
        const std::size_t n = stack.transmit(out);
        for (std::size_t i = 0; i < n; ++i) rte_pktmbuf_free(out[i]);
        return n;
    }

    rte_mempool* pool_;
    Instant now{1s};
};

TEST_F(ExceptionTaskTest, CarriesBothWaysInOrderABurstATurn) {
    Stack stack{config(), pool_};
    KernelWire kernel;
    ExceptionTask task(stack, kernel);
    EXPECT_FALSE(task.poll(now)) << "nothing to do";
    give(stack, 0, 40);
    for (unsigned i = 0; i < 40; ++i) kernel.arriving.push_back(frame(static_cast<std::uint8_t>(i)));
    EXPECT_TRUE(task.poll(now));
    EXPECT_EQ(kernel.numbers.size(), ExceptionTask::burst);
    EXPECT_EQ(sent(stack), ExceptionTask::burst);
    EXPECT_TRUE(task.poll_behind(now));
    EXPECT_EQ(kernel.numbers.size(), ExceptionTask::burst + ExceptionTask::burst_behind);
    EXPECT_EQ(sent(stack), ExceptionTask::burst_behind);
    EXPECT_TRUE(task.poll(now));
    EXPECT_EQ(sent(stack), 40 - ExceptionTask::burst - ExceptionTask::burst_behind);
    ASSERT_EQ(kernel.numbers.size(), 40U);
    for (unsigned i = 0; i < 40; ++i) EXPECT_EQ(kernel.numbers[i], i);
    EXPECT_FALSE(task.poll(now));
    EXPECT_EQ(stack.counters().get(Counter::frames_to_kernel), 40U);
    EXPECT_EQ(stack.counters().get(Counter::frames_from_kernel), 40U);
}

TEST_F(ExceptionTaskTest, KernelThatTakesNothingIsAskedAgainAfterAPauseAndTheQueueIsBounded) {
    Stack stack{config(), pool_};
    KernelWire kernel;
    ExceptionTask task(stack, kernel);
    kernel.room = 5;
    give(stack, 0, 20);
    EXPECT_TRUE(task.poll(now));
    EXPECT_EQ(kernel.numbers.size(), 5U);
    const int before = kernel.sends;
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(task.poll(now));
    EXPECT_EQ(kernel.sends, before) << "each would be a system call";
    // 15 are held; 256 wait; what comes then is a counted drop.
    give(stack, 20, 256 + 7);
    EXPECT_EQ(stack.counters().get(DropReason::exception_queue_full), 7U);
    kernel.room = SIZE_MAX;
    now += ExceptionTask::pause;
    while (task.poll(now)) {
    }
    ASSERT_EQ(kernel.numbers.size(), 20U + 256U);
    for (unsigned i = 0; i < kernel.numbers.size(); ++i)
        EXPECT_EQ(kernel.numbers[i], static_cast<std::uint8_t>(i)) << i;
    // What is held at the end goes back: the pool will tell.
    kernel.room = 0;
    give(stack, 0, 50);
    EXPECT_FALSE(task.poll(now));
}

TEST_F(ExceptionTaskTest, FramesOfTheKernelWaitThereWhileOurPortTakesNone) {
    Stack stack{config(), pool_};
    KernelWire kernel;
    ExceptionTask task(stack, kernel);
    for (unsigned i = 0; i < 200; ++i) kernel.arriving.push_back(frame(static_cast<std::uint8_t>(i)));
    for (int i = 0; i < 10; ++i) task.poll(now);
    EXPECT_EQ(stack.transmit_room(), 0U);
    EXPECT_EQ(kernel.arriving.size(), 200U - 64U);
    EXPECT_EQ(stack.counters().get(DropReason::transmit_queue_full), 0U);
    EXPECT_EQ(sent(stack), 64U);
    task.poll(now);
    EXPECT_EQ(sent(stack), ExceptionTask::burst);
}

}  // namespace exception_task_test
}  // namespace runnel::runtime
