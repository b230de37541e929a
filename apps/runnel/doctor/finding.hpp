// What the doctor has found, for a person and as a document.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace runnel::app::doctor {

enum class Grade : std::uint8_t {
    good,    ///< as it should be, or of no account here
    advice,  ///< works, and could be better
    hinders  ///< what was asked for will not work
};

struct Finding {
    Grade grade = Grade::good;
    std::string topic;  ///< "hugepages"
    std::string says;   ///< one sentence
    std::vector<std::string>
        mend;  ///< commands, to be typed as root in this order; none where nothing is to do
};

/// Whether nothing hinders.
[[nodiscard]] bool ready(std::span<const Finding> findings) noexcept;
/// What hinders first, then advice, then what is good; each with its commands.
[[nodiscard]] std::string to_text(std::span<const Finding> findings);
/// The document (schema runnel.doctor/1).
[[nodiscard]] nlohmann::ordered_json to_json(std::span<const Finding> findings);

}  // namespace runnel::app::doctor
