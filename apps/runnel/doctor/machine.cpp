// See machine.hpp.
#include "doctor/machine.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>

namespace runnel::app::doctor {
namespace fs = std::filesystem;

bool Machine::has(const std::string& path) const {
    std::error_code error;
    return fs::exists(fs::symlink_status(root_ / path, error));
}

std::string Machine::text(const std::string& path) const {
    std::ifstream in(root_ / path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\0'))
        text.pop_back();
    return text;
}

std::optional<std::int64_t> Machine::number(const std::string& path) const {
    const std::string digits = text(path);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} ? std::optional{value} : std::nullopt;
}

std::vector<std::string> Machine::names(const std::string& path) const {
    std::vector<std::string> names;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator{root_ / path, error})
        names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

std::string Machine::link(const std::string& path) const {
    std::error_code error;
    return fs::read_symlink(root_ / path, error).filename();
}

std::string Machine::field(const std::string& path, std::string_view word) const {
    std::ifstream in(root_ / path);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(word)) continue;
        const std::size_t value = line.find_first_not_of(" \t:", word.size());
        return value == std::string::npos ? "" : line.substr(value);
    }
    return {};
}

std::vector<unsigned> Machine::cpus() const {
    return parse_cpu_list(field("proc/self/status", "Cpus_allowed_list"));
}

std::vector<unsigned> parse_cpu_list(std::string_view text) {
    std::vector<unsigned> cpus;
    const auto number = [&text]() -> std::optional<unsigned> {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        return error == std::errc{} ? std::optional{value} : std::nullopt;
    };
    while (!text.empty()) {
        const auto first = number();
        auto last = first;
        if (first && text.starts_with('-')) {
            text.remove_prefix(1);
            last = number();
        }
        if (first && last)
            for (unsigned cpu = *first; cpu <= *last && cpus.size() < 65'536; ++cpu) cpus.push_back(cpu);
        text.remove_prefix(std::min(
            text.find(',') == std::string_view::npos ? text.size() : text.find(',') + 1, text.size()));
    }
    return cpus;
}

std::string cpu_list(const std::vector<unsigned>& cpus) {
    std::string text;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t end = i + 1;
        while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
        text += fmt::format("{}{}", text.empty() ? "" : ",", cpus[i]);
        if (end - i > 1) text += fmt::format("-{}", cpus[end - 1]);
        i = end;
    }
    return text;
}

}  // namespace runnel::app::doctor
