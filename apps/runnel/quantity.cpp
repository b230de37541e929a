// See quantity.hpp. Numbers are read digit by digit in integers: 0.1s is exactly 100 ms, and an overflow is
// seen.
#include "quantity.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace runnel::app {
namespace {

// A decimal number as written: mantissa / 10^decimals.
struct Decimal {
    std::uint64_t mantissa = 0;
    unsigned decimals = 0;
    std::string_view rest;  // what follows the number
};

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
    throw BadQuantity(fmt::format("\"{}\" {}", text, why));
}

Decimal read_decimal(std::string_view text, std::string_view right) {
    Decimal number;
    std::size_t i = 0;
    bool point = false;
    std::size_t digits = 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        ++digits;
        if (number.mantissa > (std::numeric_limits<std::uint64_t>::max() - 9) / 10)
            refuse(text, "is too large a number");
        number.mantissa = number.mantissa * 10 + static_cast<std::uint64_t>(c - '0');
        if (point) ++number.decimals;
    }
    if (digits == 0) refuse(text, fmt::format("is not a number; write {}", right));
    number.rest = text.substr(i);
    return number;
}

// mantissa * scale / 10^decimals, where that is whole and fits.
std::uint64_t scaled(std::string_view text, const Decimal& number, std::uint64_t scale,
                     std::string_view unit) {
    std::uint64_t mantissa = number.mantissa;
    for (unsigned i = 0; i < number.decimals; ++i) {
        if (scale % 10 == 0)
            scale /= 10;
        else if (mantissa % 10 == 0)
            mantissa /= 10;
        else
            refuse(text, fmt::format("is not a whole number of {}", unit));
    }
    if (mantissa != 0 && scale > std::numeric_limits<std::uint64_t>::max() / mantissa)
        refuse(text, "is too large a number");
    return mantissa * scale;
}

}  // namespace

std::uint64_t parse_count(std::string_view text) {
    constexpr std::string_view right = "a number such as 500, 20k, 1.5M or 1G";
    const Decimal number = read_decimal(text, right);
    std::uint64_t scale = 1;
    if (number.rest == "k" || number.rest == "K")
        scale = 1'000;
    else if (number.rest == "M")
        scale = 1'000'000;
    else if (number.rest == "G")
        scale = 1'000'000'000;
    else if (!number.rest.empty())
        refuse(text, fmt::format("ends in \"{}\", which is none of k, M, G; write {}", number.rest, right));
    return scaled(text, number, scale, "units; take a smaller suffix");
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
    if (text == "max") return std::nullopt;
    std::string_view number = text;
    if (number.ends_with("/s")) number.remove_suffix(2);
    if (number.empty() || (number[0] != '.' && (number[0] < '0' || number[0] > '9')))
        refuse(text, "is not a rate; write a number a second such as 50k or 1.2M, or max");
    const std::uint64_t rate = parse_count(number);
    if (rate == 0) refuse(text, "is no rate; write at least 1 a second, or max");
    return rate;
}

