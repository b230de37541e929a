// See veth_pairs.hpp.
#include "veth_pairs.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace runnel::app {
namespace {

// The command `ip` of iproute2, which knows the kernel's netlink better than we need to.
void run_ip(const std::vector<std::string>& words) {
    std::vector<std::string> line{"ip"};
    line.insert(line.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (std::string& word : line) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t process = 0;
    const int error = posix_spawnp(&process, "ip", nullptr, nullptr, arguments.data(), environ);
    if (error != 0)
        throw std::runtime_error(fmt::format(
            "--wire af_packet: the command ip cannot be run ({}); install iproute2", std::strerror(error)));
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error(fmt::format(
            "--wire af_packet: `{}` failed (see above); check that the kernel has veth interfaces "
            "(modprobe veth)",
            fmt::join(line, " ")));
}

}  // namespace

std::string veth_name(unsigned pair, bool server) {
    return fmt::format("{}{}", server ? "server" : "client", pair);
}

void make_veth_pairs(unsigned pairs, std::uint32_t mtu) {
    if (unshare(CLONE_NEWNET) != 0)
        throw std::runtime_error(
            fmt::format("--wire af_packet: a network namespace cannot be made ({}); run as root, or take "
                        "--wire ring",
                        std::strerror(errno)));
    const std::string octets = fmt::format("{}", mtu);
    for (unsigned pair = 0; pair < pairs; ++pair) {
        const std::string client = veth_name(pair, false);
        const std::string server = veth_name(pair, true);
        run_ip({"link", "add", client, "mtu", octets, "type", "veth", "peer", "name", server, "mtu", octets});
        for (const std::string& end : {client, server}) {
            // No address of its own: the kernel has nothing to say here. (Below 1280 octets it has no IPv6.)
            if (mtu >= 1280) run_ip({"link", "set", end, "addrgenmode", "none"});
            run_ip({"link", "set", end, "up"});
        }
    }
}

}  // namespace runnel::app
