// An endpoint that does as it is told, a line of standard input at a time: joins groups, sends to them, and
// asks for echoes and exchanges datagrams over connected sockets. Each thing that happens to it is a line on
// standard output. Ends with standard input.
//
//     join GROUP PORT | leave GROUP PORT              any source
//     block|unblock|include|exclude-from GROUP PORT SOURCE
//     filter include|exclude GROUP PORT [SOURCE...]
//     send GROUP PORT TTL TEXT                        from port 6000
//     ping ADDRESS SIZE TTL
//     connect ADDRESS PORT LOCAL-PORT SEGMENT         the socket is given a number, 0, 1, ...; LOCAL-PORT 0:
//     any pour NUMBER SIZE                                so many octets to its peer, in one send mirror
//     NUMBER                                   it sends back what it hears from now on disconnect NUMBER
#include <array>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "runnel/ip/pings.hpp"
#include "runnel/port/mbuf_pool.hpp"
#include "runnel/port/port.hpp"
#include "runnel/runtime/clock.hpp"
#include "runnel/runtime/eal.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel::test {
namespace {

void say(const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
}

std::string text_of(const rte_mbuf& mbuf) {
    std::string text;
    for (const rte_mbuf* part = &mbuf; part != nullptr; part = part->next)
        text.append(rte_pktmbuf_mtod(part, const char*), part->data_len);
    return text;
}

class Endpoint final : public udp::Handler, public ip::PingHandler {
  public:
    Endpoint(Stack& stack, const runtime::Clock& clock) : stack_(stack), clock_(clock) {}

    void obey(const std::string& line) {
        std::istringstream words{line};
        std::string verb;
        words >> verb;
        if (verb == "send") return send(words);
        if (verb == "ping") return ping(words);
        if (verb == "connect") return connect(words);
        std::size_t number = 0;
        if (verb == "pour" || verb == "mirror" || verb == "disconnect") {
            words >> number;
            if (verb == "pour") return pour(connected_.at(number), words);
            if (verb == "mirror") {
                connected_.at(number).mirrors = true;
                return say(fmt::format("socket {} mirrors", number));
            }
            return say(fmt::format("disconnected {}", stack_.udp().disconnect(connected_.at(number).socket)));
        }
        ip::FilterMode mode = ip::FilterMode::include;
        if (verb == "filter") {
            std::string which;
            words >> which;
            if (which == "exclude") mode = ip::FilterMode::exclude;
        }
        std::string group;
        udp::GroupSocket socket{.handler = this};
        words >> group >> socket.port;
        socket.group = parse_ip_address(group).value();
        std::vector<IpAddress> sources;
        for (std::string source; words >> source;) sources.push_back(parse_ip_address(source).value());
        say(fmt::format("{}: {}", line, ip::to_sentence(change(verb, socket, mode, sources))));
    }

    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override {
        for (std::size_t i = 0; about.socket && i < connected_.size(); ++i) {
            if (connected_[i].socket != about.socket) continue;
            say(fmt::format("socket {} heard {} {}", i, payload.pkt_len, text_of(payload).substr(0, 20)));
            if (!connected_[i].mirrors) return udp::Ownership::returned;
            (void)stack_.udp().send(about.socket, &payload, clock_.now());
            return udp::Ownership::taken;
        }
        say(fmt::format("heard {} {} from {} ttl {} {}", to_string(about.destination_address),
                        about.destination_port, to_string(about.source_address), about.ttl,
                        text_of(payload)));
        return udp::Ownership::returned;
    }
    void error(const udp::IcmpReport& report) noexcept override {
        for (std::size_t i = 0; i < connected_.size(); ++i)
            if (report.socket && connected_[i].socket == report.socket)
                say(fmt::format("socket {} error {} {}", i, report.type, report.code));
    }
    ip::Ownership reply(const ip::PingReply& about, rte_mbuf& data) noexcept override {
        say(fmt::format("reply {} from {} octets {} {} ttl {} us {}", about.number, to_string(about.source),
                        data.pkt_len, text_of(data) == sent_ ? "intact" : "changed", about.ttl,
                        about.round_trip / 1us));
        return ip::Ownership::returned;
    }
    void failed(ip::PingNumber number, const ip::IcmpError& error) noexcept override {
        say(fmt::format("failed {} type {} code {} by {} mtu {}", number, error.type, error.code,
                        to_string(error.reporter), error.next_hop_mtu));
    }
    void timed_out(ip::PingNumber number) noexcept override { say(fmt::format("late {}", number)); }

  private:
    struct Connected {
        udp::ConnectedSocket socket;
        bool mirrors = false;
    };

    void connect(std::istringstream& words) {
        std::string address;
        unsigned port = 0, local_port = 0, segment = 0;
        words >> address >> port >> local_port >> segment;
        const auto made = stack_.udp().connect({.remote_address = parse_ip_address(address).value(),
                                                .remote_port = static_cast<std::uint16_t>(port),
                                                .local_port = static_cast<std::uint16_t>(local_port),
                                                .segment = static_cast<std::uint16_t>(segment)},
                                               *this);
        if (!made.socket) return say(fmt::format("connect error {}", static_cast<int>(made.error)));
        connected_.push_back({made.socket});
        say(fmt::format("socket {} at port {}", connected_.size() - 1,
                        stack_.udp().options_of(made.socket)->local_port));
    }

