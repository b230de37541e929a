// A wire with delay, rate, buffer and loss between two network interfaces, in real time: for kernels without
// netem. What it does to frames is the simulated wire's (tests/support/link.hpp), and follows from the seed
// and the order of the frames alone. Frames that are not IPv4 (ARP) are delayed and nothing else.
//
// The interfaces are ends of veth pairs in a network namespace of their own, without addresses, and with
// segmentation and checksum offloads off at the far ends too: what comes must be frames as on a wire.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <system_error>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.hpp"

namespace runnel::test {
namespace {

volatile std::sig_atomic_t stopped = 0;

Instant now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Instant{std::chrono::seconds{time.tv_sec} + Duration{time.tv_nsec}};
}

/// A packet socket on an interface: whole frames, those only that come from the other end.
class Interface {
  public:
    explicit Interface(const std::string& name) : name_(name), socket_(socket(AF_PACKET, SOCK_RAW, 0)) {
        if (socket_ < 0) fail("cannot open a packet socket (it needs root)");
        constexpr int on = 1;
        constexpr int room = 32 << 20;
        if (setsockopt(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
            fail("PACKET_IGNORE_OUTGOING");
        if (setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
            setsockopt(socket_, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
            fail("cannot have 32 MB for the socket's buffers");
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
        if (address.sll_ifindex == 0) fail("there is no such interface");
        if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
    }
    ~Interface() { close(socket_); }
    Interface(const Interface&) = delete;
    Interface& operator=(const Interface&) = delete;

    [[nodiscard]] int descriptor() const { return socket_; }

    /// Hands each frame that has come to `use`; returns how many.
    template <class Use>
    int receive(Use&& use) {
        std::array<mmsghdr, batch> headers{};
        std::array<iovec, batch> vectors{};
        for (std::size_t i = 0; i < batch; ++i) {
            vectors[i] = {octets_[i].data(), octets_[i].size()};
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
        const int n = recvmmsg(socket_, headers.data(), batch, MSG_DONTWAIT, nullptr);
        if (n < 0 && errno != EAGAIN && errno != EINTR) fail("recvmmsg");
        for (int i = 0; i < n; ++i) {
            const auto at = static_cast<std::size_t>(i);
            use(Octets(octets_[at].begin(), octets_[at].begin() + headers[at].msg_len));
        }
        return std::max(n, 0);
    }

    /// Sends up to `batch` frames.
    void send(std::vector<Octets>& frames) {
        std::array<mmsghdr, batch> headers{};
        std::array<iovec, batch> vectors{};
        for (std::size_t i = 0; i < frames.size(); ++i) {
            vectors[i] = {frames[i].data(), frames[i].size()};
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
        unsigned done = 0;
        while (done < frames.size()) {
            const int n =
                sendmmsg(socket_, headers.data() + done, static_cast<unsigned>(frames.size()) - done, 0);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == ENETDOWN) break;  // the other side goes away: so would its frames
            if (n < 0) fail("sendmmsg");
            done += static_cast<unsigned>(n);
        }
        frames.clear();
    }

    /// Frames that the kernel had no room for: they were lost against the seed's will.
    [[nodiscard]] unsigned missed() const {
        tpacket_stats statistics{};
        socklen_t size = sizeof statistics;
        if (getsockopt(socket_, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) != 0) fail("statistics");
        return statistics.tp_drops;
    }

    static constexpr std::size_t batch = 64;

  private:
    [[noreturn]] void fail(const char* what) const {
        throw std::system_error(errno, std::generic_category(), name_ + ": " + what);
    }

    std::string name_;
    int socket_;
    std::array<std::array<std::uint8_t, 65536>, batch> octets_{};
};

/// One direction: from an interface through a wire to the other.
class Direction {
  public:
    Direction(Interface& from, Interface& to, const LinkConfig& config, std::uint64_t seed)
        : from_(from), to_(to), wire_(config, seed), others_(only_delay(config), 0) {}

    bool take_in(Instant at) {
        return from_.receive([&](Octets frame) {
            if (frame.size() > largest) ++oversized_;
            const bool ip = frame.size() > 14 && frame[12] == 0x08 && frame[13] == 0x00;
            (ip ? wire_ : others_).send(std::move(frame), at);
        }) == static_cast<int>(Interface::batch);
    }
    void give_out(Instant at) {
        for (Link* link : {&wire_, &others_}) {
            while (link->next_arrival() <= at) {
                due_.push_back(link->take());
                if (due_.size() == Interface::batch) to_.send(due_);
            }
        }
        if (!due_.empty()) to_.send(due_);
    }
    [[nodiscard]] Instant next() const { return std::min(wire_.next_arrival(), others_.next_arrival()); }

    [[nodiscard]] std::string json() const {
        const LinkCounts& counts = wire_.counts();
        return fmt::format(
            R"({{"frames": {}, "lost": {}, "dropped": {}, "marked": {}, "missed": {}, "oversized": {}}})",
            counts.sent, counts.lost, counts.dropped, counts.marked, from_.missed(), oversized_);
    }

  private:
    static constexpr std::size_t largest = 1514 + 4;  // a full frame, with a VLAN tag
    static LinkConfig only_delay(const LinkConfig& config) {
        LinkConfig plain;
        plain.delay = config.delay;
        return plain;
    }
    Interface& from_;
    Interface& to_;
    Link wire_, others_;
    std::vector<Octets> due_;
    std::uint64_t oversized_ = 0;
};

struct Settings {
    std::array<std::string, 2> interfaces;
    LinkConfig link;
    double delay_ms = 0;
    std::array<double, 2> loss{};
    std::uint64_t seed = 1;
};

int join(Settings& settings) {
    prctl(PR_SET_TIMERSLACK, 1UL);
    settings.link.delay = Duration{static_cast<std::int64_t>(settings.delay_ms * 1e6)};
    const auto a = std::make_unique<Interface>(settings.interfaces[0]);
    const auto b = std::make_unique<Interface>(settings.interfaces[1]);
    LinkConfig there = settings.link, back = settings.link;
    there.loss = settings.loss[0];
    back.loss = settings.loss[1];
    Direction forth{*a, *b, there, settings.seed * 2}, home{*b, *a, back, settings.seed * 2 + 1};
    std::printf("joined\n");
    std::fflush(stdout);

    while (stopped == 0) {
        const Instant at = now();
        const bool more_there = forth.take_in(at);
        const bool more_back = home.take_in(at);
        forth.give_out(at);
        home.give_out(at);
        if (more_there || more_back) continue;
        const Duration left = std::clamp<Duration>(std::min(forth.next(), home.next()) - now(), 0ns, 100ms);
        const timespec wait{0, left.count()};
        std::array<pollfd, 2> ready{{{a->descriptor(), POLLIN, 0}, {b->descriptor(), POLLIN, 0}}};
        if (ppoll(ready.data(), ready.size(), &wait, nullptr) < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "ppoll");
    }
    fmt::print("{{\"there\": {}, \"back\": {}}}\n", forth.json(), home.json());
    return 0;
}

}  // namespace
}  // namespace runnel::test

int main(int argc, char** argv) {
    runnel::test::Settings settings;
    CLI::App app{
        "Joins two interfaces by a wire with delay, rate, buffer and loss. Ends with SIGINT or SIGTERM, and "
        "prints "
        "what became of the frames as JSON."};
    app.add_option("FROM", settings.interfaces[0], "Interface of the first direction's frames")->required();
    app.add_option("TO", settings.interfaces[1], "The other")->required();
    app.add_option("--delay", settings.delay_ms, "Of each direction, in ms");
    app.add_option("--rate", settings.link.bits_a_second, "Of each direction, in bit/s; 0: no limit");
    app.add_option("--buffer", settings.link.buffer, "Octets that wait for their turn at most; 0: no limit");
    app.add_option("--loss", settings.loss[0], "Of frames from FROM to TO: 0.01 is 1 %");
    app.add_option("--loss-back", settings.loss[1], "Of frames from TO to FROM");
    app.add_option("--mark-above", settings.link.mark_above,
                   "Octets waiting from which on CE is set; 0: never");
    app.add_option("--seed", settings.seed, "The same seed loses the same frames");
    CLI11_PARSE(app, argc, argv);
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, [](int) { runnel::test::stopped = 1; });
    try {
        return runnel::test::join(settings);
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "impair: %s\n", wrong.what());
        return 1;
    }
}
