// `runnel load`: the client side of a measurement, towards any server.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/runtime.hpp"

#include "address_log.hpp"
#include "attack_log.hpp"
#include "command.hpp"
#include "engine/attacker.hpp"
#include "engine/datagram_client.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/plan.hpp"
#include "engine/target.hpp"
#include "live/capture.hpp"
#include "live/front_ends.hpp"
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
    std::string path = "/";
    bool fast_open = false;
    load::Traffic traffic;
    Output output;
    live::Settings live;
};

// Of several addresses we begin from the one whose network the first server is in, or else from the first of
// its family.
void choose_own_address(PortSettings& port, const IpAddress& server) {
    const auto reaches = [&](const InterfaceAddress& own) {
        return own.address.is_v4() == server.is_v4() &&
               load::Network{own.address, own.prefix_length}.contains(server);
    };
    if (reaches(*port.address)) return;
    auto better = std::ranges::find_if(port.more_addresses, reaches);
    if (better == port.more_addresses.end() && port.address->address.is_v4() != server.is_v4())
        better = std::ranges::find_if(port.more_addresses, [&](const InterfaceAddress& own) {
            return own.address.is_v4() == server.is_v4();
        });
    if (better != port.more_addresses.end()) std::swap(*port.address, *better);
}

// Whom we may ask, and who we are: all of one family, and nobody on both sides.
void check_addresses(LoadSettings& settings) {
    load::Traffic& traffic = settings.traffic;
    choose_own_address(settings.port, traffic.servers.front().addresses.first);
    const InterfaceAddress& own = *settings.port.address;
    for (const load::Servers& servers : traffic.servers) {
        load::check_target(servers, traffic.allowed_targets);
        if (servers.addresses.first.is_v4() != own.address.is_v4())
            throw std::invalid_argument(
                fmt::format("--target: {} is not of the family of --address {}; give addresses of one family",
                            to_string(servers), to_string(own.address)));
    }
    settings.port.clients = traffic.clients;
    const ip::Config ip = planned_ip_config(settings.port);
    for (const load::Servers& servers : traffic.servers)
        for (std::uint32_t i = 0; i < servers.addresses.count; ++i) {
            const IpAddress address = nth_after(servers.addresses.first, i);
            const ip::InterfaceConfig& interface = ip.interfaces[0];
            bool ours = false;
            if (address.is_v4()) {
                for (const ip::Ipv4NetworkConfig& network : interface.ipv4_networks())
                    ours |= load::AddressRange{network.address, network.address_count}.contains(address);
            } else {
                for (const ip::Ipv6AddressConfig& range : interface.ipv6)
                    ours |= load::AddressRange{range.address, range.address_count}.contains(address);
            }
            if (ours)
                throw std::invalid_argument(
                    fmt::format("--target: {} is one of our own addresses; give "
                                "--address and --clients others",
                                to_string(address)));
        }
}

// Attackers answer to the same: nobody who is not allowed gets what a target answers them.
void check_attacks(const LoadSettings& settings) {
    const load::Traffic& traffic = settings.traffic;
    const InterfaceAddress& own = *settings.port.address;
    if (traffic.attacks.empty()) return;
    for (const load::AttackTraffic& attack : traffic.attacks) {
        for (const load::AddressRange& range : attack.sources) {
            if (range.first.is_v4() != own.address.is_v4())
                throw std::invalid_argument(fmt::format(
                    "--attack-sources: {} is not of the family of --address {}; give addresses of one family",
                    to_string(range), to_string(own.address)));
            load::check_range("--attack-sources", range, traffic.allowed_targets);
        }
        if (attack.kind == load::AttackKind::half_open &&
            traffic.tcp.ephemeral_first <= load::Attacker::half_open_ports.last)
            throw std::invalid_argument(
                fmt::format("--client-ports: those up to {} are of --attack half-open; begin above",
                            load::Attacker::half_open_ports.last));
    }
    const load::Network network{own.address, own.prefix_length};
    std::uint64_t targets = 0;
    bool beside_us = false;
    for (const load::Servers& servers : traffic.servers) {
        targets += servers.addresses.count;
        beside_us |= network.contains(servers.addresses.first) ||
                     network.contains(nth_after(servers.addresses.first, servers.addresses.count - 1));
    }
    if (targets > 1 && beside_us)
        throw std::invalid_argument(
            "--attack: several targets on our own network have a link address each; give one, or such as lie "
            "behind --gateway");
}

