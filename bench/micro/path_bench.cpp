// The whole path in one thread: two stacks joined by nothing but the hand that carries the frames. What a
// connection, a transaction and a segment cost without a second core, rings or a clock; and how the cost
// grows with the connections that are there.
//
//   path_bench [--most-connections=N] [--small-pages] [Google Benchmark's options]
//
// Random/connections:N/burst:B: a transaction on one of N established connections, chosen uniformly; three
// packets (request, response, ACK). B frames are handed over at once. With 1 there is no stage in which to
// prefetch: the difference to 64 is what the staged pipeline hides. N goes up to --most-connections (1000000
// if not said); two stacks take some 290 octets for each. --small-pages asks the kernel for no large ones.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <sys/prctl.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "runnel/base/eal_memory.hpp"
#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel {
namespace {

constexpr std::uint32_t ports = 64'512;  // of an address
constexpr std::uint32_t few = 1024;      // connections on their way at once
constexpr std::size_t batch = 64;
constexpr MacAddress client_mac{{2, 0, 0, 0, 0, 1}}, server_mac{{2, 0, 0, 0, 0, 2}};
constexpr Ipv4Address client_network{198, 18, 0, 0}, server_network{198, 19, 0, 0};

StackConfig config_of(bool server, std::uint32_t connections) {
    const Ipv4Address here = server ? server_network : client_network;
    const Ipv4Address there = server ? client_network : server_network;
    const Ipv4Address router{here.value + 0xfffe};
    StackConfig config;
    config.ip.interfaces.push_back({.mac = server ? server_mac : client_mac,
                                    .address = Ipv4Address{here.value + 1},
                                    .address_count = server ? 1 : connections / ports + 1,
                                    .prefix_length = 16});
    config.ip.routes.push_back({.network = there, .prefix_length = 16, .gateway = router, .interface = 0});
    config.ip.neighbours.push_back(
        {.address = router, .mac = server ? client_mac : server_mac, .interface = 0});
    config.tcp.connections = connections + few;
    config.tcp.half_open = few;
    config.tcp.time_wait = 1U << 16;
    config.tcp.cold_blocks = 2 * few;
    return config;
}

port::MbufPoolOptions pool_options() {
    return {.mbufs = 16'383, .lcore_cache = 256};
}

rte_mempool* pool() {
    static const port::MbufPool mbufs = port::make_mbuf_pool(pool_options());
    return mbufs.get();
}

// Octets that are sent without a copy.
std::array<std::byte, 64> request, response;
// In EAL's memory, as a device would want it. Never freed.
std::span<const std::byte> block() {
    static const auto* const octets = new EalBlock{"block of a stream", 65'536};
    return octets->span();
}

// Answers a request; closes where the recipe is to end with that.
struct Server final : tcp::Handler {
    bool closes = false;
    std::uint64_t octets = 0;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        octets += payload.pkt_len;
        (void)connection.consume(payload.pkt_len);
        if (payload.pkt_len == request.size()) {
            (void)connection.send_static(response);
            if (closes) (void)connection.close();
        }
        return tcp::Ownership::returned;
    }
    void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
};

struct Client final : tcp::Handler {
    bool asks = false, streams = false, copies = false;
    std::uint64_t established_ = 0, answered = 0, closed_ = 0;
    void established(tcp::Connection connection) noexcept override {
        ++established_;
        if (asks) (void)connection.send_static(request);
        if (streams) writable(connection);
    }
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
        ++answered;
        (void)connection.consume(payload.pkt_len);
        return tcp::Ownership::returned;
    }
    void writable(tcp::Connection connection) noexcept override {
        while ((copies ? connection.send(block()) : connection.send_static(block())).error ==
               tcp::Error::none) {
        }
    }
    void peer_closed(tcp::Connection connection) noexcept override { (void)connection.close(); }
    void closed(tcp::Connection, tcp::CloseReason) noexcept override { ++closed_; }
};

class Path {
  public:
    explicit Path(std::uint32_t connections, const std::function<void(StackConfig&)>& adapt = {}) {
        StackConfig here = config_of(false, connections), there = config_of(true, connections);
        if (adapt) {
            adapt(here);
            adapt(there);
        }
        addresses = here.ip.interfaces[0].address_count;
        client_stack = std::make_unique<Stack>(here, pool());
        server_stack = std::make_unique<Stack>(there, pool());
        server_stack->listen({.port = 80, .handler = &server});
    }

