// Sequence numbers compare across the wrap at 2^32 (RFC 9293 section 3.4). The compiler runs most of these
// tests.
#include "runnel/base/seq_num.hpp"

#include <random>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel {
namespace seq_num_test {

constexpr SeqNum last{0xffffffffU};
constexpr SeqNum first{0};

static_assert(sizeof(SeqNum) == 4);
static_assert(last < first && first > last && last <= first && first >= last);
static_assert(!(first < last) && !(last > first) && !(first <= last) && !(last >= first));
static_assert(first <= first && first >= first && !(first < first) && !(first > first));
static_assert(last + 1 == first && first - 1 == last && first - last == 1);
static_assert(SeqNum{0xfffffff0U} + 0x20 == SeqNum{0x10});
static_assert(SeqNum{0x10} - SeqNum{0xfffffff0U} == 0x20);
static_assert(first < SeqNum{0x7fffffffU} && SeqNum{0x80000001U} < first);
static_assert(max(last, first) == first && min(last, first) == last);
static_assert(SeqNum{5}.in_window(last, 7) && !SeqNum{6}.in_window(last, 7) && last.in_window(last, 7));
static_assert(!SeqNum{0xfffffffeU}.in_window(last, 7) && !last.in_window(last, 0));

TEST(Rfc9293, SequenceNumbersCompareByTheHalfThatFollows) {
    std::mt19937_64 random{test::seed()};
    for (int i = 0; i < 10'000; ++i) {
        const SeqNum a{static_cast<std::uint32_t>(random())};
        const auto distance = static_cast<std::uint32_t>(1 + (random() % 0x7fffffffU >> random() % 31));
        SeqNum b = a;
        b += distance;
        ASSERT_TRUE(a < b && a <= b && b > a && b >= a && a != b) << a.value() << " + " << distance;
        ASSERT_FALSE(b < a || b <= a || a > b || a >= b) << a.value() << " + " << distance;
        ASSERT_EQ(b - a, distance);
        ASSERT_TRUE(b.in_window(a, distance + 1));
        ASSERT_FALSE(b.in_window(a, distance));
        b -= distance;
        ASSERT_EQ(a, b);
    }
}

}  // namespace seq_num_test
}  // namespace runnel