std::uint32_t client_count(const LoadSettings& settings) {
    std::uint64_t count = 0;
    for (const load::AddressRange& range : settings.traffic.clients) count += range.count;
    return count == 0 ? settings.port.addresses
                      : static_cast<std::uint32_t>(std::min<std::uint64_t>(count, UINT32_MAX));
}

ExitStatus run(LoadSettings& settings) {
    const Signals signals;
    live::FrontEnds front(settings.live, settings.output.text());
    if (settings.traffic.recipe == load::Recipe::rr || load::sends_datagrams(settings.traffic.recipe))
        settings.traffic.sizes.set_missing(transfer_octets);
    load::Traffic& traffic = settings.traffic;
    check_addresses(settings);
    check_attacks(settings);
    const SocketAddress target{traffic.servers[0].addresses.first, traffic.servers[0].ports.first};
    const unsigned cores = settings.port.cores;
    std::vector<load::CorePlan> plans;
    std::vector<StackConfig> configs(cores);
    AttackLog attacks(front.notices());
    AddressLog addresses(front.notices());
    port::MbufPoolOptions pool{
        .mbufs = 0,
        .data_room = static_cast<std::uint16_t>(std::max(2048U, settings.port.mtu + 64)),
        .lcores = cores + 1};
    load::MemoryPlan memory;
    memory.add_packets(runtime::SharedPort::memory_needed(cores, 1));
    for (unsigned core = 0; core < cores; ++core) {
        const load::CorePlan& plan = plans.emplace_back(load::plan_core(settings.traffic, cores, core, true));
        load::check_addresses(traffic, plan, client_count(settings));
        configs[core].tcp = plan.client_tcp;
        configs[core].tcp.observer = &attacks;
        configs[core].udp.sockets = plan.client_sockets;
        configs[core].ip = planned_ip_config(settings.port);
        memory.add(load::MemoryPlan::Side::client, configs[core]);
        if (load::sends_datagrams(settings.traffic.recipe))
            memory.add_heap(load::DatagramClient::heap_octets(plan.client.connections));
        // Descriptors of the port besides what the plan counts for two sides of a wire.
        pool.mbufs += plan.mbufs + 4096;
    }
    memory.add_packets(port::memory_needed(pool));
    const auto capture_options = live::capture_options(settings.live, cores + 1);
    if (capture_options) memory.add_packets(live::Capture::memory_needed(*capture_options));
    const std::size_t memory_mb =
        announce_memory(settings.port, memory, settings.traffic, settings.output.text());

    // What is sent without a copy lives until the end of the process.
    const load::Transactions& sizes = settings.traffic.sizes;
    static const std::string request = settings.traffic.recipe == load::Recipe::rr && !sizes.drawn()
                                           ? std::string(static_cast<std::size_t>(sizes.request.most()), 'q')
                                           : load::http_request(target.address, settings.path);
    static const std::vector<std::byte> block(block_octets, std::byte{0x55});

    runtime::EalOptions eal_settings = eal_options(settings.port, memory);
    live::apply(settings.live, eal_settings);
    runtime::Eal eal(eal_settings);
    const port::MbufPool mbufs = port::make_mbuf_pool(pool);
    port::Port port(port_config(settings.port), mbufs.get());
    using Datagrams = runtime::SharedPort::Datagrams;
    runtime::SharedPort shared(
        port, cores,
        load::sends_datagrams(settings.traffic.recipe) ? Datagrams::steered : Datagrams::as_they_come);
    const auto secret = host_secret();
    for (unsigned core = 0; core < cores; ++core) {
        configs[core].ip = ip_config(settings.port, port);
        configs[core].ip.address_observer = &addresses;
        configs[core].secret = secret;
        shared.configure(core, configs[core]);
        load::ClientOptions& client = plans[core].client;
        client.home_ports = configs[core].udp.home_ports;
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

    std::optional<live::Capture> capture;
    if (capture_options) capture.emplace(*capture_options);

    std::FILE* const text = settings.output.text();
    port::TracedWire::Observer trace;
    if (settings.output.trace) trace = make_trace(front.text(), *settings.output.trace);

    load::Result result;
    result.command = "load";
    result.started = utc_now();
    result.host = load::this_host();
    result.host.hugepages = eal.hugepages();
    result.recipe = settings.traffic.recipe;
    result.failures_bounded = results::bounds_failures(settings.output.goals);
    result.wire = fmt::format("port {} (driver {})", port.name(), port.driver());
    result.client_cores = cores;
    result.give_up = traffic.give_up;
    result.target = to_string(traffic.servers[0]);
    const load::Network own_network{settings.port.address->address, settings.port.address->prefix_length};
    result.next_hop =
        to_string(own_network.contains(target.address) || !settings.port.gateway ? target.address
                                                                                 : *settings.port.gateway);
    result.comes_and_goes = load::comes_and_goes(settings.traffic);
    (load::rates_transactions(settings.traffic)            ? result.asked_tps
     : settings.traffic.recipe == load::Recipe::udp_oneway ? result.asked_dps
                                                           : result.asked_cps) =
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
    result.config["vlan"] = settings.port.vlan;
    result.config["gateway_mac"] = settings.port.gateway_mac
                                       ? nlohmann::ordered_json(to_string(*settings.port.gateway_mac))
                                       : nlohmann::ordered_json(nullptr);
    const auto list = [](const auto& items) {
        nlohmann::ordered_json all = nlohmann::ordered_json::array();
        for (const auto& item : items) all.push_back(to_string(item));
        return all;
    };
    result.config["targets"] = list(traffic.servers);
    result.config["clients"] = list(traffic.clients);
    result.config["choose"] = to_string(traffic.choice);
    result.config["allowed_targets"] = list(traffic.allowed_targets);
    describe_attacks(traffic, result.config);
    result.config["path"] = settings.path;
    result.config["fast_open"] = settings.fast_open;
    describe_traffic(settings.traffic, plans[0], result.config);
    describe_tcp(settings.traffic.tcp, result.config);
    result.config["mbufs"] = pool.mbufs;
    result.config["memory_mb"] = memory_mb;

    std::string towards;
    for (const load::Servers& servers : traffic.servers)
        towards += (towards.empty() ? "" : ", ") + to_string(servers);
    fmt::print(text, "runnel load: recipe {}, {}, towards {} from {} on {}\n", to_string(result.recipe),
               what_is_asked(settings.traffic, cores), towards,
               traffic.clients.empty() ? to_string(settings.port.address->address)
                                       : fmt::format("{} client addresses", client_count(settings)),
               result.wire);
    SteeringLog steering(front.text(), shared);
    steering.print();
    note_cores(cores, result);
    front.begin(eal,
                {.command = "load",
                 .what = fmt::format("{}, {}, towards {}", to_string(result.recipe),
                                     what_is_asked(settings.traffic, cores), towards),
                 .wire = result.wire},
                result.config);

    runtime::Runtime runtime(eal, loop_options(settings.port));
    const auto factory = [&](runtime::Core& core) -> std::unique_ptr<runtime::CoreInstance> {
        auto instance = std::make_unique<load::TrafficCore>();
        port::Wire* wire = &shared.wire(core.index);
        if (capture) {
            instance->taps.push_back(capture->tap(*wire, port.id(), core.index));
            wire = instance->taps.back().get();
        }
        instance->client = std::make_unique<load::ClientSide>(configs[core.index], plans[core.index].client,
                                                              *wire, mbufs.get(), runtime.clock(), trace);
        instance->client->attach(core.loop);
        shared.attach(core.index, instance->client->stack, core.loop);
        if (core.index == 0) instance->shared.push_back(&shared);
        return instance;
    };
    const auto progress = [&, print = make_progress(text, result.recipe)](const load::Interval& interval) {
        attacks.print();
        addresses.print();
        steering.print();
        if (!front.views()) print(interval);
    };
    load::measure(
        runtime, factory, progress, [&] { return signals.arrived(); }, result, front.followers());
    attacks.print();
    addresses.print();
    front.end();
    if (capture) live::note(capture->finish(), settings.live.pcap, result.notes);
    result.config["steering"] = shared.description();
    return report(result, settings.output);
}

}  // namespace

