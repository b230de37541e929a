// Records a run over a simulated path for plotting: the senders four times in each round trip, as CSV.
#include <cstdio>
#include <deque>
#include <exception>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <rte_eal.h>

#include "bulk.hpp"
#include "path.hpp"

namespace runnel::test {
namespace {

struct Settings {
    Path path;
    std::string control = "newreno";
    double rtt_ms = 20, seconds = 10, stagger_s = 0, average_ms = 0;
    std::uint32_t flows = 1;
    std::uint64_t seed = 1;
    bool list = false;
};

Duration duration_of(double seconds) {
    return Duration{static_cast<std::int64_t>(seconds * 1e9)};
}

class Recorder {
  public:
    Recorder(const Settings& settings, World& world, Bulk& bulk)
        : settings_(settings), world_(world), bulk_(bulk), past_(settings.flows) {
        std::printf("time_s,flow,cwnd,ssthresh,srtt_ms,in_flight,received,goodput_bps,waiting,dropped\n");
        sample();
    }

  private:
    // An empty field is what is not known yet.
    static std::string known(bool is, double value) { return is ? fmt::format("{:.6g}", value) : ""; }

    void sample() {
        const double now = std::chrono::duration<double>(world_.now()).count();
        for (std::uint32_t flow = 0; flow < settings_.flows; ++flow) {
            const tcp::ConnectionInfo info = bulk_.sender(flow);
            if (info.state == tcp::State::closed || info.mss == 0) continue;
            std::deque<std::pair<double, std::uint64_t>>& past = past_[flow];
            past.emplace_back(now, bulk_.received(flow));
            const double since = now - settings_.average_ms / 1000;
            while (past.size() > 2 && past[1].first <= since) past.pop_front();
            const double span = now - past.front().first;
            const auto octets = static_cast<double>(past.back().second - past.front().second);
            fmt::print("{:.6f},{},{},{},{},{},{},{},{},{}\n", now, flow + 1, info.cwnd,
                       known(info.ssthresh < 1U << 30, info.ssthresh),
                       known(info.srtt > 0ns, static_cast<double>(info.srtt.count()) / 1e6),
                       info.snd_nxt - info.snd_una, bulk_.received(flow), known(span > 0, 8 * octets / span),
                       world_.link(0).waiting(world_.instant()),
                       world_.link(0).counts().dropped + world_.link(0).counts().lost);
        }
        world_.at(world_.now() + settings_.path.rtt / 4, [this] { sample(); });
    }

    const Settings& settings_;
    World& world_;
    Bulk& bulk_;
    std::vector<std::deque<std::pair<double, std::uint64_t>>> past_;  // octets received, to average over
};

int record(Settings& settings) {
    settings.path.rtt = duration_of(settings.rtt_ms / 1000);
    if (settings.average_ms == 0) settings.average_ms = settings.rtt_ms;
    tcp::Config tried;
    if (!choose_control(tried, settings.control)) {
        fmt::print(stderr, "record: there is no congestion control \"{}\"; --list names those there are\n",
                   settings.control);
        return 1;
    }
    World world{settings.seed, links_of(settings.path), [&](StackConfig& config, int) {
                    make_room(config.tcp, settings.path);
                    choose_control(config.tcp, settings.control);
                }};
    Bulk bulk{world, settings.flows, duration_of(settings.stagger_s)};
    const Recorder recorder{settings, world, bulk};
    const Duration end = duration_of(settings.seconds);
    world.run([&] { return world.now() >= end; }, end);
    for (const std::string& problem : world.problems()) fmt::print(stderr, "record: {}\n", problem);
    return world.problems().empty() ? 0 : 1;
}

}  // namespace
}  // namespace runnel::test

int main(int argc, char** argv) {
    runnel::test::Settings settings;
    CLI::App app{"Records a run of runnel's TCP over a simulated path, as CSV on standard output."};
    app.add_option("--control", settings.control, "Congestion control");
    app.add_flag("--list", settings.list, "Print the names of the congestion controls and end");
    app.add_option("--rate", settings.path.bits_a_second, "Of the bottleneck, in bit/s");
    app.add_option("--rtt", settings.rtt_ms, "Round-trip time of the empty path, in ms");
    app.add_option("--buffer", settings.path.buffer, "Of the bottleneck, in bandwidth-delay products");
    app.add_option("--loss", settings.path.loss, "Of frames, at random: 0.01 is 1 %");
    app.add_option("--loss-back", settings.path.loss_back, "Of acknowledgements, at random");
    app.add_option("--duplication", settings.path.duplication, "Of frames that come twice");
    app.add_option("--corruption", settings.path.corruption, "Of frames that come damaged");
    app.add_option("--reordering", settings.path.reordering, "Of frames that come late");
    app.add_option("--reorder-delay", settings.path.reorder_delay, "By so many round-trip times");
    app.add_option("--flows", settings.flows, "Flows that share the path");
    app.add_option("--stagger", settings.stagger_s, "Seconds from the start of a flow to that of the next");
    app.add_option("--seconds", settings.seconds, "How long, in virtual time");
    app.add_option("--average", settings.average_ms,
                   "Goodput is that of the last so many ms; 0: of a round trip");
    app.add_option("--seed", settings.seed, "Another seed is another run");
    CLI11_PARSE(app, argc, argv);

    if (settings.list) {
        for (const char* name : {"newreno", "cubic", "bbr", "none"})
            if (runnel::tcp::Config config; runnel::test::choose_control(config, name)) std::puts(name);
        return 0;
    }
    std::vector<const char*> eal{argv[0], "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf", "-m",
                                 "512",   "-l",        "0",        "--log-level=4"};
    if (rte_eal_init(static_cast<int>(eal.size()), const_cast<char**>(eal.data())) < 0) {
        std::fprintf(stderr, "record: EAL did not start; the lines above say why\n");
        return 1;
    }
    try {
        return runnel::test::record(settings);
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "record: %s\n", wrong.what());
        return 1;
    }
}
