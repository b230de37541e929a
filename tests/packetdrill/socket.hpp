// Sockets as Linux has them, over connections of the stack: what each call answers in each state, and with
// which errno.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <sys/socket.h>

#include "runnel/tcp/connection.hpp"

#include "machine.hpp"
#include "settings.hpp"
#include "socket_options.hpp"

namespace runnel::packetdrill {

/// One TCP socket, and the handler of its connection and of those that it accepts. Lives until the script
/// ends, also when it is closed: its connection may go on.
class Socket : private tcp::Handler {
  public:
    Socket(Machine& machine, const Settings& configuration, int fd);

    // -- calls that set up; each an `Outcome` at once
    Outcome bind(IpAddress address, std::uint16_t port);
    Outcome listen();
    Outcome shutdown(int how);
    Outcome close();
    Outcome set_option(int level, int name, std::span<const std::byte> value);
    /// Writes the value to `value`, as much as there is room for, and its size to `size`.
    Outcome get_option(int level, int name, std::span<std::byte> value, std::size_t& size);

    // -- calls that may wait: to be tried again where they answer nothing
    /// The connection next in the queue, to be given an `fd` of its own; the value of the outcome is 0.
    std::optional<Outcome> accept(Socket*& accepted);
    /// Begins to connect; `connected` says what became of it.
    Outcome connect(IpAddress address, std::uint16_t port);
    std::optional<Outcome> connected();
    /// Begins anew, for another `connect` (AF_UNSPEC).
    Outcome disconnect();
    std::optional<Outcome> receive(std::span<const iovec> to, int flags);
    /// `done` counts what earlier attempts have sent.
    std::optional<Outcome> send(std::span<const iovec> from, int flags, std::size_t& done);

    /// What `poll` reports, POLLIN and so on, asked for or not.
    [[nodiscard]] short readiness() const;
    /// Changes with each event, for edges.
    [[nodiscard]] std::uint64_t activity() const { return activity_; }
    [[nodiscard]] bool listening() const { return role_ == Role::listening; }
    [[nodiscard]] std::size_t unread() const { return received_.size(); }
    [[nodiscard]] tcp::ConnectionInfo info() const { return connection_.info(); }
    [[nodiscard]] IpAddress remote_address() const { return remote_address_; }
    [[nodiscard]] std::uint16_t remote_port() const { return remote_port_; }

    int fd;  ///< -1 until accepted, and after `close`
    bool nonblocking = false;

  private:
    enum class Role : std::uint8_t { fresh, listening, connecting, connected };

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;

    Socket& of(tcp::Connection connection) noexcept;
    void start_stack();
    bool begin_to_listen();
    [[nodiscard]] tcp::Settings settings() const;
    void apply_options();
    int take_error() { return std::exchange(error_, 0); }
    [[nodiscard]] std::optional<int> option_set(int level, int name) const;
    [[nodiscard]] std::size_t send_room() const;

    Machine& machine_;
    const Settings& configuration_;
    Role role_ = Role::fresh;
    IpAddress local_address_, remote_address_;
    std::uint16_t local_port_ = 0, remote_port_ = 0;
    tcp::Connection connection_;
    OptionValues options_;
    std::optional<linger> linger_;
    std::optional<tcp::CongestionAlgorithm> congestion_;
    std::deque<std::unique_ptr<Socket>> children_;  // of a listener, accepted or not
    std::deque<Socket*> queue_;                     // of these, to be accepted
    Socket* deferred_by_ = nullptr;                 // the listener that offers it when data has come
    std::deque<std::byte> received_;
    int error_ = 0;             // as SO_ERROR tells it
    bool over_ = false;         // the connection, once it has been one
    bool peer_closed_ = false;  // FIN received
    bool shut_read_ = false, shut_write_ = false;
    bool told_connected_ = false;
    std::uint64_t activity_ = 0;
};

}  // namespace runnel::packetdrill
