// See distribution.hpp.
#include "engine/distribution.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <random>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "quantity.hpp"

namespace runnel::load {
namespace {

using app::BadQuantity;

void need(bool good, const char* name, double value, const char* mend) {
    if (!good || !std::isfinite(value))
        throw std::invalid_argument(fmt::format("a {} of {} cannot be; {}", name, value, mend));
}

// The quantile of the normal distribution (P. J. Acklam's rational approximation, relative error 1.2e-9).
double normal_quantile(double p) noexcept {
    constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                            1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
    constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                            6.680131188771972e+01, -1.328068155288572e+01};
    constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                            -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
    constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                            3.754408661907416e+00};
    constexpr double low = 0.02425;
    const auto tail = [&](double q) {
        return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    };
    if (p < low) return tail(std::sqrt(-2 * std::log(p)));
    if (p > 1 - low) return -tail(std::sqrt(-2 * std::log(1 - p)));
    const double q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

// The middle of the first and of the last of so many equal shares.
constexpr double first_share = 0.5 / Draws::count;

double read_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        throw BadQuantity(fmt::format("\"{}\" is no number; write one like 1.5", text));
    return value;
}

std::pair<std::string_view, std::string_view> split(std::string_view text, char at, std::string_view form) {
    const std::size_t where = text.find(at);
    if (where == std::string_view::npos)
        throw BadQuantity(fmt::format("\"{}\" lacks a '{}'; write {}", text, at, form));
    return {text.substr(0, where), text.substr(where + 1)};
}

}  // namespace

Distribution Distribution::fixed(double value) {
    need(value >= 0, "value", value, "give 0 or more");
    Distribution d;
    d.first_ = value;
    return d;
}

Distribution Distribution::uniform(double least, double most) {
    need(least >= 0, "least value", least, "give 0 or more");
    need(most >= least, "greatest value", most, "give at least the least");
    Distribution d;
    d.kind_ = Kind::uniform;
    d.first_ = least;
    d.second_ = most;
    return d;
}

Distribution Distribution::exponential(double mean) {
    need(mean > 0, "mean", mean, "give more than 0");
    Distribution d;
    d.kind_ = Kind::exponential;
    d.first_ = mean;
    return d;
}

Distribution Distribution::lognormal(double median, double sigma) {
    need(median > 0, "median", median, "give more than 0");
    need(sigma > 0 && sigma <= 5, "sigma", sigma, "give more than 0 and at most 5");
    Distribution d;
    d.kind_ = Kind::lognormal;
    d.first_ = median;
    d.second_ = sigma;
    return d;
}

Distribution Distribution::pareto(double least, double shape) {
    need(least > 0, "least value", least, "give more than 0");
    need(shape > 1, "shape", shape, "give more than 1: below, there is no mean");
    Distribution d;
    d.kind_ = Kind::pareto;
    d.first_ = least;
    d.second_ = shape;
    return d;
}

Distribution Distribution::listed(std::vector<Listed> values) {
    if (values.empty()) throw std::invalid_argument("a list of values is empty; give at least one");
    std::ranges::stable_sort(values, {}, &Listed::value);
    double sum = 0;
    for (const Listed& one : values) {
        need(one.value >= 0, "value", one.value, "give 0 or more");
        need(one.weight > 0, "weight", one.weight, "give more than 0");
        sum += one.weight;
    }
    Distribution d;
    d.kind_ = Kind::listed;
    double share = 0;
    for (const Listed& one : values) {
        share += one.weight / sum;
        d.values_.push_back(one.value);
        d.shares_.push_back(share);
    }
    return d;
}

double Distribution::quantile(double p) const noexcept {
    switch (kind_) {
        case Kind::fixed:
            return first_;
        case Kind::uniform:
            return first_ + p * (second_ - first_);
        case Kind::exponential:
            return -first_ * std::log1p(-p);
        case Kind::lognormal:
            return first_ * std::exp(second_ * normal_quantile(p));
        case Kind::pareto:
            return first_ / std::pow(1 - p, 1 / second_);
        case Kind::listed: {
            const auto at = std::ranges::lower_bound(shares_, p) - shares_.begin();
            return values_[std::min(static_cast<std::size_t>(at), values_.size() - 1)];
        }
    }
    return 0;
}

double Distribution::least() const noexcept {
    return quantile(first_share);
}

double Distribution::most() const noexcept {
    return quantile(1 - first_share);
}

