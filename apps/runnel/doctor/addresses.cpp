// The doctor's arithmetic of addresses: what can be said before a frame is sent.
#include <fmt/format.h>

#include "runnel/ip/route_table.hpp"

#include "doctor/checks.hpp"
#include "engine/target.hpp"

namespace runnel::app::doctor {
namespace {

bool on_network(const IpAddress& address, const InterfaceAddress& own) {
    if (address.is_v4() != own.address.is_v4()) return false;
    return address.is_v4() ? ip::same_prefix(address.v4(), own.address.v4(), own.prefix_length)
                           : ip::same_prefix(address.v6(), own.address.v6(), own.prefix_length);
}

// The network's first address that is not ours: a neighbour's, for an example.
std::string neighbour(const InterfaceAddress& own) {
    IpAddress first = nth_after(own.address, 1);
    return on_network(first, own) ? to_string(first) : to_string(own.address);
}

}  // namespace

void check_addresses(const Intent& intent, std::vector<Finding>& findings) {
    if (!intent.port.address) return;
    const InterfaceAddress& own = *intent.port.address;
    const auto hinders = [&](const char* topic, std::string says, std::vector<std::string> mend) {
        findings.push_back({Grade::hinders, topic, std::move(says), std::move(mend)});
    };
    try {
        static_cast<void>(planned_ip_config(intent.port));
        findings.push_back({Grade::good,
                            "addresses",
                            fmt::format("{} from {}/{} on", intent.port.addresses, to_string(own.address),
                                        own.prefix_length),
                            {}});
    } catch (const std::invalid_argument& wrong) {
        hinders("addresses", wrong.what(), {});
    }
    if (intent.port.gateway && !on_network(*intent.port.gateway, own) &&
        (intent.port.gateway->is_v4() || own.address.is_v4() || !intent.port.gateway->v6().is_link_local()))
        hinders("gateway",
                fmt::format("{} is not on the network of {}/{}", to_string(*intent.port.gateway),
                            to_string(own.address), own.prefix_length),
                {fmt::format("runnel ... --gateway {}", neighbour(own))});
    if (intent.target) {
        const IpAddress& target = intent.target->address;
        if (target.is_v4() != own.address.is_v4())
            hinders(
                "target",
                fmt::format("{} and {} are of different families", to_string(target), to_string(own.address)),
                {});
        else if (!on_network(target, own) && !intent.port.gateway)
            hinders("target",
                    fmt::format("{} is not on the network of {}/{}, and there is no gateway",
                                to_string(target), to_string(own.address), own.prefix_length),
                    {fmt::format("runnel ... --gateway {}", neighbour(own))});
        if (!load::is_test_address(target))
            findings.push_back(
                {Grade::advice,
                 "target",
                 fmt::format("{} is not a private, benchmark, documentation or link-local address: "
                             "load refuses it, unless it is told --allow-target",
                             to_string(target)),
                 {"runnel load --help   # what --allow-target takes, if you may load it"}});
    }
    try {
        const load::CorePlan plan = load::plan_core(intent.traffic, intent.port.cores, 0, true);
        load::check_addresses(intent.traffic, plan, intent.port.addresses);
        const std::uint64_t pairs =
            std::uint64_t{intent.port.addresses} * load::ports_per_address(intent.traffic.tcp, plan.sharers);
        std::string says = fmt::format("{} pairs of address and port a core towards one server", pairs);
        if (intent.traffic.rate)
            says +=
                fmt::format(", of which the rate needs {}",
                            load::pairs_needed(intent.traffic, plan.client, intent.traffic.time_wait_table));
        findings.push_back({Grade::good, "ports", std::move(says), {}});
    } catch (const load::BadPlan& wrong) {
        hinders("ports", wrong.what(), {});
    }
}

IpAddress next_hop(const Intent& intent, const IpAddress& target) {
    const bool direct = !intent.port.address || on_network(target, *intent.port.address) ||
                        (!target.is_v4() && target.v6().is_link_local());
    return direct || !intent.port.gateway ? target : *intent.port.gateway;
}

std::vector<Finding> examine(const Machine& machine, const Intent& intent) {
    std::vector<Finding> findings;
    check_hugepages(machine, intent, findings);
    check_memory(machine, intent, findings);
    check_iommu(machine, intent, findings);
    check_device(machine, intent, findings);
    check_numa(machine, intent, findings);
    check_cpus(machine, intent, findings);
    check_isolation(machine, intent, findings);
    check_governor(machine, intent, findings);
    check_clock(machine, intent, findings);
    check_addresses(intent, findings);
    return findings;
}

}  // namespace runnel::app::doctor
