// Arrays that are asked for at start. The tests' EAL has no hugepages: each is mapped by itself.
#include "runnel/base/eal_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>

#include "address_space.hpp"

namespace runnel {
namespace eal_memory_test {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

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
    const EalBlock array{"octets", 1000};
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

// From /proc/self/smaps: what the kernel says of the mapping that holds an address.
std::string mapping_of(const void* address) {
    std::ifstream smaps{"/proc/self/smaps"};
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    std::string text;
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        std::uintptr_t begin = 0, end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
            if (inside) break;
            inside = begin <= wanted && wanted < end;
        }
        if (inside) text += line + "\n";
    }
    return text;
}

TEST(EalArray, AsksForLargePagesWhereItFillsOneAndGivesAllBack) {
    constexpr std::size_t large = std::size_t{2} << 20;
    const std::byte* data = nullptr;
    {
        EalArray<std::byte> array{"octets", large + 1};
        data = array.data();
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % large, 0U);
        array[large] = std::byte{1};  // the last is there, and what lies before it is still untouched
        EXPECT_THAT(mapping_of(data), HasSubstr(" hg "));  // VmFlags: MADV_HUGEPAGE
        EXPECT_EQ(array[0], std::byte{0});
    }
    EXPECT_EQ(mapping_of(data), "");
    const EalArray<std::byte> small{"octets", 5000};
    EXPECT_THAT(mapping_of(small.data()), Not(HasSubstr(" hg ")));
}

TEST(EalArray, SaysWhatItNeedsAndTheMendWhereMemoryIsShort) {
    const test::AddressSpaceLimit limit{std::size_t{1} << 30};
    try {
        const EalArray<std::uint64_t> array{"time-wait table", std::size_t{1} << 30};
        FAIL() << "8 GB fitted into one";
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(std::string{error.what()}, AllOf(HasSubstr("time-wait table"), HasSubstr("1073741824"),
                                                     HasSubstr("8192 MB"), HasSubstr("ask for fewer")));
    }
}

TEST(EalArray, RefusesASizeThatOverflows) {
    EXPECT_THROW((EalArray<std::uint64_t>{"all of it", ~std::size_t{0} / 4}), std::runtime_error);
}

static_assert(EalArray<std::uint64_t>::bytes(100) == 800);

}  // namespace eal_memory_test
}  // namespace runnel
