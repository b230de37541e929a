// The doctor's look at memory: hugepages, and what is free.
#include <charconv>

#include <fmt/format.h>

#include "doctor/checks.hpp"

namespace runnel::app::doctor {
namespace {

constexpr const char* pages = "sys/kernel/mm/hugepages";

struct PageSize {
    std::string folder;  // "hugepages-2048kB"
    std::uint64_t kilobytes = 0;
    std::int64_t total = 0, free = 0;
};

std::vector<PageSize> page_sizes(const Machine& machine, const std::string& below) {
    std::vector<PageSize> sizes;
    for (const std::string& folder : machine.names(below)) {
        constexpr std::string_view prefix = "hugepages-";
        PageSize size{.folder = folder};
        const char* const digits = folder.data() + std::min(folder.size(), prefix.size());
        if (!folder.starts_with(prefix) ||
            std::from_chars(digits, folder.data() + folder.size(), size.kilobytes).ec != std::errc{})
            continue;
        size.total = machine.number(fmt::format("{}/{}/nr_hugepages", below, folder)).value_or(0);
        size.free = machine.number(fmt::format("{}/{}/free_hugepages", below, folder)).value_or(0);
        sizes.push_back(size);
    }
    return sizes;
}

}  // namespace

void check_hugepages(const Machine& machine, const Intent& intent, std::vector<Finding>& findings) {
    constexpr const char* topic = "hugepages";
    const bool card = is_pci_address(intent.port.device);
    const bool forced = intent.port.huge == runtime::Choice::yes;
    const auto reserve = [](const std::string& below) {
        return fmt::format("echo 1024 > /{}/hugepages-2048kB/nr_hugepages", below);
    };
    std::int64_t total = 0, free = 0;
    std::string shown;
    for (const PageSize& size : page_sizes(machine, pages)) {
        if (size.total == 0) continue;
        const auto kilobytes = static_cast<std::int64_t>(size.kilobytes);
        total += size.total * kilobytes;
        free += size.free * kilobytes;
        shown += fmt::format("{}{} of {}, {} free", shown.empty() ? "" : "; ", size.total,
                             human_octets(size.kilobytes << 10), size.free);
    }
    if (total == 0) {
        // A card that reads addresses of its own accord finds pages of 4 KB by the IOMMU alone.
        const bool without = machine.names("sys/kernel/iommu_groups").empty();
        if (forced || (card && without)) {
            findings.push_back({Grade::hinders,
                                topic,
                                fmt::format("none are reserved, and {} needs them",
                                            forced ? "--huge yes" : "a card without an IOMMU"),
                                {reserve(pages)}});
            return;
        }
        const std::string transparent = machine.text("sys/kernel/mm/transparent_hugepage/enabled");
        findings.push_back({Grade::advice,
                            topic,
                            "none are reserved: it works without, at more misses of the TLB",
                            {reserve(pages)}});
        if (transparent.find("[never]") != std::string::npos)
            findings.push_back({Grade::advice,
                                "transparent hugepages",
                                "are never given, and the tables of many connections would take them",
                                {"echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"}});
        return;
    }
    if (free == 0) {
        findings.push_back({forced ? Grade::hinders : Grade::advice,
                            topic,
                            fmt::format("{}: another process has them, or files that one left behind", shown),
                            {"grep -l huge /proc/*/numa_maps", "rm -f /dev/hugepages/rtemap_*"}});
        return;
    }
    findings.push_back({Grade::good, topic, shown, {}});

    // They should lie where the card is.
    if (!card) return;
    const auto node = machine.number("sys/bus/pci/devices/" + pci_address(intent.port.device) + "/numa_node");
    if (!node || *node < 0) return;
    const std::string below = fmt::format("sys/devices/system/node/node{}/hugepages", *node);
    std::int64_t there = 0;
    for (const PageSize& size : page_sizes(machine, below)) there += size.free;
    if (there == 0 && machine.has(below))
        findings.push_back(
            {Grade::advice,
             topic,
             fmt::format("none are free on NUMA node {}, where {} is", *node, intent.port.device),
             {reserve(below)}});
}

void check_memory(const Machine& machine, const Intent&, std::vector<Finding>& findings) {
    const std::string available = machine.field("proc/meminfo", "MemAvailable");
    std::uint64_t kilobytes = 0;
    if (std::from_chars(available.data(), available.data() + available.size(), kilobytes).ec != std::errc{})
        return;
    constexpr std::uint64_t least = std::uint64_t{512} << 10;
    if (kilobytes < least)
        findings.push_back({Grade::advice,
                            "memory",
                            fmt::format("{} are available; a core with its tables takes some 200 MiB",
                                        human_octets(kilobytes << 10)),
                            {"ps -eo pid,rss,comm --sort=-rss | head"}});
    else
        findings.push_back({Grade::good, "memory", human_octets(kilobytes << 10) + " are available", {}});
}

}  // namespace runnel::app::doctor
