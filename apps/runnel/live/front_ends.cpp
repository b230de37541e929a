// See front_ends.hpp.
#include "live/front_ends.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "live/prometheus.hpp"
#include "live/telemetry.hpp"
#include "live/terminal.hpp"
#include "live/view.hpp"

namespace runnel::app::live {

FrontEnds::FrontEnds(const Settings& settings, std::FILE* out)
    : settings_(settings), out_(out), control_(settings.ending) {
    // Where the document goes to standard output, nothing else does.
    const bool can = out == stdout && Terminal::there();
    if (settings.view == runtime::Choice::yes && !can)
        throw std::runtime_error(
            "--live yes: standard input and output are not a terminal; start it from one, and send --json to "
            "a "
            "file");
    if (settings.view != runtime::Choice::no && can) news_ = std::make_unique<News>();
    // Before the process goes into another network namespace, which a wire may want.
    if (settings.prometheus) prometheus_ = std::make_unique<PrometheusEndpoint>(*settings.prometheus, board_);
}

FrontEnds::~FrontEnds() {
    end();
}

void FrontEnds::begin(const runtime::Eal& eal, const load::RunFacts& facts,
                      const nlohmann::ordered_json& config) {
    facts_ = facts;
    if (eal.telemetry()) {
        telemetry_ = std::make_unique<Telemetry>(control_, board_, flat(config));
        if (settings_.telemetry == runtime::Choice::yes || !settings_.file_prefix.empty())
            fmt::print(out_, "telemetry: dpdk-telemetry.py -f {}\n", eal.file_prefix());
    }
    if (settings_.secondaries)
        fmt::print(out_, "captures: dpdk-dumpcap --file-prefix {}\n", eal.file_prefix());
    if (settings_.prometheus)
        fmt::print(out_, "Prometheus: http://127.0.0.1:{}/metrics\n", *settings_.prometheus);
    std::fflush(out_);
    if (news_) view_ = std::make_unique<View>(control_, board_, *news_);
}

void FrontEnds::end() {
    view_.reset();
    if (news_) news_->print(out_);
}

}  // namespace runnel::app::live
