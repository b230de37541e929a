#include "settings.hpp"

#include <charconv>
#include <fstream>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "runnel/tcp/congestion/names.hpp"

namespace runnel::packetdrill {

namespace {

template <typename Number>
Number number(std::string_view name, std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    constexpr auto limit = std::uint64_t{std::numeric_limits<Number>::max()};
    if (error != std::errc{} || end != text.data() + text.size() || value > limit)
        throw std::invalid_argument(
            fmt::format("so_flags: {} = \"{}\": give a whole number up to {}", name, text, limit));
    return static_cast<Number>(value);
}

bool truth(std::string_view name, std::string_view text) {
    return number<std::uint8_t>(name, text) != 0;
}

Duration milliseconds(std::string_view name, std::string_view text) {
    return std::chrono::milliseconds{number<std::uint32_t>(name, text)};
}

tcp::CongestionAlgorithm congestion(std::string_view name, std::string_view text) {
    if (const auto known = tcp::parse_congestion_algorithm(text)) return *known;
    throw std::invalid_argument(
        fmt::format("so_flags: {} = \"{}\": give cubic, newreno, bbr or none", name, text));
}

tcp::SynCookieUse syn_cookies(std::string_view name, std::string_view text) {
    if (text == "always" || text == "2") return tcp::SynCookieUse::always;  // the numbers: as above
    if (text == "never" || text == "0") return tcp::SynCookieUse::never;
    if (text == "when_full" || text == "1") return tcp::SynCookieUse::when_full;
    throw std::invalid_argument(
        fmt::format("so_flags: {} = \"{}\": give always, never or when_full", name, text));
}

tcp::Ecn ecn(std::string_view name, std::string_view text) {
    // The numbers are those of Linux's sysctl; those from 3 on mean AccECN, of which this much is left.
    if (text == "off" || text == "0") return tcp::Ecn::off;
    if (text == "request" || text == "1" || text == "3" || text == "4") return tcp::Ecn::request;
    if (text == "accept" || text == "2" || text == "5") return tcp::Ecn::accept;
    throw std::invalid_argument(
        fmt::format("so_flags: {} = \"{}\": give off, accept or request", name, text));
}

// Four groups of eight hexadecimal digits; none where all are 0, as Linux shows a key that nobody has set.
std::optional<HashKey> key(std::string_view name, std::string_view text) {
    std::uint32_t words[4] = {};
    std::string_view rest = text;
    for (std::uint32_t& word : words) {
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), word, 16);
        const bool last = &word == &words[3];
        const auto read = static_cast<std::size_t>(end - rest.data());
        if (error != std::errc{} || (last ? read != rest.size() : read == rest.size() || *end != '-'))
            throw std::invalid_argument(fmt::format(
                "so_flags: {} = \"{}\": give a key as 01234567-89abcdef-01234567-89abcdef", name, text));
        rest.remove_prefix(last ? read : read + 1);
    }
    const HashKey key{words[0] | std::uint64_t{words[1]} << 32, words[2] | std::uint64_t{words[3]} << 32};
    if (key.k0 == 0 && key.k1 == 0) return std::nullopt;
    return key;
}

using Name = std::string_view;

struct Setting {
    std::string_view name;
    void (*apply)(StackConfig& config, Name name, std::string_view value);
};

