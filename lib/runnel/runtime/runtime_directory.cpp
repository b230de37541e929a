// See runtime_directory.hpp.
#include "runnel/runtime/runtime_directory.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace runnel::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view owner_file = "runnel.pid";
constexpr std::string_view telemetry_socket = "dpdk_telemetry.v2";

// A folder of this user's own, and no link to another.
bool is_ours(const fs::path& folder) {
    struct stat is {};
    return lstat(folder.c_str(), &is) == 0 && S_ISDIR(is.st_mode) && is.st_uid == geteuid();
}

bool make(const fs::path& folder) {
    return (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) && is_ours(folder);
}

// The folder with a lock on it; -1: not there, or another's.
int locked(const fs::path& folder) {
    const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) return -1;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
    const int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

// Whether this is still the folder of that name: the one before may just have removed it.
bool is_at(int descriptor, const fs::path& folder) {
    struct stat open_one {
    }, named{};
    return fstat(descriptor, &open_one) == 0 && lstat(folder.c_str(), &named) == 0 &&
           open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

void empty(const fs::path& folder) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator{folder, error})
        fs::remove_all(entry.path(), error);
}

// Programs other than ours lock nothing here, but answer at their socket.
bool answers(const fs::path& socket_file) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_file.native().size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, socket_file.c_str(), socket_file.native().size());
    const int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection < 0) return false;
    // EAGAIN: it is there, and busy.
    const bool there =
        connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
        errno == EAGAIN;
    close(connection);
    return there;
}

// A primary process of DPDK holds a lock on its configuration for as long as it lives. Not to be asked by one
// that does: closing the file would undo it.
bool is_locked_config(const fs::path& folder) {
    const int file = open((folder / "config").c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) return false;
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;  // the whole file
    const bool held = fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(file);
    return held;
}

bool somebody_lives_in(const fs::path& folder) {
    if (is_locked_config(folder)) return true;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator{folder, error})
        if (entry.path().filename().native().starts_with(telemetry_socket) && answers(entry.path()))
            return true;
    return false;
}

// The process that has it, as it has written itself; 0: not known.
pid_t owner_of(const fs::path& folder) {
    std::ifstream in{folder / owner_file};
    pid_t process = 0;
    return in >> process ? process : 0;
}

// What this process has claimed. A number in a file would not tell: in containers many a process is the
// first.
std::set<fs::path>& claimed_here() {
    static std::set<fs::path> folders;
    return folders;
}

[[noreturn]] void refuse(std::string_view prefix, const std::string& owner) {
    throw std::invalid_argument(
        fmt::format("EAL: the file prefix {} is that of {}, which runs; give this one another "
                    "(--file-prefix), or end that one first",
                    prefix, owner));
}

// Removes folders runnel_PID, which nobody names again, where that process is gone.
void remove_those_of_the_dead(const fs::path& all) {
    constexpr std::string_view ours = "runnel_";
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator{all, error}) {
        const std::string name = entry.path().filename();
        unsigned process = 0;
        if (!name.starts_with(ours)) continue;
        const char* const end = name.data() + name.size();
        const auto read = std::from_chars(name.data() + ours.size(), end, process);
        if (read.ec != std::errc{} || read.ptr != end) continue;
        if (fs::exists(fmt::format("/proc/{}", process), error)) continue;
        // Where namespaces of processes share the folder, an owner that cannot be seen still has its lock.
        const int lock = locked(entry.path());
        if (lock < 0) continue;
        if (is_ours(entry.path()) && !somebody_lives_in(entry.path())) fs::remove_all(entry.path(), error);
        close(lock);
    }
}

}  // namespace

fs::path RuntimeDirectory::of_all_processes() {
    const char* base = "/var/run";
    if (getuid() != 0) {
        const char* given = std::getenv("XDG_RUNTIME_DIR");
        base = given != nullptr ? given : "/tmp";
    }
    return fs::path{base} / "dpdk";
}

std::optional<RuntimeDirectory> RuntimeDirectory::claim(const fs::path& all, std::string_view prefix) {
    // The folder is emptied: it must be one of ours.
    if (prefix.empty() || prefix == "." || prefix == ".." || prefix.find('/') != std::string_view::npos)
        throw std::invalid_argument(fmt::format(
            "EAL: the file prefix \"{}\" is no name of a folder; give letters, digits, _ and -", prefix));
    const fs::path folder = all / prefix;
    if (!make(all)) return std::nullopt;
    remove_those_of_the_dead(all);
    // More than once only where another process ends at this very moment.
    for (int tries = 0; tries < 10; ++tries) {
        if (!make(folder)) return std::nullopt;
        const int lock = locked(folder);
        if (lock < 0) {
            const int error = errno;
            const pid_t owner = owner_of(folder);
            // EAL says itself that it does not start twice in a process.
            if (error == EWOULDBLOCK && !claimed_here().contains(folder))
                refuse(prefix, owner > 0 ? fmt::format("process {}", owner) : "another process");
            if (error == ENOENT) continue;
            return std::nullopt;
        }
        if (!is_at(lock, folder)) {
            close(lock);
            continue;
        }
        if (somebody_lives_in(folder)) {
            close(lock);
            refuse(prefix, "another DPDK program");
        }
        empty(folder);
        std::ofstream{folder / owner_file} << getpid() << '\n';
        claimed_here().insert(folder);
        return RuntimeDirectory{folder, lock};
    }
    return std::nullopt;
}

RuntimeDirectory::RuntimeDirectory(RuntimeDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RuntimeDirectory::~RuntimeDirectory() {
    if (lock_ < 0) return;
    std::error_code error;
    fs::remove_all(path_, error);
    claimed_here().erase(path_);
    close(lock_);
}

}  // namespace runnel::runtime
