// The doctor's look at what a port stands on: IOMMU, the card and its driver, or the interface of the kernel.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "doctor/checks.hpp"

namespace runnel::app::doctor {
namespace {

constexpr std::array user_drivers{"vfio-pci", "igb_uio", "uio_pci_generic"};
// Their cards serve DPDK and the kernel at once, and stay with the kernel's driver.
constexpr std::array shared_drivers{"mlx4_core", "mlx5_core", "mana"};

bool is_one_of(std::string_view word, std::span<const char* const> words) {
    return std::ranges::find(words, word) != words.end();
}

// "iface=eth1" of "net_af_packet0,iface=eth1".
std::string argument(const std::string& device, std::string_view name) {
    const std::size_t at = device.find(fmt::format(",{}=", name));
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 2;
    return device.substr(from, device.find(',', from) - from);
}

bool bears_default_route(const Machine& machine, const std::string& interface) {
    const std::string routes = machine.text("proc/net/route");
    return routes.find(fmt::format("\n{}\t00000000\t", interface)) != std::string::npos;
}

// What the kernel calls a card. Of one of virtio they are below another device, "virtio2".
std::vector<std::string> interfaces_of(const Machine& machine, const std::string& folder) {
    std::vector<std::string> interfaces = machine.names(folder + "/net");
    for (const std::string& name : machine.names(folder))
        if (name.starts_with("virtio"))
            std::ranges::move(machine.names(folder + "/" + name + "/net"), std::back_inserter(interfaces));
    return interfaces;
}

std::vector<std::string> bind_commands(const std::string& address) {
    return {"modprobe vfio-pci", fmt::format("dpdk-devbind.py --bind=vfio-pci {}", address)};
}

bool no_iommu_is_allowed(const Machine& machine) {
    return machine.text("sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y";
}

void check_group(const Machine& machine, const std::string& address, std::vector<Finding>& findings) {
    const std::string below = "sys/bus/pci/devices/" + address + "/iommu_group/devices";
    std::vector<std::string> others;
    Finding finding{Grade::hinders, "IOMMU group", {}, {}};
    for (const std::string& other : machine.names(below)) {
        const std::string driver = machine.link("sys/bus/pci/devices/" + other + "/driver");
        if (other == address || driver.empty() || driver == "vfio-pci" || driver == "pcieport") continue;
        others.push_back(fmt::format("{} ({})", other, driver));
        finding.mend.push_back(fmt::format("dpdk-devbind.py --bind=vfio-pci {}", other));
    }
    if (others.empty()) return;
    finding.says =
        fmt::format("{} shares it with {}, which the kernel holds: vfio gives out a group as a whole",
                    address, fmt::join(others, ", "));
    findings.push_back(std::move(finding));
}

void check_link(const Machine& machine, const std::string& folder, std::vector<Finding>& findings) {
    const std::string speed = machine.text(folder + "/current_link_speed"),
                      most_speed = machine.text(folder + "/max_link_speed"),
                      width = machine.text(folder + "/current_link_width"),
                      most_width = machine.text(folder + "/max_link_width");
    if (speed.empty() || most_speed.empty() || width.empty() || most_width.empty()) return;
    if (speed.starts_with("Unknown") || (speed == most_speed && width == most_width)) return;
    findings.push_back(
        {Grade::advice,
         "PCIe",
         fmt::format("the link is {}, x{}, and the card can {}, x{}: another slot may give it more", speed,
                     width, most_speed, most_width),
         {"lspci -vv -s " + folder.substr(folder.rfind('/') + 1)}});
}

void check_card(const Machine& machine, const std::string& address, std::vector<Finding>& findings) {
    const std::string folder = "sys/bus/pci/devices/" + address;
    if (!machine.has(folder)) {
        findings.push_back({Grade::hinders,
                            "card",
                            fmt::format("there is no PCI device {}", address),
                            {"lspci -D | grep -i -e ethernet -e network"}});
        return;
    }
    if (const std::string kind = machine.text(folder + "/class"); !kind.empty() && !kind.starts_with("0x02"))
        findings.push_back({Grade::hinders,
                            "card",
                            fmt::format("{} is no network card (its class is {})", address, kind),
                            {"lspci -D | grep -i -e ethernet -e network"}});
    const std::string driver = machine.link(folder + "/driver");
    const std::vector<std::string> interfaces = interfaces_of(machine, folder);
    if (is_one_of(driver, user_drivers)) {
        findings.push_back({Grade::good, "driver", fmt::format("{} is bound to {}", address, driver), {}});
    } else if (is_one_of(driver, shared_drivers)) {
        findings.push_back({Grade::good,
                            "driver",
                            fmt::format("{} stays with {}, which shares it with DPDK", address, driver),
                            {}});
    } else if (driver.empty()) {
        findings.push_back(
            {Grade::hinders, "driver", fmt::format("{} is bound to none", address), bind_commands(address)});
    } else {
        Finding finding{
            Grade::hinders, "driver", fmt::format("{} belongs to the kernel, by {}", address, driver), {}};
        for (const std::string& interface : interfaces) {
            finding.says += fmt::format(", as {}", interface);
            if (bears_default_route(machine, interface))
                finding.says += ", which bears the default route: binding it cuts this machine off";
            finding.mend.push_back(fmt::format("ip link set dev {} down", interface));
        }
        std::ranges::move(bind_commands(address), std::back_inserter(finding.mend));
        findings.push_back(std::move(finding));
    }
    const std::string group = machine.link(folder + "/iommu_group");
    if (driver == "vfio-pci" && machine.has("dev/vfio") && !group.empty() &&
        !machine.has("dev/vfio/" + group) && !machine.has("dev/vfio/noiommu-" + group))
        findings.push_back({Grade::hinders, "driver", fmt::format("there is no /dev/vfio/{}", group),
                            bind_commands(address)});
    check_group(machine, address, findings);
    check_link(machine, folder, findings);
}

void check_interface(const Machine& machine, const Intent& intent, const std::string& interface,
                     std::vector<Finding>& findings) {
    const std::string folder = "sys/class/net/" + interface;
    if (!machine.has(folder)) {
        findings.push_back(
            {Grade::hinders, "interface", fmt::format("there is no {}", interface), {"ip -brief link"}});
        return;
    }
    if (const std::string state = machine.text(folder + "/operstate"); state == "down")
        findings.push_back({Grade::hinders,
                            "interface",
                            fmt::format("{} is down", interface),
                            {fmt::format("ip link set dev {} up", interface)}});
    else
        findings.push_back({Grade::good, "interface", fmt::format("{} is {}", interface, state), {}});
    if (bears_default_route(machine, interface))
        findings.push_back(
            {Grade::advice,
             "interface",
             fmt::format("{} bears the default route: the kernel answers what comes there too, "
                         "with RST where it knows no connection",
                         interface),
             {"ip route show default"}});
    const auto mtu = machine.number(folder + "/mtu");
    if (mtu && *mtu < intent.port.mtu)
        findings.push_back(
            {Grade::hinders,
             "MTU",
             fmt::format("{} takes {} octets, and --mtu is {}", interface, *mtu, intent.port.mtu),
             {fmt::format("ip link set dev {} mtu {}", interface, intent.port.mtu)}});
    else if (mtu)
        findings.push_back({Grade::good, "MTU", fmt::format("{} takes {} octets", interface, *mtu), {}});
}

}  // namespace

std::string pci_address(const std::string& device) {
    const std::string name = device.substr(0, device.find(','));
    return std::ranges::count(name, ':') == 1 ? "0000:" + name : name;
}

void check_iommu(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    constexpr const char* topic = "IOMMU";
    if (const auto groups = machine.names("sys/kernel/iommu_groups"); !groups.empty()) {
        findings.push_back({Grade::good,
                            topic,
                            fmt::format("on, {} group{}", groups.size(), groups.size() == 1 ? "" : "s"),
                            {}});
        return;
    }
    if (!is_pci_address(intent.port.device)) {
        findings.push_back(
            {Grade::good, topic, "off, or none; only a card by its PCI address would want it", {}});
        return;
    }
    const std::string driver =
        machine.link("sys/bus/pci/devices/" + pci_address(intent.port.device) + "/driver");
    if (is_one_of(driver, shared_drivers) || driver == "igb_uio" || driver == "uio_pci_generic") {
        findings.push_back({Grade::good, topic, fmt::format("off, or none; {} does without", driver), {}});
        return;
    }
    if (no_iommu_is_allowed(machine)) {
        findings.push_back(
            {Grade::advice,
             topic,
             "off, and vfio was told to do without: the card can write to all memory, and root alone "
             "may use it",
             {}});
        return;
    }
    const bool intel = machine.text("proc/cpuinfo").find("GenuineIntel") != std::string::npos;
    const bool asked = machine.text("proc/cmdline").find("intel_iommu=on") != std::string::npos;
    Finding finding{
        Grade::hinders,
        topic,
        "off, or none, and vfio-pci wants it; a machine that has none (most virtual ones) may go without, "
        "unsafely",
        {}};
    if (intel && asked) {
        finding.says =
            "off, though the kernel was asked for it: switch on VT-d in the firmware; or go without, "
            "unsafely";
    } else if (intel) {
        finding.mend.emplace_back(
            "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on iommu=pt /' /etc/default/grub && update-grub   "
            "# then "
            "reboot");
    }
    finding.mend.emplace_back(
        "modprobe vfio enable_unsafe_noiommu_mode=1; echo 1 > "
        "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
    findings.push_back(std::move(finding));
}

void check_device(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    const std::string& device = intent.port.device;
    if (is_pci_address(device)) {
        check_card(machine, pci_address(device), findings);
        return;
    }
    if (device.starts_with("net_tap") && !machine.has("dev/net/tun")) {
        findings.push_back({Grade::hinders, "tap", "there is no /dev/net/tun", {"modprobe tun"}});
        return;
    }
    const std::string interface = argument(device, "iface");
    if ((device.starts_with("net_af_packet") || device.starts_with("net_af_xdp")) && !interface.empty())
        check_interface(machine, intent, interface, findings);
}

void check_numa(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    if (!is_pci_address(intent.port.device)) return;
    const auto node = machine.number("sys/bus/pci/devices/" + pci_address(intent.port.device) + "/numa_node");
    if (!node || *node < 0) return;
    const std::vector<unsigned> near =
        parse_cpu_list(machine.text(fmt::format("sys/devices/system/node/node{}/cpulist", *node)));
    std::vector<unsigned> far;
    for (const unsigned cpu : cpus_of(machine, intent))
        if (std::ranges::find(near, cpu) == near.end()) far.push_back(cpu);
    if (far.empty() || near.empty()) {
        findings.push_back({Grade::good, "NUMA", fmt::format("card and cores are on node {}", *node), {}});
        return;
    }
    findings.push_back({Grade::advice,
                        "NUMA",
                        fmt::format("{} is on node {}, and CPU {} not: every packet would cross",
                                    intent.port.device, *node, cpu_list(far)),
                        {fmt::format("taskset -c {} runnel ...", cpu_list(near))}});
}

}  // namespace runnel::app::doctor
