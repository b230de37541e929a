// See dperf.hpp. The words are those of dperf's docs/configuration.md.
#include "scenario/dperf.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "runnel/ip/route_table.hpp"

#include "doctor/machine.hpp"
#include "engine/datagram.hpp"
#include "engine/http.hpp"
#include "quantity.hpp"

namespace runnel::app::scenario {
namespace {

// A line that says something.
struct Word {
    unsigned line = 0;
    std::string name, text;           // "cps", "cps 0.5m"
    std::vector<std::string> values;  // what stands behind the name
};

// Words that say nothing that a scenario would have to say, or that have no counterpart, and why.
struct Lack {
    std::string_view name, why;
};
constexpr std::array lacks{
    Lack{"daemon", "a run stays in the foreground; --json keeps its result"},
    Lack{"quiet", "the lines of a second are printed"},
    Lack{"socket_mem", "what memory is needed is planned from the load"},
    Lack{"tx_burst", "bursts are as long as there are frames to send"},
    Lack{"launch_num", "connections begin one by one, at even intervals"},
    Lack{"wait", "connections begin when the target's link address is known"},
    Lack{"flood", "a flood of first packets alone is no recipe of a scenario's client"},
    Lack{"change_dip", "goes with flood"},
    Lack{"vxlan", "tunnels are not spoken"},
    Lack{"kni", "what is not for the load is not handed to the kernel"},
    Lack{"tos", "the traffic class is not an option"},
    Lack{"lport_range", "local ports are chosen from the whole ephemeral range"},
    Lack{"http_host", "the Host of a request is the target's address"},
    Lack{"http_method", "a request is a GET"},
};

class Reader {
  public:
    Reader(std::string_view text, const std::string& source) : source_(source) {
        std::istringstream lines{std::string{text}};
        unsigned number = 0;
        for (std::string line; std::getline(lines, line);) {
            ++number;
            std::istringstream parts(line.substr(0, line.find('#')));
            Word word{.line = number};
            for (std::string part; parts >> part;) {
                word.text += (word.text.empty() ? "" : " ") + part;
                if (word.name.empty())
                    word.name = part;
                else
                    word.values.push_back(part);
            }
            if (!word.name.empty()) words_.push_back(std::move(word));
        }
    }

    [[nodiscard]] Imported read();

  private:
    [[noreturn]] void refuse(const Word& word, const std::string& why) const {
        throw BadScenario(fmt::format("{}:{}: {}: {}", source_, word.line, word.name, why));
    }
    void lack(const Word& word, std::string_view why) {
        result_.lacks.push_back(fmt::format("{}:{}: {}: {}", source_, word.line, word.text, why));
    }

    // The first line of a name; those after it are named as lacking, with `why`.
    const Word* first(std::string_view name, std::string_view why = "is said before; the first holds") {
        const Word* found = nullptr;
        for (const Word& word : words_) {
            if (word.name != name) continue;
            if (found == nullptr)
                found = &word;
            else
                lack(word, why);
        }
        return found;
    }
    const std::string& value(const Word& word, std::size_t index, const char* what) const {
        if (index >= word.values.size()) refuse(word, fmt::format("has no {}", what));
        return word.values[index];
    }
    // 10m is ten million: k and m, or none.
    std::uint64_t count(const Word& word, const std::string& text) const {
        std::string digits = text;
        if (!digits.empty() && (digits.back() == 'm' || digits.back() == 'M')) digits.back() = 'M';
        if (!digits.empty() && digits.back() == 'K') digits.back() = 'k';
        try {
            return parse_count(digits);
        } catch (const BadQuantity& wrong) {
            refuse(word, wrong.what());
        }
    }
    // Seconds where no unit is given; d, h, m, s, ms, us.
    Duration time(const Word& word, std::string text) const {
        double factor = 1;
        if (!text.empty() && text.back() == 'd') {
            text.back() = 'h';
            factor = 24;
        } else if (!text.empty() && std::isdigit(static_cast<unsigned char>(text.back())) != 0) {
            text += 's';
        }
        try {
            return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::nano>(
                factor * static_cast<double>(parse_duration(text).count())));
        } catch (const BadQuantity& wrong) {
            refuse(word, wrong.what());
        }
    }
    IpAddress address(const Word& word, const std::string& text) const {
        try {
            return parse_address(text);
        } catch (const BadQuantity& wrong) {
            refuse(word, wrong.what());
        }
    }

