// See settings.hpp.
#include "live/settings.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "options.hpp"

namespace runnel::app::live {

void add_options(CLI::App& app, Settings& settings) {
    const OptionGroup group(app, "Control");
    using runtime::Choice;
    add_choice<Choice>(app, "--live", "auto|yes|no",
                       {{"auto", Choice::automatic}, {"yes", Choice::yes}, {"no", Choice::no}}, settings.view,
                       "A view of the run on the whole terminal, with keys (? lists them): where standard "
                       "output is a terminal, always, or never; else a line each second");
    add_choice<Choice>(app, "--telemetry", "auto|yes|no",
                       {{"auto", Choice::automatic}, {"yes", Choice::yes}, {"no", Choice::no}},
                       settings.telemetry,
                       "DPDK's telemetry socket, to be asked by dpdk-telemetry.py -f PREFIX: "
                       "/runnel/summary, rates, counters, "
                       "drops, latency, cores, config, events; and told: /runnel/rate,50k, pause, resume, "
                       "stop,rst. Auto: where "
                       "EAL's runtime directory can be written. It runs beside the cores, never on them");
    app.add_option("--file-prefix", settings.file_prefix,
                   "PREFIX by which DPDK's tools find this process: dpdk-telemetry.py -f, dpdk-dumpcap "
                   "--file-prefix. rte is what they look for of themselves")
        ->type_name("PREFIX")
        ->default_str("runnel_PID")
        ->check([](const std::string& text) {
            const bool good =
                !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](unsigned char c) {
                    return std::isalnum(c) != 0 || c == '_' || c == '-';
                });
            return good
                       ? std::string{}
                       : fmt::format("\"{}\" is no prefix; write letters, digits, _ and -, 64 at most", text);
        });
    app.add_flag("--secondary", settings.secondaries,
                 "Let secondary processes of DPDK join (dpdk-dumpcap, dpdk-proc-info): memory lies in files "
                 "then, so it needs hugepages and a mounted hugetlbfs");
    app.add_option(
           "--prometheus", settings.prometheus,
           "Answer http://127.0.0.1:PORT/metrics of this machine with all counters and latencies, for "
           "Prometheus")
        ->type_name("PORT")
        ->check(CLI::Range(1, 65535));
    if (settings.ending == load::Ending::leave) {
        add_choice<load::Ending>(
            app, "--stop", "HOW",
            {{"leave", load::Ending::leave}, {"fin", load::Ending::fin}, {"rst", load::Ending::reset}},
            settings.ending,
            "What becomes of open connections when the server is stopped (SIGINT, SIGTERM, q, /runnel/stop, "
            "--duration): leave tells the peers nothing, fin closes, and waits 3 s at most, rst resets");
        return;
    }
    add_choice<load::Ending>(
        app, "--stop", "HOW",
        {{"drain", load::Ending::drain}, {"fin", load::Ending::fin}, {"rst", load::Ending::reset}},
        settings.ending,
        "What becomes of open connections when the run is stopped (SIGINT, SIGTERM, q, /runnel/stop): drain "
        "lets "
        "what is under way come to its end, as at the end of --duration; fin closes at once, rst resets at "
        "once");
}

void add_capture_options(CLI::App& app, Settings& settings) {
    const OptionGroup group(app, "Output");
    app.add_option(
           "--pcap", settings.pcap,
           "Write the frames that the cores receive and send to FILE, in pcapng. What the writer is too "
           "slow for is left out and counted; the cores do not wait")
        ->type_name("FILE");
    app.add_option(
           "--pcap-filter", settings.pcap_filter,
           "Which frames --pcap takes, as tcpdump has it: \"host 192.0.2.1 and port 80\" (pcap-filter(7))")
        ->type_name("EXPRESSION");
}

void apply(const Settings& settings, runtime::EalOptions& options) {
    options.telemetry = settings.telemetry;
    options.secondaries = settings.secondaries;
    options.file_prefix = settings.file_prefix;
    if (settings.secondaries && options.hugepages == runtime::Choice::automatic)
        options.hugepages = runtime::Choice::yes;
}

}  // namespace runnel::app::live
