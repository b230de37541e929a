// The options of the exception path: how the kernel of this machine is reached, and which ports are its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "runnel/ip/config.hpp"
#include "runnel/port/kernel_device.hpp"
#include "runnel/port/port.hpp"

namespace runnel::app {

struct ExceptionSettings {
    std::optional<port::KernelWay> way;  ///< nothing: no exception path
    std::string interface = "runnel0";
    std::vector<ip::PortRange> tcp, udp;
};

/// --exception, --to-kernel.
void add_exception_options(CLI::App& app, ExceptionSettings& settings);

/// Reads rules, "tcp:22,udp:500-4500", and adds their ports. Throws `BadQuantity` naming what cannot be.
void add_rules(const std::string& text, ExceptionSettings& settings);

/// What the stack is told; nothing where there is no exception path. Throws `std::invalid_argument` where
/// there are rules and no path.
[[nodiscard]] std::optional<ip::ExceptionConfig> exception_config(const ExceptionSettings& settings);
/// Whether a rule gives a TCP port to the kernel.
[[nodiscard]] bool is_the_kernels(const ExceptionSettings& settings, std::uint16_t tcp_port) noexcept;
/// The same of a UDP port.
[[nodiscard]] bool is_the_kernels_udp(const ExceptionSettings& settings, std::uint16_t udp_port) noexcept;

/// The port towards the kernel: with the link address and MTU of `port`, and a pair of queues for each core.
[[nodiscard]] port::PortConfig kernel_port_config(const ExceptionSettings& settings, const port::Port& port,
                                                  unsigned cores);

}  // namespace runnel::app