Distribution parse_distribution(std::string_view text, double (*read)(std::string_view)) {
    try {
        const std::size_t colon = text.find(':');
        if (colon != std::string_view::npos) {
            const std::string_view name = text.substr(0, colon), rest = text.substr(colon + 1);
            if (name == "uniform") {
                const auto [least, most] = split(rest, '-', "uniform:LEAST-MOST");
                return Distribution::uniform(read(least), read(most));
            }
            if (name == "exponential") return Distribution::exponential(read(rest));
            if (name == "lognormal") {
                const auto [median, sigma] = split(rest, ',', "lognormal:MEDIAN,SIGMA");
                return Distribution::lognormal(read(median), read_number(sigma));
            }
            if (name == "pareto") {
                const auto [least, shape] = split(rest, ',', "pareto:LEAST,SHAPE");
                return Distribution::pareto(read(least), read_number(shape));
            }
            throw BadQuantity(
                fmt::format("\"{}\" is no distribution; choose uniform, exponential, lognormal or "
                            "pareto, or write a value, or values with commas between",
                            name));
        }
        std::vector<Distribution::Listed> values;
        for (std::string_view rest = text;;) {
            const std::size_t comma = rest.find(',');
            const std::string_view one = rest.substr(0, comma);
            const std::size_t star = one.find('*');
            values.push_back({read(one.substr(0, star)),
                              star == std::string_view::npos ? 1.0 : read_number(one.substr(star + 1))});
            if (comma == std::string_view::npos) break;
            rest = rest.substr(comma + 1);
        }
        const bool alone = values.size() == 1 && values[0].weight == 1;
        return alone ? Distribution::fixed(values[0].value) : Distribution::listed(std::move(values));
    } catch (const BadQuantity&) {
        throw;
    } catch (const std::invalid_argument& wrong) {
        throw BadQuantity(fmt::format("\"{}\": {}", text, wrong.what()));
    }
}

Distribution parse_sizes(std::string_view text) {
    return parse_distribution(
        text, [](std::string_view one) { return static_cast<double>(app::parse_count(one)); });
}

Distribution parse_times(std::string_view text) {
    return parse_distribution(
        text, [](std::string_view one) { return static_cast<double>(app::parse_duration(one).count()); });
}

std::string to_string(const Distribution& d, std::string (*write)(double)) {
    switch (d.kind_) {
        case Distribution::Kind::fixed:
            return write(d.first_);
        case Distribution::Kind::uniform:
            return fmt::format("uniform:{}-{}", write(d.first_), write(d.second_));
        case Distribution::Kind::exponential:
            return fmt::format("exponential:{}", write(d.first_));
        case Distribution::Kind::lognormal:
            return fmt::format("lognormal:{},{}", write(d.first_), d.second_);
        case Distribution::Kind::pareto:
            return fmt::format("pareto:{},{}", write(d.first_), d.second_);
        case Distribution::Kind::listed:
            break;
    }
    std::string out;
    double before = 0;
    for (std::size_t i = 0; i < d.values_.size(); ++i) {
        // Shares, a thousand in all: what was given as weights comes back as the same proportions.
        out += fmt::format("{}{}*{:g}", i == 0 ? "" : ",", write(d.values_[i]),
                           std::round((d.shares_[i] - before) * 1e6) / 1e3);
        before = d.shares_[i];
    }
    return out;
}

std::string sizes_to_string(const Distribution& distribution) {
    return to_string(distribution, [](double value) { return fmt::format("{:.0f}", value); });
}

std::string times_to_string(const Distribution& distribution) {
    return to_string(distribution, [](double value) {
        return app::human_duration(Duration{static_cast<Duration::rep>(std::llround(value))});
    });
}

Draws::Draws(const Distribution& distribution, std::uint64_t seed) {
    if (distribution.is_fixed()) {
        values_.push_back(static_cast<std::uint64_t>(std::llround(distribution.quantile(0.5))));
        return;
    }
    // The tail of a distribution has no end; a time of eleven days, or a petabyte, is as good as any beyond.
    constexpr double most = 1e15;
    values_.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        values_.push_back(static_cast<std::uint64_t>(
            std::llround(std::min(most, distribution.quantile((static_cast<double>(i) + 0.5) / count)))));
    // Not std::shuffle, whose order each library makes its own.
    std::mt19937_64 random(mixed(seed));
    for (std::size_t i = count - 1; i > 0; --i) std::swap(values_[i], values_[random() % (i + 1)]);
    mask_ = count - 1;
}

}  // namespace runnel::load