Duration parse_duration(std::string_view text) {
    constexpr std::string_view right = "a time such as 100us, 200ms, 5s, 2m or 1h";
    const Decimal number = read_decimal(text, right);
    struct Unit {
        std::string_view name;
        std::uint64_t nanoseconds;
    };
    constexpr std::array units{Unit{"ns", 1},
                               Unit{"us", 1'000},
                               Unit{"ms", 1'000'000},
                               Unit{"s", 1'000'000'000},
                               Unit{"m", 60'000'000'000},
                               Unit{"h", 3'600'000'000'000}};
    if (number.rest.empty()) {
        if (number.mantissa == 0) return Duration{0};
        refuse(text,
               fmt::format("has no unit; write {0}s for seconds, {0}ms for milliseconds or {0}m for minutes",
                           text));
    }
    for (const Unit& unit : units) {
        if (number.rest != unit.name) continue;
        const std::uint64_t value = scaled(text, number, unit.nanoseconds, "nanoseconds");
        if (value > static_cast<std::uint64_t>(Duration::max().count())) refuse(text, "is too long a time");
        return Duration{static_cast<Duration::rep>(value)};
    }
    refuse(text, fmt::format("ends in \"{}\", which is no unit of time; write {}", number.rest, right));
}

IpAddress parse_address(std::string_view text) {
    const auto address = parse_ip_address(text);
    if (!address) refuse(text, "is not an address such as 192.0.2.1 or 2001:db8::1");
    return *address;
}

double parse_percent(std::string_view text) {
    constexpr std::string_view right = "a percentage such as 0.1 % or 5";
    const Decimal number = read_decimal(text, right);
    std::string_view rest = number.rest;
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (!rest.empty() && rest != "%") refuse(text, fmt::format("is no percentage; write {}", right));
    return static_cast<double>(number.mantissa) / std::pow(10, number.decimals);
}

SocketAddress parse_socket_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    const bool bracketed = text.starts_with('[');
    // Without brackets nobody can tell which colon begins the port.
    if (colon == std::string_view::npos || (bracketed && (colon < 2 || text[colon - 1] != ']')) ||
        (!bracketed && text.find(':') != colon))
        refuse(text, "is not an address and a port; write it as 192.0.2.1:80 or [2001:db8::1]:80");
    SocketAddress result;
    result.address = parse_address(bracketed ? text.substr(1, colon - 2) : text.substr(0, colon));
    if (bracketed == result.address.is_v4())
        refuse(text, "is not an address and a port; write it as 192.0.2.1:80 or [2001:db8::1]:80");
    const std::string_view port = text.substr(colon + 1);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (error != std::errc{} || end != port.data() + port.size() || value == 0 || value > 65535)
        refuse(text, "has no port from 1 to 65535 after the colon; write it as 192.0.2.1:80");
    result.port = static_cast<std::uint16_t>(value);
    return result;
}

InterfaceAddress parse_interface_address(std::string_view text) {
    const std::size_t slash = text.find('/');
    const bool ipv6 = text.find(':') != std::string_view::npos;
    if (slash == std::string_view::npos)
        refuse(text, fmt::format("names no network; write it with its prefix length as {}/{}", text,
                                 ipv6 ? 64 : 24));
    InterfaceAddress result;
    result.address = parse_address(text.substr(0, slash));
    const std::string_view prefix = text.substr(slash + 1);
    const unsigned most = result.address.is_v4() ? 32 : 128;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), value);
    if (error != std::errc{} || end != prefix.data() + prefix.size() || value > most)
        refuse(text, fmt::format("has no prefix length from 0 to {} after the slash; write it as {}", most,
                                 ipv6 ? "2001:db8::1/64" : "192.0.2.1/24"));
    result.prefix_length = static_cast<std::uint8_t>(value);
    return result;
}

std::string human_count(double value) {
    struct Step {
        double size;
        const char* name;
    };
    for (const Step& step : {Step{1e9, " G"}, Step{1e6, " M"}, Step{1e3, " k"}}) {
        // 999.6 k shows as 1 M and not as 1000 k.
        if (value < step.size * 0.9995) continue;
        const double shown = value / step.size;
        return fmt::format("{:.{}f}{}", shown, shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0, step.name);
    }
    return std::abs(value - std::round(value)) < 0.005 ? fmt::format("{:.0f}", value)
                                                       : fmt::format("{:.2f}", value);
}

std::string human_duration(Duration duration) {
    struct Unit {
        Duration::rep nanoseconds;
        const char* name;
    };
    const Duration::rep count = duration.count();
    if (count == 0) return "0s";
    for (const Unit& unit : {Unit{3'600'000'000'000, "h"}, Unit{60'000'000'000, "m"}}) {
        if (count >= unit.nanoseconds && count % unit.nanoseconds == 0)
            return fmt::format("{}{}", count / unit.nanoseconds, unit.name);
    }
    for (const Unit& unit :
         {Unit{1'000'000'000, "s"}, Unit{1'000'000, "ms"}, Unit{1'000, "us"}, Unit{1, "ns"}}) {
        if (count < unit.nanoseconds) continue;
        std::string text = fmt::format("{}", count / unit.nanoseconds);
        if (Duration::rep fraction = count % unit.nanoseconds; fraction != 0) {
            text += '.';
            for (Duration::rep place = unit.nanoseconds / 10; fraction != 0; place /= 10) {
                text += static_cast<char>('0' + fraction / place);
                fraction %= place;
            }
        }
        return text + unit.name;
    }
    return "0s";
}

std::string human_octets(std::uint64_t octets) {
    struct Step {
        std::uint64_t size;
        const char* name;
    };
    for (const Step& step : {Step{1U << 30, "GiB"}, Step{1U << 20, "MiB"}, Step{1U << 10, "KiB"}}) {
        if (octets < step.size) continue;
        const double shown = static_cast<double>(octets) / static_cast<double>(step.size);
        return fmt::format("{:.{}f} {}", shown, shown < 10 ? 1 : 0, step.name);
    }
    return fmt::format("{} octets", octets);
}

}  // namespace runnel::app
