// `runnel serve`: an HTTP/1.1-shaped and an echo server on a DPDK port with an address.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/exception_task.hpp"
#include "runnel/runtime/runtime.hpp"
#include "runnel/runtime/statistics.hpp"

#include "address_log.hpp"
#include "attack_log.hpp"
#include "command.hpp"
#include "engine/datagram_responder.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/plan.hpp"
#include "engine/result.hpp"
#include "exception_options.hpp"
#include "live/capture.hpp"
#include "live/front_ends.hpp"
#include "options.hpp"
#include "port_options.hpp"
#include "report.hpp"
#include "serve_core.hpp"
#include "signals.hpp"

namespace runnel::app {
namespace {

// "192.0.2.1:80", "[2001:db8::1]:80".
std::string socket_text(const IpAddress& address, std::uint16_t port) {
    return address.is_v4() ? fmt::format("{}:{}", to_string(address), port)
                           : fmt::format("[{}]:{}", to_string(address), port);
}

Listen parse_listen(const std::string& text) {
    Listen listen;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), listen.port);
    const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (error != std::errc{} || listen.port == 0)
        throw CLI::ValidationError(
            "--listen", fmt::format("\"{}\" has no port from 1 to 65535; write 80 or 7:echo", text));
    for (const Service service : {Service::http, Service::echo, Service::discard, Service::crr, Service::rr,
                                  Service::sized, Service::stream, Service::udp}) {
        if (rest != ":" + std::string{to_string(service)}) continue;
        listen.service = service;
        return listen;
    }
    if (!rest.empty())
        throw CLI::ValidationError(
            "--listen", fmt::format("\"{0}\" names no service; write {1}:http, {1}:echo, "
                                    "{1}:discard, {1}:crr, {1}:rr, {1}:sized, {1}:stream or {1}:udp",
                                    text, listen.port));
    return listen;
}

void print_received(std::FILE* out, const std::vector<load::Received>& reports) {
    for (const load::Received& one : reports)
        fmt::print(
            out, "received {} octets from {}:{}, {}, sha256 {}\n", one.octets, to_string(one.remote_address),
            one.remote_port, one.orderly ? "to the end" : "cut off before the end",
            one.digest ? load::to_string(*one.digest)
                       : fmt::format("not made: more than {} connections at once", ServeCore::most_digests));
    if (!reports.empty()) std::fflush(out);
}

void print_datagrams(std::FILE* out, const load::DatagramTotals& totals) {
    fmt::print(out, "datagrams: {} in ({}), {} out ({}), {} requests answered\n", totals.datagrams_in,
               human_octets(totals.octets_in), totals.datagrams_out, human_octets(totals.octets_out),
               totals.answered);
    fmt::print(out, "datagrams that came: {} lost on the way, {} copies, {} out of order\n", totals.lost,
               totals.duplicated, totals.reordered);
    const auto note = [&](std::uint64_t n, const char* what) {
        if (n > 0) fmt::print(out, "{} {}\n", n, what);
    };
    note(totals.unsent, "datagrams could not be sent");
    note(totals.strange, "datagrams were of no recipe");
    note(totals.untracked,
         "datagrams were of flows for which --udp-flows is too small, and not counted by number");
    note(totals.refused, "times data was asked for without a right, or by too many");
}

void print_summary(std::FILE* out, const load::ServerTotals& totals, const runtime::Snapshot& counters) {
    fmt::print(out, "\n{} connections, {} requests answered, {} in, {} out\n", totals.connections,
               totals.requests, human_octets(totals.octets_in), human_octets(totals.octets_out));
    if (totals.bad_requests > 0)
        fmt::print(out, "{} requests were not HTTP and got a 400\n", totals.bad_requests);
    if (counters.get(Counter::frames_to_kernel) + counters.get(Counter::frames_from_kernel) > 0)
        fmt::print(out, "{} frames to the kernel, {} from it\n", counters.get(Counter::frames_to_kernel),
                   counters.get(Counter::frames_from_kernel));
    for (const runtime::NamedCount& drop : nonzero_drops(counters))
        fmt::print(out, "dropped: {} {}: {}\n", drop.count, drop.name, drop.sentence);
}

