// See plan.hpp.
#include "engine/plan.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "engine/datagram_plan.hpp"
#include "engine/seconds.hpp"
#include "engine/sized_request.hpp"
#include "quantity.hpp"

namespace runnel::load {
namespace {

// Connections that one side has ended and the other not yet: as many as segments fit on the wire between
// them.
constexpr std::uint32_t on_the_wire = 8192;
// Connections that one core can open in a second, at the very most: what "max" is planned for.
constexpr double most_cps = 4e6;
// Most connections that a 32-bit slot number and a sane machine allow a core.
constexpr std::uint64_t most_connections = 1ULL << 28;

std::uint64_t divided_up(std::uint64_t a, std::uint64_t b) noexcept {
    return (a + b - 1) / b;
}

// Arrivals a second of a core, evenly or as a Poisson process: several times what any core sends.
constexpr double most_stay = 24 * 3600e9;  // nanoseconds
constexpr double most_scheduled = 100e6, most_drawn = 10e6;

// Connections that are carried on, where nobody says how many.
constexpr std::uint64_t default_transactions = 2000;
constexpr std::uint64_t default_streams = 1;

// Connections that stay open while others come and go, of the part of a core.
std::uint64_t held_of(const Traffic& traffic, unsigned cores, unsigned index) noexcept {
    return traffic.concurrency ? share_of(*traffic.concurrency, cores, index) : 0;
}

// As the functions of recipe.hpp, where connections may end after a number of transactions.
bool keeps(const Traffic& traffic) noexcept {
    return keeps_connections(traffic.recipe) && !comes_and_goes(traffic);
}
bool carries(const Traffic& traffic) noexcept {
    return transfers(traffic.recipe) && !comes_and_goes(traffic);
}
// Who asks for Connection: close has the server close first; with `rr` the client does.
bool client_waits(const Traffic& traffic) noexcept {
    return client_keeps_time_wait(traffic.recipe) &&
           !(traffic.recipe == Recipe::http && comes_and_goes(traffic));
}

bool asks_rate(const Traffic& traffic) noexcept {
    return traffic.rate || traffic.profile;
}

// What is asked for, in the words of the option.
std::string rate_word(const Traffic& traffic) {
    return traffic.profile ? to_string(*traffic.profile) : fmt::format("{}", *traffic.rate);
}

void check_rate(const Traffic& traffic, unsigned cores) {
    if (!asks_rate(traffic)) {
        if (traffic.arrivals == ArrivalProcess::poisson)
            throw BadPlan(
                "--arrivals poisson: at max the next begins when one has ended; give a --rate, such as 10k");
        if (traffic.ramp_up + traffic.ramp_down > Duration{})
            throw BadPlan("--ramp-up and --ramp-down let a rate climb and fall; give a --rate, such as 10k");
        return;
    }
    if (traffic.recipe == Recipe::stream)
        throw BadPlan(fmt::format(
            "--rate {}: recipe {} opens its connections once, and then carries as much as goes; leave --rate "
            "out",
            rate_word(traffic), to_string(traffic.recipe)));
    if (traffic.rate && *traffic.rate < cores)
        throw BadPlan(fmt::format(
            "--rate {} is less than one a second for each of the {} client cores; take fewer --cores",
            *traffic.rate, cores));
    // Beyond this a core cannot even count what it does not send.
    const double most = (traffic.arrivals == ArrivalProcess::poisson ? most_drawn : most_scheduled) * cores;
    const double highest =
        traffic.profile ? traffic.profile->highest(traffic.duration) : static_cast<double>(*traffic.rate);
    if (highest > most)
        throw BadPlan(
            fmt::format("--rate {} is beyond what {} client core{} could send by far; give {:.0f} M at most",
                        rate_word(traffic), cores, cores == 1 ? "" : "s", most / 1e6));
    if (!traffic.profile) return;
    const LoadProfile& profile = *traffic.profile;
    const std::string text = to_string(profile);
    if (profile.burst() && profile.burst()->count < cores)
        throw BadPlan(
            fmt::format("--rate {}: a burst is fewer than one for each of the {} client cores; take fewer "
                        "--cores",
                        text, cores));
    if (profile.burst() && traffic.arrivals == ArrivalProcess::poisson)
        throw BadPlan(
            fmt::format("--arrivals poisson: those of --rate {} come at once; leave one out", text));
    if (profile.burst() && traffic.ramp_up + traffic.ramp_down > Duration{})
        throw BadPlan(
            fmt::format("--ramp-up and --ramp-down: --rate {} has no rate that could climb or fall; "
                        "leave them out",
                        text));
    if (profile.arrivals(traffic.duration) < 1)
        throw BadPlan(fmt::format("--rate {} brings nothing within --duration {}; take a longer one", text,
                                  app::human_duration(traffic.duration)));
}

void check_concurrency(const Traffic& traffic, unsigned cores) {
    if (!traffic.concurrency) return;
    if (keeps(traffic) && !sends_datagrams(traffic.recipe))
        throw BadPlan(
            fmt::format("--concurrency {}: recipe {} keeps its --connections; say how many with that",
                        *traffic.concurrency, to_string(traffic.recipe)));
    if (*traffic.concurrency < cores)
        throw BadPlan(fmt::format(
            "--concurrency {} is fewer than one for each of the {} client cores; take fewer --cores",
            *traffic.concurrency, cores));
    if (traffic.recipe == Recipe::crr && asks_rate(traffic))
        throw BadPlan(fmt::format(
            "--concurrency {}: the server ends a connection of crr, whatever is to stay open; take "
            "--recipe fin or rst, or leave --rate out",
            *traffic.concurrency));
    if (!asks_rate(traffic) && traffic.window != 0)
        throw BadPlan(
            fmt::format("--concurrency {} and --window {} say the same at --rate max; leave one out",
                        *traffic.concurrency, traffic.window));
}

void check_attacks(const Traffic& traffic, unsigned cores) {
    if (traffic.recipe == Recipe::none) {
        if (traffic.attacks.empty())
            throw BadPlan(
                "--recipe none opens no connection: say what else with --attack, as --attack "
                "syn-flood:10k");
        if (asks_rate(traffic) || traffic.connections || traffic.concurrency)
            throw BadPlan(
                "--recipe none opens no connection; leave --rate, --connections and --concurrency out");
    }
    for (const AttackTraffic& attack : traffic.attacks) {
        if (attack.rate < cores)
            throw BadPlan(
                fmt::format("--attack {}:{} is less than one a second for each of the {} client cores; "
                            "take fewer --cores",
                            to_string(attack.kind), attack.rate, cores));
        if (static_cast<double>(attack.rate) > most_scheduled * cores)
            throw BadPlan(fmt::format(
                "--attack {}:{} is beyond what {} client core{} could send by far; give {:.0f} M at most",
                to_string(attack.kind), attack.rate, cores, cores == 1 ? "" : "s",
                most_scheduled * cores / 1e6));
    }
}

void check_transactions(const Traffic& traffic) {
    if (traffic.transactions != 0 && traffic.recipe != Recipe::hold &&
        (!transacts(traffic.recipe) || sends_datagrams(traffic.recipe)))
        throw BadPlan(
            fmt::format("--transactions {}: recipe {} has none; take hold, rr or http, or leave it out",
                        traffic.transactions, to_string(traffic.recipe)));
    if (!transacts(traffic.recipe) && !traffic.sizes.think.is_zero())
        throw BadPlan(
            fmt::format("--think {}: that is the time between transactions of rr and http, and this is "
                        "{}; leave it out",
                        times_to_string(traffic.sizes.think), to_string(traffic.recipe)));
    if (traffic.recipe == Recipe::http && !traffic.http.keep_alive && traffic.transactions > 1)
        throw BadPlan(
            fmt::format("--transactions {}: with --no-keep-alive a connection carries one request; "
                        "write 1, or leave one of them out",
                        traffic.transactions));
    if (traffic.recipe == Recipe::rr && traffic.sizes.drawn() &&
        traffic.sizes.request.least() < SizedRequest::octets)
        throw BadPlan(
            fmt::format("--request-octets {}: where sizes differ a request begins with {} octets that "
                        "say which; write no less",
                        sizes_to_string(traffic.sizes.request), std::uint32_t{SizedRequest::octets}));
}

}  // namespace

std::uint32_t ports_per_address(const tcp::Config& tcp, unsigned sharers) noexcept {
    const std::uint32_t all = std::uint32_t{tcp.ephemeral_last} - tcp.ephemeral_first + 1;
    // The parts are a little uneven: the smallest counts.
    return sharers == 1 ? all : std::max(1U, (all - all / 16) / sharers);
}

std::uint64_t pairs_needed(const Traffic& traffic, const ClientOptions& client,
                           std::uint64_t time_wait_table) noexcept {
    if (keeps(traffic)) return client.connections + client.window;
    const double most = seconds(traffic.ramp_up + client.ramp + traffic.duration + traffic.ramp_down) *
                        client.rate.value_or(most_cps);
    const auto all = std::min(client.connections, static_cast<std::uint64_t>(most));
    const std::uint64_t open = client.window + client.concurrency;
    if (!client_waits(traffic)) return std::min(all, open);
    const double waiting = client.rate.value_or(most_cps) * seconds(traffic.tcp.time_wait_duration);
    return open + std::min({all, static_cast<std::uint64_t>(waiting), time_wait_table});
}

std::optional<double> mean_rate(const Traffic& traffic) {
    if (traffic.profile) return traffic.profile->arrivals(traffic.duration) / seconds(traffic.duration);
    if (traffic.rate) return static_cast<double>(*traffic.rate);
    return std::nullopt;
}

std::optional<std::uint64_t> kept_connections(const Traffic& traffic, unsigned cores) noexcept {
    if (traffic.connections || !carries(traffic)) return traffic.connections;
    if (sends_datagrams(traffic.recipe)) return std::max(cores, default_flows(traffic.recipe));
    return std::max<std::uint64_t>(cores, transacts(traffic.recipe) ? default_transactions : default_streams);
}

CorePlan plan_core(const Traffic& traffic, unsigned cores, unsigned index, bool shared) {
    if (traffic.recipe == Recipe::hold && !traffic.connections)
        throw BadPlan(
            "--recipe hold keeps connections open: say how many with --connections, such as --connections "
            "100k");
    check_transactions(traffic);
    check_attacks(traffic, cores);
    check_rate(traffic, cores);
    check_concurrency(traffic, cores);
    check_datagrams(traffic, cores);
    const std::optional<std::uint64_t> connections = kept_connections(traffic, cores);
    if (traffic.connections && *traffic.connections < cores)
        throw BadPlan(fmt::format(
            "--connections {} is fewer than one for each of the {} client cores; take fewer --cores",
            *traffic.connections, cores));
    if (traffic.duration < 10ms)
        throw BadPlan(fmt::format("--duration {} is too short to measure anything; take at least 10ms",
                                  app::human_duration(traffic.duration)));

    CorePlan plan;
    plan.sharers = shared ? cores : 1;
    ClientOptions& client = plan.client;
    client.recipe = traffic.recipe;
    if (traffic.rate) client.rate = static_cast<double>(*traffic.rate) / cores;
    if (traffic.profile) {
        client.profile = traffic.profile->share(cores, index);
        client.rate = client.profile->highest(traffic.duration);
    }
    client.arrivals = traffic.arrivals;
    client.seed = mixed(traffic.seed) + index;
    if (connections) client.connections = share_of(*connections, cores, index);
    client.transactions = traffic.transactions;
    client.comes_and_goes = comes_and_goes(traffic);
    client.attacks = traffic.attacks;
    for (AttackTraffic& attack : client.attacks) attack.rate /= cores;
    client.clients = traffic.clients;
    client.servers = traffic.servers;
    client.choice = traffic.choice;
    client.sizes = traffic.sizes;
    client.http = traffic.http;
    client.direction = traffic.direction;
    client.copies = traffic.copies;
    client.reply_timeout = traffic.reply_timeout;
    client.datagram_octets = traffic.datagram_octets;
    client.give_up = traffic.give_up;
    client.blind = traffic.blind;
    client.first_port = traffic.tcp.ephemeral_first;
    client.last_port = traffic.tcp.ephemeral_last;
    client.window = traffic.window != 0 ? traffic.window : client.rate ? 8192U : 512U;
    const std::uint64_t held = held_of(traffic, cores, index);
    if (held > most_connections)
        throw BadPlan(fmt::format("--concurrency: {} on one core are more than {}; take more --cores", held,
                                  most_connections));
    if (client.rate)
        client.concurrency = static_cast<std::uint32_t>(held);
    else if (held > 0)
        client.window = static_cast<std::uint32_t>(held);
    // How long a connection stays while its transactions think, nearly always.
    const Duration stay{
        comes_and_goes(traffic)
            ? static_cast<Duration::rep>(std::min(
                  static_cast<double>(traffic.transactions) * traffic.sizes.think.quantile(0.99), most_stay))
            : 0};
    if (client.rate && comes_and_goes(traffic) && traffic.window == 0)
        client.window = static_cast<std::uint32_t>(
            std::min(8192 + 1.5 * *client.rate * seconds(stay), static_cast<double>(most_connections)));
    client.duration = traffic.duration;
    // A set number of connections is measured from the first to the last.
    const bool from_the_first = traffic.connections && !carries(traffic);
    client.ramp = from_the_first ? Duration{0} : traffic.ramp;
    client.ramp_up = from_the_first ? Duration{0} : traffic.ramp_up;
    client.ramp_down = traffic.ramp_down;
    // Before it is measured how they come and go, as many are open as are to stay.
    if (client.concurrency > 0 && !from_the_first) {
        const double first = traffic.profile ? client.profile->rate_at(Duration{}) : *client.rate;
        if (first > 0)
            client.ramp = std::max(
                client.ramp,
                Duration{static_cast<Duration::rep>(1e9 * static_cast<double>(held) / first)} + 100ms);
    }
    client.drain = traffic.drain + stay;
    // Datagrams wait for nobody's answer.
    const bool waits = rates_transactions(traffic) && !sends_datagrams(traffic.recipe);
    client.max_lag = traffic.max_lag.value_or(waits ? 10s : Duration{100ms});
    if (sends_datagrams(traffic.recipe)) {
        plan_datagrams(traffic, plan);
        return plan;
    }

    const std::uint64_t kept = keeps(traffic) ? client.connections : client.concurrency;
    // Of those kept, how many may have data in flight or queued at once.
    const auto carried = static_cast<std::uint32_t>(carries(traffic) ? kept : 0);
    if (kept + client.window + on_the_wire > most_connections)
        throw BadPlan(fmt::format(
            "{} connections on one core are more than {}; take more --cores or fewer --connections", kept,
            most_connections));
    const auto client_slots = static_cast<std::uint32_t>(kept + client.window + 64);
    const auto server_slots = static_cast<std::uint32_t>(kept + client.window + on_the_wire);
    client.slots = client_slots;

    plan.client_tcp = traffic.tcp;
    plan.client_tcp.connections = client_slots;
    plan.client_tcp.half_open = 64;  // nobody connects to the client
    plan.client_tcp.cold_blocks = carried + client.window + 64;

    plan.server_tcp = traffic.tcp;
    plan.server_tcp.connections = server_slots;
    plan.server_tcp.half_open = client.window + on_the_wire;
    // A response is in flight until the client's ACK, which may be delayed, says otherwise.
    const auto unacknowledged = static_cast<std::uint32_t>(
        traffic.transactions == 0 || comes_and_goes(traffic)
            ? 0.0
            : std::min(static_cast<double>(kept), most_cps * seconds(traffic.tcp.delayed_ack)));
    plan.server_tcp.cold_blocks = carried + client.window + on_the_wire + unacknowledged;

    const std::uint64_t pairs = pairs_needed(traffic, client, traffic.time_wait_table);
    const std::uint32_t ports = ports_per_address(traffic.tcp, plan.sharers);
    // Where the client waits, a port is found quickly only while a good part of them is free.
    const std::uint64_t wanted = client_waits(traffic) ? pairs + pairs / 2 : pairs;
    plan.client_addresses =
        static_cast<std::uint32_t>(std::clamp<std::uint64_t>(divided_up(wanted, ports), 1, UINT32_MAX));

    // What a server core may get of them: where addresses are shared, its part, which may be a little larger
    // than that of others.
    const std::uint64_t every_pair = std::uint64_t{plan.client_addresses} * ports_per_address(traffic.tcp);
    const std::uint64_t all_pairs = shared && cores > 1 ? every_pair * 17 / 16 / cores : every_pair;
    constexpr std::uint32_t few =
        1024;  // the side that closes second enters TIME-WAIT in a simultaneous close only
    const auto waiting =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(traffic.time_wait_table, all_pairs));
    plan.client_tcp.time_wait = client_waits(traffic) ? std::max(waiting, few) : few;
    plan.server_tcp.time_wait =
        traffic.recipe == Recipe::crr || traffic.recipe == Recipe::http ? std::max(waiting, few) : few;

