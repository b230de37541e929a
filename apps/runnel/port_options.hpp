// The options of subcommands that stand on a DPDK port: which port, and who we are on its network.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "runnel/ip/config.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/eal.hpp"
#include "runnel/runtime/poll_loop_options.hpp"
#include "runnel/runtime/shared_port.hpp"

#include "options.hpp"
#include "quantity.hpp"

namespace runnel::app {

struct PortSettings {
    std::string device;
    std::optional<InterfaceAddress> address;
    std::vector<InterfaceAddress> more_addresses;  ///< each with a network of its own
    std::optional<IpAddress> gateway;
    std::optional<IpAddress> other_gateway;  ///< of the other family
    std::uint32_t addresses = 1;
    std::vector<load::AddressRange> clients;  ///< besides, all of these are ours
    std::optional<MacAddress> gateway_mac;    ///< else asked for by ARP or ND
    std::uint32_t mtu = 1500;
    std::uint16_t vlan = 0, outer_vlan = 0;   ///< 0: untagged
    std::optional<std::uint32_t> dad_probes;  ///< else 1 on a port named by its PCI address, and 0 elsewhere
    std::uint32_t arp_probes = 0;
    bool autoconf = false;
    std::uint32_t cores = 1;
    runtime::Choice huge = runtime::Choice::automatic;
};

/// --port, --address, --gateway, --gateway-mac, --dad, --arp-probes, --autoconf, --mtu, --vlan, --cores,
/// --huge.
void add_port_options(CLI::App& app, PortSettings& settings);

/// Reads "5", or "100.5": VLAN 5 within service VLAN 100. Throws `BadQuantity`.
void read_vlan(const std::string& text, PortSettings& settings);

/// Whether the device is named by a PCI address, which EAL must be told of before it starts.
[[nodiscard]] bool is_pci_address(const std::string& device) noexcept;

/// The port with a queue for each core, as far as it has so many, and room in mbufs of `data_room`.
[[nodiscard]] port::PortConfig port_config(const PortSettings& settings);

/// Settings for EAL with a worker for each core.
[[nodiscard]] runtime::EalOptions eal_options(const PortSettings& settings, const load::MemoryPlan& memory);
/// Says on `text` what memory is about to be taken; returns how many MB. Throws `load::BadPlan` where the
/// machine has not that much.
std::size_t announce_memory(const PortSettings& settings, const load::MemoryPlan& memory,
                            const load::Traffic& traffic, std::FILE* text);

/// Our addresses, before there is a port: what memory they take can be told from it. Throws
/// `std::invalid_argument` where they do not go together.
[[nodiscard]] ip::Config planned_ip_config(const PortSettings& settings);
/// What the port does of our work, in words: "checksums sent, segmentation"; "nothing" where it does none.
[[nodiscard]] std::string offload_words(const ip::Offloads& offloads);
/// The internet layer on a started port. Throws `std::invalid_argument` where the addresses do not fit the
/// network, or the gateway is not on it.
[[nodiscard]] ip::Config ip_config(const PortSettings& settings, const port::Port& port);

/// A physical port's loop spins. One whose peer is this machine's kernel, or that shares its CPU with another
/// loop, lets others have the CPU when there is nothing to do.
[[nodiscard]] runtime::PollLoopOptions loop_options(const PortSettings& settings);

/// A secret that all cores of this host share, so that a Fast Open cookie of one is good at another: from the
/// kernel's entropy.
[[nodiscard]] std::array<std::uint64_t, 2> host_secret();

/// Tells in a line who steers where cores share a port: at first where the cores do, and whenever that
/// changes.
class SteeringLog {
  public:
    /// Nothing is owned.
    SteeringLog(std::FILE* out, const runtime::SharedPort& port) noexcept : out_(out), port_(port) {}
    /// Prints the line where there is something new to tell.
    void print();

  private:
    std::FILE* out_;
    const runtime::SharedPort& port_;
    port::Steerer told_ = port::Steerer::unproven;
};

}  // namespace runnel::app