    tcp::Connection connect() {
        const tcp::ConnectResult result =
            client_stack->connect({.remote_address = Ipv4Address{server_network.value + 1},
                                   .remote_port = 80,
                                   .local_address = Ipv4Address{client_network.value + 1 + next_address},
                                   .handler = &client});
        if (++next_address == addresses) next_address = 0;
        if (result.error != tcp::Error::none) {
            std::fprintf(stderr, "path_bench: a connection cannot be begun: %s\n",
                         std::string{to_string(result.error)}.c_str());
            std::exit(1);
        }
        return result.connection;
    }

    // Frames one way, `burst` at a time; returns how many.
    std::size_t carry(Stack& from, Stack& to, std::size_t burst, std::uint64_t verdict = 0) {
        std::size_t carried = 0;
        for (std::size_t n; (n = from.transmit({frames.data(), burst})) > 0; carried += n) {
            if (verdict != 0)
                for (std::size_t i = 0; i < n; ++i) frames[i]->ol_flags = verdict;
            to.receive({frames.data(), n}, now);
        }
        return carried;
    }
    // There and back again until nobody has anything to say.
    void settle(std::size_t burst = batch) {
        for (;;) {
            const std::size_t there = carry(*client_stack, *server_stack, burst);
            if (there + carry(*server_stack, *client_stack, burst) == 0) break;
            now += 1us;
        }
    }
    void pass(Duration time) {
        now += time;
        client_stack->advance(now);
        server_stack->advance(now);
    }
    [[nodiscard]] std::uint64_t packets() const {
        return client_stack->counters().get(Counter::frames_out) +
               client_stack->counters().get(Counter::frames_in);
    }

