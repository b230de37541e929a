// All by which a run is followed and told things while it goes, as the options ask for it.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "runnel/runtime/eal.hpp"

#include "engine/control.hpp"
#include "engine/measurement.hpp"
#include "engine/observation.hpp"
#include "live/news.hpp"
#include "live/settings.hpp"

namespace runnel::app::live {

class PrometheusEndpoint;
class Telemetry;
class View;

/// Made before the run is set up, on the control thread, from which all threads of it inherit the CPUs: none
/// runs on an lcore.
class FrontEnds {
  public:
    /// `out`: where the text of the run goes. Throws `std::runtime_error` where a view is asked for and there
    /// is no terminal.
    FrontEnds(const Settings& settings, std::FILE* out);
    ~FrontEnds();
    FrontEnds(const FrontEnds&) = delete;
    FrontEnds& operator=(const FrontEnds&) = delete;

    /// Where lines go that are printed between `begin` and `end`: into the view, where there is one.
    [[nodiscard]] std::FILE* text() noexcept { return news_ ? news_->file() : out_; }
    [[nodiscard]] std::FILE* notices() noexcept { return news_ ? news_->file() : stderr; }
    /// Whether there is a view, which makes a line each second superfluous.
    [[nodiscard]] bool views() const noexcept { return news_ != nullptr; }

    /// Opens all that is asked for, and says on `out` how it is reached. EAL has started.
    void begin(const runtime::Eal& eal, const load::RunFacts& facts, const nlohmann::ordered_json& config);
    /// Takes the view away and prints what it has kept. The others go on answering until the end.
    void end();

    [[nodiscard]] load::Control& control() noexcept { return control_; }
    [[nodiscard]] load::Board& board() noexcept { return board_; }
    [[nodiscard]] load::Followers followers() noexcept { return {&control_, &board_, facts_}; }
    [[nodiscard]] const load::RunFacts& facts() const noexcept { return facts_; }

  private:
    Settings settings_;
    std::FILE* out_;
    load::RunFacts facts_;
    load::Control control_;
    load::Board board_;
    std::unique_ptr<News> news_;
    std::unique_ptr<Telemetry> telemetry_;
    std::unique_ptr<PrometheusEndpoint> prometheus_;
    std::unique_ptr<View> view_;
};

}  // namespace runnel::app::live