    void say(const std::string& key, const std::string& text) {
        lines_ += fmt::format("{} = {}\n", key, text);
    }
    void say_text(const std::string& key, const std::string& text) { say(key, '"' + text + '"'); }

    const Word& needed(std::string_view name, std::string_view why) {
        if (const Word* word = first(name, why)) return *word;
        throw BadScenario(fmt::format("{}: has no word {}", source_, name));
    }

    void read_port(const Word& pool, bool client);
    void read_client();
    void read_udp_client();
    void read_server();
    void read_sizes(bool transactions);

    std::string source_, lines_;
    std::vector<Word> words_;
    Imported result_;
    bool keeps_ = false;  // keepalive, or cc, which implies it
    bool v6_ = false;
    bool udp_ = false;
};

// The longest prefix within which all of these lie, and none is the broadcast address.
std::uint8_t common_prefix(const IpAddress& a, const IpAddress& b, const IpAddress& c) {
    const unsigned bits = a.is_v4() ? 30 : 126;
    for (unsigned length = bits; length > 0; --length) {
        if (a.is_v4()) {
            const std::uint32_t broadcast = a.v4().value | ~(UINT32_MAX << (32 - length));
            const bool same =
                ip::same_prefix(a.v4(), b.v4(), length) && ip::same_prefix(a.v4(), c.v4(), length);
            if (same && b.v4().value != broadcast && c.v4().value != broadcast)
                return static_cast<std::uint8_t>(length);
        } else if (ip::same_prefix(a.v6(), b.v6(), length) && ip::same_prefix(a.v6(), c.v6(), length)) {
            return static_cast<std::uint8_t>(length);
        }
    }
    return 0;
}

// The port, and whose addresses are ours: those of `client` on one side, of `server` on the other.
void Reader::read_port(const Word& pool, bool client) {
    const Word& port = needed("port", "one port a scenario: another process may have this one");
    const std::string& device = value(port, 0, "PCI address");
    if (device.starts_with("bond")) refuse(port, "bonds are not made; name one of its ports");
    say_text("port", device);
    const IpAddress start = address(pool, value(pool, 0, "address"));
    v6_ = !start.is_v4();
    const std::uint64_t addresses = pool.values.size() > 1 ? count(pool, pool.values[1]) : 1;
    if (addresses == 0 || addresses > 65'000) refuse(pool, "write a number of addresses from 1 to 65000");
    const IpAddress gateway = address(port, value(port, 2, "gateway"));
    if (gateway.is_v4() != start.is_v4()) refuse(port, "its gateway is of another family than the addresses");
    const IpAddress last = nth_after(start, static_cast<std::uint32_t>(client ? addresses - 1 : 0));
    // dperf has no prefix, and sends all to the gateway.
    say_text("address", fmt::format("{}/{}", to_string(start), common_prefix(start, last, gateway)));
    if (client && addresses > 1) say("addresses", fmt::format("{}", addresses));
    if (!client && addresses > 1) lack(pool, "one address a server; the first is taken");
    say_text("gateway", to_string(gateway));
    if (address(port, value(port, 1, "address")) < start || last < address(port, port.values[1]))
        lack(port,
             fmt::format("{} is not one of the addresses of the load, and is not taken", port.values[1]));
    if (port.values.size() > 3) lack(port, "the gateway's link address is asked for");

    const Word& cpus = needed("cpu", "is said before; the first holds");
    std::vector<unsigned> list;
    for (const std::string& text : cpus.values)
        std::ranges::move(doctor::parse_cpu_list(text), std::back_inserter(list));
    if (list.empty()) refuse(cpus, "names no CPU");
    if (udp_ && client && list.size() > 1) {
        lack(cpus, "a client of datagrams has one core");
        list.resize(1);
    }
    say("cores",
        fmt::format("{} # on these CPUs: taskset -c {} runnel run ...", list.size(), doctor::cpu_list(list)));
    // Headers of IP and TCP.
    const unsigned headers = v6_ ? 60 : 40;
    if (const Word* mss = first("mss"))
        say("mtu", fmt::format("{} # {}", count(*mss, value(*mss, 0, "number")) + headers, mss->text));
    else if (first("jumbo") != nullptr)
        say("mtu", "9000 # jumbo");
    if (const Word* protocol = first("protocol"))
        if (const std::string& name = value(*protocol, 0, "name");
            name != "tcp" && name != "http" && name != "udp")
            lack(*protocol, "the load is TCP's");
}

// Payload of a request and a response, where it is said: by itself, or by the size of its frame.
void Reader::read_sizes(bool transactions) {
    const Word* word = first("payload_size");
    if (word == nullptr)
        word = first("packet_size");
    else if (const Word* frame = first("packet_size"))
        lack(*frame, "payload_size is taken");
    if (word == nullptr) return;
    std::uint64_t octets = count(*word, value(*word, 0, "number"));
    if (word->name == "packet_size") {
        constexpr std::uint64_t ethernet = 14;
        octets -= std::min(octets, ethernet + (udp_ ? (v6_ ? 48 : 28) : (v6_ ? 60 : 40)));
    }
    octets = std::max<std::uint64_t>(octets, udp_ ? load::DatagramHeader::octets : 1);
    if (udp_) octets = std::min<std::uint64_t>(octets, load::most_datagram_v4);
    if (udp_ && result_.role == Role::server) {
        say("response-octets", fmt::format("{} # {}", octets, word->text));
    } else if (transactions) {
        const std::uint64_t size = std::min<std::uint64_t>(octets, std::uint64_t{1} << 20);
        say("request-octets", fmt::format("{} # {}", size, word->text));
        say("response-octets", fmt::format("{}", size));
    } else if (result_.role == Role::server) {
        // The whole response is so long: what its header leaves for the body.
        std::size_t body = std::min<std::size_t>(octets, load::HttpResponse::max_size);
        while (body > 0 && load::HttpResponse(body, false).all().size() > octets)
            body -= std::min(body, load::HttpResponse(body, false).all().size() - octets);
        say("size", fmt::format("{} # {}, with the header", body, word->text));
    } else {
        lack(*word, "a request is as long as its header; runnel serve --size says how long responses are");
    }
}

void Reader::read_client() {
    const Word& client = needed("client", "one pool of addresses a port");
    read_port(client, true);
    const Word& server = needed("server", "one server a scenario");
    const IpAddress target = address(server, value(server, 0, "address"));
    if (server.values.size() > 1 && count(server, server.values[1]) > 1)
        lack(server, "the first address is taken");
    std::uint64_t port = 80;
    if (const Word* listen = first("listen")) {
        port = count(*listen, value(*listen, 0, "port"));
        if (port == 0 || port > 65'535) refuse(*listen, "write a port from 1 to 65535");
        if (listen->values.size() > 1 && count(*listen, listen->values[1]) > 1)
            lack(*listen, "the first port is taken");
    }
    say_text("target", target.is_v4() ? fmt::format("{}:{}", to_string(target), port)
                                      : fmt::format("[{}]:{}", to_string(target), port));
    if (const Word* path = first("http_path")) say_text("path", value(*path, 0, "path"));

    lines_ += "\n[client.traffic]\n";
    if (udp_) return read_udp_client();
    const Word* const cc = first("cc");
    const Word* const cps = first("cps");
    const Word* const keepalive = first("keepalive");
    if (!keeps_ && cps == nullptr) throw BadScenario(fmt::format("{}: has no word cps", source_));
    say_text("recipe", keeps_ ? "rr" : "crr");
    // Connections that end are opened at a rate, as those of crr; others are kept.
    const bool end = keepalive != nullptr && keepalive->values.size() > 1;
    const bool opens = cps != nullptr && (!keeps_ || end);
    if (end) say("transactions", fmt::format("{}", count(*keepalive, keepalive->values[1])));
    if (opens) say("rate", fmt::format("{} # {}", count(*cps, value(*cps, 0, "number")), cps->text));
    if (cc != nullptr && !opens)
        say(end ? "concurrency" : "connections",
            fmt::format("{} # {}", count(*cc, value(*cc, 0, "number")), cc->text));
    else if (cc != nullptr)
        lack(*cc, "as many are open as the rate and the time of each make");
    const Word* const start = first("slow_start");
    if (opens) {
        say_text("ramp-up",
                 human_duration(start != nullptr ? time(*start, value(*start, 0, "time")) : Duration{30s}));
    } else {
        constexpr const char* why = "connections that are kept are opened as fast as they are answered";
        if (cps != nullptr) lack(*cps, why);
        if (start != nullptr) lack(*start, why);
    }
    // Think times and sizes are of requests.
    if (keepalive != nullptr) {
        lines_ += "\n[client.requests]\n";
        say("think",
            fmt::format("\"{}\" # {}", human_duration(time(*keepalive, value(*keepalive, 0, "interval"))),
                        keepalive->text));
    } else if (keeps_) {
        lines_ += "\n[client.requests]\n";
    }
    read_sizes(keeps_);
}

// A socket of dperf's sends a packet and awaits one: once, of so many that are opened a second; or of so many
// that are kept each again and again.
void Reader::read_udp_client() {
    say_text("recipe", "udp-rr");
    const Word* const cc = first("cc");
    const Word* const cps = first("cps");
    const Word* const keepalive = first("keepalive");
    const Word* const start = first("slow_start");
    if (keepalive == nullptr) {
        if (cps == nullptr) throw BadScenario(fmt::format("{}: has no word cps", source_));
        say("rate", fmt::format("{} # {}", count(*cps, value(*cps, 0, "number")), cps->text));
        say_text("ramp-up",
                 human_duration(start != nullptr ? time(*start, value(*start, 0, "time")) : Duration{30s}));
        if (cc != nullptr) lack(*cc, "as many requests are under way as the rate and the time of each make");
        lines_ += "\n[client.requests]\n";
    } else {
        const Word& many = needed("cc", "is said before; the first holds");
        const std::uint64_t flows = count(many, value(many, 0, "number"));
        say("connections", fmt::format("{} # {}", flows, many.text));
        say("concurrency", fmt::format("{}", flows));
        constexpr const char* why = "requests that are kept under way begin at once";
        if (cps != nullptr) lack(*cps, why);
        if (start != nullptr) lack(*start, why);
        lines_ += "\n[client.requests]\n";
        say("think",
            fmt::format("\"{}\" # {}", human_duration(time(*keepalive, value(*keepalive, 0, "interval"))),
                        keepalive->text));
    }
    read_sizes(true);
}

void Reader::read_server() {
    read_port(needed("server", "one server a scenario"), false);
    for (const Word& word : words_)
        if (word.name == "client") lack(word, "whoever asks is answered");
    std::uint64_t port = 80, ports = 1;
    if (const Word* listen = first("listen")) {
        port = count(*listen, value(*listen, 0, "port"));
        if (listen->values.size() > 1) ports = count(*listen, listen->values[1]);
        if (port == 0 || ports == 0 || ports > 4096 || port + ports - 1 > 65'535)
            refuse(*listen, "write ports from 1 to 65535, at most 4096 of them");
    }
    std::string list;
    for (std::uint64_t i = 0; i < ports; ++i)
        list += fmt::format("{}\"{}:{}\"", i == 0 ? "" : ", ", port + i,
                            udp_     ? "udp"
                            : keeps_ ? "rr"
                                     : "crr");
    say("listen", "[" + list + "]");
    read_sizes(keeps_);
    if (const Word* keepalive = first("keepalive"); keepalive != nullptr && !keepalive->values.empty())
        lack(*keepalive, udp_ ? "a flow stays as long as something comes"
                              : "a connection stays until the client closes it");
}

Imported Reader::read() {
    const Word& mode = needed("mode", "is said before; the first holds");
    const std::string& name = value(mode, 0, "name");
    if (name != "client" && name != "server")
        refuse(mode, fmt::format("\"{}\" is neither client nor server", name));
    result_.role = name == "client" ? Role::client : Role::server;
    keeps_ = first("keepalive") != nullptr || first("cc") != nullptr;
    if (const Word* const protocol = first("protocol")) udp_ = value(*protocol, 0, "name") == "udp";
    result_.lacks.clear();  // what stands twice is named when it is read

    if (result_.role == Role::client)
        read_client();
    else
        read_server();
    const Word* const duration = first("duration");
    const std::string length =
        human_duration(duration != nullptr ? time(*duration, value(*duration, 0, "time")) : Duration{100s});

    static constexpr std::array<std::string_view, 19> known{
        "mode",       "cpu",          "port",        "duration",  "cps",    "cc",       "keepalive",
        "client",     "server",       "listen",      "jumbo",     "mss",    "protocol", "rss",
        "slow_start", "payload_size", "packet_size", "http_path", "tcp_rst"};
    for (const Word& word : words_) {
        const auto* const why = std::ranges::find(lacks, word.name, &Lack::name);
        if (why != lacks.end())
            lack(word, why->why);
        else if (std::ranges::find(known, word.name) == known.end())
            lack(word, "is no word of dperf's that is known here");
        else if (word.name == "tcp_rst" && word.values == std::vector<std::string>{"0"})
            lack(word, "a SYN to a port that is not open is answered with RST");
        else if (result_.role == Role::server && (word.name == "cps" || word.name == "cc" ||
                                                  word.name == "slow_start" || word.name == "http_path"))
            lack(word, "says nothing of a server");
    }
    const auto line_of = [this](const std::string& text) {
        return std::stoul(text.substr(source_.size() + 1));
    };
    std::ranges::stable_sort(result_.lacks, {}, line_of);
    const auto twice = std::ranges::unique(result_.lacks);
    result_.lacks.erase(twice.begin(), twice.end());
    result_.table = fmt::format("[{}]\n", name);
    // Keys of the table go before its section.
    const std::size_t section = lines_.find("\n[");
    const std::string line = fmt::format("duration = \"{}\"\n", length);
    result_.table += lines_.substr(0, section) + line;
    if (section != std::string::npos) result_.table += lines_.substr(section);
    return std::move(result_);
}

}  // namespace

Imported import_dperf(std::string_view text, const std::string& source) {
    return Reader(text, source).read();
}

std::string join(const std::vector<Imported>& tables) {
    std::string text;
    for (const Imported& one : tables) {
        for (const Imported& other : tables)
            if (&one != &other && one.role == other.role)
                throw BadScenario(
                    fmt::format("two files are of a {}: a scenario has one, and one of the other side",
                                one.role == Role::client ? "client" : "server"));
        for (const std::string& lack : one.lacks) {
            if (text.empty()) text = "# What dperf was told and this says in another way, or not:\n";
            text += "#   " + lack + '\n';
        }
    }
    text += "description = \"from a configuration of dperf\"\n";
    for (const Imported& one : tables) text += '\n' + one.table;
    return text;
}

}  // namespace runnel::app::scenario