    // Rings, queues and stashes of both sides, and what may wait for its acknowledgment.
    plan.mbufs = 4 * 4096 + 4 * 512 + std::min<std::uint32_t>(2 * client.window, 1U << 17);
    // A request and a response a connection; or send buffers, filled again by two segments at a time.
    if (transacts(traffic.recipe)) {
        const double most = std::max(traffic.sizes.request.most(), traffic.sizes.response.most());
        const auto segments = 1 + static_cast<std::uint64_t>(
                                      std::min(most, static_cast<double>(traffic.tcp.send_buffer)) / 1448);
        constexpr std::uint64_t enough = 1U << 21;
        plan.mbufs += static_cast<std::uint32_t>(
            std::min(2 * segments * (carried > 0 ? carried : std::min(client.window, 1U << 16)), enough));
    }
    if (traffic.recipe == Recipe::stream) {
        const std::uint32_t senders = traffic.direction == Direction::both ? 2 * carried : carried;
        plan.mbufs += senders * (traffic.tcp.send_buffer / 1448 + 2);
    }
    return plan;
}

void check_addresses(const Traffic& traffic, const CorePlan& plan, std::uint32_t given) {
    // At "max" the rate is not known before: what the ports do not carry is seen as unsent or as a lower
    // figure.
    if (!plan.client.rate && !keeps(traffic) && !traffic.connections) return;
    if (sends_datagrams(traffic.recipe)) return check_flows(traffic, plan, given);
    const std::uint64_t pairs = pairs_needed(traffic, plan.client, traffic.time_wait_table);
    // A port of ours serves once towards each server; where each address has its own server, once.
    std::uint64_t servers = 0;
    for (const Servers& some : traffic.servers) servers += some.count();
    if (servers == 0 || traffic.choice == AddressChoice::hashed) servers = 1;
    const std::uint64_t ports = servers * ports_per_address(traffic.tcp, plan.sharers);
    if (pairs <= std::uint64_t{given} * ports) return;
    const std::uint64_t addresses = divided_up(pairs, ports);
    if (keeps(traffic)) {
        throw BadPlan(
            fmt::format("{} kept connections need {} client addresses, as each has {} ports to {}; "
                        "there {} {}",
                        plan.client.connections, addresses, ports,
                        servers == 1 ? std::string{"one server"} : fmt::format("{} servers", servers),
                        given == 1 ? "is" : "are", given));
    }
    throw BadPlan(fmt::format(
        "{} connections/s with {} TIME-WAIT need {} pairs of address and port a core{}, and {} client "
        "address{} with {} ports {} {}: {} addresses are needed; give more, a lower --rate or a shorter "
        "--msl",
        plan.client.rate ? app::human_count(*plan.client.rate) : std::string{"max"},
        app::human_duration(traffic.tcp.time_wait_duration), app::human_count(static_cast<double>(pairs)),
        plan.client.concurrency > 0 ? fmt::format(" ({} of them open)", plan.client.concurrency) : "", given,
        given == 1 ? "" : "es", ports, given == 1 ? "gives" : "give",
        app::human_count(static_cast<double>(given * ports)), addresses));
}

