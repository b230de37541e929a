// The port behind which the kernel of this machine is: a tap, reached by vhost-net where that is, else by
// system calls.
#pragma once

#include <cstdint>
#include <string>

#include "runnel/base/ip_address.hpp"
#include "runnel/port/port.hpp"

namespace runnel::port {

/// How frames reach the kernel.
enum class KernelWay : std::uint8_t {
    automatic,  ///< `vhost` where /dev/vhost-net can be opened, else `tap`
    vhost,      ///< net_virtio_user: rings shared with the kernel's vhost-net
    tap,        ///< net_tap: a system call a frame
};

struct KernelDevice {
    KernelWay way = KernelWay::automatic;
    std::string interface = "runnel0";  ///< the kernel's name of its side, at most 15 letters
    MacAddress mac{};                   ///< of both sides: that of the port which frames come from and go to
    std::uint16_t queues = 1;           ///< a pair for each core
    std::uint16_t mtu = 1500;           ///< octets of an IP packet
};

/// The way that is taken on this machine: `automatic` decided.
[[nodiscard]] KernelWay way_taken(KernelWay way);

/// The configuration of the port: the kernel gets and gives whole frames, checksums made. Throws
/// `std::invalid_argument` where the interface name cannot be one of the kernel's.
[[nodiscard]] PortConfig kernel_port_config(const KernelDevice& device);

}  // namespace runnel::port
