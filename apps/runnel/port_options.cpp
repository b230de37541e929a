// See port_options.hpp.
#include "port_options.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "runnel/base/bell.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/ip/route_table.hpp"

namespace runnel::app {

void add_port_options(CLI::App& app, PortSettings& settings) {
    const OptionGroup group(app, "Port");
    app.add_option(
           "--port", settings.device,
           "DPDK port: net_tap0,iface=run0 or another virtual device with its arguments, or a PCI address")
        ->type_name("DEVICE")
        ->required();
    // What is wrong with a value is told with its option's name.
    const auto read = [](const char* option, const std::vector<std::string>& texts, auto&& one) {
        try {
            for (const std::string& text : texts) one(text);
        } catch (const BadQuantity& wrong) {
            throw CLI::ValidationError(option, wrong.what());
        }
    };
    app.add_option_function<std::vector<std::string>>(
           "--address",
           [&settings, read](const std::vector<std::string>& texts) {
               settings.address.reset();
               settings.more_addresses.clear();
               read("--address", texts, [&settings](const std::string& text) {
                   const InterfaceAddress address = parse_interface_address(text);
                   if (settings.address)
                       settings.more_addresses.push_back(address);
                   else
                       settings.address = address;
               });
           },
           "Our address with the prefix length of its network: 192.0.2.1/24 or 2001:db8::1/64. May be given "
           "several times, for further networks on the same link, of either family")
        ->type_name("ADDRESS/LEN")
        ->required();
    app.add_option_function<std::vector<std::string>>(
           "--gateway",
           [&settings, read](const std::vector<std::string>& texts) {
               settings.gateway.reset();
               settings.other_gateway.reset();
               read("--gateway", texts, [&settings](const std::string& text) {
                   const IpAddress gateway = parse_address(text);
                   if (!settings.gateway)
                       settings.gateway = gateway;
                   else if (settings.gateway->is_v4() == gateway.is_v4() || settings.other_gateway)
                       throw BadQuantity("\"" + text + "\" is one router too many; give one of each family");
                   else
                       settings.other_gateway = gateway;
               });
           },
           "Router to all other networks, one of each family")
        ->type_name("ADDRESS");
    app.add_option_function<std::string>(
           "--gateway-mac",
           [&settings](const std::string& text) {
               settings.gateway_mac = parse_mac_address(text);
               if (!settings.gateway_mac)
                   throw CLI::ValidationError(
                       "--gateway-mac",
                       "\"" + text + "\" is no link address; write one as 02:00:00:00:00:01");
           },
           "Its link address; without it the router is asked, by ARP or neighbour discovery")
        ->type_name("MAC");
    app.add_option_function<std::uint32_t>(
           "--dad", [&settings](const std::uint32_t& probes) { settings.dad_probes = probes; },
           "Probes for each IPv6 address before it is used (duplicate address detection); what another host "
           "has "
           "stays unused; 0: used at once")
        ->type_name("N")
        ->check(CLI::Range(0, 16))
        ->default_str("1 on a port named by its PCI address, else 0");
    add_count(app, "--arp-probes", settings.arp_probes, 0, 16,
              "The same of IPv4 addresses, by ARP: RFC 5227 has 3, which take some 7 s");
    app.add_flag(
        "--autoconf", settings.autoconf,
        "Ask routers on the link and listen to them (IPv6): default router, routes, prefixes, MTU and "
        "hop limit, and an address of each prefix besides --address");
    add_count(app, "--mtu", settings.mtu, 576, 9216, "Octets of an IP packet");
    app.add_option_function<std::string>(
           "--vlan",
           [&settings](const std::string& text) {
               try {
                   read_vlan(text, settings);
               } catch (const BadQuantity& wrong) {
                   throw CLI::ValidationError("--vlan", wrong.what());
               }
           },
           "802.1Q VLAN of all frames, sent and received; 100.5 is VLAN 5 within service VLAN 100 (802.1ad, "
           "QinQ). The port inserts, strips and filters the tag where it can")
        ->type_name("ID[.ID]");
    add_count(app, "--cores", settings.cores, 1, Bell::most_cores,
              "Cores that share the port and its addresses, each with a queue of it. Where the port has no "
              "RSS, or too "
              "few queues (net_vhost and net_virtio_user take queues=N), the cores hand frames over to one "
              "another");
    add_huge_option(app, settings.huge);
}

void read_vlan(const std::string& text, PortSettings& settings) {
    const auto read = [&](std::string_view digits) {
        std::uint16_t id = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
        if (error != std::errc{} || end != digits.data() + digits.size() || id == 0 || id > 4094)
            throw BadQuantity(
                fmt::format("\"{}\" is no VLAN; write a number from 1 to 4094, or two as 100.5", text));
        return id;
    };
    const std::string_view all = text;
    const std::size_t dot = all.find('.');
    if (dot == std::string_view::npos) {
        settings.vlan = read(all);
        settings.outer_vlan = 0;
        return;
    }
    settings.outer_vlan = read(all.substr(0, dot));
    settings.vlan = read(all.substr(dot + 1));
}

bool is_pci_address(const std::string& device) noexcept {
    // "0000:03:00.0" or "03:00.0", arguments behind a comma.
    const std::string name = device.substr(0, device.find(','));
    const auto hex_or = [](char c, std::string_view others) {
        return std::isxdigit(static_cast<unsigned char>(c)) != 0 || others.find(c) != std::string_view::npos;
    };
    return std::ranges::count(name, ':') >= 1 && std::ranges::count(name, '.') == 1 &&
           std::ranges::all_of(name, [&](char c) { return hex_or(c, ":."); });
}

port::PortConfig port_config(const PortSettings& settings) {
    return {.device = settings.device,
            .queues = static_cast<std::uint16_t>(settings.cores),
            .fewer_queues = true,
            .mtu = static_cast<std::uint16_t>(settings.mtu),
            .vlan = settings.outer_vlan == 0 ? settings.vlan : std::uint16_t{0}};
}

std::size_t announce_memory(const PortSettings& settings, const load::MemoryPlan& memory,
                            const load::Traffic& traffic, std::FILE* text) {
    const runtime::HostFacts machine = runtime::host_facts();
    memory.check(machine.available_memory_mb, traffic);
    fmt::print(text, "memory {}\n",
               memory.describe(traffic, runtime::uses_hugepages(eal_options(settings, memory), machine),
                               machine.available_memory_mb));
    std::fflush(text);
    return memory.total_mb();
}

runtime::EalOptions eal_options(const PortSettings& settings, const load::MemoryPlan& memory) {
    runtime::EalOptions options{.memory_mb = memory.total_mb(),
                                .arrays_mb = memory.tables_mb(),
                                .hugepages = settings.huge,
                                .workers = settings.cores};
    if (is_pci_address(settings.device)) options.pci_devices.push_back(settings.device);
    return options;
}

ip::Config planned_ip_config(const PortSettings& settings) {
    const InterfaceAddress& own = *settings.address;
    const auto refuse_range = [&] {
        throw std::invalid_argument(
            fmt::format("--address: {} and the {} behind it are more than the network /{} has; give a "
                        "shorter prefix or a lower address",
                        to_string(own.address), settings.addresses - 1, own.prefix_length));
    };
    if (settings.gateway_mac && !settings.gateway)
        throw std::invalid_argument("--gateway-mac: whose it is, is not said; give --gateway too");
    ip::Config config;
    ip::InterfaceConfig interface;
    interface.vlan = settings.vlan;
    interface.outer_vlan = settings.outer_vlan;
    if (settings.gateway_mac)
        config.neighbours.push_back(
            {.address = *settings.gateway, .mac = *settings.gateway_mac, .interface = 0});
    for (const load::AddressRange& range : settings.clients)
        if (range.first.is_v4() != own.address.is_v4())
            throw std::invalid_argument(fmt::format(
                "--clients: {} is not of the family of --address {}; give addresses of one family",
                to_string(range), to_string(own.address)));
    if (own.address.is_v4() && !settings.clients.empty()) {
        // From the lowest to the highest all are ours: the network has to have them.
        std::uint64_t first = own.address.v4().value, last = first + settings.addresses - 1;
        for (const load::AddressRange& range : settings.clients) {
            first = std::min<std::uint64_t>(first, range.first.v4().value);
            last = std::max<std::uint64_t>(last, std::uint64_t{range.first.v4().value} + range.count - 1);
        }
        const std::uint32_t mask = own.prefix_length == 0 ? 0 : UINT32_MAX << (32 - own.prefix_length);
        if ((first & mask) != (own.address.v4().value & mask) || (last & mask) != (first & mask) ||
            (own.prefix_length < 31 && last == (first | ~mask)))
            throw std::invalid_argument(
                fmt::format("--clients: {} to {} are not all in the network of --address {}/{}; give that a "
                            "shorter prefix",
                            to_string(IpAddress{Ipv4Address{static_cast<std::uint32_t>(first)}}),
                            to_string(IpAddress{Ipv4Address{static_cast<std::uint32_t>(last)}}),
                            to_string(own.address), own.prefix_length));
        if (settings.gateway && settings.gateway->is_v4() && settings.gateway->v4().value >= first &&
            settings.gateway->v4().value <= last)
            throw std::invalid_argument(fmt::format(
                "--clients: the router {} lies between {} and {}, which are all ours; give addresses "
                "on one side of it",
                to_string(*settings.gateway),
                to_string(IpAddress{Ipv4Address{static_cast<std::uint32_t>(first)}}),
                to_string(IpAddress{Ipv4Address{static_cast<std::uint32_t>(last)}})));
        interface.address = Ipv4Address{static_cast<std::uint32_t>(first)};
        interface.address_count = static_cast<std::uint32_t>(last - first + 1);
        interface.prefix_length = own.prefix_length;
    } else if (own.address.is_v4()) {
        const Ipv4Address address = own.address.v4();
        const std::uint32_t mask = own.prefix_length == 0 ? 0 : UINT32_MAX << (32 - own.prefix_length);
        const std::uint64_t last = std::uint64_t{address.value} + settings.addresses - 1;
        // The last address of a network is its broadcast address, but for point-to-point prefixes (RFC 3021).
        const std::uint64_t broadcast = own.prefix_length >= 31 ? UINT64_MAX : (address.value | ~mask);
        if (last > (address.value | ~mask) || last == broadcast) refuse_range();
        interface.address = address;
        interface.address_count = settings.addresses;
        interface.prefix_length = own.prefix_length;
    } else {
        const Ipv6Address last = nth_after(own.address, settings.addresses - 1).v6();
        if (!ip::same_prefix(own.address.v6(), last, own.prefix_length)) refuse_range();
        const bool among_clients = std::ranges::any_of(
            settings.clients, [&](const load::AddressRange& range) { return range.contains(own.address); });
        if (!among_clients)
            interface.ipv6.push_back({.address = own.address.v6(),
                                      .address_count = settings.addresses,
                                      .prefix_length = own.prefix_length});
        for (const load::AddressRange& range : settings.clients)
            for (const IpAddress& end : {range.first, nth_after(range.first, range.count - 1)})
                if (!ip::same_prefix(end.v6(), own.address.v6(), own.prefix_length))
                    throw std::invalid_argument(fmt::format(
                        "--clients: {} is not in the network of --address {}/{}; give that a shorter prefix",
                        to_string(end), to_string(own.address), own.prefix_length));
        for (const load::AddressRange& range : settings.clients)
            interface.ipv6.push_back({.address = range.first.v6(),
                                      .address_count = range.count,
                                      .prefix_length = own.prefix_length});
    }
    for (const InterfaceAddress& more : settings.more_addresses) {
        if (!more.address.is_v4()) {
            interface.ipv6.push_back({.address = more.address.v6(), .prefix_length = more.prefix_length});
            continue;
        }
        if (interface.speaks_ipv4()) {
            interface.more_ipv4.push_back(
                {.address = more.address.v4(), .prefix_length = more.prefix_length});
            continue;
        }
        interface.address = more.address.v4();
        interface.prefix_length = more.prefix_length;
    }
    interface.autoconf = settings.autoconf;
    config.interfaces.push_back(interface);
    config.dad_probes =
        static_cast<std::uint8_t>(settings.dad_probes.value_or(is_pci_address(settings.device) ? 1 : 0));
    config.arp_probes = static_cast<std::uint8_t>(settings.arp_probes);
    return config;
}

std::string offload_words(const ip::Offloads& offloads) {
    std::vector<std::string_view> done;
    if (offloads.rx_l4_checksum)
        done.push_back(offloads.rx_ip_checksum ? "checksums received" : "checksums of TCP and UDP received");
    if (offloads.tx_tcp_checksum && offloads.tx_udp_checksum)
        done.push_back(offloads.tx_ip_checksum ? "checksums sent" : "checksums of TCP and UDP sent");
    else if (offloads.tx_tcp_checksum)
        done.push_back("checksums of TCP sent");
    if (offloads.tx_tcp_segmentation) done.push_back("segmentation");
    if (offloads.tx_udp_segmentation) done.push_back("segmentation of UDP");
    return done.empty() ? "nothing" : fmt::format("{}", fmt::join(done, ", "));
}

ip::Config ip_config(const PortSettings& settings, const port::Port& port) {
    const InterfaceAddress& own = *settings.address;
    ip::Config config = planned_ip_config(settings);
    ip::InterfaceConfig& interface = config.interfaces[0];
    interface.mac = port.mac();
    interface.mtu = port.mtu();
    interface.offloads = port.offloads();
    // The limit is the host's; its cores share it.
    config.icmp_errors_per_second = std::max(1U, config.icmp_errors_per_second / settings.cores);
    const auto on_network_of = [](const IpAddress& gateway, const InterfaceAddress& ours) {
        if (gateway.is_v4() != ours.address.is_v4()) return false;
        return gateway.is_v4() ? ip::same_prefix(gateway.v4(), ours.address.v4(), ours.prefix_length)
                               : gateway.v6().is_link_local() ||
                                     ip::same_prefix(gateway.v6(), ours.address.v6(), ours.prefix_length);
    };
    for (const auto& gateway : {settings.gateway, settings.other_gateway}) {
        if (!gateway) continue;
        if (!on_network_of(*gateway, own) &&
            std::ranges::none_of(settings.more_addresses,
                                 [&](const InterfaceAddress& more) { return on_network_of(*gateway, more); }))
            throw std::invalid_argument(fmt::format("--gateway: {} is not on the network of --address {}/{}",
                                                    to_string(*gateway), to_string(own.address),
                                                    own.prefix_length));
        config.routes.push_back({.network = {}, .prefix_length = 0, .gateway = *gateway, .interface = 0});
    }
    return config;
}

runtime::PollLoopOptions loop_options(const PortSettings& settings) {
    runtime::PollLoopOptions options;
    const bool shares_cpu = settings.cores > runtime::host_facts().cpus.size();
    options.idle =
        is_pci_address(settings.device) && !shares_cpu ? runtime::Idle::spin : runtime::Idle::yield;
    return options;
}

std::array<std::uint64_t, 2> host_secret() {
    const HashKey key = random_hash_key();
    return {key.k0, key.k1};
}

void SteeringLog::print() {
    const port::Steerer now = port_.steerer();
    if (now == told_ || port_.core_count() == 1) return;
    told_ = now;
    fmt::print(out_, "{} cores: {}\n", port_.core_count(), port_.description());
    std::fflush(out_);
}

}  // namespace runnel::app