// Times are in milliseconds, sizes in octets. One line a setting.
constexpr Setting settings[] = {
    {"congestion", [](auto& c, Name n, auto v) { c.tcp.congestion = congestion(n, v); }},
    {"delayed_ack", [](auto& c, Name n, auto v) { c.tcp.delayed_ack = milliseconds(n, v); }},
    {"ecn", [](auto& c, Name n, auto v) { c.tcp.ecn = ecn(n, v); }},
    {"fast_open", [](auto&, Name n, auto v) { (void)number<std::uint32_t>(n, v); }},  // Settings::fast_open
    {"fast_open_key", [](auto& c, Name n, auto v) { c.tcp.fast_open_key = key(n, v); }},
    {"fin_wait_2_timeout", [](auto& c, Name n, auto v) { c.tcp.fin_wait_2_timeout = milliseconds(n, v); }},
    {"fixed_window", [](auto& c, Name n, auto v) { c.tcp.fixed_window = number<std::uint32_t>(n, v); }},
    {"half_open", [](auto& c, Name n, auto v) { c.tcp.half_open = number<std::uint32_t>(n, v); }},
    {"initial_window", [](auto& c, Name n, auto v) { c.tcp.initial_window = number<std::uint16_t>(n, v); }},
    {"max_rto", [](auto& c, Name n, auto v) { c.tcp.max_rto = milliseconds(n, v); }},
    {"min_burst", [](auto& c, Name n, auto v) { c.tcp.min_burst = number<std::uint8_t>(n, v); }},
    {"min_peer_mss", [](auto& c, Name n, auto v) { c.tcp.min_peer_mss = number<std::uint16_t>(n, v); }},
    {"min_rto", [](auto& c, Name n, auto v) { c.tcp.min_rto = milliseconds(n, v); }},
    {"mtu", [](auto& c, Name n, auto v) { c.ip.interfaces[0].mtu = number<std::uint16_t>(n, v); }},
    {"peer_ack_delay", [](auto& c, Name n, auto v) { c.tcp.peer_ack_delay = milliseconds(n, v); }},
    {"quick_acks", [](auto& c, Name n, auto v) { c.tcp.quick_acks = number<std::uint8_t>(n, v); }},
    {"r2", [](auto& c, Name n, auto v) { c.tcp.r2 = milliseconds(n, v); }},
    {"receive_buffer", [](auto& c, Name n, auto v) { c.tcp.receive_buffer = number<std::uint32_t>(n, v); }},
    {"restart_after_idle", [](auto& c, Name n, auto v) { c.tcp.restart_after_idle = truth(n, v); }},
    {"sack", [](auto& c, Name n, auto v) { c.tcp.sack = truth(n, v); }},
    {"send_buffer", [](auto& c, Name n, auto v) { c.tcp.send_buffer = number<std::uint32_t>(n, v); }},
    {"syn_cookies", [](auto& c, Name n, auto v) { c.tcp.syn_cookies = syn_cookies(n, v); }},
    {"syn_retries", [](auto& c, Name n, auto v) { c.tcp.syn_retries = number<std::uint8_t>(n, v); }},
    {"syn_timeout", [](auto& c, Name n, auto v) { c.tcp.syn_timeout = milliseconds(n, v); }},
    {"synack_retries", [](auto& c, Name n, auto v) { c.tcp.synack_retries = number<std::uint8_t>(n, v); }},
    {"synack_timeout", [](auto& c, Name n, auto v) { c.tcp.synack_timeout = milliseconds(n, v); }},
    {"time_wait", [](auto& c, Name n, auto v) { c.tcp.time_wait_duration = milliseconds(n, v); }},
    {"sysctls", [](auto&, Name n, auto v) { (void)truth(n, v); }},  // Settings::value_of
    {"timestamps", [](auto& c, Name n, auto v) { c.tcp.timestamps = truth(n, v); }},
    {"ttl", [](auto& c, Name n, auto v) { c.ip.ttl = number<std::uint8_t>(n, v); }},
    {"window_scaling", [](auto& c, Name n, auto v) { c.tcp.window_scaling = truth(n, v); }},
};

struct Sysctl {
    const char* name;  // below net.ipv4
    std::string_view setting;
    int word = 0;          // which of its numbers
    int milliseconds = 0;  // in one of its units, where it is a time in others
};

constexpr Sysctl sysctls[] = {
    {"tcp_ecn", "ecn"},
    {"tcp_fastopen", "fast_open"},
    {"tcp_fastopen_key", "fast_open_key"},
    {"tcp_fin_timeout", "fin_wait_2_timeout", 0, 1000},
    {"tcp_min_tso_segs", "min_burst"},
    {"tcp_rmem", "receive_buffer", 2},
    {"tcp_rto_max_ms", "max_rto"},
    {"tcp_sack", "sack"},
    {"tcp_slow_start_after_idle", "restart_after_idle"},
    {"tcp_syn_retries", "syn_retries"},
    {"tcp_synack_retries", "synack_retries"},
    {"tcp_syncookies", "syn_cookies"},
    {"tcp_timestamps", "timestamps"},
    {"tcp_window_scaling", "window_scaling"},
    {"tcp_wmem", "send_buffer", 2},
};

