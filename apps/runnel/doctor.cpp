// `runnel doctor`: is this machine ready, and what would make it so?
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <sched.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/clock.hpp"
#include "runnel/runtime/eal.hpp"

#include "command.hpp"
#include "doctor/checks.hpp"
#include "doctor/probe.hpp"
#include "doctor/stalls.hpp"
#include "engine/target.hpp"
#include "options.hpp"
#include "port_options.hpp"

namespace runnel::app {
namespace {

using doctor::Finding;
using doctor::Grade;

constexpr Duration stall_watch = 200ms;  // on each CPU
constexpr unsigned most_watched = 16;
constexpr Duration patience = 4s;  // three requests of ARP and a SYN that is sent again

struct DoctorSettings {
    doctor::Intent intent;
    std::string root = "/";
    Output output;
};

// On each CPU in turn: whether something else takes it.
void watch_cpus(const std::vector<unsigned>& cpus, std::vector<Finding>& findings) {
    cpu_set_t before;
    if (sched_getaffinity(0, sizeof before, &before) != 0) return;
    // EAL, whose clock a run reads, is not up yet.
    const auto now = [] {
        return Instant{
            std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
    };
    Duration worst{};
    for (const unsigned cpu : cpus) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0) continue;
        const doctor::Stalls stalls = doctor::watch_stalls(now, stall_watch, 50us);
        worst = std::max(worst, stalls.longest);
        const double share =
            static_cast<double>(stalls.lost.count()) / static_cast<double>(stalls.watched.count());
        if (stalls.longest < 1ms && share < 0.01) continue;
        findings.push_back(
            {Grade::advice,
             "stalls",
             fmt::format(
                 "CPU {} was away {} times in {}, {:.1f} % of the time, for {:.1f} ms at the longest: "
                 "something else runs there",
                 cpu, stalls.count, human_duration(stall_watch), 100 * share,
                 static_cast<double>(stalls.longest.count()) / 1e6),
             {fmt::format("ps -eo psr,pcpu,pid,comm --sort=-pcpu | awk 'NR == 1 || $1 == {}' | head", cpu)}});
    }
    sched_setaffinity(0, sizeof before, &before);
    if (std::ranges::none_of(findings, [](const Finding& one) { return one.topic == "stalls"; }))
        findings.push_back(
            {Grade::good,
             "stalls",
             fmt::format("none of a millisecond in {} on each CPU; {:.0f} us at the longest",
                         human_duration(stall_watch), static_cast<double>(worst.count()) / 1e3),
             {}});
}

void describe_port(const doctor::Intent& intent, const port::Port& port, std::vector<Finding>& findings) {
    const unsigned cores = intent.port.cores;
    findings.push_back(
        {Grade::good, "port", fmt::format("{} starts, by driver {}", port.name(), port.driver()), {}});
    if (!port.link_up())
        findings.push_back(
            {Grade::advice, "link", "is not up yet: look at the cable, and at the other end", {}});
    if (port.queue_count() < cores)
        findings.push_back(
            {Grade::advice,
             "RSS",
             fmt::format("the port has {} queue{} and {} cores are asked for: they hand frames over to "
                         "one another",
                         port.queue_count(), port.queue_count() == 1 ? "" : "s", cores),
             {fmt::format("runnel ... --cores {}", port.queue_count())}});
    else if (cores > 1 && port::rss_rule(port).owners == nullptr)
        findings.push_back({Grade::advice,
                            "RSS",
                            port::rss_rule(port).lack + ": the cores hand frames over to one another",
                            {}});
    else if (cores > 1)
        findings.push_back(
            {Grade::good, "RSS", fmt::format("{} queues, by a key and a table that are known", cores), {}});
    const ip::Offloads& has = port.offloads();
    std::vector<std::string> lacks;
    if (!has.rx_l4_checksum) lacks.emplace_back("checking of checksums");
    if (!has.tx_tcp_checksum) lacks.emplace_back("making of checksums");
    if (!has.tx_tcp_segmentation) lacks.emplace_back("segmentation (TSO)");
    if (lacks.empty())
        findings.push_back({Grade::good, "offloads", "checksums both ways, and segmentation (TSO)", {}});
    else
        findings.push_back({Grade::good,
                            "offloads",
                            fmt::format("without {}, which is done in software", fmt::join(lacks, ", ")),
                            {}});
    findings.push_back({Grade::good, "MTU", fmt::format("the port takes {} octets", port.mtu()), {}});
}

// The port itself, and who is to be met there.
void try_port(const doctor::Intent& intent, std::vector<Finding>& findings) {
    try {
        runtime::EalOptions options{.memory_mb = 128,
                                    .hugepages = intent.port.huge == runtime::Choice::yes
                                                     ? runtime::Choice::yes
                                                     : runtime::Choice::automatic};
        if (is_pci_address(intent.port.device)) options.pci_devices.push_back(intent.port.device);
        runtime::Eal eal(options);
        const port::MbufPool mbufs = port::make_mbuf_pool(
            {.mbufs = 4096 + 2048 * intent.port.cores,
             .data_room = static_cast<std::uint16_t>(std::max(2048U, intent.port.mtu + 64)),
             .lcores = 2});
        port::Port port(port_config(intent.port), mbufs.get());
        describe_port(intent, port, findings);
        if (!intent.port.address || (!intent.target && !intent.port.gateway)) return;
        StackConfig config;
        config.ip = ip_config(intent.port, port);
        config.tcp.connections = 64;
        config.tcp.half_open = 64;
        config.tcp.time_wait = 1024;
        SocketAddress server =
            intent.target ? *intent.target : SocketAddress{.address = *intent.port.gateway, .port = 0};
        // Whom load would refuse to ask gets no SYN: the way to it is looked at, no further.
        if (server.port != 0 && !load::is_test_address(server.address))
            server = {.address = doctor::next_hop(intent, server.address), .port = 0};
        const runtime::Clock clock;
        const doctor::ProbeAnswer answer = doctor::probe(
            port.queue(0), config, mbufs.get(), server, [&clock] { return clock.now(); }, patience);
        const IpAddress hop = doctor::next_hop(intent, server.address);
        std::ranges::move(describe(answer, server, hop), std::back_inserter(findings));
    } catch (const std::exception& wrong) {
        findings.push_back({Grade::hinders, "port", wrong.what(), {}});
    }
}

ExitStatus run(const DoctorSettings& settings) {
    if (!std::filesystem::is_directory(settings.root))
        throw std::invalid_argument(fmt::format("--root: there is no folder {}", settings.root));
    const doctor::Machine machine(settings.root);
    std::vector<Finding> findings = doctor::examine(machine, settings.intent);
    if (machine.is_this_one()) {
        std::vector<unsigned> cpus = doctor::cpus_of(machine, settings.intent);
        if (cpus.size() > most_watched) cpus.resize(most_watched);
        watch_cpus(cpus, findings);
        // A port that is known to be hindered would only say so again.
        if (!settings.intent.port.device.empty() && doctor::ready(findings))
            try_port(settings.intent, findings);
    }
    fmt::print(settings.output.text(), "{}", doctor::to_text(findings));
    write_document(doctor::to_json(findings), settings.output);
    return doctor::ready(findings) ? ExitStatus::good : ExitStatus::wrong_setup;
}

}  // namespace

