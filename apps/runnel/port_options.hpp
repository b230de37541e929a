// The options of subcommands that stand on a DPDK port: which port, and who we are on its network.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "runnel/ip/config.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/eal.hpp"
#include "runnel/runtime/poll_loop_options.hpp"

#include "options.hpp"
#include "quantity.hpp"

namespace runnel::app {

struct PortSettings {
    std::string device;
    std::optional<InterfaceAddress> address;
    std::optional<Ipv4Address> gateway;
    std::uint32_t addresses = 1;
    std::uint32_t mtu = 1500;
    runtime::Choice huge = runtime::Choice::automatic;
};

/// --port, --address, --gateway, --mtu, --huge.
void add_port_options(CLI::App& app, PortSettings& settings);

/// Whether the device is named by a PCI address, which EAL must be told of before it starts.
[[nodiscard]] bool is_pci_address(const std::string& device) noexcept;

/// Settings for EAL with one worker.
[[nodiscard]] runtime::EalOptions eal_options(const PortSettings& settings, std::size_t memory_mb);

/// The internet layer on a started port. Throws `std::invalid_argument` where the addresses do not fit the
/// network, or the gateway is not on it.
[[nodiscard]] ip::Config ip_config(const PortSettings& settings, const port::Port& port);

/// A physical port's loop spins. One whose peer is this machine's kernel lets it have the CPU when there is
/// nothing to do.
[[nodiscard]] runtime::PollLoopOptions loop_options(const PortSettings& settings);

}  // namespace runnel::app
