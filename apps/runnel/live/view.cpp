// See view.hpp.
#include "live/view.hpp"

#include <algorithm>
#include <cmath>
#include <future>
#include <stdexcept>
#include <utility>

#include "live/layout.hpp"
#include "live/terminal.hpp"

namespace runnel::app::live {

std::optional<load::Order> order_of(char key, const load::Observation* seen,
                                    const load::Control::State& state) {
    using Kind = load::Order::Kind;
    load::Order order{.by = "terminal"};
    // From max the rate goes to a tenth below, or above, what is carried now.
    const Headline carried = seen != nullptr ? headline(*seen) : Headline{};
    const double base = state.rate ? *state.rate : carried.name != "bit/s" ? carried.value : 0;
    const auto rate = [&](double factor) {
        order.kind = Kind::rate;
        order.rate = std::max(1.0, std::round(base * factor));
        return order;
    };
    switch (key) {
        case '+':
        case '=':
            return rate(base < 10 ? (base + 1) / std::max(base, 1.0) : 1.1);
        case '-':
        case '_':
            return rate(base < 10 ? (base - 1) / std::max(base, 1.0) : 1 / 1.1);
        case '*':
            return rate(2);
        case '/':
            return rate(0.5);
        case 'm':
            order.kind = Kind::rate;
            return order;
        case 'p':
        case ' ':
            order.kind = state.paused ? Kind::resume : Kind::pause;
            return order;
        case 'q':
            order.kind = Kind::stop;
            return order;
        default:
            return std::nullopt;
    }
}

View::View(load::Control& control, const load::Board& board, const News& news)
    : control_(control), board_(board), news_(news) {
    // The thread has the terminal from its beginning to its end; whether it got it is known before this
    // returns.
    std::promise<std::string> got;
    std::future<std::string> answer = got.get_future();
    thread_ = std::jthread([this, &got](const std::stop_token& stop) {
        show(stop, [&got](std::string failure) { got.set_value(std::move(failure)); });
    });
    if (const std::string failure = answer.get(); !failure.empty()) throw std::runtime_error(failure);
}

View::~View() {
    thread_.request_stop();
}

void View::show(const std::stop_token& stop, std::function<void(std::string)> ready) {
    std::optional<Terminal> terminal;
    try {
        terminal.emplace();
    } catch (const std::exception& wrong) {
        ready(wrong.what());
        return;
    }
    ready({});
    constexpr std::size_t most_history = 400;
    Scene scene;
    scene.plain_text = !terminal->speaks_utf8();
    std::shared_ptr<const load::Observation> seen;
    bool changed = true;
    while (!stop.stop_requested()) {
        if (std::shared_ptr<const load::Observation> latest = board_.latest(); latest != seen) {
            seen = std::move(latest);
            scene.seen = seen.get();
            scene.history.push_back(headline(*seen).value);
            if (scene.history.size() > most_history) scene.history.pop_front();
            changed = true;
        }
        if (changed) {
            scene.news = news_.latest(8);
            // What was told a moment ago is seen before the next second's figures.
            std::optional<load::Observation> now;
            if (seen != nullptr) {
                now = *seen;
                now->state = control_.state();
                scene.seen = &*now;
            }
            terminal->draw(lay_out(scene, terminal->width(), terminal->height()));
            changed = false;
        }
        const Terminal::Key key = terminal->wait(std::chrono::milliseconds{100});
        changed = key.resized;
        if (key.character == 0) continue;
        changed = true;
        if (scene.help) {
            scene.help = false;
            continue;
        }
        scene.answer.clear();
        if (key.character == '?' || key.character == 'h')
            scene.help = true;
        else if (const auto order = order_of(key.character, seen.get(), control_.state()))
            scene.answer = control_.ask(*order).sentence;
    }
}

}  // namespace runnel::app::live
