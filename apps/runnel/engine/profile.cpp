// See profile.hpp.
#include "engine/profile.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "engine/seconds.hpp"
#include "quantity.hpp"

namespace runnel::load {
namespace {

using app::BadQuantity;

// Of a schedule a rate may be 0, and below one a second.
double read_rate(std::string_view text) {
    std::string_view number = text;
    if (number.ends_with("/s")) number.remove_suffix(2);
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (!number.empty() && error == std::errc{} && end == number.data() + number.size() && value >= 0)
        return value;
    return static_cast<double>(app::parse_count(number));
}

std::vector<std::string_view> split_all(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t where = text.find(at);
        parts.push_back(text.substr(0, where));
        if (where == std::string_view::npos) return parts;
        text.remove_prefix(where + 1);
    }
}

std::pair<std::string_view, std::string_view> split_last(std::string_view text, char at,
                                                         std::string_view form) {
    const std::size_t where = text.rfind(at);
    if (where == std::string_view::npos)
        throw BadQuantity(fmt::format("\"{}\" lacks a '{}'; write {}", text, at, form));
    return {text.substr(0, where), text.substr(where + 1)};
}

std::string rate_text(double rate) {
    return fmt::format("{:.10g}", rate);
}

}  // namespace

std::string_view to_string(ArrivalProcess process) noexcept {
    return process == ArrivalProcess::even ? "even" : "poisson";
}

std::optional<ArrivalProcess> parse_arrival_process(std::string_view text) noexcept {
    for (const ArrivalProcess process : {ArrivalProcess::even, ArrivalProcess::poisson})
        if (text == to_string(process)) return process;
    return std::nullopt;
}

LoadProfile LoadProfile::constant(double rate) {
    return schedule({{Duration{}, rate}});
}

LoadProfile LoadProfile::ramp(double from, double to, Duration over) {
    if (over <= Duration{}) throw std::invalid_argument("a ramp takes no time; give it some, such as 10s");
    return schedule({{Duration{}, from}, {over, to}});
}

LoadProfile LoadProfile::steps(const std::vector<double>& rates, Duration each) {
    if (each <= Duration{}) throw std::invalid_argument("a step takes no time; give it some, such as 10s");
    std::vector<RatePoint> points;
    Duration at{};
    for (const double rate : rates) {
        points.push_back({at, rate});
        points.push_back({at + each, rate});
        at += each;
    }
    return schedule(std::move(points));
}

LoadProfile LoadProfile::schedule(std::vector<RatePoint> points) {
    if (points.empty()) throw std::invalid_argument("a schedule has no point; give at least one");
    if (points[0].at != Duration{})
        throw std::invalid_argument(
            fmt::format("a schedule begins at {}; give its rate at 0s", app::human_duration(points[0].at)));
    double most = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (i > 0 && points[i].at < points[i - 1].at)
            throw std::invalid_argument(
                fmt::format("a schedule goes back from {} to {}; give its points in "
                            "the order of time",
                            app::human_duration(points[i - 1].at), app::human_duration(points[i].at)));
        if (!(points[i].rate >= 0) || points[i].rate > 1e10)
            throw std::invalid_argument(
                fmt::format("a rate of {} a second cannot be; give 0 to 10G", points[i].rate));
        most = std::max(most, points[i].rate);
    }
    if (most == 0)
        throw std::invalid_argument("the rate is 0 all the time; give one that is more at some time");
    LoadProfile profile;
    profile.points_ = std::move(points);
    return profile;
}

LoadProfile LoadProfile::bursts(std::uint64_t count, Duration every) {
    if (count == 0) throw std::invalid_argument("a burst of none is none; give at least 1");
    if (every <= Duration{}) throw std::invalid_argument("bursts follow at once; give a time, such as 10ms");
    LoadProfile profile;
    profile.burst_ = Burst{count, every};
    return profile;
}

