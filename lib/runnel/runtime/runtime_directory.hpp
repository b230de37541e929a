// The folder in which DPDK's tools look for a process by its file prefix (the DPDK programmer's guide,
// "Runtime directory"): whose it is, while the process lives and after it has been killed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace runnel::runtime {

/// A claim to a file prefix: the folder of that name, and a lock on it that ends with the process, however
/// that ends. Move-only; one thread at a time.
class RuntimeDirectory {
  public:
    /// Where EAL makes its folders: /var/run/dpdk of root, else dpdk below XDG_RUNTIME_DIR, or below /tmp.
    [[nodiscard]] static std::filesystem::path of_all_processes();

    /// Claims `all`/`prefix`. What a process that was killed has left there is removed, and so are folders
    /// called runnel_PID in which no such process lives any more. Nothing where there can be no folder (EAL
    /// does without, then), and where this process has claimed it before. Throws `std::invalid_argument` with
    /// cause and mend where the prefix is another living process's, of this library or of another DPDK
    /// program, and where it is no name of a folder. Before EAL is started.
    [[nodiscard]] static std::optional<RuntimeDirectory> claim(const std::filesystem::path& all,
                                                               std::string_view prefix);

    RuntimeDirectory(RuntimeDirectory&& other) noexcept;
    RuntimeDirectory& operator=(RuntimeDirectory&&) = delete;
    RuntimeDirectory(const RuntimeDirectory&) = delete;
    /// Removes the folder with all that is in it, and lets go of the prefix.
    ~RuntimeDirectory();

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  private:
    RuntimeDirectory(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

    std::filesystem::path path_;
    int lock_;  // descriptor of the folder; -1: moved from
};

}  // namespace runnel::runtime
