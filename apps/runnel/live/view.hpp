// The live view: a thread that draws what the board shows, and tells the control what keys say.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "engine/control.hpp"
#include "engine/observation.hpp"
#include "live/news.hpp"

namespace runnel::app::live {

/// The order that a key gives; nothing where it gives none. `seen`: null before the first observation.
[[nodiscard]] std::optional<load::Order> order_of(char key, const load::Observation* seen,
                                                  const load::Control::State& state);

/// Has the terminal while it lives.
class View {
  public:
    /// Nothing is owned. Throws `std::runtime_error` where the terminal cannot be had.
    View(load::Control& control, const load::Board& board, const News& news);
    /// Gives the terminal back.
    ~View();
    View(const View&) = delete;
    View& operator=(const View&) = delete;

  private:
    void show(const std::stop_token& stop, std::function<void(std::string)> ready);

    load::Control& control_;
    const load::Board& board_;
    const News& news_;
    std::jthread thread_;
};

}  // namespace runnel::app::live
