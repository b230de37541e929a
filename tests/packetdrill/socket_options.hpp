// The socket options that the stack has, one line each.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "runnel/stack/stack.hpp"
#include "runnel/tcp/connection.hpp"

namespace runnel::packetdrill {

class Socket;

/// One option whose value is an int. Those members that are null do nothing: an option with none of them can
/// be set and read, and has no effect.
struct SocketOption {
    int level;
    int name;
    int initial;
    /// Before the stack is made, which the first `listen` or `connect` of the script does: of settings that
    /// all its connections share.
    void (*before_start)(StackConfig& config, int value) = nullptr;
    /// Into the settings of a connection, of what a listener accepts, or of one that exists. Called for all
    /// options in the order of the table, also for those that were never set.
    void (*setting)(tcp::Settings& settings, int value) = nullptr;
    /// To a connection that exists; also when one begins. A listener's options are inherited.
    tcp::Error (*on_connection)(tcp::Connection& connection, int value) = nullptr;
    /// Reads it, where it is not what was set last. `value` is what was, or the initial one.
    int (*read)(const tcp::ConnectionInfo& info, int value) = nullptr;
};

/// All of them.
[[nodiscard]] std::span<const SocketOption> socket_options();
inline constexpr std::size_t most_socket_options = 48;

/// What a socket's options were set to, in the order of `socket_options`.
using OptionValues = std::array<std::optional<int>, most_socket_options>;

}  // namespace runnel::packetdrill
