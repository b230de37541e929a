#include "exception_options.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "options.hpp"
#include "quantity.hpp"

namespace runnel::app {

namespace {

using port::KernelWay;

void read_way(const std::string& text, ExceptionSettings& settings) {
    const std::size_t colon = text.find(':');
    const std::string word = text.substr(0, colon);
    for (const auto& [name, way] : {std::pair{"auto", KernelWay::automatic}, std::pair{"tap", KernelWay::tap},
                                    std::pair{"vhost", KernelWay::vhost}}) {
        if (word != name) continue;
        settings.way = way;
        if (colon != std::string::npos) settings.interface = text.substr(colon + 1);
        return;
    }
    throw BadQuantity(fmt::format(
        "\"{}\" is no way to the kernel; write auto, tap or vhost, and tap:NAME to name its interface",
        text));
}

// "22" or "500-4500".
ip::PortRange read_range(std::string_view rule, std::string_view text) {
    const auto refuse = [&] {
        throw BadQuantity(
            fmt::format("\"{}\" names no ports from 1 to 65535; write tcp:22 or udp:500-4500", rule));
    };
    const auto read = [&](std::string_view digits) {
        std::uint16_t port = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) refuse();
        return port;
    };
    const std::size_t dash = text.find('-');
    ip::PortRange range;
    range.first = read(text.substr(0, dash));
    range.last = dash == std::string_view::npos ? range.first : read(text.substr(dash + 1));
    if (range.first > range.last) refuse();
    return range;
}

}  // namespace

void add_rules(const std::string& text, ExceptionSettings& settings) {
    std::string_view left = text;
    for (;;) {
        const std::size_t comma = left.find(',');
        const std::string_view rule = left.substr(0, comma);
        if (rule.starts_with("tcp:"))
            settings.tcp.push_back(read_range(rule, rule.substr(4)));
        else if (rule.starts_with("udp:"))
            settings.udp.push_back(read_range(rule, rule.substr(4)));
        else
            throw BadQuantity(fmt::format(
                "\"{}\" is no rule; write tcp:22 or udp:500-4500, several with commas between", rule));
        if (comma == std::string_view::npos) return;
        left.remove_prefix(comma + 1);
    }
}

void add_exception_options(CLI::App& app, ExceptionSettings& settings) {
    const OptionGroup group(app, "Kernel");
    const auto read = [](const char* option, auto&& reading) {
        try {
            reading();
        } catch (const BadQuantity& wrong) {
            throw CLI::ValidationError(option, wrong.what());
        }
    };
    app.add_option_function<std::string>(
           "--exception",
           [&settings, read](const std::string& text) {
               read("--exception", [&] { read_way(text, settings); });
           },
           "Give what nobody here takes (other protocols, groups, ports by --to-kernel) to the kernel of "
           "this "
           "machine, by an interface with the port's link address: vhost (vhost-net), tap, or auto (vhost "
           "where "
           "/dev/vhost-net is)")
        ->type_name("auto|tap|vhost[:NAME]");
    app.add_option_function<std::vector<std::string>>(
           "--to-kernel",
           [&settings, read](const std::vector<std::string>& texts) {
               settings.tcp.clear();
               settings.udp.clear();
               for (const std::string& text : texts) read("--to-kernel", [&] { add_rules(text, settings); });
           },
           "Ports of our addresses that are the kernel's: tcp:22,udp:500-4500. May be given several times")
        ->type_name("RULES");
}

std::optional<ip::ExceptionConfig> exception_config(const ExceptionSettings& settings) {
    if (!settings.way) {
        if (!settings.tcp.empty() || !settings.udp.empty())
            throw std::invalid_argument(
                "--to-kernel: there is no way to the kernel; give --exception auto as well");
        return std::nullopt;
    }
    return ip::ExceptionConfig{.tcp = settings.tcp, .udp = settings.udp};
}

bool is_the_kernels(const ExceptionSettings& settings, std::uint16_t tcp_port) noexcept {
    return std::ranges::any_of(settings.tcp, [tcp_port](const ip::PortRange& range) {
        return range.first <= tcp_port && tcp_port <= range.last;
    });
}

bool is_the_kernels_udp(const ExceptionSettings& settings, std::uint16_t udp_port) noexcept {
    return std::ranges::any_of(settings.udp, [udp_port](const ip::PortRange& range) {
        return range.first <= udp_port && udp_port <= range.last;
    });
}

port::PortConfig kernel_port_config(const ExceptionSettings& settings, const port::Port& port,
                                    unsigned cores) {
    return port::kernel_port_config({.way = *settings.way,
                                     .interface = settings.interface,
                                     .mac = port.mac(),
                                     .queues = static_cast<std::uint16_t>(cores),
                                     .mtu = port.mtu()});
}

}  // namespace runnel::app
