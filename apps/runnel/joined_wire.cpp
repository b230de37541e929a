// See joined_wire.hpp.
#include "joined_wire.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include <rte_ether.h>

#include "runnel/port/port.hpp"
#include "runnel/port/ring_wire.hpp"

#include "veth_pairs.hpp"

namespace runnel::app {
namespace {

constexpr std::uint32_t ring_frames = 4096;
constexpr unsigned memif_log2_frames = 11;
constexpr std::uint32_t virtio_frames = 1024;
constexpr std::uint32_t packet_frames = 2048;
// Around the IP packet: Ethernet, a tag, FCS; and what virtio puts before.
constexpr std::uint32_t frame_overhead = 64;

// Of the kernel's ring, which holds its own header too: 80 octets up to the IP packet (packet(7),
// TPACKET_V2). The driver takes frames to follow one another without gaps, the kernel begins each block at a
// page: four of these fill whole pages.
std::uint32_t packet_frame_size(const WireSettings& settings) noexcept {
    return (settings.mtu + RTE_VLAN_HLEN + 80 + 1023) / 1024 * 1024;
}

ip::Offloads all_checksums(bool segmentation) {
    return {.rx_ip_checksum = true,
            .rx_l4_checksum = true,
            .tx_ip_checksum = true,
            .tx_tcp_checksum = true,
            .tx_udp_checksum = true,
            .tx_tcp_segmentation = segmentation,
            .tx_chain = segmentation ? std::uint8_t{UINT8_MAX} : std::uint8_t{1},
            .tx_large_chain = UINT8_MAX};
}

class Ring final : public JoinedWire {
  public:
    explicit Ring(const WireSettings& settings)
        : wire_(port::RingWire::Options{
              .frames = ring_frames,
              .offloads = settings.offload ? all_checksums(settings.segmentation) : ip::Offloads{}}) {}
    port::Wire& client() noexcept override { return wire_.a(); }
    port::Wire& server() noexcept override { return wire_.b(); }
    const ip::Offloads& client_offloads() const noexcept override { return wire_.offloads(); }
    const ip::Offloads& server_offloads() const noexcept override { return wire_.offloads(); }