Action add_load(CLI::App& command) {
    const auto settings = std::make_shared<LoadSettings>();
    add_port_options(command, settings->port);
    add_count(command, "--addresses", settings->port.addresses, 1, 65'000,
              "Client addresses, consecutive from --address on: each has some 64k ports towards one server");
    add_each(
        command, "--target", "ADDRESSES:PORTS",
        "The server: 192.0.2.1:80, or [2001:db8::1]:80; or many, 10.1.0.0/24:8000-8099 (each address with "
        "each "
        "port), and may be given several times",
        [settings] { settings->traffic.servers.clear(); },
        [settings](const std::string& text) {
            settings->traffic.servers.push_back(load::parse_servers(text));
        })
        ->required();
    add_each(
        command, "--clients", "ADDRESSES",
        "Client addresses in place of --addresses, in the network of --address: 10.0.1.0/24, or "
        "10.0.0.5-10.0.0.9. May be given several times; of IPv4 all from the lowest to the highest are ours",
        [settings] { settings->traffic.clients.clear(); },
        [settings](const std::string& text) {
            settings->traffic.clients.push_back(load::parse_address_range(text));
        });
    add_each(
        command, "--client-ports", "PORTS", "Ports that connections come from, as 1024-65535", [] {},
        [settings](const std::string& text) {
            const load::PortRange ports = load::parse_port_range(text);
            settings->traffic.tcp.ephemeral_first = ports.first;
            settings->traffic.tcp.ephemeral_last = ports.last;
        })
        ->expected(1)
        ->default_str("1024-65535");
    add_choice<load::AddressChoice>(command, "--choose", "HOW",
                                    {{"sequential", load::AddressChoice::sequential},
                                     {"random", load::AddressChoice::random},
                                     {"hashed", load::AddressChoice::hashed}},
                                    settings->traffic.choice,
                                    "In which order clients and servers are used: sequential, each in its "
                                    "turn; random; hashed: clients in "
                                    "turn, and each has a server of its own");
    command.add_option("--path", settings->path, "What the request of crr asks for")
        ->type_name("PATH")
        ->default_str("/");
    add_each(
        command, "--allow-target", "NETWORK",
        "A network that may be aimed at though it is not private, for benchmarks, documentation or the link: "
        "203.0.114.0/24. May be given several times",
        [settings] { settings->traffic.allowed_targets.clear(); },
        [settings](const std::string& text) {
            settings->traffic.allowed_targets.push_back(load::parse_network(text));
        });
    command.add_flag(
        "--fast-open", settings->fast_open,
        "Send the request of recipe crr with the SYN, once the target has given a cookie (RFC 7413)");
    add_traffic_options(command, settings->traffic);
    add_transfer_options(command, settings->traffic);
    add_request_options(command, settings->traffic);
    add_datagram_options(command, settings->traffic);
    {
        const OptionGroup group(command, "Datagrams");
        command.add_flag(
            "--blind", settings->traffic.blind,
            "udp-oneway: send whether or not the target answers; what arrives is known only where it is a "
            "server of ours");
    }
    {
        const OptionGroup group(command, "Traffic");
        add_duration(
            command, "--give-up", settings->traffic.give_up, 0s,
            "End the run where the target has answered nothing for so long from the start; 0: never");
    }
    add_attack_options(command, settings->traffic);
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
    live::add_options(command, settings->live);
    live::add_capture_options(command, settings->live);
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
        "PORT:stream. udp-rr wants serve --listen PORT:udp, or an echo; udp-oneway wants serve --listen "
        "PORT:udp.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
