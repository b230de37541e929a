#include "runnel/runtime/clock.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace runnel::runtime {

namespace {

std::uint64_t frequency_known_to_eal() {
    const std::uint64_t hz = rte_get_tsc_hz();
    if (hz == 0)
        throw std::runtime_error(
            "clock: the frequency of the time stamp counter is not known; start EAL first");
    return hz;
}

}  // namespace

Clock::Clock() : Clock(frequency_known_to_eal(), rte_rdtsc()) {}

Clock::Clock(std::uint64_t cycles_per_second, std::uint64_t start)
    : cycles_per_second_(cycles_per_second), start_(start), nanoseconds_per_cycle_(0) {
    constexpr std::uint64_t least = 1'000'000, most = std::uint64_t{1} << 40;
    if (cycles_per_second < least || cycles_per_second > most)
        throw std::invalid_argument(
            fmt::format("clock: {} cycles a second, must be {} to {}", cycles_per_second, least, most));
    nanoseconds_per_cycle_ =
        static_cast<std::uint64_t>((static_cast<Wide>(1'000'000'000) << shift) / cycles_per_second);
}

}  // namespace runnel::runtime
