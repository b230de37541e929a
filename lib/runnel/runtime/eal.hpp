// DPDK's environment layer (EAL), brought up from a few settings: with hugepages where the machine has them,
// without them, without root and without devices where it has not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/runtime/runtime_directory.hpp"

namespace runnel::runtime {

enum class Choice : std::uint8_t { automatic, yes, no };

struct EalOptions {
    std::size_t memory_mb = 1024;  ///< for every pool, table and ring of the process
    std::size_t arrays_mb = 0;  ///< of these, for arrays (`EalArray`): without hugepages they are mapped by
                                ///< themselves, and EAL need not have it
    Choice hugepages = Choice::automatic;  ///< automatic: where enough are free
    unsigned workers = 1;  ///< lcores that run a poll loop; the calling thread becomes the control lcore
    /// CPUs that the workers are pinned to, in order; empty: the first `workers` CPUs that this process may
    /// use. Where there are fewer CPUs than workers, workers share them.
    std::vector<unsigned> cpus;
    std::vector<std::string> vdevs;  ///< virtual devices, as in `--vdev`: "net_tap0,iface=run0"
    std::vector<std::string>
        pci_devices;  ///< PCI addresses allowed, as in `-a`; none: the PCI bus is not scanned
    Choice telemetry =
        Choice::no;  ///< DPDK's telemetry socket; automatic: where there is a runtime directory
    /// Secondary processes of DPDK (dpdk-dumpcap, dpdk-proc-info) may join, and rte_pdump serves them: memory
    /// lies in files of a hugetlbfs then, so it needs hugepages.
    bool secondaries = false;
    /// By which other processes find this one, and no other that runs has; empty: runnel_ and the process id.
    std::string file_prefix;
    std::string program = "runnel";  ///< argv[0] for EAL
    std::string log_level = "4";     ///< as in `--log-level`: 4 shows errors only
    std::vector<std::string> extra;  ///< appended as they are: the last word is the user's
};

/// What the derivation needs to know of the machine.
struct HostFacts {
    std::size_t free_hugepage_mb = 0;     ///< in free hugepages of all sizes
    std::size_t available_memory_mb = 0;  ///< that new allocations may take now, by what the machine has and
                                          ///< what the control group may take; 0: not known
    std::vector<unsigned> cpus;           ///< that this process may run on, ascending
    std::uint64_t process = 0;            ///< its id, to keep file prefixes apart
    bool root = false;
    bool runtime_directory = false;  ///< EAL's runtime directory can be made and written
};

/// Looks at this machine.
[[nodiscard]] HostFacts host_facts();

/// Octets that a process of these control groups may still take, by the tightest of the limits on it and on
/// the groups around it; nothing where none is limited. `groups` is the text of /proc/self/cgroup, `root`
/// where the hierarchy is mounted (/sys/fs/cgroup; version 2, or 1 with its folder `memory`).
[[nodiscard]] std::optional<std::uint64_t> memory_left_in_groups(std::string_view groups,
                                                                 const std::filesystem::path& root);

/// Whether EAL will be started with hugepages; throws as `eal_arguments`.
[[nodiscard]] bool uses_hugepages(const EalOptions& options, const HostFacts& host);

/// The argument line that follows from options and machine; a pure function. `arguments[0]` is the program.
/// Worker i is lcore i + 1, pinned; lcore 0 is the calling thread, which may run on any CPU of the process.
/// Throws `std::invalid_argument` naming the option, its value and the mend.
[[nodiscard]] std::vector<std::string> eal_arguments(const EalOptions& options, const HostFacts& host);

/// EAL, from construction to destruction. One a process; DPDK does not start a second time after the first
/// has ended. Made and destroyed by the same thread, before and after everything else of this library.
class Eal {
  public:
    /// Throws `std::invalid_argument` as `eal_arguments` and `RuntimeDirectory::claim`, and
    /// `std::runtime_error` with cause and mend where EAL does not start.
    explicit Eal(const EalOptions& options);
    ~Eal();
    Eal(const Eal&) = delete;
    Eal& operator=(const Eal&) = delete;

    /// Lcore ids of the workers, in the order of `EalOptions::cpus`.
    [[nodiscard]] const std::vector<unsigned>& workers() const noexcept { return workers_; }
    [[nodiscard]] bool hugepages() const noexcept { return hugepages_; }
    /// What dpdk-telemetry.py -f and dpdk-dumpcap --file-prefix are to be told.
    [[nodiscard]] const std::string& file_prefix() const noexcept { return file_prefix_; }
    /// Whether there is a telemetry socket.
    [[nodiscard]] bool telemetry() const noexcept;
    /// The argument line as EAL got it, in one line.
    [[nodiscard]] std::string argument_line() const;

  private:
    std::vector<std::string> arguments_;
    std::vector<unsigned> workers_;
    std::string file_prefix_;
    std::optional<RuntimeDirectory> directory_;  // nothing: there can be none
    bool hugepages_ = false;
};

/// DPDK's version: "DPDK 22.11.1".
[[nodiscard]] std::string dpdk_version();

}  // namespace runnel::runtime