std::string read_sysctl(const Sysctl& sysctl) {
    std::ifstream file{std::string{"/proc/sys/net/ipv4/"} + sysctl.name};
    std::string word;
    for (int i = 0; i <= sysctl.word && file >> word; ++i) {
    }
    if (!file) return {};
    return sysctl.milliseconds == 0 ? word : std::to_string(std::stoll(word) * sysctl.milliseconds);
}

}  // namespace

Settings::Settings(std::string_view so_flags) {
    const auto take = [&so_flags] {
        const std::size_t comma = so_flags.find(',');
        const std::string_view part = so_flags.substr(0, comma);
        so_flags.remove_prefix(comma == std::string_view::npos ? so_flags.size() : comma + 1);
        return part;
    };
    const std::string_view text = take();
    const auto address = parse_ip_address(text);
    if (!address || !address->is_v4())
        throw std::invalid_argument(fmt::format(
            "so_flags begin with \"{}\": give the stack's IPv4 address first, as in 192.168.0.1,timestamps=0",
            text));
    address_ = address->v4();
    while (!so_flags.empty()) {
        const std::string_view part = take();
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos)
            throw std::invalid_argument(fmt::format("so_flags: \"{}\": give name=value", part));
        given_.insert_or_assign(std::string{part.substr(0, equals)}, std::string{part.substr(equals + 1)});
    }
    (void)config();  // complains now, not at the first socket
}

void Settings::apply(StackConfig& config, std::string_view name, std::string_view value) const {
    for (const Setting& setting : settings)
        if (setting.name == name) return setting.apply(config, name, value);
    std::string known;
    for (const Setting& setting : settings) known += fmt::format(" {}", setting.name);
    throw std::invalid_argument(fmt::format("so_flags: no setting \"{}\"; there are:{}", name, known));
}

StackConfig Settings::config() const {
    StackConfig config;
    ip::InterfaceConfig interface;
    interface.mac = stack_mac;
    interface.address = address_;
    interface.prefix_length = 32;
    config.ip.interfaces.push_back(interface);
    const Ipv4Address gateway{address_.value ^ 1};
    config.ip.routes.push_back({Ipv4Address{}, 0, gateway, 0});
    config.ip.neighbours.push_back({gateway, script_mac, 0});
    config.ip.neighbour_capacity = 64;
    config.tcp.connections = 64;
    config.tcp.half_open = 64;
    config.tcp.time_wait = 64;
    config.tcp.send_buffer = 4 * 1024 * 1024;
    config.transmit_queue = 4096;
    config.mbuf_stash = 128;
    config.mbuf_reserve = 16;

    // A host like Linux beside it, but for what the sysctls and the flags say.
    config.tcp.receive_buffer = 6 * 1024 * 1024;
    config.tcp.min_probe_timeout = 4ms;
    config.tcp.fast_open_pending = 64;  // listeners ask for it one by one
    for (const Sysctl& sysctl : sysctls)
        if (const std::string value = value_of(sysctl.setting); !value.empty())
            apply(config, sysctl.setting, value);
    for (const auto& [name, value] : given_) apply(config, name, value);
    return config;
}

std::string Settings::value_of(std::string_view setting) const {
    if (const auto given = given_.find(std::string{setting}); given != given_.end()) return given->second;
    if (const auto use = given_.find("sysctls"); use != given_.end() && !truth("sysctls", use->second))
        return {};
    for (const Sysctl& sysctl : sysctls)
        if (sysctl.setting == setting) return read_sysctl(sysctl);
    return {};
}

bool Settings::fast_open_for_all() const {
    constexpr std::uint32_t servers = 2, without_asking = 0x400;
    const std::string value = value_of("fast_open");
    if (value.empty()) return false;
    const auto bits = number<std::uint32_t>("fast_open", value);
    return (bits & servers) != 0 && (bits & without_asking) != 0;
}

}  // namespace runnel::packetdrill
