#include "runnel/port/kernel_device.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

namespace runnel::port {

namespace {

constexpr const char* vhost_net = "/dev/vhost-net";
constexpr std::size_t longest_name = 15;  // IFNAMSIZ less its end

void check_name(const std::string& name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    };
    if (name.empty() || name.size() > longest_name || name == "." || name == ".." ||
        !std::ranges::all_of(name, good))
        throw std::invalid_argument(
            fmt::format("exception path: \"{}\" is no name for an interface of the kernel's; give 1 to {} "
                        "letters, digits, "
                        "dots, dashes or underscores",
                        name, longest_name));
}

}  // namespace

KernelWay way_taken(KernelWay way) {
    if (way != KernelWay::automatic) return way;
    return access(vhost_net, R_OK | W_OK) == 0 ? KernelWay::vhost : KernelWay::tap;
}

PortConfig kernel_port_config(const KernelDevice& device) {
    check_name(device.interface);
    // A frame that the kernel receives by a tap is not asked whether its checksum is good, and what it sends
    // has all it needs where no offload was agreed on.
    PortConfig config{
        .queues = device.queues, .mtu = device.mtu, .checksum_offloads = false, .segmentation = false};
    if (way_taken(device.way) == KernelWay::vhost) {
        config.device =
            fmt::format("net_virtio_user_kernel,path={},iface={},mac={},queues={},queue_size=1024", vhost_net,
                        device.interface, to_string(device.mac), device.queues);
        config.any_mtu = true;
    } else {
        config.device =
            fmt::format("net_tap_kernel,iface={},mac={}", device.interface, to_string(device.mac));
    }
    return config;
}

}  // namespace runnel::port