void MemoryPlan::add(Side side, const StackConfig& config) {
    Stacks& stacks = sides_[static_cast<std::size_t>(side)];
    ++stacks.count;
    const auto uses = memory_uses(config);
    for (std::size_t i = 0; i < uses.size(); ++i)
        stacks.uses[i] = {uses[i].what, stacks.uses[i].octets + uses[i].octets};
}

std::size_t MemoryPlan::Stacks::octets() const noexcept {
    std::size_t sum = 0;
    for (const tcp::MemoryUse& use : uses) sum += use.octets;
    return sum;
}

std::size_t MemoryPlan::tables_mb() const noexcept {
    return (sides_[0].octets() + sides_[1].octets()) >> 20;
}

std::size_t MemoryPlan::total_mb() const noexcept {
    // EAL's own share grows with what it manages; the tables' last pages are counted whole.
    const std::size_t packets_mb = packets_ >> 20;
    return tables_mb() + 32 * (sides_[0].count + sides_[1].count) + packets_mb + packets_mb / 16 + 96;
}

void MemoryPlan::check(std::size_t available_mb, const Traffic& traffic) const {
    constexpr std::uint64_t mega = std::uint64_t{1} << 20;
    // What the process itself takes besides comes from the same memory.
    const std::size_t needed = total_mb() + (heap_ >> 20) + 64;
    if (available_mb == 0 || needed <= available_mb) return;
    throw BadPlan(fmt::format(
        "{} of memory are needed{} and {} are available: {} are missing; ask for fewer --connections, a "
        "smaller --window, --time-wait-table or --udp-flows, or give the machine (or this process's control "
        "group) more",
        app::human_octets(needed * mega),
        traffic.connections ? fmt::format(" for {} connections", *traffic.connections) : std::string{},
        app::human_octets(available_mb * mega), app::human_octets((needed - available_mb) * mega)));
}