LoadProfile LoadProfile::parse(std::string_view text) {
    try {
        const std::size_t colon = text.find(':');
        if (colon == std::string_view::npos) return constant(read_rate(text));
        const std::string_view name = text.substr(0, colon), rest = text.substr(colon + 1);
        if (name == "constant") return constant(read_rate(rest));
        if (name == "ramp") {
            const auto [rates, over] = split_last(rest, '/', "ramp:FROM-TO/TIME");
            const auto [from, to] = split_last(rates, '-', "ramp:FROM-TO/TIME");
            return ramp(read_rate(from), read_rate(to), app::parse_duration(over));
        }
        if (name == "steps") {
            const auto [list, each] = split_last(rest, '/', "steps:RATE,RATE,.../TIME");
            std::vector<double> rates;
            for (const std::string_view one : split_all(list, ',')) rates.push_back(read_rate(one));
            return steps(rates, app::parse_duration(each));
        }
        if (name == "schedule") {
            std::vector<RatePoint> points;
            for (const std::string_view one : split_all(rest, ',')) {
                const auto [at, rate] = split_last(one, '=', "schedule:TIME=RATE,TIME=RATE,...");
                points.push_back({app::parse_duration(at), read_rate(rate)});
            }
            return schedule(std::move(points));
        }
        if (name == "burst") {
            const auto [count, every] = split_last(rest, '/', "burst:N/TIME");
            return bursts(app::parse_count(count), app::parse_duration(every));
        }
        throw BadQuantity(fmt::format(
            "\"{}\" is no profile; write a rate, or one of ramp:FROM-TO/TIME, steps:RATE,RATE/TIME, "
            "schedule:TIME=RATE,TIME=RATE, burst:N/TIME",
            text));
    } catch (const BadQuantity&) {
        throw;
    } catch (const std::invalid_argument& wrong) {
        throw BadQuantity(fmt::format("\"{}\": {}", text, wrong.what()));
    }
}

double LoadProfile::rate_at(Duration at) const noexcept {
    if (burst_) return static_cast<double>(burst_->count) / seconds(burst_->every);
    for (std::size_t i = 1; i < points_.size(); ++i) {
        const RatePoint &from = points_[i - 1], &to = points_[i];
        if (at >= to.at) continue;
        return from.rate + (to.rate - from.rate) * seconds(at - from.at) / seconds(to.at - from.at);
    }
    return points_.back().rate;
}

double LoadProfile::highest(Duration until) const noexcept {
    double most = std::max(rate_at(Duration{}), rate_at(until));
    for (const RatePoint& point : points_)
        if (point.at <= until) most = std::max(most, point.rate);
    return most;
}

double LoadProfile::arrivals(Duration until) const noexcept {
    if (burst_)
        return static_cast<double>(burst_->count) *
               static_cast<double>((until.count() + burst_->every.count() - 1) / burst_->every.count());
    double sum = 0;
    for (std::size_t i = 1; i < points_.size() && points_[i - 1].at < until; ++i) {
        const Duration end = std::min(points_[i].at, until);
        const double begin_rate = points_[i - 1].rate;
        const double end_rate = points_[i].at <= until ? points_[i].rate : rate_at(until);
        sum += seconds(end - points_[i - 1].at) * (begin_rate + end_rate) / 2;
    }
    if (until > points_.back().at) sum += seconds(until - points_.back().at) * points_.back().rate;
    return sum;
}

LoadProfile LoadProfile::share(unsigned cores, unsigned index) const {
    LoadProfile part = *this;
    for (RatePoint& point : part.points_) point.rate /= cores;
    if (part.burst_) part.burst_->count = burst_->count / cores + (index < burst_->count % cores ? 1 : 0);
    return part;
}

std::string to_string(const LoadProfile& profile) {
    if (const auto& burst = profile.burst())
        return fmt::format("burst:{}/{}", burst->count, app::human_duration(burst->every));
    const std::vector<RatePoint>& points = profile.points();
    if (points.size() == 1) return rate_text(points[0].rate);
    std::string text = "schedule:";
    for (std::size_t i = 0; i < points.size(); ++i)
        text += fmt::format("{}{}={}", i == 0 ? "" : ",", app::human_duration(points[i].at),
                            rate_text(points[i].rate));
    return text;
}

}  // namespace runnel::load
