// The machine as the kernel describes it in /sys and /proc; or a copy of such a tree, from another machine or
// made by a test.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::app::doctor {

class Machine {
  public:
    /// `root`: where sys and proc are. Nothing is read before it is asked for, and nothing is kept.
    explicit Machine(std::filesystem::path root = "/") : root_(std::move(root)) {}

    /// Whether it is this machine, of which more can be learned than what files say.
    [[nodiscard]] bool is_this_one() const { return root_ == "/"; }

    // Paths are without the first slash: "sys/kernel/mm/hugepages".
    [[nodiscard]] bool has(const std::string& path) const;
    /// The text of a file without the line end; empty where there is none.
    [[nodiscard]] std::string text(const std::string& path) const;
    /// The first number of a file; nothing where there is none.
    [[nodiscard]] std::optional<std::int64_t> number(const std::string& path) const;
    /// The names in a folder, sorted.
    [[nodiscard]] std::vector<std::string> names(const std::string& path) const;
    /// The last part of what a link points at: "ixgbe" of .../driver; empty where there is none.
    [[nodiscard]] std::string link(const std::string& path) const;
    /// Of lines such as "MemAvailable:   1024 kB", what stands behind the word; empty where it is not there.
    [[nodiscard]] std::string field(const std::string& path, std::string_view word) const;

    /// CPUs that this process may run on, ascending.
    [[nodiscard]] std::vector<unsigned> cpus() const;

  private:
    std::filesystem::path root_;
};

/// "0-3,8" as the kernel writes sets of CPUs; what is no number is left out.
[[nodiscard]] std::vector<unsigned> parse_cpu_list(std::string_view text);
/// "0-3,8".
[[nodiscard]] std::string cpu_list(const std::vector<unsigned>& cpus);

}  // namespace runnel::app::doctor