// How evenly the cores have shared it.
void print_cores(runtime::Runtime& runtime, const std::function<ServeCore&(unsigned)>& server,
                 const runtime::Snapshot& between) {
    for (unsigned core = 0; core < runtime.core_count(); ++core)
        fmt::print("core {}: {} connections, busy {:.1f} %\n", core, server(core).totals().connections,
                   100 * runtime.report(core).values.busy_share());
    fmt::print("{} frames were handed over from one core to another\n",
               between.get(Counter::frames_handed_over));
}

// What is served where, in words and as settings.
load::RunFacts facts_of(const ServeSettings& settings, const std::vector<InterfaceAddress>& addresses,
                        const port::Port& port) {
    std::string what;
    for (const Listen& listen : settings.listen)
        for (const InterfaceAddress& own : addresses)
            what += fmt::format("{}{} on {}", what.empty() ? "" : ", ", to_string(listen.service),
                                socket_text(own.address, listen.port));
    return {.command = "serve",
            .what = what,
            .wire = fmt::format("port {} (driver {})", port.name(), port.driver()),
            .client = false,
            .server = true};
}

nlohmann::ordered_json config_of(const ServeSettings& settings, const port::Port& port, unsigned cores) {
    nlohmann::ordered_json config;
    config["port"] = settings.port.device;
    config["mtu"] = port.mtu();
    config["cores"] = cores;
    config["queues"] = port.queue_count();
    config["size"] = settings.size;
    config["connections"] = settings.connections;
    config["half_open"] = settings.half_open;
    config["time_wait_table"] = settings.time_wait_table;
    describe_behaviour(settings.traffic.server, config);
    describe_tcp(settings.traffic.tcp, config);
    return config;
}

