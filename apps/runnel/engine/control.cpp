// See control.hpp.
#include "engine/control.hpp"

#include <utility>

#include <fmt/format.h>

#include "quantity.hpp"

namespace runnel::load {
namespace {

constexpr double least_rate = 1, most_rate = 1e9;  // arrivals a second

std::string rate_in_words(const std::optional<double>& rate) {
    return rate ? app::human_count(*rate) + "/s" : "max";
}

Control::Answer refused(std::string why) {
    return {false, std::move(why)};
}

}  // namespace

std::string_view to_string(Ending ending) noexcept {
    switch (ending) {
        case Ending::drain:
            return "drain";
        case Ending::fin:
            return "fin";
        case Ending::reset:
            return "rst";
        case Ending::leave:
            return "leave";
    }
    return "?";
}

std::optional<Ending> parse_ending(std::string_view text) noexcept {
    for (const Ending ending : {Ending::drain, Ending::fin, Ending::reset, Ending::leave})
        if (text == to_string(ending)) return ending;
    return std::nullopt;
}

std::string_view to_string(Order::Kind kind) noexcept {
    switch (kind) {
        case Order::Kind::rate:
            return "rate";
        case Order::Kind::pause:
            return "pause";
        case Order::Kind::resume:
            return "resume";
        case Order::Kind::stop:
            return "stop";
    }
    return "?";
}

std::string to_string(const Order& order) {
    std::string text{to_string(order.kind)};
    if (order.kind == Order::Kind::rate) text += " " + rate_in_words(order.rate);
    if (order.kind == Order::Kind::stop && order.ending)
        text += fmt::format(" ({})", to_string(*order.ending));
    return text;
}

Control::Answer Control::ask(Order order) {
    const std::lock_guard lock(mutex_);
    if (state_.stopping) return refused("the run has been told to stop");
    if (!state_.running)
        return refused("nothing runs now that could be told anything: the run has not begun, or has ended");
    if (orders_.size() >= most_orders) return refused("too many orders wait; ask again");
    Answer answer{true, {}};
    switch (order.kind) {
        case Order::Kind::rate:
            if (!state_.abilities.rate)
                return refused(
                    "this run has no rate to change: it goes as fast as its connections carry, only "
                    "answers, or a server sends at the pace it was given");
            if (order.rate && !(*order.rate >= least_rate && *order.rate <= most_rate))
                return refused(
                    "a rate is from 1 to 1 G a second, or max; pause stops what begins, and stop ends it");
            state_.rate = order.rate;
            answer.sentence = "the rate becomes " + rate_in_words(order.rate);
            break;
        case Order::Kind::pause:
            if (!state_.abilities.pause)
                return refused("this run begins nothing of itself: pause the side that asks");
            if (state_.paused) return refused("it is paused already");
            state_.paused = true;
            answer.sentence = "nothing new begins until resume; what is under way goes on";
            break;
        case Order::Kind::resume:
            if (!state_.paused) return refused("it is not paused");
            state_.paused = false;
            answer.sentence = "it goes on";
            break;
        case Order::Kind::stop:
            if (!order.ending) order.ending = state_.abilities.ending;
            if (*order.ending == Ending::leave && !state_.abilities.serves)
                return refused("only a server leaves its connections; choose drain, fin or rst");
            if (*order.ending == Ending::drain && state_.abilities.serves)
                return refused("a server does not know what is under way; choose leave, fin or rst");
            state_.stopping = true;
            answer.sentence = fmt::format("it ends ({})", to_string(*order.ending));
            break;
    }
    orders_.push_back(std::move(order));
    return answer;
}

Control::State Control::state() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

void Control::begin(bool rate, bool pause, std::optional<double> begun_at) {
    const std::lock_guard lock(mutex_);
    state_.running = true;
    state_.abilities.rate = rate;
    state_.abilities.pause = pause;
    state_.rate = begun_at;
}

void Control::begin_serving() {
    const std::lock_guard lock(mutex_);
    state_.running = true;
    state_.abilities.serves = true;
}

void Control::end() {
    const std::lock_guard lock(mutex_);
    state_.running = false;
    orders_.clear();
}

std::vector<Order> Control::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(orders_, {});
}

}  // namespace runnel::load