    void pour(const Connected& connected, std::istringstream& words) {
        std::size_t size = 0;
        words >> size;
        std::string octets(size, '\0');
        for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<char>('a' + i % 23);
        const auto result =
            stack_.udp().send(connected.socket, std::as_bytes(std::span{octets}), clock_.now());
        say(fmt::format("poured {}", result == udp::SendResult::sent));
    }

    ip::GroupResult change(std::string_view verb, const udp::GroupSocket& socket, ip::FilterMode mode,
                           const std::vector<IpAddress>& sources) {
        udp::GroupReceivers& groups = stack_.udp().groups();
        if (verb == "join") return groups.join(socket);
        if (verb == "leave") return groups.leave(socket);
        if (verb == "filter") return groups.set_filter(socket, {mode, sources});
        if (verb == "block") return groups.block(socket, sources.at(0));
        if (verb == "unblock") return groups.unblock(socket, sources.at(0));
        if (verb == "include") return groups.join_source(socket, sources.at(0));
        return groups.leave_source(socket, sources.at(0));
    }

    void send(std::istringstream& words) {
        std::string group, text;
        unsigned port = 0, ttl = 0;
        words >> group >> port >> ttl >> text;
        const auto result = stack_.udp().send_to({.remote_address = parse_ip_address(group).value(),
                                                  .remote_port = static_cast<std::uint16_t>(port),
                                                  .local_port = 6000,
                                                  .ttl = static_cast<std::uint8_t>(ttl)},
                                                 std::as_bytes(std::span{text}), clock_.now());
        say(fmt::format("sent {}", result == udp::SendResult::sent));
    }

    void ping(std::istringstream& words) {
        std::string address;
        std::size_t size = 0;
        unsigned ttl = 0;
        words >> address >> size >> ttl;
        sent_.resize(size);
        for (std::size_t i = 0; i < size; ++i) sent_[i] = static_cast<char>('a' + i % 23);
        const auto sent = stack_.pings().send(
            {.remote = parse_ip_address(address).value(), .ttl = static_cast<std::uint8_t>(ttl)},
            std::as_bytes(std::span{sent_}), *this, clock_.now());
        say(fmt::format("pinging {} {}", sent.number, sent.result == ip::PingResult::sent));
    }

    Stack& stack_;
    const runtime::Clock& clock_;
    std::vector<Connected> connected_;
    std::string sent_;  // of the last echo request
};

// Lines of standard input as they come; false at its end.
class Lines {
  public:
    template <class Call>
    bool read(const Call& call) {
        pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
        if (poll(&input, 1, 0) <= 0) return true;
        std::array<char, 4096> buffer;
        const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (n <= 0) return false;
        text_.append(buffer.data(), static_cast<std::size_t>(n));
        for (std::size_t end; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1))
            call(text_.substr(0, end));
        return true;
    }

  private:
    std::string text_;
};

void run(const std::string& device, const std::vector<std::string>& addresses, const std::string& gateway) {
    runtime::Eal eal{{.memory_mb = 128, .workers = 1, .program = "endpoint"}};
    const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 8191});
    port::Port port{{.device = device}, mbufs.get()};
    StackConfig config;
    ip::InterfaceConfig interface { .mac = port.mac(), .mtu = port.mtu(), .offloads = port.offloads() };
    for (const std::string& address : addresses) {
        const IpAddress one = parse_ip_address(address).value();
        if (one.is_v4() && interface.speaks_ipv4())
            interface.more_ipv4.push_back({.address = one.v4()});
        else if (one.is_v4())
            interface.address = one.v4();
        else
            interface.ipv6.push_back({.address = one.v6()});
    }
    config.ip.interfaces = {interface};
    if (!gateway.empty())
        config.ip.routes = {{.prefix_length = 0, .gateway = parse_ip_address(gateway).value()}};
    config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 64;
    Stack stack{config, mbufs.get()};
    const runtime::Clock clock;
    Endpoint endpoint{stack, clock};
    Lines lines;
    say("ready");
    std::array<rte_mbuf*, 64> frames;
    while (lines.read([&](const std::string& line) { endpoint.obey(line); })) {
        const std::size_t n = port.queue(0).receive(frames);
        const Instant now = clock.now();
        stack.receive({frames.data(), n}, now);
        stack.advance(now);
        bool sent = false;
        while (const std::size_t ready = stack.transmit(frames)) {
            const std::size_t taken = port.queue(0).send({frames.data(), ready});
            for (std::size_t i = taken; i < ready; ++i) rte_pktmbuf_free(frames[i]);
            sent = true;
        }
        if (n == 0 && !sent) usleep(200);
    }
}

}  // namespace
}  // namespace runnel::test

int main(int argc, char** argv) {
    CLI::App app{"An endpoint that does what standard input says."};
    std::string device, gateway;
    std::vector<std::string> addresses;
    app.add_option("--port", device)->required();
    app.add_option("--address", addresses)->required();
    app.add_option("--gateway", gateway);
    CLI11_PARSE(app, argc, argv);
    try {
        runnel::test::run(device, addresses, gateway);
    } catch (const std::exception& error) {
        fmt::print(stderr, "endpoint: {}\n", error.what());
        return 1;
    }
    return 0;
}
