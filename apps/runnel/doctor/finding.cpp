// See finding.hpp.
#include "doctor/finding.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

namespace runnel::app::doctor {
namespace {

std::string_view word(Grade grade) {
    constexpr std::array words{"good", "advice", "hinders"};
    return words[static_cast<std::size_t>(grade)];
}

}  // namespace

bool ready(std::span<const Finding> findings) noexcept {
    return std::ranges::none_of(findings, [](const Finding& one) { return one.grade == Grade::hinders; });
}

std::string to_text(std::span<const Finding> findings) {
    std::string text;
    for (const Grade grade : {Grade::hinders, Grade::advice, Grade::good})
        for (const Finding& one : findings) {
            if (one.grade != grade) continue;
            text += fmt::format("{:<8} {}: {}\n", word(grade), one.topic, one.says);
            for (const std::string& command : one.mend) text += fmt::format("             {}\n", command);
        }
    const auto count = [&](Grade grade) { return std::ranges::count(findings, grade, &Finding::grade); };
    return text + fmt::format("{} hinder{}, {} of advice, {} good\n", count(Grade::hinders),
                              count(Grade::hinders) == 1 ? "s" : "", count(Grade::advice),
                              count(Grade::good));
}

nlohmann::ordered_json to_json(std::span<const Finding> findings) {
    nlohmann::ordered_json document;
    document["schema"] = "runnel.doctor/1";
    document["ready"] = ready(findings);
    document["findings"] = nlohmann::ordered_json::array();
    for (const Finding& one : findings)
        document["findings"].push_back(
            {{"topic", one.topic}, {"grade", word(one.grade)}, {"says", one.says}, {"mend", one.mend}});
    return document;
}

}  // namespace runnel::app::doctor
