// `runnel handshake`: both endpoints in this process, on a virtual wire. How many connections a second do
// they make?
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "runnel/base/eal_memory.hpp"
#include "runnel/port/mbuf_pool.hpp"
#include "runnel/runtime/runtime.hpp"
#include "runnel/runtime/shared_port.hpp"
#include "runnel/runtime/stage_times.hpp"
#include "runnel/wire/ipv6.hpp"

#include "attack_log.hpp"
#include "command.hpp"
#include "engine/busy_wire.hpp"
#include "engine/datagram_client.hpp"
#include "engine/datagram_responder.hpp"
#include "engine/http.hpp"
#include "engine/measurement.hpp"
#include "engine/plan.hpp"
#include "joined_wire.hpp"
#include "live/capture.hpp"
#include "live/front_ends.hpp"
#include "options.hpp"
#include "port_options.hpp"
#include "report.hpp"
#include "signals.hpp"

namespace runnel::app {
namespace {

// The networks of RFC 2544 appendix C.2.2 and of RFC 5180 section 8, one a side, as if a router stood between
// them: its address is each side's only neighbour, so that any number of addresses needs one entry.
struct Networks {
    IpAddress client, server;
    std::uint8_t prefix_length;
};
constexpr Networks ipv4_networks{Ipv4Address{198, 18, 0, 0}, Ipv4Address{198, 19, 0, 0}, 16};
constexpr Networks ipv6_networks{Ipv6Address::of(0x2001'0002'0000'0001, 0),
                                 Ipv6Address::of(0x2001'0002'0000'0002, 0), 64};
constexpr std::uint32_t most_addresses = 65'000;
constexpr std::uint32_t router_host = 0xfffe;
constexpr std::uint16_t server_port = 80;

struct HandshakeSettings {
    WireSettings wire;
    std::uint32_t cores = 0;   // 0: 2 where the machine has them
    bool both_roles = false;   // each core has a client and a server
    bool one_address = false;  // all servers have one address, and all clients the same ones
    bool ipv6 = false;
    std::uint32_t client_addresses = 0;
    std::uint32_t size = 64;
    std::optional<std::uint64_t> seed;
    load::Traffic traffic;
    runtime::Choice huge = runtime::Choice::automatic;
    Output output;
    live::Settings live;
    // For tests of the verdict and for benchmarks, and not shown by --help.
    Duration client_work{}, server_work{};  // of each frame, besides
    bool unmeasured = false;
};

MacAddress mac_of(bool server, unsigned pair) {
    // Locally administered, unicast (IEEE 802 section 8.4).
    return {{0x02, 0, static_cast<std::uint8_t>(server ? 2 : 1), 0, static_cast<std::uint8_t>(pair >> 8),
             static_cast<std::uint8_t>(pair)}};
}

const Networks& networks_of(const HandshakeSettings& settings) {
    return settings.ipv6 ? ipv6_networks : ipv4_networks;
}

IpAddress first_address(const ip::Config& config) {
    const ip::InterfaceConfig& interface = config.interfaces[0];
    if (interface.speaks_ipv4()) return interface.address;
    return interface.ipv6[0].address;
}

ip::Config side(const HandshakeSettings& settings, bool server, unsigned pair, std::uint32_t first_host,
                std::uint32_t addresses) {
    const Networks& networks = networks_of(settings);
    const IpAddress& here = server ? networks.server : networks.client;
    const IpAddress& there = server ? networks.client : networks.server;
    const IpAddress router = nth_after(here, router_host);
    const IpAddress first = nth_after(here, first_host);
    ip::Config config;
    config.report_solicited_nodes = false;  // nobody but the two is there
    ip::InterfaceConfig interface;
    interface.mac = mac_of(server, pair);
    interface.mtu = static_cast<std::uint16_t>(settings.wire.mtu);
    if (settings.ipv6) {
        interface.ipv6.push_back(
            {.address = first.v6(), .address_count = addresses, .prefix_length = networks.prefix_length});
    } else {
        interface.address = first.v4();
        interface.address_count = addresses;
        interface.prefix_length = networks.prefix_length;
    }
    config.interfaces.push_back(interface);
    config.routes.push_back(
        {.network = there, .prefix_length = networks.prefix_length, .gateway = router, .interface = 0});
    config.neighbours.push_back({.address = router, .mac = mac_of(!server, pair), .interface = 0});
    return config;
}

// A client and a server, on a core each or on one: what they need, and their wire.
struct Pair {
    load::CorePlan plan;
    StackConfig client, server;
    std::unique_ptr<JoinedWire> wire;
    std::unique_ptr<load::BusyWire> busy_client, busy_server;  // where a side is to be slow
};

// A seed makes addresses, ports and sequence numbers the same again; without one the keys are the kernel's
// entropy.
std::optional<std::array<std::uint64_t, 2>> secret_from(const std::optional<std::uint64_t>& seed,
                                                        std::uint64_t stack) {
    if (!seed) return std::nullopt;
    const auto mixed = [](std::uint64_t x) {  // splitmix64's finalizer
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
        x = (x ^ x >> 27) * 0x94d049bb133111ebU;
        return x ^ x >> 31;
    };
    const std::uint64_t start = mixed(*seed + stack);
    return std::array{mixed(start + 1), mixed(start + 2)};
}

HashKey datagram_key(const std::optional<std::uint64_t>& seed, std::uint64_t number) {
    constexpr std::uint64_t apart = 1U << 20;  // from those of stacks
    if (const auto secret = secret_from(seed, apart + number)) return {(*secret)[0], (*secret)[1]};
    const auto secret = host_secret();
    return {secret[0], secret[1]};
}

std::vector<Pair> make_pairs(const HandshakeSettings& settings, unsigned count) {
    std::vector<Pair> pairs(count);
    std::uint32_t next_host = 1;
    for (unsigned i = 0; i < count; ++i) {
        Pair& pair = pairs[i];
        pair.plan = load::plan_core(settings.traffic, count, i, settings.one_address);
        const std::uint32_t addresses =
            settings.client_addresses != 0 ? settings.client_addresses : pair.plan.client_addresses;
        const unsigned station = settings.one_address ? 0 : i;
        if (settings.one_address) next_host = 1;
        if (addresses > most_addresses - next_host)
            throw load::BadPlan(
                fmt::format("{} client addresses a core are needed, and {} of the network {}/{} are left; "
                            "ask for fewer --connections, a lower --rate, a shorter --msl or a smaller "
                            "--time-wait-table",
                            addresses, most_addresses - next_host, to_string(networks_of(settings).client),
                            networks_of(settings).prefix_length));
        load::check_addresses(settings.traffic, pair.plan, addresses);
        pair.plan.client_addresses = addresses;
        pair.client.ip = side(settings, false, station, next_host, addresses);
        pair.client.tcp = pair.plan.client_tcp;
        pair.client.secret = secret_from(settings.seed, 2 * i);
        pair.server.ip = side(settings, true, station, 1 + station, 1);
        pair.server.tcp = pair.plan.server_tcp;
        pair.client.udp.sockets = pair.plan.client_sockets;
        pair.server.secret = secret_from(settings.seed, 2 * i + 1);
        pair.plan.client.first_local_address = first_address(pair.client.ip);
        pair.plan.client.local_addresses = addresses;
        pair.plan.client.remote_address = first_address(pair.server.ip);
        pair.plan.client.remote_port = server_port;
        next_host += addresses;
    }
    return pairs;
}

nlohmann::ordered_json describe(const HandshakeSettings& settings, const std::vector<Pair>& pairs,
                                const port::MbufPoolOptions& pool, std::size_t memory_mb) {
    nlohmann::ordered_json config;
    config["wire"] = to_string(settings.wire.kind);
    config["wire_frames"] = frames_of(settings.wire);
    config["zero_copy"] = settings.wire.zero_copy;
    config["mtu"] = settings.wire.mtu;
    config["checksum"] = settings.wire.offload ? "offload" : "software";
    config["segmentation"] = settings.wire.segmentation;
    config["cores"] = settings.cores;
    config["roles"] = settings.both_roles ? "both" : "one";
    config["one_address"] = settings.one_address;
    config["ipv6"] = settings.ipv6;
    describe_traffic(settings.traffic, pairs[0].plan, config);
    config["server_time_wait_table"] = pairs[0].plan.server_tcp.time_wait;
    config["client_addresses"] = pairs[0].plan.client_addresses;
    config["response_body"] = settings.size;
    describe_behaviour(settings.traffic.server, config);
    describe_attacks(settings.traffic, config);
    describe_tcp(settings.traffic.tcp, config);
    config["mbufs"] = pool.mbufs;
    config["memory_mb"] = memory_mb;
    return config;
}

ExitStatus run(HandshakeSettings& settings) {
    const Signals signals;
    live::FrontEnds front(settings.live, settings.output.text());
    const runtime::HostFacts machine = runtime::host_facts();
    validate(settings.wire);
    const bool datagrams = load::sends_datagrams(settings.traffic.recipe);
    if (datagrams || (settings.traffic.recipe == load::Recipe::rr && settings.traffic.sizes.drawn()))
        settings.traffic.sizes.set_missing(transfer_octets);
    if (settings.cores == 0) settings.cores = machine.cpus.size() >= 2 ? 2 : 1;
    if (settings.cores == 1) settings.both_roles = true;
    if (!settings.both_roles && settings.cores % 2 != 0)
        throw std::invalid_argument(fmt::format(
            "--cores: {} cannot be shared between clients and servers; write an even number, or let "
            "each core have --roles both",
            settings.cores));
    const unsigned count = settings.both_roles ? settings.cores : settings.cores / 2;
    std::vector<Pair> pairs = make_pairs(settings, count);
    AttackLog attacks(front.notices());
    for (Pair& pair : pairs) pair.client.tcp.observer = pair.server.tcp.observer = &attacks;

    port::MbufPoolOptions pool{
        .mbufs = 0, .data_room = data_room_of(settings.wire), .lcores = settings.cores + 1};
    // Of its rings, whoever makes them.
    const std::size_t wire_octets = 4 * frames_of(settings.wire) * sizeof(void*) + (std::size_t{1} << 20);
    load::MemoryPlan memory;
    if (settings.one_address) memory.add_packets(2 * runtime::SharedPort::memory_needed(count, count));
    for (const Pair& pair : pairs) {
        pool.mbufs += pair.plan.mbufs + mbufs_of(settings.wire);
        memory.add(load::MemoryPlan::Side::client, pair.client);
        memory.add(load::MemoryPlan::Side::server, pair.server);
        memory.add_packets(wire_octets);
        if (!datagrams) continue;
        memory.add_packets(load::DatagramResponder::table_octets(pair.plan.server_flows));
        memory.add_heap(load::DatagramResponder::heap_octets(pair.plan.server_flows));
        memory.add_heap(load::DatagramClient::heap_octets(pair.plan.client.connections));
    }
    memory.add_packets(port::memory_needed(pool) + block_octets);
    const auto capture_options = live::capture_options(settings.live, settings.cores + 1);
    if (capture_options) memory.add_packets(live::Capture::memory_needed(*capture_options));
    memory.check(machine.available_memory_mb, settings.traffic);
    const std::size_t memory_mb = memory.total_mb();
    runtime::EalOptions eal_options{.memory_mb = memory_mb,
                                    .arrays_mb = memory.tables_mb(),
                                    .hugepages = settings.huge,
                                    .workers = settings.cores,
                                    .extra = eal_arguments_of(settings.wire)};
    live::apply(settings.live, eal_options);
    std::FILE* const text = settings.output.text();
    fmt::print(text, "memory {}\n",
               memory.describe(settings.traffic, runtime::uses_hugepages(eal_options, machine),
                               machine.available_memory_mb));
    std::fflush(text);

    // What is sent without a copy lives until the end of the process.
    const bool transfers = load::transfers(settings.traffic.recipe);
    const load::Transactions& sizes = settings.traffic.sizes;
    const bool http = settings.traffic.recipe == load::Recipe::http;
    static const load::HttpResponse response(settings.size, transfers);
    static const load::HttpResponse last_response(settings.size, false);
    static const std::string request =
        settings.traffic.recipe == load::Recipe::rr && sizes.request.is_fixed() && !sizes.request.is_zero()
            ? std::string(static_cast<std::size_t>(sizes.request.most()), 'q')
            : load::http_request(pairs[0].plan.client.remote_address);
    static const std::vector<std::byte> answer(
        settings.traffic.recipe == load::Recipe::rr ? static_cast<std::size_t>(sizes.response.most()) : 0,
        std::byte{'a'});
    const std::span<const std::byte> answered = answer.empty() ? response.all() : std::span{answer};

    if (settings.ipv6 && settings.wire.mtu < wire::ipv6_min_mtu)
        throw std::invalid_argument(fmt::format("--mtu: IPv6 needs at least {}", wire::ipv6_min_mtu));
    prepare(settings.wire, count);
    runtime::Eal eal(eal_options);
    const port::MbufPool mbufs = port::make_mbuf_pool(pool);
    // In EAL's memory a device may read it. Never freed; kept in sight of who looks for leaks.
    static const EalBlock* const stream_block = new EalBlock{"block of a stream", block_octets};
    const std::span block = stream_block->span();
    std::ranges::fill(block, std::byte{0x55});
    for (unsigned i = 0; i < count; ++i) {
        Pair& pair = pairs[i];
        pair.plan.client.request = std::as_bytes(std::span{request});
        pair.plan.client.response_octets = answered.size();
        pair.plan.client.block = block;
        pair.plan.client.measures = !settings.unmeasured;
        pair.wire = make_wire(settings.wire, i, mbufs.get());
        pair.client.ip.interfaces[0].offloads = pair.wire->client_offloads();
        pair.server.ip.interfaces[0].offloads = pair.wire->server_offloads();
    }

    // What is a port of `count` queues to either side, where they share addresses.
    std::unique_ptr<runtime::SharedPort> clients, servers;
    if (settings.one_address) {
        std::vector<port::Wire*> a, b;
        for (Pair& pair : pairs) a.push_back(&pair.wire->client()), b.push_back(&pair.wire->server());
        clients = std::make_unique<runtime::SharedPort>(a, count);
        servers = std::make_unique<runtime::SharedPort>(b, count);
        for (unsigned i = 0; i < count; ++i) {
            clients->configure(i, pairs[i].client);
            servers->configure(i, pairs[i].server);
            pairs[i].plan.client.home_ports = pairs[i].client.udp.home_ports;
        }
    }

    // Each side of the wires is an interface of the file, and the number of the pair its queue.
    std::optional<live::Capture> capture;
    std::uint16_t client_port = 0, server_port_id = 0;
    if (capture_options) {
        client_port = live::make_nominal_port("net_null_client");
        server_port_id = live::make_nominal_port("net_null_server");
        capture.emplace(*capture_options);
    }

    port::TracedWire::Observer trace;
    if (settings.output.trace) trace = make_trace(front.text(), *settings.output.trace);

    load::Result result;
    result.command = "handshake";
    result.started = utc_now();
    result.host = load::this_host();
    result.host.hugepages = eal.hugepages();
    result.config = describe(settings, pairs, pool, memory_mb);
    result.seed = settings.seed;
    result.recipe = settings.traffic.recipe;
    result.failures_bounded = results::bounds_failures(settings.output.goals);
    result.wire = describe(settings.wire);
    result.client_cores = result.server_cores = count;
    result.unmeasured = settings.unmeasured;
    result.comes_and_goes = load::comes_and_goes(settings.traffic);
    (load::rates_transactions(settings.traffic)            ? result.asked_tps
     : settings.traffic.recipe == load::Recipe::udp_oneway ? result.asked_dps
                                                           : result.asked_cps) =
        load::mean_rate(settings.traffic);
    if (settings.cores == 1) result.notes.emplace_back("client and server share one core");
    if (settings.both_roles && settings.cores > 1)
        result.notes.emplace_back("each core carries a client and a server");
    if (settings.one_address && count > 1)
        result.notes.push_back(
            fmt::format("one server address for {} cores; on both sides {}", count, servers->description()));
    if (settings.cores > machine.cpus.size())
        result.notes.push_back(fmt::format("{} loops share {} CPUs", settings.cores, machine.cpus.size()));
    if (!result.asked_cps && !result.transfers() && result.recipe != load::Recipe::none)
        result.notes.push_back(fmt::format("rate max: {} connections on their way for each client core",
                                           pairs[0].plan.client.window));

    fmt::print(text, "runnel handshake: recipe {}, {}, wire {}, {} core{}\n", to_string(result.recipe),
               what_is_asked(settings.traffic, count), result.wire, settings.cores,
               settings.cores == 1 ? "" : "s");
    front.begin(
        eal,
        {.command = "handshake",
         .what = fmt::format("{}, {}", to_string(result.recipe), what_is_asked(settings.traffic, count)),
         .wire = result.wire,
         .server = true},
        result.config);

    runtime::count_stages();
    runtime::PollLoopOptions loop;
    if (settings.cores > machine.cpus.size()) loop.idle = runtime::Idle::yield;
    runtime::Runtime runtime(eal, loop);
    const bool both = settings.both_roles;
    const auto factory = [&](runtime::Core& core) -> std::unique_ptr<runtime::CoreInstance> {
        const unsigned number = both ? core.index : core.index / 2;
        Pair& pair = pairs[number];
        auto instance = std::make_unique<load::TrafficCore>();
        const auto tapped = [&](port::Wire& wire, std::uint16_t port) -> port::Wire& {
            if (!capture) return wire;
            return *instance->taps.emplace_back(capture->tap(wire, port, number));
        };
        if (both || core.index % 2 == 1) {
            const std::uint32_t slots = pair.server.tcp.connections;
            std::unique_ptr<load::Responder> responder;
            if (http)
                responder = std::make_unique<load::HttpResponder>(response, last_response, slots);
            else
                responder = load::make_responder(pair.plan.client, answered, slots);
            if (!settings.traffic.server.answers_at_once())
                responder->behave(settings.traffic.server, slots, settings.traffic.seed + number);
            instance->server = std::make_unique<load::ServerSide>(pair.server, server_port,
                                                                  std::move(responder), mbufs.get());
            if (datagrams)
                instance->server->serve_datagrams(
                    server_port,
                    {.flows = pair.plan.server_flows,
                     .senders = std::min(pair.plan.server_flows, load::DatagramResponder::most_senders),
                     .key = datagram_key(settings.seed, number)},
                    settings.traffic.server, settings.traffic.seed + number);
            port::Wire* wire = servers ? &servers->wire(number) : &pair.wire->server();
            if (settings.server_work > 0s) {
                pair.busy_server =
                    std::make_unique<load::BusyWire>(*wire, runtime.clock(), settings.server_work);
                wire = pair.busy_server.get();
            }
            instance->server->attach(core.loop, tapped(*wire, server_port_id));
            if (servers) servers->attach(number, instance->server->stack, core.loop);
        }
        if (both || core.index % 2 == 0) {
            port::Wire* wire = clients ? &clients->wire(number) : &pair.wire->client();
            if (settings.client_work > 0s) {
                pair.busy_client =
                    std::make_unique<load::BusyWire>(*wire, runtime.clock(), settings.client_work);
                wire = pair.busy_client.get();
            }
            instance->client =
                std::make_unique<load::ClientSide>(pair.client, pair.plan.client, tapped(*wire, client_port),
                                                   mbufs.get(), runtime.clock(), trace);
            instance->client->attach(core.loop);
            if (clients) clients->attach(number, instance->client->stack, core.loop);
        }
        if (core.index == 0 && servers) instance->shared = {clients.get(), servers.get()};
        return instance;
    };
    const auto progress = [&, print = make_progress(text, result.recipe)](const load::Interval& interval) {
        attacks.print();
        if (!front.views()) print(interval);
    };
    load::measure(
        runtime, factory, progress, [&] { return signals.arrived(); }, result, front.followers());
    attacks.print();
    front.end();
    if (capture) live::note(capture->finish(), settings.live.pcap, result.notes);
    return report(result, settings.output);
}

void add_wire_options(CLI::App& command, WireSettings& wire) {
    command
        .add_option_function<std::string>(
            "--wire",
            [&wire](const std::string& text) {
                const auto kind = parse_wire(text);
                if (!kind)
                    throw CLI::ValidationError("--wire", "\"" + text +
                                                             "\" is no wire of this command; choose ring, "
                                                             "memif, vhost or af_packet");
                wire.kind = *kind;
            },
            "What joins the two endpoints:\n"
            "ring       two rings of mbufs\n"
            "memif      two memif ports: shared memory, packets copied\n"
            "vhost      a vhost and a virtio-user port: virtio rings, packets copied\n"
            "af_packet  the Linux kernel: a veth pair in a network namespace of its own (needs root)")
        ->type_name("WIRE")
        ->default_str("ring");
    add_count(command, "--mtu", wire.mtu, 576, 9216, "Octets of an IP packet");
    command.add_flag("--zero-copy", wire.zero_copy,
                     "The client's memif port sends and receives in place: one copy less each way");
    command
        .add_option_function<std::string>(
            "--checksum",
            [&wire](const std::string& choice) {
                if (choice != "software" && choice != "offload")
                    throw CLI::ValidationError("--checksum",
                                               "\"" + choice + "\" is no choice; write software or offload");
                wire.offload = choice == "offload";
            },
            "software: every checksum made and checked; offload: left to the wire, as to a NIC (ring is "
            "declared to do it, vhost vouches for what never left the machine)")
        ->type_name("WHERE")
        ->default_str("software");
    command.add_flag(
        "--segmentation", wire.segmentation,
        "Large segments are left to the wire to cut (TSO; needs --checksum offload): ring and vhost "
        "pass them whole");
}

}  // namespace

Action add_handshake(CLI::App& command) {
    const auto settings = std::make_shared<HandshakeSettings>();
    {
        const OptionGroup group(command, "Wire");
        add_wire_options(command, settings->wire);
    }
    add_traffic_options(command, settings->traffic);
    add_transfer_options(command, settings->traffic);
    add_request_options(command, settings->traffic);
    add_datagram_options(command, settings->traffic);
    add_behaviour_options(command, settings->traffic.server);
    add_attack_options(command, settings->traffic);
    add_count(command, "--cores", settings->cores, 0, 128,
              "Cores: 1 carries both endpoints, 2 one each, 2n n of each; 0: 2 where the machine has them");
    command
        .add_option_function<std::string>(
            "--roles",
            [settings](const std::string& choice) {
                if (choice != "one" && choice != "both")
                    throw CLI::ValidationError("--roles",
                                               "\"" + choice + "\" is no choice; write one or both");
                settings->both_roles = choice == "both";
            },
            "one: a core is a client or a server; both: each core carries a client and a server")
        ->type_name("ROLES")
        ->default_str("one");
    command.add_flag(
        "--one-address", settings->one_address,
        "All servers share one address and port, and all clients their addresses, as behind a port with "
        "a queue a core: frames are steered to the core that owns their connection");
    command.add_flag("--ipv6", settings->ipv6, "IPv6 in place of IPv4: addresses of 2001:2::/48 (RFC 5180)");
    add_count(command, "--size", settings->size, 0, static_cast<std::uint32_t>(load::HttpResponse::max_size),
              "Octets of the body of a response (crr, rr)");
    add_count(
        command, "--client-addresses", settings->client_addresses, 0, most_addresses,
        "Client addresses a client core, from 198.18.0.1 or 2001:2:0:1::1 on; 0: as many as the ports need");
    add_tcp_options(command, settings->traffic.tcp);
    command
        .add_option_function<std::uint64_t>(
            "--seed",
            [settings](const std::uint64_t& seed) { settings->seed = settings->traffic.seed = seed; },
            "Keys of ports and sequence numbers, and what --arrivals draws, from this number, to see the "
            "same "
            "again")
        ->type_name("N");
    {
        const OptionGroup group(command, "");
        add_duration(command, "--client-work", settings->client_work, 0s,
                     "Time that each frame takes of a client's core besides");
        add_duration(command, "--server-work", settings->server_work, 0s,
                     "Time that each frame takes of a server's core besides");
        command.add_flag("--unmeasured", settings->unmeasured,
                         "No latencies and no intervals: to see what measuring them costs");
    }
    add_huge_option(command, settings->huge);
    add_json_option(command, settings->output);
    add_page_option(command, settings->output);
    add_goal_option(command, settings->output);
    add_trace_option(command, settings->output);
    live::add_options(command, settings->live);
    live::add_capture_options(command, settings->live);
    command.footer(
        "Examples:\n"
        "  runnel handshake                                       connect, request, response, close: as fast "
        "as it goes\n"
        "  runnel handshake --recipe rst --duration 10s           the tester's classic: handshake and RST\n"
        "  runnel handshake --rate 200k --json result.json        an even 200,000 a second, and its "
        "latencies\n"
        "  runnel handshake --recipe hold --connections 1M        one million connections at once\n"
        "  runnel handshake --recipe hold --connections 50M --transactions 1\n"
        "                                                         a request on each, in random order (14 "
        "GB)\n"
        "  runnel handshake --recipe rr --connections 2k          requests and responses on 2,000 "
        "connections\n"
        "  runnel handshake --recipe stream --mtu 9000            one connection, as much data as it "
        "carries\n"
        "  runnel handshake --recipe udp-rr --rate 100k           requests in datagrams, each with its time\n"
        "  runnel handshake --recipe udp-oneway --rate 1M         datagrams one way: which are lost, and "
        "what is "
        "late\n"
        "  runnel handshake --wire memif                          the same over two memif ports\n"
        "  runnel handshake --cores 8 --roles both --one-address  eight cores, one server address\n"
        "  runnel handshake --connections 1 --trace               see one connection, segment by segment\n"
        "With --rate max the window of open connections is the limit by intention, and the result valid; "
        "with a rate that\n"
        "was not reached the exit status is 3.");
    return [settings] { return run(*settings); };
}

}  // namespace runnel::app
