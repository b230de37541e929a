// See orders.hpp.
#include "engine/orders.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/seconds.hpp"

namespace runnel::load {

namespace {

std::string_view name_of(Generator::Phase phase) {
    switch (phase) {
        case Generator::Phase::waiting:
        case Generator::Phase::ramp:
            return "ramp";
        case Generator::Phase::measured:
            return "measured";
        case Generator::Phase::draining:
            return "draining";
        case Generator::Phase::held:
            return "held";
        case Generator::Phase::closing:
            return "closing";
        case Generator::Phase::finished:
            return "ended";
    }
    return "?";
}

}  // namespace

Orders::Orders(Control& control, Watch& watch, const runtime::Clock& clock, Result& result)
    : control_(control), watch_(watch), clock_(clock), result_(result) {
    const auto any = [&](auto&& can) {
        return std::ranges::any_of(watch.clients(),
                                   [&](const Watch::Running& running) { return can(*running.side->client); });
    };
    control.begin(any([](const Generator& client) { return client.has_rate(); }),
                  any([](const Generator& client) { return client.can_pause(); }),
                  result.asked_cps   ? result.asked_cps
                  : result.asked_tps ? result.asked_tps
                                     : result.asked_dps);
}

void Orders::carry_out() {
    for (const Order& order : control_.take()) {
        told_.emplace_back(clock_.now(), order);
        switch (order.kind) {
            case Order::Kind::rate: {
                std::optional<double> share = order.rate;
                if (share) *share /= static_cast<double>(watch_.clients().size());
                watch_.tell([&](Generator& client, Instant now) { client.change_rate(share, now); });
                break;
            }
            case Order::Kind::pause:
                watch_.tell([](Generator& client, Instant now) { client.pause(now); });
                break;
            case Order::Kind::resume:
                watch_.tell([](Generator& client, Instant now) { client.resume(now); });
                break;
            case Order::Kind::stop:
                watch_.tell([&](Generator& client, Instant) { client.stop(*order.ending); });
                result_.cut_off = *order.ending != Ending::drain;
                break;
        }
    }
}

std::vector<Event> Orders::events(Instant begin) const {
    std::vector<Event> events;
    for (const auto& [at, order] : told_) events.push_back({seconds(at - begin), order});
    return events;
}

void Observing::publish(const Picture& picture, std::vector<Event> events) {
    if (followers_.board == nullptr) return;
    Sample sample = watch_.sample(picture);
    auto seen = std::make_shared<Observation>(observe(followers_.facts, last_, sample));
    Generator::Phase phase = Generator::Phase::finished;
    for (const Watch::Running& running : watch_.clients())
        phase = std::min(phase, running.side->client->phase());
    seen->phase = name_of(phase);
    seen->t_s = seconds(sample.time - start_);
    seen->state = control_.state();
    seen->events = std::move(events);
    last_ = std::move(sample);
    followers_.board->publish(std::move(seen));
}

}  // namespace runnel::load
