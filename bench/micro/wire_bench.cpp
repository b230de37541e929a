// Checksum and TCP parser, beside DPDK's checksum and a plain loop (MEASURE.md). Sizes: an IPv4 or TCP
// header, a header with options, a small frame, a request, a full segment.
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include <rte_ip.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/checksum.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace {

using namespace runnel::wire;

constexpr runnel::Ipv4Address source{10, 0, 0, 1};
constexpr runnel::Ipv4Address destination{10, 0, 0, 2};

std::vector<std::byte> random_octets(std::size_t size) {
    std::mt19937_64 random{1};
    std::vector<std::byte> octets(size);
    for (std::byte& each : octets) each = static_cast<std::byte>(random());
    return octets;
}

// The loop of RFC 1071 section 4.1.
std::uint16_t plain_loop(const std::byte* data, std::size_t size) {
    std::uint32_t sum = 0;
    for (; size > 1; size -= 2, data += 2) sum += load_be16(data);
    if (size != 0) sum += std::to_integer<std::uint32_t>(*data) << 8;
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

// The size is hidden from the compiler, as it is in a stack.
template <typename Sum>
void run_sum(benchmark::State& state, Sum sum) {
    const auto octets = random_octets(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        const std::byte* data = octets.data();
        std::size_t size = octets.size();
        benchmark::DoNotOptimize(data);
        benchmark::DoNotOptimize(size);
        auto result = sum(data, size);
        benchmark::DoNotOptimize(result);
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}

void checksum_runnel(benchmark::State& state) {
    run_sum(state, [](const std::byte* data, std::size_t size) { return checksum_add({data, size}); });
}
void checksum_rte_raw_cksum(benchmark::State& state) {
    run_sum(state, [](const std::byte* data, std::size_t size) { return rte_raw_cksum(data, size); });
}
void checksum_plain_loop(benchmark::State& state) {
    run_sum(state, plain_loop);
}

// The whole checksum of a TCP segment, pseudo-header included, as it is checked on receipt.
void tcp_checksum_runnel(benchmark::State& state) {
    run_sum(state, [](const std::byte* data, std::size_t size) {
        return checksum_finish(checksum_add(
            {data, size}, pseudo_header_sum(source, destination, 6, static_cast<std::uint16_t>(size))));
    });
}
void tcp_checksum_rte_ipv4_udptcp_cksum(benchmark::State& state) {
    rte_ipv4_hdr ip{};
    ip.version_ihl = 0x45;
    ip.next_proto_id = 6;
    ip.src_addr = rte_cpu_to_be_32(source.value);
    ip.dst_addr = rte_cpu_to_be_32(destination.value);
    run_sum(state, [&ip](const std::byte* data, std::size_t size) {
        ip.total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(size + sizeof ip));
        return rte_ipv4_udptcp_cksum(&ip, data);
    });
}

BENCHMARK(checksum_runnel)->Arg(20)->Arg(40)->Arg(64)->Arg(128)->Arg(1460);
BENCHMARK(checksum_rte_raw_cksum)->Arg(20)->Arg(40)->Arg(64)->Arg(128)->Arg(1460);
BENCHMARK(checksum_plain_loop)->Arg(20)->Arg(40)->Arg(64)->Arg(128)->Arg(1460);
BENCHMARK(tcp_checksum_runnel)->Arg(20)->Arg(40)->Arg(64)->Arg(128)->Arg(1460);
BENCHMARK(tcp_checksum_rte_ipv4_udptcp_cksum)->Arg(20)->Arg(40)->Arg(64)->Arg(128)->Arg(1460);

void checksum_update(benchmark::State& state) {
    std::uint16_t checksum = 0x1234;
    std::uint32_t value = 1;
    for (auto _ : state) {
        benchmark::DoNotOptimize(value);
        checksum = checksum_update32(checksum, value, value + 1);
        benchmark::DoNotOptimize(checksum);
    }
}
BENCHMARK(checksum_update);

// A segment with these options: checked, every field of it read.
void parse_segment(benchmark::State& state, std::span<const std::byte> options) {
    std::vector<std::byte> segment(tcp_header_size + options.size() + 64);
    TcpHeader header;
    header.flags = tcp_flags::ack;
    header.header_size = static_cast<std::uint8_t>(tcp_header_size + options.size());
    write(header, segment.data());
    for (std::size_t i = 0; i < options.size(); ++i) segment[tcp_header_size + i] = options[i];
    for (auto _ : state) {
        std::span<const std::byte> octets = segment;
        benchmark::DoNotOptimize(octets);
        const auto view = TcpView::parse(octets);
        if (!view) return state.SkipWithError("the segment was refused");
        auto fields = header_of(*view);
        benchmark::DoNotOptimize(fields);
        auto read = parse_tcp_options(view->options());
        benchmark::DoNotOptimize(read);
    }
}

void parse_without_options(benchmark::State& state) {
    parse_segment(state, {});
}
void parse_timestamps(benchmark::State& state) {
    std::array<std::byte, tcp_timestamps_size> options{};
    write_timestamps(options.data(), 1, 2);
    parse_segment(state, options);
}
void parse_syn_options(benchmark::State& state) {
    std::array<std::byte, tcp_max_syn_options_size> options{};
    write_syn_options(options, {.mss = std::uint16_t{1460},
                                .sack_permitted = true,
                                .timestamps = true,
                                .ts_value = 1,
                                .window_scale = std::uint8_t{7}});
    parse_segment(state, options);
}
BENCHMARK(parse_without_options);
BENCHMARK(parse_timestamps);
BENCHMARK(parse_syn_options);

}  // namespace

BENCHMARK_MAIN();