Action add_doctor(CLI::App& command) {
    const auto settings = std::make_shared<DoctorSettings>();
    doctor::Intent& intent = settings->intent;
    add_port_options(command, intent.port);
    for (const char* name : {"--port", "--address"}) command.get_option(name)->required(false);
    add_count(command, "--addresses", intent.port.addresses, 1, 65'000,
              "Client addresses, consecutive from --address on");
    command
        .add_option_function<std::string>(
            "--target",
            [settings](const std::string& text) {
                try {
                    settings->intent.target = parse_socket_address(text);
                } catch (const BadQuantity& wrong) {
                    throw CLI::ValidationError("--target", wrong.what());
                }
            },
            "The server: it is asked for a handshake; without it the gateway is asked for its link address")
        ->type_name("A.B.C.D:PORT");
    add_traffic_options(command, intent.traffic);
    add_tcp_options(command, intent.traffic.tcp);
    command
        .add_option("--root", settings->root,
                    "Look at a copy of /sys and /proc of another machine, below DIR; no port is opened then")
        ->type_name("DIR")
        ->default_str("/");
    add_json_option(command, settings->output, "runnel.doctor/1");
    command.footer(
        "Says of each thing whether it is good, could be better (advice) or hinders, with the commands that "
        "mend "
        "it.\n"
        "Examples:\n"
        "  runnel doctor                                          this machine, for any run\n"
        "  runnel doctor --port 0000:03:00.0                      and this card: driver, IOMMU, NUMA, "
        "queues, "
        "offloads\n"
        "  runnel doctor --port 0000:03:00.0 --address 198.18.0.1/24 --target 198.18.0.100:80 --rate 200k\n"
        "                                                         and the run that is meant: ARP, a "
        "handshake, "
        "ports\n"
        "Exit status: 0 nothing hinders, 1 something does.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