ExitStatus run(ServeSettings& settings) {
    const Signals signals;
    live::FrontEnds front(settings.live, stdout);
    if (settings.listen.empty()) settings.listen.push_back({.port = 80, .service = Service::http});
    for (std::size_t i = 0; i < settings.listen.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (settings.listen[i].port == settings.listen[j].port &&
                (settings.listen[i].service == Service::udp) == (settings.listen[j].service == Service::udp))
                throw std::invalid_argument(fmt::format("--listen: port {} is given twice; one service each",
                                                        settings.listen[i].port));
    for (const Listen& listen : settings.listen)
        if (listen.service == Service::udp ? is_the_kernels_udp(settings.exception, listen.port)
                                           : is_the_kernels(settings.exception, listen.port))
            throw std::invalid_argument(fmt::format(
                "--to-kernel: port {} is served here by --listen; give it to one of the two", listen.port));
    const unsigned cores = settings.port.cores;
    const auto share = [cores](std::uint32_t limit) { return (limit + cores - 1) / cores; };
    StackConfig config;
    config.tcp = settings.traffic.tcp;
    config.tcp.connections = share(settings.connections);
    config.tcp.half_open = share(settings.half_open);
    config.tcp.time_wait = share(settings.time_wait_table);
    config.tcp.fast_open_pending = share(settings.traffic.tcp.fast_open_pending);
    config.secret = host_secret();
    config.ip = planned_ip_config(settings.port);
    config.ip.exception = exception_config(settings.exception);
    AttackLog attacks(front.notices());
    AddressLog address_log(front.notices());
    config.tcp.observer = &attacks;
    const port::MbufPoolOptions pool{
        .mbufs = 24576 + 8192 * cores,
        .data_room = static_cast<std::uint16_t>(std::max(2048U, settings.port.mtu + 64)),
        .lcores = cores + 1};
    load::Traffic sizing;
    sizing.connections = settings.connections;
    load::MemoryPlan memory;
    for (unsigned core = 0; core < cores; ++core) memory.add(load::MemoryPlan::Side::server, config);
    memory.add_packets(runtime::SharedPort::memory_needed(cores, 1) + port::memory_needed(pool));
    // Flows are counted by the numbers of their datagrams, each on one core.
    const bool datagrams = std::ranges::any_of(
        settings.listen, [](const Listen& listen) { return listen.service == Service::udp; });
    if (datagrams) {
        memory.add_packets(cores * load::DatagramResponder::table_octets(settings.udp_flows));
        memory.add_heap(cores * load::DatagramResponder::heap_octets(settings.udp_flows));
    }
    const auto capture_options = live::capture_options(settings.live, cores + 1);
    if (capture_options) memory.add_packets(live::Capture::memory_needed(*capture_options));
    announce_memory(settings.port, memory, sizing, stdout);
    const runtime::HostFacts machine = runtime::host_facts();

    // What is sent without a copy lives until the end of the process.
    static const load::HttpResponse keep_alive(settings.size, true);
    static const load::HttpResponse closing(settings.size, false);
    static const std::vector<std::byte> block(std::max<std::size_t>(block_octets, settings.response_octets),
                                              std::byte{0x55});

    runtime::EalOptions eal_settings = eal_options(settings.port, memory);
    live::apply(settings.live, eal_settings);
    runtime::Eal eal(eal_settings);
    const port::MbufPool mbufs = port::make_mbuf_pool(pool);
    port::Port port(port_config(settings.port), mbufs.get());
    using Datagrams = runtime::SharedPort::Datagrams;
    runtime::SharedPort shared(port, cores, datagrams ? Datagrams::steered : Datagrams::as_they_come);
    config.ip = ip_config(settings.port, port);
    config.ip.address_observer = &address_log;
    config.ip.exception = exception_config(settings.exception);
    std::optional<port::Port> kernel;
    if (config.ip.exception) kernel.emplace(kernel_port_config(settings.exception, port, cores), mbufs.get());

    std::optional<live::Capture> capture;
    if (capture_options) capture.emplace(*capture_options);

    port::TracedWire::Observer trace;
    if (settings.output.trace) trace = make_trace(front.text(), *settings.output.trace);
    runtime::Runtime runtime(eal, loop_options(settings.port));
    runtime.start([&](runtime::Core& core) -> std::unique_ptr<runtime::CoreInstance> {
        StackConfig own = config;
        shared.configure(core.index, own);
        auto instance = std::make_unique<ServeCore>(own, settings, keep_alive, closing, block, mbufs.get());
        port::Wire* wire = &shared.wire(core.index);
        if (capture) {
            instance->tap = capture->tap(*wire, port.id(), core.index);
            wire = instance->tap.get();
        }
        if (trace) {
            instance->traced = std::make_unique<port::TracedWire>(
                *wire, [clock = runtime.clock()] { return clock.now(); }, trace);
            wire = instance->traced.get();
        }
        if (instance->datagrams) {
            instance->stamped =
                std::make_unique<load::StampedWire>(*wire, runtime.clock(), *instance->datagrams);
            wire = instance->stamped.get();
        }
        core.loop.add(instance->stack, *wire);
        if (instance->datagrams) core.loop.add(*instance->datagrams);
        for (const auto& responder : instance->responders)
            if (responder->answers_late()) core.loop.add(*responder);
        shared.attach(core.index, instance->stack, core.loop);
        if (kernel) {
            instance->exception = std::make_unique<runtime::ExceptionTask>(
                instance->stack, kernel->queue(static_cast<std::uint16_t>(core.index)));
            core.loop.add(*instance->exception);
        }
        return instance;
    });
    const auto server = [&](unsigned core) -> ServeCore& {
        return static_cast<ServeCore&>(*runtime.instance(core));
    };

    std::vector<InterfaceAddress> addresses{*settings.port.address};
    addresses.insert(addresses.end(), settings.port.more_addresses.begin(),
                     settings.port.more_addresses.end());
    for (const Listen& listen : settings.listen)
        for (const InterfaceAddress& own : addresses)
            fmt::print("serving {} on {}, port {} (driver {})\n", to_string(listen.service),
                       socket_text(own.address, listen.port), port.name(), port.driver());
    fmt::print("MTU {}; the port does: {}\n", port.mtu(), offload_words(port.offloads()));
    if (cores > machine.cpus.size())
        fmt::print("{} cores: their loops share {} CPU{}\n", cores, machine.cpus.size(),
                   machine.cpus.size() == 1 ? "" : "s");
    if (kernel) {
        fmt::print("what nobody takes here goes to the kernel by {} (driver {}), which is to be told:\n",
                   settings.exception.interface, kernel->driver());
        for (const InterfaceAddress& own : addresses)
            fmt::print("  ip address add {}/{} dev {}\n", to_string(own.address), own.prefix_length,
                       settings.exception.interface);
    }
    SteeringLog steering(front.text(), shared);
    steering.print();
    std::fflush(stdout);
    front.begin(eal, facts_of(settings, addresses, port), config_of(settings, port, cores));
    front.control().begin_serving();

    const auto picture = [&] {
        load::ServerTotals totals;
        for (unsigned core = 0; core < cores; ++core)
            runtime.call(core, [&] { totals += server(core).totals(); });
        return totals;
    };
    const auto reports = [&] {
        std::vector<load::Received> taken;
        for (unsigned core = 0; core < cores; ++core)
            runtime.call(core, [&] {
                for (load::Received& one : server(core).take_reports()) taken.push_back(one);
            });
        return taken;
    };
    const auto counters = [&] {
        runtime::Snapshot snapshot = shared.counters();
        for (unsigned core = 0; core < cores; ++core) snapshot += server(core).stack.counters();
        return snapshot;
    };
    const auto sample = [&](const load::ServerTotals& totals, const runtime::Snapshot& servers) {
        load::Sample seen{.time = runtime.clock().now()};
        seen.totals.established = totals.connections;
        seen.totals.transactions = totals.requests;
        seen.totals.octets_received = totals.octets_in;
        seen.totals.octets_sent = totals.octets_out;
        seen.servers = servers;  // what passes between cores is in it
        for (unsigned core = 0; core < cores; ++core) {
            runtime.call(core, [&] {
                seen.open += server(core).stack.tcp().connections();
                seen.time_wait += server(core).stack.tcp().time_wait();
            });
            const runtime::CoreReport report = runtime.report(core);
            seen.cores.push_back({report.values, report.longest_gap});
        }
        return seen;
    };
    const Instant begin = runtime.clock().now();
    Instant last_time = begin;
    load::ServerTotals last;
    runtime::Snapshot last_counters = counters();
    load::Sample last_sample = sample(last, last_counters);
    std::vector<load::Event> events;
    load::Ending ending = settings.live.ending;
    bool stopped = false;
    while (!stopped) {
        Instant now = runtime.clock().now();
        Duration left = last_time + 1s - now;
        if (settings.duration > 0s) left = std::min(left, begin + settings.duration - now);
        // Orders are looked for as often as it takes for a person not to wait.
        left = std::min<Duration>(left, 50ms);
        if (left > 0s && signals.wait(std::max<long>(1, left.count() / 1'000'000)))
            front.control().ask({.kind = load::Order::Kind::stop, .by = "signal"});
        now = runtime.clock().now();
        for (const load::Order& order : front.control().take()) {
            events.push_back({static_cast<double>((now - begin).count()) / 1e9, order});
            ending = *order.ending;
            stopped = true;
        }
        if (settings.duration > 0s && now - begin >= settings.duration) stopped = true;
        attacks.print();
        address_log.print();
        steering.print();
        if (now - last_time < 1s && !stopped) continue;
        print_received(front.text(), reports());
        const load::ServerTotals totals = picture();
        const runtime::Snapshot snapshot = counters();
        const runtime::Snapshot since = snapshot.since(last_counters);
        const double seconds = static_cast<double>((now - last_time).count()) / 1e9;
        load::Sample present = sample(totals, snapshot);
        auto seen = std::make_shared<load::Observation>(observe(front.facts(), last_sample, present));
        seen->phase = "serving";
        seen->t_s = static_cast<double>((now - begin).count()) / 1e9;
        seen->state = front.control().state();
        seen->events = events;
        front.board().publish(std::move(seen));
        last_sample = std::move(present);
        if (!stopped && !front.views()) {
            fmt::print(
                "{:6.0f} s  {:>8} connections/s  {:>8} requests/s  {}bit/s in  {}bit/s out  {} "
                "retransmissions  {} drops\n",
                static_cast<double>((now - begin).count()) / 1e9,
                human_count(static_cast<double>(totals.connections - last.connections) / seconds),
                human_count(static_cast<double>(totals.requests - last.requests) / seconds),
                human_count(8 * static_cast<double>(totals.octets_in - last.octets_in) / seconds),
                human_count(8 * static_cast<double>(totals.octets_out - last.octets_out) / seconds),
                load::retransmissions(since), since.dropped());
            std::fflush(stdout);
        }
        last = totals;
        last_counters = snapshot;
        last_time = now;
    }
    front.control().end();
    end_connections(runtime, server, settings, config.tcp.connections, ending);
    print_received(front.text(), reports());
    attacks.print();
    front.end();
    runtime.stop();
    print_summary(stdout, picture(), counters());
    if (capture) fmt::print("capture: {}\n", live::describe(capture->finish(), settings.live.pcap));
    if (server(0).datagrams) {
        load::DatagramTotals totals;
        for (unsigned core = 0; core < cores; ++core) totals += server(core).datagrams->totals();
        print_datagrams(stdout, totals);
    }
    if (cores > 1) print_cores(runtime, server, shared.counters());
    return ExitStatus::good;
}

}  // namespace