std::string MemoryPlan::describe(const Traffic& traffic, bool hugepages, std::size_t available_mb) const {
    std::string text = fmt::format("{}:", app::human_octets(std::uint64_t{total_mb()} << 20));
    for (std::size_t i = 0; i < sides_.size(); ++i) {
        const Stacks& stacks = sides_[i];
        if (stacks.count == 0) continue;
        const char* const name = i == static_cast<std::size_t>(Side::client) ? "client" : "server";
        text += fmt::format(" {}{} {} (", name, stacks.count == 1 ? "" : fmt::format("s {} x", stacks.count),
                            app::human_octets(stacks.octets() / stacks.count));
        std::vector<tcp::MemoryUse> uses{stacks.uses.begin(), stacks.uses.end()};
        std::ranges::sort(uses, std::ranges::greater{}, &tcp::MemoryUse::octets);
        bool first = true;
        for (const tcp::MemoryUse& use : uses) {
            if (use.octets * 50 < stacks.octets()) continue;  // what is less than a fiftieth
            text += fmt::format("{}{} {}", first ? "" : ", ", use.what,
                                app::human_octets(use.octets / stacks.count));
            first = false;
        }
        text += "),";
    }
    text += fmt::format(" packets {}", app::human_octets(packets_));
    if (const auto kept = kept_connections(traffic, 1); kept && keeps(traffic))
        text += fmt::format("; for {} connections a side", *kept);
    text += hugepages ? "; hugepages" : "; hugepages: none reserved";
    if (available_mb != 0)
        text += fmt::format("; {} available", app::human_octets(std::uint64_t{available_mb} << 20));
    return text;
}

}  // namespace runnel::load
