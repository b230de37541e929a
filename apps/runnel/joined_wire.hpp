// What joins the two endpoints of `handshake`: rings of mbufs, or two DPDK devices of this process.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rte_mempool.h>

#include "runnel/ip/config.hpp"
#include "runnel/port/wire.hpp"

namespace runnel::app {

enum class WireKind : std::uint8_t {
    ring,       ///< two rings of mbufs: nothing is copied
    memif,      ///< two net_memif ports over a socket without a file: shared memory, packets copied
    vhost,      ///< net_vhost, the server's, and net_virtio_user, the client's: virtio rings, packets copied
    af_packet,  ///< two net_af_packet ports on a veth pair in a network namespace: through the Linux kernel
};
[[nodiscard]] std::string_view to_string(WireKind kind) noexcept;
[[nodiscard]] std::optional<WireKind> parse_wire(std::string_view text) noexcept;

struct WireSettings {
    WireKind kind = WireKind::ring;
    std::uint32_t mtu = 1500;   ///< octets of an IP packet
    bool offload = false;       ///< checksums: left to the wire, where it can; else every one in software
    bool segmentation = false;  ///< large segments are left to the wire to cut, where it can
    bool zero_copy = false;     ///< of memif: the client's side sends and receives mbufs in place
};
/// Throws `std::invalid_argument` where the settings do not go together.
void validate(const WireSettings& settings);

/// Frames that a direction holds.
[[nodiscard]] std::uint32_t frames_of(const WireSettings& settings) noexcept;
/// Mbufs that a wire keeps for itself, besides those on their way over rings.
[[nodiscard]] std::uint32_t mbufs_of(const WireSettings& settings) noexcept;
/// Octets of a packet that an mbuf must hold.
[[nodiscard]] std::uint16_t data_room_of(const WireSettings& settings) noexcept;
/// What EAL must be told.
[[nodiscard]] std::vector<std::string> eal_arguments_of(const WireSettings& settings);

/// What a wire needs that is to be had before EAL starts, from the thread that starts it, and that goes with
/// the process: for af_packet a network namespace with `wires` veth pairs. Throws `std::runtime_error` with
/// cause and mend.
void prepare(const WireSettings& settings, unsigned wires);

/// The ends of a wire, each for one thread. Made and destroyed by the control thread; what it has made
/// (devices, sockets) goes with it.
class JoinedWire {
  public:
    JoinedWire() = default;
    virtual ~JoinedWire() = default;
    JoinedWire(const JoinedWire&) = delete;
    JoinedWire& operator=(const JoinedWire&) = delete;

    [[nodiscard]] virtual port::Wire& client() noexcept = 0;
    [[nodiscard]] virtual port::Wire& server() noexcept = 0;
    [[nodiscard]] virtual const ip::Offloads& client_offloads() const noexcept = 0;
    [[nodiscard]] virtual const ip::Offloads& server_offloads() const noexcept = 0;
};

/// Wire `index` of the process, its links up. `mbufs` is not owned and outlives the wire. Throws
/// `std::invalid_argument` and `std::runtime_error` with cause and mend.
[[nodiscard]] std::unique_ptr<JoinedWire> make_wire(const WireSettings& settings, unsigned index,
                                                    rte_mempool* mbufs);

/// "memif, checksums in software": as the result names it.
[[nodiscard]] std::string describe(const WireSettings& settings);

}  // namespace runnel::app