Action add_serve(CLI::App& command) {
    const auto settings = std::make_shared<ServeSettings>();
    add_port_options(command, settings->port);
    add_exception_options(command, settings->exception);
    command
        .add_option_function<std::vector<std::string>>(
            "--listen",
            [settings](const std::vector<std::string>& texts) {
                settings->listen.clear();
                for (const std::string& text : texts) settings->listen.push_back(parse_listen(text));
            },
            "Port, and what answers there: http (HTTP/1.1-shaped; /bytes/N asks for so many octets), "
            "echo (RFC 862), discard (takes what "
            "comes, RFC 863), crr (any octets get a response and FIN), rr (each --request-octets get "
            "--response-octets), sized (each request says how long it and its response are), or stream "
            "(takes what comes, and by --direction sends all the while), all of TCP; or udp (answers udp-rr "
            "and "
            "udp-oneway of runnel load). May be given several times")
        ->type_name("PORT[:SERVICE]")
        ->default_str("80:http");
    add_count(command, "--size", settings->size, 0, static_cast<std::uint32_t>(load::HttpResponse::max_size),
              "Octets of the body of an HTTP or crr response");
    add_count(command, "--connections", settings->connections, 64, 1U << 28, "Connections at once, at most");
    add_count(command, "--udp-flows", settings->udp_flows, 64, 1U << 22,
              "Flows to udp that a core tells apart at once, to count what is lost; beyond it those that "
              "were silent "
              "for 30 s give way");
    add_count(command, "--half-open", settings->half_open, 64, 1U << 28,
              "Half-open connections at once, at most");
    add_count(command, "--time-wait-table", settings->time_wait_table, 1024, 1U << 28,
              "Connections in TIME-WAIT, at most; beyond it the oldest is recycled, and counted");
    add_count(
        command, "--fast-open", settings->traffic.tcp.fast_open_pending, 0, 1U << 20,
        "Requests that come with a SYN (RFC 7413) served at once before the handshake is complete; 0: none");
    command.add_flag("--digest", settings->digest,
                     "Print octets and SHA-256 of what each connection to discard has brought");
    add_duration(command, "--duration", settings->duration, 0s,
                 "How long to serve; 0: until SIGINT or SIGTERM");
    add_transfer_options(command, settings->traffic);
    add_transaction_options(command, settings->request_octets, settings->response_octets);
    add_behaviour_options(command, settings->traffic.server);
    add_tcp_options(command, settings->traffic.tcp);
    add_trace_option(command, settings->output);
    live::add_options(command, settings->live);
    live::add_capture_options(command, settings->live);
    command.footer(
        "Example, with a tap device towards this machine's kernel (as root):\n"
        "  runnel serve --port net_tap0,iface=run0 --address 192.0.2.2/24 --listen 80 --listen 7:echo\n"
        "  ip address add 192.0.2.1/24 dev run0                   meanwhile, in another shell\n"
        "  curl http://192.0.2.2/");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
