// What a UDP datagram costs a stack, in one thread and without a device.
//
//   datagram_bench [Google Benchmark's options]
//
// Answer/connected:C/sockets:N/octets:O: one datagram of O octets through one stack: received, its checksum
// verified, its socket found, handed to a handler that sends it back without a copy, and fetched for the
// port. Two stacks answer each other, 64 datagrams in a burst; all checksums are made and verified in
// software. C is 1 where N connected sockets share a local port and answer by their handle, 0 where the one
// bound socket answers by address.
//
// Send64/how:H/octets:O: 64 datagrams of O octets from one buffer of the application's, until the port has
// them: H is 0 where each is a send by address, 1 where each is a send of a connected socket, 2 where one
// send is cut by the stack, 3 where the port is left to cut it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include "runnel/port/mbuf_pool.hpp"
#include "runnel/stack/stack.hpp"

namespace runnel {
namespace {

constexpr std::size_t batch = 64;
constexpr std::uint16_t service = 4500;
constexpr std::array<MacAddress, 2> macs{{{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}}};
constexpr std::array<Ipv4Address, 2> addresses{Ipv4Address{10, 0, 0, 1}, Ipv4Address{10, 0, 0, 2}};

rte_mempool* pool() {
    static const port::MbufPool mbufs = port::make_mbuf_pool({.mbufs = 8191, .lcore_cache = 256});
    return mbufs.get();
}

StackConfig config_of(std::size_t which, std::uint32_t sockets, const ip::Offloads& offloads = {}) {
    StackConfig config;
    config.ip.interfaces.push_back({.mac = macs[which], .address = addresses[which], .offloads = offloads});
    config.ip.neighbours.push_back({.address = addresses[1 - which], .mac = macs[1 - which], .interface = 0});
    config.tcp.connections = config.tcp.half_open = config.tcp.time_wait = 64;
    config.udp.connected = sockets;
    return config;
}

// Sends back what it hears.
struct Answerer final : udp::Handler {
    Stack* stack = nullptr;
    Instant now{1s};
    std::uint64_t heard = 0;

    udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override {
        ++heard;
        if (about.socket)
            (void)stack->udp().send(about.socket, &payload, now);
        else
            (void)stack->udp().send_to({.remote_address = about.source_address,
                                        .remote_port = about.source_port,
                                        .local_address = about.destination_address,
                                        .local_port = about.destination_port},
                                       &payload, now);
        return udp::Ownership::taken;
    }
};

void answer(benchmark::State& state) {
    const bool connected = state.range(0) != 0;
    const auto sockets = static_cast<std::uint32_t>(state.range(1));
    const std::vector<std::byte> data(static_cast<std::size_t>(state.range(2)));
    std::array<Answerer, 2> answerers;
    std::array<std::unique_ptr<Stack>, 2> stacks;
    for (std::size_t i = 0; i < 2; ++i) {
        stacks[i] = std::make_unique<Stack>(config_of(i, sockets), pool());
        answerers[i].stack = stacks[i].get();
        if (connected) {
            // The peer's ports first: those are in use.
            for (std::uint32_t n = 0; n < sockets; ++n) {
                const bool near = n < batch;
                const auto other = static_cast<std::uint16_t>(service + n % batch);
                const auto filler = static_cast<std::uint16_t>(1024 + n % 60'000);
                const auto made = stacks[i]->udp().connect(
                    {.remote_address = near ? addresses[1 - i] : Ipv4Address{0x0a00'0010 + n / 60'000},
                     .remote_port = near ? (i == 0 ? other : service) : filler,
                     .local_port = near ? (i == 0 ? service : other) : service},
                    answerers[i]);
                if (made.error != udp::ConnectError::none) return state.SkipWithError("not connected");
            }
        } else {
            for (std::uint16_t n = 0; n < batch; ++n)
                stacks[i]->udp().bind({}, static_cast<std::uint16_t>(service + n), answerers[i]);
        }
    }
    std::array<rte_mbuf*, batch> frames;
    for (std::uint16_t n = 0; n < batch; ++n)
        (void)stacks[0]->udp().send_to({.remote_address = addresses[1],
                                        .remote_port = static_cast<std::uint16_t>(service + n),
                                        .local_port = service},
                                       data, answerers[0].now);
    std::size_t from = 0;
    while (state.KeepRunningBatch(batch)) {
        const std::size_t n = stacks[from]->transmit(frames);
        from = 1 - from;
        stacks[from]->receive({frames.data(), n}, answerers[from].now);
    }
    const std::uint64_t heard = answerers[0].heard + answerers[1].heard;
    if (heard != static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("datagrams were lost");
    const std::size_t left = stacks[from]->transmit(frames);
    rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(left));
}

enum class How : std::int64_t { by_address, connected, cut, left_to_port };

void send_64(benchmark::State& state) {
    const auto how = static_cast<How>(state.range(0));
    const auto octets = static_cast<std::size_t>(state.range(1));
    const std::vector<std::byte> data(batch * octets);
    ip::Offloads offloads;
    if (how == How::left_to_port)
        offloads = {.tx_ip_checksum = true,
                    .tx_tcp_checksum = true,
                    .tx_udp_checksum = true,
                    .tx_udp_segmentation = true,
                    .tx_chain = 255,
                    .tx_large_chain = 255};
    Stack stack{config_of(0, 16, offloads), pool()};
    Answerer nobody;
    udp::SendOptions to{.remote_address = addresses[1], .remote_port = service, .local_port = service};
    if (how == How::cut || how == How::left_to_port) to.segment = static_cast<std::uint16_t>(octets);
    const udp::ConnectedSocket socket = stack.udp().connect(to, nobody).socket;
    std::array<rte_mbuf*, 256> frames;
    const Instant now{1s};
    std::uint64_t failed = 0;
    for (auto _ : state) {
        if (how == How::by_address) {
            for (std::size_t i = 0; i < batch; ++i)
                failed += stack.udp().send_to(to, std::span{data}.subspan(i * octets, octets), now) !=
                          udp::SendResult::sent;
        } else if (how == How::connected) {
            for (std::size_t i = 0; i < batch; ++i)
                failed += stack.udp().send(socket, std::span{data}.subspan(i * octets, octets), now) !=
                          udp::SendResult::sent;
        } else {
            failed += stack.udp().send(socket, data, now) != udp::SendResult::sent;
        }
        const std::size_t n = stack.transmit(frames);
        rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(n));
    }
    if (failed != 0) state.SkipWithError("a datagram was not sent");
    state.SetItemsProcessed(static_cast<std::int64_t>(batch) * state.iterations());
    state.SetBytesProcessed(static_cast<std::int64_t>(data.size()) * state.iterations());
}

BENCHMARK(answer)
    ->Name("Answer")
    ->ArgNames({"connected", "sockets", "octets"})
    ->Args({0, 64, 18})
    ->Args({0, 64, 1400})
    ->Args({1, 64, 18})
    ->Args({1, 64, 1400})
    ->Args({1, 100'000, 18});
BENCHMARK(send_64)->Name("Send64")->ArgNames({"how", "octets"})->ArgsProduct({{0, 1, 2, 3}, {100, 1000}});

}  // namespace
}  // namespace runnel
