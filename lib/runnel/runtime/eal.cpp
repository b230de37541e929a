#include "runnel/runtime/eal.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_pdump.h>
#include <rte_version.h>

#include "runnel/port/captured_log.hpp"

namespace runnel::runtime {

namespace {

constexpr std::size_t least_memory_mb = 64;

std::uint64_t number_in(const std::filesystem::path& file) {
    std::ifstream in{file};
    std::uint64_t number = 0;
    in >> number;
    return in ? number : 0;
}

std::size_t free_hugepage_mb() {
    namespace fs = std::filesystem;
    std::size_t kilobytes = 0;
    std::error_code error;
    for (const fs::directory_entry& size : fs::directory_iterator{"/sys/kernel/mm/hugepages", error}) {
        constexpr std::string_view prefix = "hugepages-";  // "hugepages-2048kB"
        const std::string name = size.path().filename();
        if (!name.starts_with(prefix)) continue;
        const std::uint64_t free = number_in(size.path() / "free_hugepages");
        const std::uint64_t reserved = number_in(size.path() / "resv_hugepages");
        const std::uint64_t page = std::strtoull(name.c_str() + prefix.size(), nullptr, 10);
        kilobytes += (free - std::min(free, reserved)) * page;
    }
    return kilobytes / 1024;
}

std::size_t available_memory_mb() {
    std::size_t available = 0;
    std::ifstream in{"/proc/meminfo"};
    for (std::string line; std::getline(in, line);) {
        constexpr std::string_view prefix = "MemAvailable:";
        if (line.starts_with(prefix))
            available = std::strtoull(line.c_str() + prefix.size(), nullptr, 10) / 1024;
    }
    std::ifstream file{"/proc/self/cgroup"};
    const std::string groups{std::istreambuf_iterator<char>{file}, {}};
    const std::optional<std::uint64_t> left = memory_left_in_groups(groups, "/sys/fs/cgroup");
    if (!left) return available;
    const std::size_t left_mb = std::max<std::uint64_t>(*left >> 20, 1);
    return available == 0 ? left_mb : std::min(available, left_mb);
}

/// Reads what a control group may still take; nothing where it has no limit.
std::optional<std::uint64_t> memory_left(const std::filesystem::path& group, const char* limit_file,
                                         const char* usage_file, const char* cache_key) {
    std::ifstream limit_text{group / limit_file}, usage_text{group / usage_file},
        statistics{group / "memory.stat"};
    std::uint64_t limit = 0, usage = 0;
    // "max", or in version 1 a number near 2^63: no limit.
    if (!(limit_text >> limit) || limit >= std::uint64_t{1} << 60 || !(usage_text >> usage))
        return std::nullopt;
    // Files in the page cache count as used, and make room.
    std::string key;
    for (std::uint64_t value = 0; statistics >> key >> value;)
        if (key == cache_key) usage -= std::min(usage, value);
    return limit - std::min(limit, usage);
}

std::vector<unsigned> usable_cpus() {
    std::vector<unsigned> cpus;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    return cpus;
}

/// Where EAL would make its runtime directory.
bool runtime_directory_is_writable() {
    return access(RuntimeDirectory::of_all_processes().parent_path().c_str(), W_OK | X_OK) == 0;
}

}  // namespace

bool uses_hugepages(const EalOptions& options, const HostFacts& host) {
    if (options.hugepages == Choice::no) return false;
    const bool enough = host.free_hugepage_mb >= options.memory_mb;
    if (options.hugepages == Choice::yes && !enough) {
        throw std::invalid_argument(fmt::format(
            "EAL: hugepages are asked for and {} MB are needed, but {} MB are free; allocate some (echo {} > "
            "/proc/sys/vm/nr_hugepages, as root), ask for less memory, or do without hugepages",
            options.memory_mb, host.free_hugepage_mb, (options.memory_mb + 1) / 2));
    }
    return enough;
}

namespace {

template <class Range>
std::string joined(const Range& words, std::string_view separator) {
    std::string line;
    for (const auto& word : words) line += fmt::format("{}{}", line.empty() ? "" : separator, word);
    return line;
}

std::string prefix_of(const EalOptions& options, const HostFacts& host) {
    // The last word is the user's.
    constexpr std::string_view word = "--file-prefix";
    for (std::size_t i = options.extra.size(); i-- > 0;) {
        const std::string& extra = options.extra[i];
        if (extra.starts_with(word) && extra.size() > word.size() && extra[word.size()] == '=')
            return extra.substr(word.size() + 1);
        if (extra == word && i + 1 < options.extra.size()) return options.extra[i + 1];
    }
    return options.file_prefix.empty() ? fmt::format("runnel_{}", host.process) : options.file_prefix;
}

/// Of another process's EAL, whose folder it is: the user has said so.
bool is_secondary(const EalOptions& options) {
    for (std::size_t i = 0; i < options.extra.size(); ++i) {
        if (options.extra[i] == "--proc-type=secondary") return true;
        if (options.extra[i] == "--proc-type" && i + 1 < options.extra.size())
            if (options.extra[i + 1] == "secondary") return true;
    }
    return false;
}

/// Files of memory that EAL leaves to whoever may still use them: this process was the last.
void remove_hugepage_files(const std::string& prefix) noexcept {
    try {
        std::ifstream mounts{"/proc/self/mounts"};
        for (std::string line; std::getline(mounts, line);) {
            std::istringstream words{line};
            std::string device, where, type;
            if (!(words >> device >> where >> type) || type != "hugetlbfs") continue;
            std::error_code error;
            for (const auto& file : std::filesystem::directory_iterator{where, error})
                if (file.path().filename().string().starts_with(prefix + "map_"))
                    std::filesystem::remove(file.path(), error);
        }
    } catch (const std::exception&) {
        return;  // what stays is found, and removed, at the next start with this prefix
    }
}

std::string lcore_map(const EalOptions& options, const HostFacts& host) {
    const std::vector<unsigned>& given = options.cpus;
    for (const unsigned cpu : given) {
        if (std::ranges::find(host.cpus, cpu) == host.cpus.end()) {
            throw std::invalid_argument(
                fmt::format("EAL: CPU {} is not one that this process may run on; choose from {}", cpu,
                            joined(host.cpus, ",")));
        }
    }
    const std::vector<unsigned>& cpus = given.empty() ? host.cpus : given;
    // Parentheses map one lcore to a set of CPUs: the control thread goes wherever there is room.
    std::string map = fmt::format("0@({})", joined(host.cpus, ","));
    for (unsigned worker = 0; worker < options.workers; ++worker)
        map += fmt::format(",{}@{}", worker + 1, cpus[worker % cpus.size()]);
    return map;
}

void check(const EalOptions& options, const HostFacts& host) {
    if (options.workers == 0 || options.workers >= RTE_MAX_LCORE) {
        throw std::invalid_argument(
            fmt::format("EAL: {} workers asked for, must be 1 to {}", options.workers, RTE_MAX_LCORE - 1));
    }
    if (options.memory_mb < least_memory_mb)
        throw std::invalid_argument(
            fmt::format("EAL: memory of {} MB, must be {} or more", options.memory_mb, least_memory_mb));
    if (host.cpus.empty())
        throw std::invalid_argument("EAL: the CPUs that this process may run on are not known");
}

std::string_view mend(int error, const EalOptions& options) {
    switch (error) {
        case EALREADY:
            return "EAL has been started in this process before: start it once";
        case EACCES:
            return "run as root, or give this user the devices (/dev/vfio) and hugepages";
        case ENOMEM:
            return "ask for less memory, or give the machine more hugepages";
        case EPROTO:
            return "a device asks for physical addresses: run as root, or bind it to vfio-pci with an IOMMU";
        default:
            break;
    }
    if (options.secondaries)
        return "mount a file system for hugepages that this user may write (mount -t hugetlbfs nodev "
               "/dev/hugepages), and let no other process have the same file prefix";
    if (!options.extra.empty()) return "check the extra EAL arguments";
    if (!options.pci_devices.empty() || !options.vdevs.empty())
        return "check the device names, their drivers and their permissions";
    return "raise the EAL log level to see more";
}

}  // namespace

std::optional<std::uint64_t> memory_left_in_groups(std::string_view groups,
                                                   const std::filesystem::path& root) {
    std::optional<std::uint64_t> least;
    while (!groups.empty()) {
        const std::size_t end = std::min(groups.find('\n'), groups.size());
        const std::string_view line = groups.substr(0, end);
        groups.remove_prefix(std::min(end + 1, groups.size()));
        // "0::/user.slice" in version 2, "4:memory:/user.slice" in version 1.
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const bool unified = controllers.empty();
        if (!unified && controllers != "memory") continue;
        const std::filesystem::path top = unified ? root : root / "memory";
        std::filesystem::path below = std::filesystem::path{line.substr(second + 1)}.relative_path();
        for (;;) {
            const auto left = unified
                                  ? memory_left(top / below, "memory.max", "memory.current", "inactive_file")
                                  : memory_left(top / below, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                                "total_inactive_file");
            if (left && (!least || *left < *least)) least = left;
            if (below.empty()) break;
            below = below.parent_path();
        }
    }
    return least;
}

HostFacts host_facts() {
    return {.free_hugepage_mb = free_hugepage_mb(),
            .available_memory_mb = available_memory_mb(),
            .cpus = usable_cpus(),
            .process = static_cast<std::uint64_t>(getpid()),
            .root = geteuid() == 0,
            .runtime_directory = runtime_directory_is_writable()};
}

std::vector<std::string> eal_arguments(const EalOptions& options, const HostFacts& host) {
    check(options, host);
    const bool hugepages = uses_hugepages(options, host);
    const std::size_t memory_mb =
        hugepages
            ? options.memory_mb
            : std::max(options.memory_mb - std::min(options.memory_mb, options.arrays_mb), least_memory_mb);
    std::vector<std::string> arguments{options.program, "--lcores=" + lcore_map(options, host),
                                       "--main-lcore=0", "-m", std::to_string(memory_mb)};
    if (options.secondaries && !hugepages)
        throw std::invalid_argument(
            fmt::format("EAL: secondary processes are to join, which needs {} MB of hugepages, and {} MB are "
                        "free; allocate some (echo {} > /proc/sys/vm/nr_hugepages, as root)",
                        options.memory_mb, host.free_hugepage_mb, (options.memory_mb + 1) / 2));
    // Nothing is shared with other processes through files: none to clear up, none to be refused. (EAL takes
    // --in-memory with hugepages only.)
    if (!options.secondaries) arguments.emplace_back(hugepages ? "--in-memory" : "--no-shconf");
    arguments.push_back("--file-prefix=" + prefix_of(options, host));
    if (!hugepages) {
        if (host.available_memory_mb != 0 && options.memory_mb > host.available_memory_mb) {
            throw std::invalid_argument(
                fmt::format("EAL: memory of {} MB asked for, but the machine has {} MB available; ask "
                            "for less",
                            options.memory_mb, host.available_memory_mb));
        }
        arguments.emplace_back("--no-huge");
    } else if (std::ranges::any_of(options.vdevs,
                                   [](const std::string& v) { return v.find("virtio_user") != v.npos; })) {
        // vhost-user hands memory over file by file, and knows few files: one for all pages (the virtio-user
        // guide).
        arguments.emplace_back("--single-file-segments");
    }
    // Only root learns physical addresses, and only a PCI device can want them.
    if (options.pci_devices.empty() || !hugepages || !host.root) arguments.emplace_back("--iova-mode=va");
    if (options.pci_devices.empty()) arguments.emplace_back("--no-pci");
    for (const std::string& device : options.pci_devices) arguments.insert(arguments.end(), {"-a", device});
    for (const std::string& device : options.vdevs) arguments.push_back("--vdev=" + device);
    if (options.telemetry == Choice::yes && !host.runtime_directory) {
        throw std::invalid_argument(
            "EAL: telemetry is asked for, but there is no runtime directory to put its socket into; set "
            "XDG_RUNTIME_DIR to "
            "one that this user may write");
    }
    const bool telemetry = options.telemetry == Choice::yes ||
                           (options.telemetry == Choice::automatic && host.runtime_directory);
    if (!telemetry) arguments.emplace_back("--no-telemetry");
    arguments.push_back("--log-level=" + options.log_level);
    arguments.insert(arguments.end(), options.extra.begin(), options.extra.end());
    return arguments;
}

Eal::Eal(const EalOptions& options)
    : arguments_(eal_arguments(options, host_facts())),
      file_prefix_(prefix_of(options, host_facts())),
      directory_(is_secondary(options)
                     ? std::nullopt
                     : RuntimeDirectory::claim(RuntimeDirectory::of_all_processes(), file_prefix_)) {
    // EAL reorders and keeps the array that it is given.
    std::vector<std::string> words = arguments_;
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    {
        port::CapturedLog log;
        if (rte_eal_init(static_cast<int>(words.size()), argv.data()) < 0) {
            const int error = rte_errno;
            throw std::runtime_error(fmt::format("EAL does not start: {} ({}); {}; its arguments were: {}",
                                                 rte_strerror(error), log.text(), mend(error, options),
                                                 argument_line()));
        }
    }
    hugepages_ = rte_eal_has_hugepages() != 0;
    if (options.secondaries && rte_pdump_init() != 0)
        throw std::runtime_error(
            fmt::format("EAL: captures of other processes cannot be served ({}); start without secondary "
                        "processes, and capture here",
                        rte_strerror(rte_errno)));
    unsigned lcore = 0;
    RTE_LCORE_FOREACH_WORKER(lcore) {
        workers_.push_back(lcore);
    }
}

Eal::~Eal() {
    // Not rte_eal_cleanup: in DPDK 22.11 it unmaps the memory in which the interrupt thread still reads the
    // handles of devices, and a process that has done its work would end by SIGSEGV now and then. All that it
    // would free is this process's alone (--in-memory or --no-shconf) and goes with it. The runtime
    // directory, with its sockets, goes with `directory_`; there is left what secondary processes were to
    // find.
    if (std::ranges::find(arguments_, "--in-memory") == arguments_.end() && hugepages_)
        remove_hugepage_files(file_prefix_);
}

bool Eal::telemetry() const noexcept {
    return std::ranges::find(arguments_, "--no-telemetry") == arguments_.end();
}

std::string Eal::argument_line() const {
    return joined(arguments_, " ");
}

std::string dpdk_version() {
    return rte_version();
}

}  // namespace runnel::runtime