  private:
    port::RingWire wire_;
};

// A folder for sockets, gone with all that is in it at the end.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "runnel_XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error(
                fmt::format("--wire: no folder for a socket can be made as {} ({}); set TMPDIR to a folder "
                            "that this user "
                            "may write",
                            pattern, std::strerror(errno)));
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

// Two ports of this process. The server's is there first: the client's connects to it.
class Ports final : public JoinedWire {
  public:
    Ports(const WireSettings& settings, const std::string& server, const std::string& client,
          std::uint16_t frames, std::unique_ptr<TemporaryFolder> sockets, rte_mempool* mbufs)
        : sockets_(std::move(sockets)),
          server_(config(settings, server, frames), mbufs),
          client_(config(settings, client, frames), mbufs) {
        using Clock = std::chrono::steady_clock;
        const Clock::time_point limit = Clock::now() + std::chrono::seconds(10);
        while (!server_.link_up() || !client_.link_up()) {
            if (Clock::now() > limit)
                throw std::runtime_error(
                    fmt::format("--wire {}: {} and {} have not found each other within 10 s; see whether "
                                "another program holds their socket, or take --wire ring",
                                to_string(settings.kind), server_.name(), client_.name()));
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        const auto sends_checksums = [](const ip::Offloads& o) { return o.tx_tcp_checksum; };
        if (settings.offload &&
            (!sends_checksums(server_.offloads()) || !sends_checksums(client_.offloads())))
            throw std::invalid_argument(
                fmt::format("--checksum: the devices of --wire {} cannot make checksums; write software",
                            to_string(settings.kind)));
        if (settings.segmentation && !client_.offloads().tx_tcp_segmentation)
            throw std::invalid_argument(
                fmt::format("--segmentation: the client's device of --wire {} cuts no segments; leave it out",
                            to_string(settings.kind)));
    }
    port::Wire& client() noexcept override { return client_.queue(0); }
    port::Wire& server() noexcept override { return server_.queue(0); }
    const ip::Offloads& client_offloads() const noexcept override { return client_.offloads(); }
    const ip::Offloads& server_offloads() const noexcept override { return server_.offloads(); }

  private:
    static port::PortConfig config(const WireSettings& settings, const std::string& device,
                                   std::uint16_t frames) {
        return {.device = device,
                .receive_frames = frames,
                .transmit_frames = frames,
                .mtu = static_cast<std::uint16_t>(settings.mtu),
                .any_mtu = settings.kind == WireKind::memif || settings.kind == WireKind::af_packet,
                .checksum_offloads = settings.offload,
                .segmentation = settings.segmentation};
    }

    std::unique_ptr<TemporaryFolder> sockets_;  // gone after the ports
    port::Port server_, client_;                // the client's goes first
};

std::unique_ptr<JoinedWire> make_memif(const WireSettings& settings, unsigned index, rte_mempool* mbufs) {
    // An abstract socket: it has no file, and its name is this process's.
    const std::string common = fmt::format("socket=runnel_{}_{},socket-abstract=yes,rsize={},bsize={}",
                                           getpid(), index, memif_log2_frames, data_room_of(settings));
    return std::make_unique<Ports>(settings, fmt::format("net_memif{},role=server,{}", 2 * index, common),
                                   fmt::format("net_memif{},role=client,{}{}", 2 * index + 1, common,
                                               settings.zero_copy ? ",zero-copy=yes" : ""),
                                   static_cast<std::uint16_t>(frames_of(settings)), nullptr, mbufs);
}

std::unique_ptr<JoinedWire> make_vhost(const WireSettings& settings, unsigned index, rte_mempool* mbufs) {
    auto folder = std::make_unique<TemporaryFolder>();
    const std::string socket = (folder->path() / "vhost").string();
    return std::make_unique<Ports>(
        settings,
        fmt::format("net_vhost{},iface={},queues=1{}", index, socket, settings.segmentation ? ",tso=1" : ""),
        fmt::format("net_virtio_user{},path={},queues=1,queue_size={},mrg_rxbuf=0,in_order=1", index, socket,
                    virtio_frames),
        static_cast<std::uint16_t>(frames_of(settings)), std::move(folder), mbufs);
}

std::unique_ptr<JoinedWire> make_af_packet(const WireSettings& settings, unsigned index, rte_mempool* mbufs) {
    const std::uint32_t size = packet_frame_size(settings);
    const auto device = [&](unsigned number, const std::string& interface) {
        return fmt::format("net_af_packet{},iface={},framesz={},blocksz={},framecnt={},qdisc_bypass=1",
                           number, interface, size, 4 * size, frames_of(settings));
    };
    return std::make_unique<Ports>(settings, device(2 * index, veth_name(index, true)),
                                   device(2 * index + 1, veth_name(index, false)),
                                   static_cast<std::uint16_t>(frames_of(settings)), nullptr, mbufs);
}

}  // namespace

std::string_view to_string(WireKind kind) noexcept {
    switch (kind) {
        case WireKind::ring:
            return "ring";
        case WireKind::memif:
            return "memif";
        case WireKind::vhost:
            return "vhost";
        case WireKind::af_packet:
            break;
    }
    return "af_packet";
}

std::optional<WireKind> parse_wire(std::string_view text) noexcept {
    for (const WireKind kind : {WireKind::ring, WireKind::memif, WireKind::vhost, WireKind::af_packet})
        if (text == to_string(kind)) return kind;
    return std::nullopt;
}

void validate(const WireSettings& settings) {
    if (settings.zero_copy && settings.kind != WireKind::memif)
        throw std::invalid_argument(fmt::format(
            "--zero-copy: only memif has the choice; leave it out with --wire {}", to_string(settings.kind)));
    if (settings.offload && (settings.kind == WireKind::memif || settings.kind == WireKind::af_packet))
        throw std::invalid_argument(
            fmt::format("--checksum: the devices of --wire {} cannot make checksums; write software",
                        to_string(settings.kind)));
    if (settings.segmentation && !settings.offload)
        throw std::invalid_argument(
            "--segmentation: who cuts segments makes their checksums; write --checksum offload too");
}

std::uint32_t frames_of(const WireSettings& settings) noexcept {
    switch (settings.kind) {
        case WireKind::ring:
            return ring_frames;
        case WireKind::memif:
            return 1U << memif_log2_frames;
        case WireKind::vhost:
            return virtio_frames;
        case WireKind::af_packet:
            break;
    }
    return packet_frames;
}

std::uint32_t mbufs_of(const WireSettings& settings) noexcept {
    // Both ends may hold full queues in both directions.
    return settings.kind == WireKind::ring ? 0 : 4 * frames_of(settings);
}

std::uint16_t data_room_of(const WireSettings& settings) noexcept {
    // af_packet believes that a packet could fill the kernel's frame.
    const std::uint32_t packet =
        settings.kind == WireKind::af_packet ? packet_frame_size(settings) : settings.mtu + frame_overhead;
    return static_cast<std::uint16_t>(std::max(2048U, packet));
}

std::vector<std::string> eal_arguments_of(const WireSettings& settings) {
    // What is handed to the other side by file must be few files; one for all of EAL's memory (the guides of
    // memif, zero-copy, and of virtio-user).
    const bool shared = settings.kind == WireKind::vhost || settings.zero_copy;
    return shared ? std::vector<std::string>{"--single-file-segments"} : std::vector<std::string>{};
}

void prepare(const WireSettings& settings, unsigned wires) {
    if (settings.kind == WireKind::af_packet) make_veth_pairs(wires, settings.mtu);
}

std::unique_ptr<JoinedWire> make_wire(const WireSettings& settings, unsigned index, rte_mempool* mbufs) {
    switch (settings.kind) {
        case WireKind::ring:
            return std::make_unique<Ring>(settings);
        case WireKind::memif:
            return make_memif(settings, index, mbufs);
        case WireKind::vhost:
            return make_vhost(settings, index, mbufs);
        case WireKind::af_packet:
            break;
    }
    return make_af_packet(settings, index, mbufs);
}

std::string describe(const WireSettings& settings) {
    return fmt::format("{}{}{}, checksums {}", to_string(settings.kind),
                       settings.zero_copy ? " zero-copy" : "",
                       settings.segmentation ? ", large segments" : "",
                       !settings.offload                 ? "in software"
                       : settings.kind == WireKind::ring ? "declared as offloaded"
                                                         : "offloaded");
}

}  // namespace runnel::app
