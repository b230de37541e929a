// A span of time as a number, for rates.
#pragma once

#include <chrono>

#include "runnel/base/time.hpp"

namespace runnel::load {

[[nodiscard]] constexpr double seconds(Duration duration) noexcept {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace runnel::load