    Instant now{1s};
    Client client;
    Server server;
    std::uint32_t addresses = 1, next_address = 0;
    std::unique_ptr<Stack> client_stack, server_stack;
    std::array<rte_mbuf*, batch> frames{};
};

void report_packets(benchmark::State& state, const Path& path, std::uint64_t before) {
    const auto packets = static_cast<double>(path.packets() - before);
    state.counters["packets"] = packets / static_cast<double>(state.iterations());
    state.counters["packets/s"] = benchmark::Counter(packets, benchmark::Counter::kIsRate);
}

// One iteration is one connection, from SYN to the end.
void crr(benchmark::State& state) {
    Path path(few);
    path.client.asks = path.server.closes = true;
    const std::uint64_t before = path.packets();
    while (state.KeepRunningBatch(batch)) {
        for (std::size_t i = 0; i < batch; ++i) (void)path.connect();
        path.settle();
        path.pass(10us);
    }
    if (path.client.closed_ != static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("not every connection came to its end");
    report_packets(state, path, before);
}

// One iteration is one transaction on one of the kept connections, all of which are busy.
void rr(benchmark::State& state) {
    struct Asker final : tcp::Handler {
        std::uint64_t answered = 0;
        void established(tcp::Connection connection) noexcept override {
            (void)connection.send_static(request);
        }
        tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override {
            ++answered;
            (void)connection.consume(payload.pkt_len);
            (void)connection.send_static(request);
            return tcp::Ownership::returned;
        }
    } asker;
    Path path(few);
    for (std::size_t i = 0; i < batch; ++i)
        (void)path.client_stack->connect(
            {.remote_address = Ipv4Address{server_network.value + 1}, .remote_port = 80, .handler = &asker});
    const auto turn = [&] {
        path.carry(*path.client_stack, *path.server_stack, batch);
        path.carry(*path.server_stack, *path.client_stack, batch);
        path.pass(1us);
    };
    for (int i = 0; i < 100; ++i) turn();
    const std::uint64_t before = path.packets();
    const std::uint64_t answered = asker.answered;
    while (state.KeepRunningBatch(batch)) turn();
    if (asker.answered - answered != static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("not every transaction was answered");
    report_packets(state, path, before);
}

// What the port under both stacks does of a stream's work.
enum class PortDoes : std::int64_t { nothing, checksums, segmentation };

// One iteration is one full segment of one connection that has always more to send, and its share of the
// ACKs. Large segments pass whole and count as what they would be cut into.
void stream(benchmark::State& state) {
    const auto port = static_cast<PortDoes>(state.range(0));
    Path path(few, [&](StackConfig& config) {
        ip::Offloads& offloads = config.ip.interfaces[0].offloads;
        if (port != PortDoes::nothing)
            offloads = {.rx_ip_checksum = true,
                        .rx_l4_checksum = true,
                        .tx_ip_checksum = true,
                        .tx_tcp_checksum = true,
                        .tx_tcp_segmentation = port == PortDoes::segmentation,
                        .tx_chain = 255,
                        .tx_large_chain = 255};
        config.tcp.merge_segments = state.range(1) != 0;
        config.tcp.refer_from = static_cast<std::uint32_t>(state.range(2));
        config.tcp.send_buffer = config.tcp.receive_buffer = 1U << 20;
    });
    path.client.streams = true;
    path.client.copies = state.range(3) != 0;
    const tcp::Connection connection = path.connect();
    const std::uint64_t verdict =
        port == PortDoes::nothing ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    const auto turn = [&] {
        const std::size_t there = path.client_stack->transmit(path.frames);
        if (verdict != 0)
            for (std::size_t i = 0; i < there; ++i) path.frames[i]->ol_flags = verdict;
        path.server_stack->receive({path.frames.data(), there}, path.now);
        path.carry(*path.server_stack, *path.client_stack, batch, verdict);
        path.pass(10us);
        return there;
    };
    for (int i = 0; i < 1000; ++i) turn();
    const std::uint32_t mss = connection.info().mss;
    const std::uint64_t before = path.packets();
    const std::uint64_t octets = path.server.octets;
    std::uint64_t wanted = octets;
    while (state.KeepRunningBatch(batch)) {
        wanted += batch * mss;
        while (path.server.octets < wanted)
            if (turn() == 0) return state.SkipWithError("the window did not last for a burst");
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(path.server.octets - octets));
    report_packets(state, path, before);
}

// Kept from one call to the next: Google Benchmark calls again and again until it has run long enough.
struct Crowd {
    explicit Crowd(std::uint32_t count) : path(count) {
        connections.reserve(count);
        while (connections.size() < count) {
            for (std::size_t i = 0; i < batch && connections.size() < count; ++i)
                connections.push_back(path.connect());
            path.settle();
        }
        path.pass(1s);
        path.settle();
    }
    Path path;
    std::vector<tcp::Connection> connections;
    std::uint64_t random = 0x9e3779b97f4a7c15;
};

void random_connection(benchmark::State& state) {
    const auto count = static_cast<std::uint32_t>(state.range(0));
    const auto burst = static_cast<std::size_t>(state.range(1));
    static std::unique_ptr<Crowd> crowd;
    if (!crowd || crowd->connections.size() != count) {
        crowd.reset();  // its memory first
        crowd = std::make_unique<Crowd>(count);
    }
    Path& path = crowd->path;
    const std::uint64_t before = path.packets();
    const std::uint64_t answered = path.client.answered;
    std::uint64_t server_cycles = 0;
    std::array<tcp::Connection, batch> chosen;
    while (state.KeepRunningBatch(batch)) {
        for (std::size_t i = 0; i < batch; ++i) {
            std::uint64_t& x = crowd->random;  // xorshift64
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            // One of each of as many equal parts: uniform, and none twice at a time, whose requests would
            // share a segment.
            const std::uint64_t choice = i * (count / batch) + ((x >> 32) * (count / batch) >> 32);
            chosen[i] = crowd->connections[choice];
            if (burst > 1) chosen[i].prefetch();
        }
        for (tcp::Connection& connection : chosen)
            if (connection.send_static(request).accepted != request.size())
                state.SkipWithError("a request was not taken");
        for (std::size_t n; (n = path.client_stack->transmit({path.frames.data(), burst})) > 0;) {
            const std::uint64_t begin = rte_rdtsc();
            path.server_stack->receive({path.frames.data(), n}, path.now);
            server_cycles += rte_rdtsc() - begin;
        }
        path.settle(burst);
        path.pass(50ms);  // ACKs are delayed by 40 at most
        path.settle(burst);
    }
    if (path.client.answered - answered != static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("not every request was answered");
    if (path.server_stack->counters().get(Counter::tcp_rto_expirations) > 0)
        state.SkipWithError("an ACK came too late");
    report_packets(state, path, before);
    // Of the requests alone: what the receiving side takes for a packet, from the frame to the response
    // queued.
    state.counters["server_ns"] = 1e9 * static_cast<double>(server_cycles) /
                                  static_cast<double>(rte_get_tsc_hz()) /
                                  static_cast<double>(state.iterations());
}

void register_all(std::uint32_t most) {
    benchmark::RegisterBenchmark("Crr", crr);
    benchmark::RegisterBenchmark("Rr", rr);
    // The port does nothing, the checksums, the cutting too; segments received are merged or not; what is not
    // copied is referred to from so many octets on, or never; the application's octets are copied or not.
    auto* const streams =
        benchmark::RegisterBenchmark("StreamSegment", stream)->ArgNames({"port", "merge", "refer", "copy"});
    for (const auto& args : std::vector<std::vector<std::int64_t>>{{0, 0, 0, 0},
                                                                   {0, 1, 0, 0},
                                                                   {0, 1, 512, 0},
                                                                   {0, 1, 0, 1},
                                                                   {1, 0, 0, 0},
                                                                   {1, 1, 0, 0},
                                                                   {1, 1, 512, 0},
                                                                   {2, 1, 512, 0},
                                                                   {2, 1, 512, 1}})
        streams->Args(args);
    for (const std::uint32_t count : {1'000U, 100'000U, 1'000'000U, 10'000'000U, 50'000'000U}) {
        if (count > most) break;
        for (const int burst : {64, 1})
            benchmark::RegisterBenchmark("Random", random_connection)
                ->ArgNames({"connections", "burst"})
                ->Args({count, burst});
    }
}

}  // namespace
}  // namespace runnel

int main(int argc, char** argv) {
    std::uint32_t most = 1'000'000;
    const auto taken = [&](int i) {
        std::copy(argv + i + 1, argv + argc, argv + i);
        --argc;
    };
    for (int i = 1; i < argc;) {
        constexpr const char* option = "--most-connections=";
        if (std::strncmp(argv[i], option, std::strlen(option)) == 0) {
            most = static_cast<std::uint32_t>(std::strtoul(argv[i] + std::strlen(option), nullptr, 10));
            taken(i);
        } else if (std::strcmp(argv[i], "--small-pages") == 0) {
            prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
            taken(i);
        } else {
            ++i;
        }
    }
    // The pool is made before EAL can say what an mbuf takes: 3 KB is more. The stacks' tables are mapped by
    // themselves.
    const std::size_t octets = std::size_t{3} * 1024 * runnel::pool_options().mbufs;
    const std::string memory = std::to_string((octets >> 20) + (octets >> 24) + 256);
    std::vector<const char*> eal{
        argv[0],        "--no-huge", "--no-pci", "--no-telemetry", "--no-shconf",  "-m",
        memory.c_str(), "-l",        "0",        "--iova-mode=va", "--log-level=4"};
    if (rte_eal_init(static_cast<int>(eal.size()), const_cast<char**>(eal.data())) < 0) {
        std::fprintf(stderr, "path_bench: EAL did not start with %s MB; the lines above say why\n",
                     memory.c_str());
        return 1;
    }
    runnel::register_all(most);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
