// Arrays in EAL memory.
#include "runnel/base/eal_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>

namespace runnel {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

TEST(EalArray, IsZeroedAndAlignedToACacheLine) {
    for (int round = 0; round < 3; ++round) {  // the same memory comes again, written by the round before
        EalArray<std::uint64_t> array{"numbers", 1000};
        ASSERT_EQ(array.size(), 1000U);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.data()) % 64, 0U);
        EXPECT_THAT(array.span(), Each(0U));
        std::fill_n(array.data(), array.size(), ~std::uint64_t{0});
    }
}

TEST(DevicesReach, MemoryOfEalAndNoOther) {
    const EalArray<std::byte> array{"octets", 1000};
    EXPECT_TRUE(devices_reach(array.span()));
    EXPECT_TRUE(devices_reach(array.span().last(1)));
    static const std::byte of_the_process[100]{};
    EXPECT_FALSE(devices_reach(of_the_process));
    EXPECT_FALSE(devices_reach({}));
}

TEST(EalArray, MovesItsMemoryAndLeavesNothingBehind) {
    EalArray<int> first{"numbers", 10};
    first[3] = 7;
    EalArray<int> second{std::move(first)};
    EXPECT_EQ(second[3], 7);
    EXPECT_EQ(first.size(), 0U);  // NOLINT: what a move leaves is what is tested
    EXPECT_EQ(first.data(), nullptr);
    EalArray<int> third;
    third = std::move(second);
    EXPECT_EQ(third[3], 7);
    EXPECT_EQ(third.size(), 10U);
}

TEST(EalArray, OfNothingTakesNoMemory) {
    const EalArray<int> array{"nothing", 0};
    EXPECT_EQ(array.size(), 0U);
    EXPECT_EQ(array.data(), nullptr);
}

TEST(EalArray, SaysWhatItNeedsAndTheMendWhereMemoryIsShort) {
    try {
        const EalArray<std::uint64_t> array{"time-wait table", std::size_t{1} << 30};
        FAIL() << "8 GB fitted into the test's memory";
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(std::string{error.what()}, AllOf(HasSubstr("time-wait table"), HasSubstr("1073741824"),
                                                     HasSubstr("8192 MB"), HasSubstr("-m MB")));
    }
}

TEST(EalArray, RefusesASizeThatOverflows) {
    EXPECT_THROW((EalArray<std::uint64_t>{"all of it", ~std::size_t{0} / 4}), std::runtime_error);
}

static_assert(EalArray<std::uint64_t>::bytes(100) == 800);

}  // namespace
}  // namespace runnel
