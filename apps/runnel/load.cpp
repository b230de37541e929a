// `runnel load`: the client side of a measurement, towards any server.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/runtime.hpp"

#include "attack_log.hpp"
#include "command.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/plan.hpp"
#include "engine/target.hpp"
#include "options.hpp"
#include "port_options.hpp"
#include "report.hpp"
#include "signals.hpp"

namespace runnel::app {
namespace {

void note_cores(unsigned cores, load::Result& result) {
    const std::size_t cpus = runtime::host_facts().cpus.size();
    if (cores > cpus) result.notes.push_back(fmt::format("{} loops share {} CPUs", cores, cpus));
}

struct LoadSettings {
    PortSettings port;
    std::optional<SocketAddress> target;
    std::string path = "/";
    bool allow_target = false;
    bool fast_open = false;
    load::Traffic traffic;
    Output output;
};

ExitStatus run(LoadSettings& settings) {
    const Signals signals;
    if (settings.traffic.recipe == load::Recipe::rr) settings.traffic.sizes.set_missing(transfer_octets);
    const SocketAddress target = *settings.target;
    if (!settings.allow_target && !load::is_test_address(target.address))
        throw std::invalid_argument(
            fmt::format("--target: {} is not a private, benchmark, documentation or link-local address; "
                        "if you may load it, add --allow-target",
                        to_string(target.address)));
    const unsigned cores = settings.port.cores;
    std::vector<load::CorePlan> plans;
    std::vector<StackConfig> configs(cores);
    AttackLog attacks(stderr);
    port::MbufPoolOptions pool{
        .mbufs = 0,
        .data_room = static_cast<std::uint16_t>(std::max(2048U, settings.port.mtu + 64)),
        .lcores = cores + 1};
    load::MemoryPlan memory;
    memory.add_packets(runtime::SharedPort::memory_needed(cores, 1));
    for (unsigned core = 0; core < cores; ++core) {
        const load::CorePlan& plan = plans.emplace_back(load::plan_core(settings.traffic, cores, core, true));
        load::check_addresses(settings.traffic, plan, settings.port.addresses);
        configs[core].tcp = plan.client_tcp;
        configs[core].tcp.observer = &attacks;
        configs[core].ip = planned_ip_config(settings.port);
        memory.add(load::MemoryPlan::Side::client, configs[core]);
        // Descriptors of the port besides what the plan counts for two sides of a wire.
        pool.mbufs += plan.mbufs + 4096;
    }
    memory.add_packets(port::memory_needed(pool));
    const std::size_t memory_mb =
        announce_memory(settings.port, memory, settings.traffic, settings.output.text());

    // What is sent without a copy lives until the end of the process.
    const load::Transactions& sizes = settings.traffic.sizes;
    static const std::string request = settings.traffic.recipe == load::Recipe::rr && !sizes.drawn()
                                           ? std::string(static_cast<std::size_t>(sizes.request.most()), 'q')
                                           : load::http_request(target.address, settings.path);
    static const std::vector<std::byte> block(block_octets, std::byte{0x55});

    runtime::Eal eal(eal_options(settings.port, memory));
    const port::MbufPool mbufs = port::make_mbuf_pool(pool);
    port::Port port(port_config(settings.port), mbufs.get());
    runtime::SharedPort shared(port, cores);
    const auto secret = host_secret();
    for (unsigned core = 0; core < cores; ++core) {
        configs[core].ip = ip_config(settings.port, port);
        configs[core].secret = secret;
        shared.configure(core, configs[core]);
        load::ClientOptions& client = plans[core].client;
        client.first_local_address = settings.port.address->address;
        client.local_addresses = settings.port.addresses;
        client.remote_address = target.address;
        client.remote_port = target.port;
        client.request = std::as_bytes(std::span{request});
        client.response_octets = static_cast<std::uint64_t>(sizes.response.most());
        client.block = block;
        client.first_alone = true;
        client.fast_open = settings.fast_open;
    }

    std::FILE* const text = settings.output.text();
    port::TracedWire::Observer trace;
    if (settings.output.trace) trace = make_trace(text, *settings.output.trace);

    load::Result result;
    result.command = "load";
    result.started = utc_now();
    result.host = load::this_host();
    result.host.hugepages = eal.hugepages();
    result.recipe = settings.traffic.recipe;
    result.failures_bounded = results::bounds_failures(settings.output.goals);
    result.wire = fmt::format("port {} (driver {})", port.name(), port.driver());
    result.client_cores = cores;
    result.comes_and_goes = load::comes_and_goes(settings.traffic);
    (load::rates_transactions(settings.traffic) ? result.asked_tps : result.asked_cps) =
        load::mean_rate(settings.traffic);
    result.config["port"] = settings.port.device;
    result.config["address"] =
        fmt::format("{}/{}", to_string(settings.port.address->address), settings.port.address->prefix_length);
    result.config["addresses"] = settings.port.addresses;
    result.config["gateway"] = settings.port.gateway
                                   ? nlohmann::ordered_json(to_string(*settings.port.gateway))
                                   : nlohmann::ordered_json(nullptr);
    result.config["mtu"] = port.mtu();
    result.config["cores"] = cores;
    result.config["queues"] = port.queue_count();
    result.config["target"] = fmt::format("{}:{}", to_string(target.address), target.port);
    result.config["path"] = settings.path;
    result.config["fast_open"] = settings.fast_open;
    describe_traffic(settings.traffic, plans[0], result.config);
    describe_tcp(settings.traffic.tcp, result.config);
    result.config["mbufs"] = pool.mbufs;
    result.config["memory_mb"] = memory_mb;

    fmt::print(text, "runnel load: recipe {}, {}, towards {}:{} from {} on {}\n", to_string(result.recipe),
               what_is_asked(settings.traffic, cores), to_string(target.address), target.port,
               to_string(settings.port.address->address), result.wire);
    SteeringLog steering(text, shared);
    steering.print();
    note_cores(cores, result);

    runtime::Runtime runtime(eal, loop_options(settings.port));
    const auto factory = [&](runtime::Core& core) -> std::unique_ptr<runtime::CoreInstance> {
        auto instance = std::make_unique<load::TrafficCore>();
        instance->client =
            std::make_unique<load::ClientSide>(configs[core.index], plans[core.index].client,
                                               shared.wire(core.index), mbufs.get(), runtime.clock(), trace);
        instance->client->attach(core.loop);
        shared.attach(core.index, instance->client->stack, core.loop);
        if (core.index == 0) instance->shared.push_back(&shared);
        return instance;
    };
    const auto progress = [&, print = make_progress(text, result.recipe)](const load::Interval& interval) {
        attacks.print();
        steering.print();
        print(interval);
    };
    load::measure(
        runtime, factory, progress, [&] { return signals.arrived(); }, result);
    attacks.print();
    result.config["steering"] = shared.description();
    return report(result, settings.output);
}

}  // namespace

Action add_load(CLI::App& command) {
    const auto settings = std::make_shared<LoadSettings>();
    add_port_options(command, settings->port);
    add_count(command, "--addresses", settings->port.addresses, 1, 65'000,
              "Client addresses, consecutive from --address on: each has some 64k ports towards one server");
    command
        .add_option_function<std::string>(
            "--target",
            [settings](const std::string& text) {
                try {
                    settings->target = parse_socket_address(text);
                } catch (const BadQuantity& wrong) {
                    throw CLI::ValidationError("--target", wrong.what());
                }
            },
            "The server")
        ->type_name("A.B.C.D:PORT")
        ->required();
    command.add_option("--path", settings->path, "What the request of crr asks for")
        ->type_name("PATH")
        ->default_str("/");
    command.add_flag(
        "--allow-target", settings->allow_target,
        "Aim at a --target that is not in a private, benchmark, documentation or link-local network");
    command.add_flag(
        "--fast-open", settings->fast_open,
        "Send the request of recipe crr with the SYN, once the target has given a cookie (RFC 7413)");
    add_traffic_options(command, settings->traffic);
    add_transfer_options(command, settings->traffic);
    add_request_options(command, settings->traffic);
    add_tcp_options(command, settings->traffic.tcp);
    {
        const OptionGroup group(command, "Traffic");
        command
            .add_option_function<std::uint64_t>(
                "--seed", [settings](const std::uint64_t& seed) { settings->traffic.seed = seed; },
                "What --arrivals draws comes from this number")
            ->type_name("N")
            ->default_str("1");
    }
    add_json_option(command, settings->output);
    add_page_option(command, settings->output);
    add_goal_option(command, settings->output);
    add_trace_option(command, settings->output);
    command.footer(
        "Examples, with a tap device towards this machine's kernel (as root):\n"
        "  runnel load --port net_tap0,iface=run0 --address 192.0.2.2/24 --target 192.0.2.1:80 --rate 5k\n"
        "  ip address add 192.0.2.1/24 dev run0                   meanwhile, in another shell: the server's "
        "end\n"
        "http is for any HTTP/1.1 server. crr sends GET with Connection: close. rr wants a server that "
        "answers "
        "each\n"
        "--request-octets with --response-octets: runnel serve --listen PORT:rr, or an echo. stream wants "
        "one that\n"
        "takes what comes, or sends all the while, and closes when the client does: serve --listen "
        "PORT:stream.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
