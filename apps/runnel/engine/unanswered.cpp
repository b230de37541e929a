// Why nobody answered, as far as what has come tells.
#include <fmt/format.h>

#include "engine/datagram_accounting.hpp"
#include "engine/result.hpp"

namespace runnel::load {

Judgement judge_unanswered(const Result& r) {
    const auto failed = [](std::string reason) { return Judgement{Verdict::failed, std::move(reason)}; };
    const std::string target = r.target.empty() ? "the server" : r.target;
    const std::string next_hop = r.next_hop.empty() ? "the next hop" : r.next_hop;
    for (std::size_t i = 0; i < r.datagrams.undelivered.size(); ++i)
        if (r.datagrams.undelivered[i] > 0) {
            const auto why = static_cast<Undelivered>(i);
            return failed(fmt::format("{} does not answer: {}{}", target, to_string(why),
                                      why == Undelivered::port ? ", nothing listens there" : ""));
        }
    if (sends_datagrams(r.recipe) && r.datagrams.strange > 0)
        return failed(fmt::format(
            "what {} answers is nothing of this recipe; it wants runnel serve --listen PORT:udp", target));
    if (r.connections.refused > 0)
        return failed(fmt::format(
            "{} refuses connections: nothing listens there, or a router has no way to it", target));
    if (r.counters.get(DropReason::neighbour_unreachable) > 0)
        return failed(fmt::format(
            "nobody answers for the link address of {} ({}), so nothing reached {}: is it up, on "
            "this network and VLAN, and are --address and --gateway right?",
            next_hop, next_hop.find(':') == std::string::npos ? "ARP" : "neighbour discovery", target));
    return failed(fmt::format(
        "{} answers nothing, though the link address of {} is known: the host is down behind it, or "
        "a filter drops what is sent{}",
        target, next_hop,
        sends_datagrams(r.recipe) ? "; or it is a server that answers other datagrams than those of runnel"
                                  : ""));
}

}  // namespace runnel::load
