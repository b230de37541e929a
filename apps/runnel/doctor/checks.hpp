// What the doctor looks at. Each check is about one thing, reads from a `Machine` alone, and adds what it
// finds.
#pragma once

#include <string>
#include <vector>

#include "doctor/finding.hpp"
#include "doctor/machine.hpp"
#include "engine/plan.hpp"
#include "port_options.hpp"

namespace runnel::app::doctor {

/// What is meant to run: the options of `runnel load` that matter here.
struct Intent {
    PortSettings port;  ///< `device` is empty, and `address` nothing, where none is named
    std::optional<SocketAddress> target;
    load::Traffic traffic;
};

/// The address of a card as /sys writes it: "0000:03:00.0" of "03:00.0,arguments".
[[nodiscard]] std::string pci_address(const std::string& device);

/// The CPUs that the cores of it would be pinned to.
[[nodiscard]] std::vector<unsigned> cpus_of(const Machine& machine, const Intent& intent);

void check_hugepages(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);
void check_memory(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);

void check_iommu(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);
/// Of a card by its PCI address: that it is there, its driver, its neighbours in the IOMMU group, its link;
/// of a port on an interface of the kernel: that it is there, up, and its MTU.
void check_device(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);
void check_numa(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);

void check_cpus(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);
void check_isolation(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);
void check_governor(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);
void check_clock(const Machine& machine, const Intent& intent, std::vector<Finding>& findings);

/// The addresses against their network, the gateway, the target, and the ports that the rate needs. Reads no
/// machine.
void check_addresses(const Intent& intent, std::vector<Finding>& findings);

/// Who is asked for a link address on the way to `target`: itself on our network, else the gateway.
[[nodiscard]] IpAddress next_hop(const Intent& intent, const IpAddress& target);

/// All of these.
[[nodiscard]] std::vector<Finding> examine(const Machine& machine, const Intent& intent);

}  // namespace runnel::app::doctor
