// The greatest of the samples of a sliding window, in constant space: the filter of Kathleen Nichols that
// Linux calls win_minmax.
#pragma once

#include <array>
#include <cstdint>

namespace runnel::tcp {

/// Keeps the best sample and the best that came after it, twice: where the best grows too old the next takes
/// its place. Zeroed: no sample, best 0. Times count modulo 2^32 and do not go backwards.
struct WindowedMax {
    struct Sample {
        std::uint32_t time;
        float value;
    };
    std::array<Sample, 3> samples;  // the best, the best since, and the best since that

    [[nodiscard]] float best() const noexcept { return samples[0].value; }

    /// Takes a sample into a window of `length`, in the unit of `time`.
    void update(std::uint32_t length, std::uint32_t time, float value) noexcept {
        const Sample sample{time, value};
        auto& [first, second, third] = samples;
        if (value >= first.value || time - third.time > length) {
            first = second = third = sample;
            return;
        }
        if (value >= second.value) {
            second = third = sample;
        } else if (value >= third.value) {
            third = sample;
        }
        const std::uint32_t age = time - first.time;
        if (age > length) {
            for (int i = 0; i < 2 && time - first.time > length; ++i) {
                first = second;
                second = third;
                third = sample;
            }
        } else if (second.time == first.time && age > length / 4) {
            second = third = sample;  // a quarter has passed without a second: take one from this quarter
        } else if (third.time == second.time && age > length / 2) {
            third = sample;
        }
    }
};

}  // namespace runnel::tcp
