// See datagram_plan.hpp.
#include "engine/datagram_plan.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "engine/datagram.hpp"
#include "engine/datagram_responder.hpp"

namespace runnel::load {
namespace {

constexpr std::uint64_t most_flows = 1U << 20;

void check_sizes(const char* option, const Distribution& sizes) {
    if (sizes.least() < DatagramHeader::octets)
        throw BadPlan(fmt::format("{} {}: each datagram begins with {} octets that number it; write no less",
                                  option, sizes_to_string(sizes), std::size_t{DatagramHeader::octets}));
    if (sizes.is_fixed() && sizes.most() > most_datagram_v6)
        throw BadPlan(fmt::format("{} {}: a datagram has {} octets at most, over IPv6 {}", option,
                                  sizes_to_string(sizes), most_datagram_v4, most_datagram_v6));
}

}  // namespace

void check_datagrams(const Traffic& traffic, unsigned cores) {
    if (traffic.blind && (traffic.recipe != Recipe::udp_oneway || traffic.direction != Direction::to_server))
        throw BadPlan("--blind is of --recipe udp-oneway --direction to-server; leave it out");
    if (!sends_datagrams(traffic.recipe)) return;
    const bool asks_rate = traffic.rate || traffic.profile;
    if (traffic.concurrency && (asks_rate || traffic.recipe == Recipe::udp_oneway))
        throw BadPlan(fmt::format(
            "--concurrency {}: so many requests of udp-rr are under way where no --rate says when "
            "they begin; leave one out",
            *traffic.concurrency));
    if (traffic.recipe == Recipe::udp_rr) {
        check_sizes("--request-octets", traffic.sizes.request);
        check_sizes("--response-octets", traffic.sizes.response);
        if (asks_rate && !traffic.sizes.think.is_zero())
            throw BadPlan(fmt::format(
                "--think {}: with a --rate requests of udp-rr begin when that says; leave one out",
                times_to_string(traffic.sizes.think)));
    } else {
        check_sizes("--datagram-octets", traffic.datagram_octets);
        const std::uint64_t flows = kept_connections(traffic, cores).value_or(1);
        if (sends_to_client(traffic.direction) && traffic.profile && traffic.profile->burst() &&
            traffic.profile->burst()->count < flows)
            throw BadPlan(
                fmt::format("--rate {}: a burst is fewer than one for each of {} flows; take fewer "
                            "--connections",
                            to_string(*traffic.profile), flows));
        constexpr std::size_t most_profile_text = 800;
        if (sends_to_client(traffic.direction) && traffic.profile &&
            to_string(*traffic.profile).size() > most_profile_text)
            throw BadPlan(
                "--rate: a schedule that a server is to follow has some 40 points at most; give fewer");
        if (sends_to_client(traffic.direction) &&
            flows > std::uint64_t{DatagramResponder::most_senders} * cores)
            throw BadPlan(fmt::format("--connections {}: a server core sends on {} flows at most; take fewer",
                                      flows, std::uint32_t{DatagramResponder::most_senders}));
    }
}

void plan_datagrams(const Traffic& traffic, CorePlan& plan) {
    ClientOptions& client = plan.client;
    const std::uint64_t flows = client.connections;
    if (flows > most_flows)
        throw BadPlan(
            fmt::format("--connections {}: a core has {} flows of datagrams at most; take fewer, or more "
                        "--cores",
                        flows, most_flows));
    // Without a rate so many requests are under way; one on each flow if nobody says.
    if (!client.rate && !traffic.concurrency && traffic.window == 0)
        client.window = static_cast<std::uint32_t>(std::min<std::uint64_t>(flows, 1U << 20));
    client.slots = 64;
    for (tcp::Config* tcp : {&plan.client_tcp, &plan.server_tcp}) {
        *tcp = traffic.tcp;
        tcp->connections = tcp->half_open = tcp->cold_blocks = 64;
        tcp->time_wait = 1024;
    }
    plan.client_sockets = static_cast<std::uint32_t>(flows + 16);
    // Where cores share addresses a server core gets what is hashed to it, more or less.
    plan.server_flows = static_cast<std::uint32_t>(flows + (plan.sharers > 1 ? flows / 4 : 0) + 64);
    const std::uint64_t ports = ports_per_address(traffic.tcp, plan.sharers);
    plan.client_addresses =
        static_cast<std::uint32_t>(std::max<std::uint64_t>(1, (flows + ports - 1) / ports));

    plan.mbufs = 4 * 4096 + 4 * 512;
    const bool answers = traffic.recipe == Recipe::udp_rr;
    const double largest = answers ? std::max(traffic.sizes.request.most(), traffic.sizes.response.most())
                                   : traffic.datagram_octets.most();
    const auto frames = 1 + static_cast<std::uint64_t>(std::min(largest, double{most_datagram_v6}) / 1200);
    // Requests and responses under way, and what waits to be put together, which gets an eighth of the pool.
    const std::uint64_t at_once = answers ? client.window : 1024;
    constexpr std::uint64_t enough = 1U << 18;
    plan.mbufs += static_cast<std::uint32_t>(std::min(enough, at_once * frames * (frames > 1 ? 8 : 2)));
}

void check_flows(const Traffic& traffic, const CorePlan& plan, std::uint32_t given) {
    const std::uint64_t ports = ports_per_address(traffic.tcp, plan.sharers);
    const std::uint64_t flows = plan.client.connections;
    if (flows <= given * ports) return;
    throw BadPlan(
        fmt::format("{} flows of datagrams{} need {} client addresses, as each has {} ports{}; there "
                    "{} {}",
                    flows, plan.sharers > 1 ? " on one core" : "", (flows + ports - 1) / ports, ports,
                    plan.sharers > 1 ? " for each core" : "", given == 1 ? "is" : "are", given));
}

}  // namespace runnel::load
