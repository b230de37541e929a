#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "runnel/tcp/congestion/names.hpp"

namespace runnel::packetdrill {

namespace {

int errno_of(tcp::Error error) {
    switch (error) {
        case tcp::Error::none:
            return 0;
        case tcp::Error::no_connection:
        case tcp::Error::wrong_state:
            return ENOTCONN;
        case tcp::Error::invalid_address:
        case tcp::Error::no_route:
            return ENETUNREACH;
        case tcp::Error::address_in_use:
        case tcp::Error::no_port_free:
        case tcp::Error::port_elsewhere:
            return EADDRNOTAVAIL;
        case tcp::Error::connections_full:
        case tcp::Error::no_memory:
            return ENOBUFS;
        case tcp::Error::buffer_full:
            return EAGAIN;
        case tcp::Error::invalid_setting:
            return EINVAL;
    }
    return EIO;
}

int errno_of(tcp::CloseReason reason) {
    switch (reason) {
        case tcp::CloseReason::orderly:
        case tcp::CloseReason::aborted:
            return 0;
        case tcp::CloseReason::reset:
            return ECONNRESET;
        case tcp::CloseReason::refused:
            return ECONNREFUSED;
        case tcp::CloseReason::timed_out:
            return ETIMEDOUT;
        case tcp::CloseReason::unreachable:
            return EHOSTUNREACH;
    }
    return EIO;
}

}  // namespace

Socket::Socket(Machine& machine, const Settings& configuration, int descriptor)
    : fd(descriptor), machine_(machine), configuration_(configuration) {}

void Socket::start_stack() {
    if (machine_.started()) return;
    StackConfig config = configuration_.config();
    for (std::size_t i = 0; const SocketOption& option : socket_options()) {
        const std::optional<int> value = options_[i++];
        if (value && option.before_start != nullptr) option.before_start(config, *value);
    }
    machine_.start(config);
}

tcp::Settings Socket::settings() const {
    tcp::Settings settings;
    settings.congestion = congestion_;
    for (std::size_t i = 0; const SocketOption& option : socket_options()) {
        const std::optional<int> value = options_[i++];
        if (option.setting != nullptr) option.setting(settings, value.value_or(option.initial));
    }
    return settings;
}

void Socket::apply_options() {
    connection_.set(settings());
    for (std::size_t i = 0; const SocketOption& option : socket_options()) {
        const std::optional<int> value = options_[i++];
        if (value && option.on_connection != nullptr) option.on_connection(connection_, *value);
    }
}

// ----------------------------------------------------------------------------------------- setting up

Outcome Socket::bind(IpAddress address, std::uint16_t port) {
    if (role_ != Role::fresh || local_port_ != 0) return failure(EINVAL);
    local_address_ = address;
    local_port_ = port;
    return {};
}

Outcome Socket::listen() {
    if (role_ == Role::listening) return {};
    if (role_ != Role::fresh || local_port_ == 0) return failure(EINVAL);
    start_stack();
    if (!begin_to_listen()) return failure(EADDRINUSE);
    role_ = Role::listening;
    return {};
}

bool Socket::begin_to_listen() {
    const bool nagle = option_set(IPPROTO_TCP, TCP_NODELAY).value_or(0) == 0;
    const tcp::ListenOptions options{.address = local_address_,
                                     .port = local_port_,
                                     .handler = this,
                                     .nagle = nagle,
                                     .settings = settings(),
                                     .fast_open = configuration_.fast_open_for_all() ||
                                                  option_set(IPPROTO_TCP, TCP_FASTOPEN).value_or(0) > 0};
    try {
        machine_.stack().listen(options);
    } catch (const std::invalid_argument&) {
        return false;
    }
    return true;
}

std::optional<Outcome> Socket::accept(Socket*& accepted) {
    if (role_ != Role::listening) return failure(EINVAL);
    if (queue_.empty()) return std::nullopt;
    accepted = queue_.front();
    queue_.pop_front();
    return Outcome{};
}

Outcome Socket::connect(IpAddress address, std::uint16_t port) {
    switch (role_) {
        case Role::listening:
            return failure(EISCONN);
        case Role::connected:
            return told_connected_ ? failure(EISCONN) : failure(EINPROGRESS);
        case Role::connecting:
            return failure(EALREADY);
        case Role::fresh:
            break;
    }
    if (error_ != 0) return failure(take_error());
    start_stack();
    const tcp::ConnectOptions options{.remote_address = address,
                                      .remote_port = port,
                                      .local_address = local_address_,
                                      .local_port = local_port_,
                                      .handler = this,
                                      .context = reinterpret_cast<std::uintptr_t>(this),
                                      .nagle = option_set(IPPROTO_TCP, TCP_NODELAY).value_or(0) == 0,
                                      .settings = settings()};
    const tcp::ConnectResult result = machine_.stack().connect(options);
    if (result.error != tcp::Error::none) return failure(errno_of(result.error));
    role_ = Role::connecting;
    connection_ = result.connection;
    remote_address_ = address;
    remote_port_ = port;
    over_ = peer_closed_ = shut_read_ = shut_write_ = told_connected_ = false;
    apply_options();
    return failure(EINPROGRESS);
}

std::optional<Outcome> Socket::connected() {
    if (role_ == Role::connecting) return std::nullopt;
    if (error_ != 0) return failure(take_error());
    if (role_ == Role::fresh) return failure(ECONNABORTED);
    told_connected_ = true;
    return Outcome{};
}

Outcome Socket::disconnect() {
    if (role_ == Role::listening) machine_.stack().unlisten(local_address_, local_port_);
    connection_.abort();
    connection_.set_context(0);
    connection_ = {};
    role_ = Role::fresh;
    received_.clear();
    error_ = 0;
    over_ = peer_closed_ = shut_read_ = shut_write_ = told_connected_ = false;
    return {};
}

Outcome Socket::shutdown(int how) {
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return failure(EINVAL);
    if (role_ == Role::fresh || over_) return failure(ENOTCONN);
    if (role_ == Role::listening) return how == SHUT_WR ? Outcome{} : disconnect();
    if (role_ == Role::connecting) return disconnect();
    if (how != SHUT_WR) shut_read_ = true;
    if (how != SHUT_RD && !shut_write_) {
        shut_write_ = true;
        connection_.shutdown();
    }
    ++activity_;
    return {};
}

Outcome Socket::close() {
    fd = -1;
    if (role_ == Role::listening) {
        machine_.stack().unlisten(local_address_, local_port_);
        for (Socket* const waiting : std::exchange(queue_, {})) waiting->connection_.abort();
        return {};
    }
    if (linger_ && linger_->l_onoff != 0 && linger_->l_linger == 0)
        connection_.abort();
    else
        connection_.close();
    return {};
}

// --------------------------------------------------------------------------------------------- options

Outcome Socket::set_option(int level, int name, std::span<const std::byte> value) {
    if (level == SOL_SOCKET && name == SO_LINGER) {
        linger given{};
        if (value.size() < sizeof given) return failure(EINVAL);
        std::memcpy(&given, value.data(), sizeof given);
        linger_ = given;
        return {};
    }
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
        const std::string_view text{reinterpret_cast<const char*>(value.data()), value.size()};
        const auto known = tcp::parse_congestion_algorithm(text.substr(0, text.find('\0')));
        if (!known) return failure(ENOENT);
        congestion_ = known;
        if (connection_.alive()) connection_.set(settings());
        return {};
    }
    for (std::size_t i = 0; const SocketOption& option : socket_options()) {
        std::optional<int>& mine = options_[i++];
        if (option.level != level || option.name != name) continue;
        int given = 0;
        if (value.size() >= sizeof given)
            std::memcpy(&given, value.data(), sizeof given);
        else if (value.size() == 1)  // as those of IPPROTO_IP may be
            given = std::to_integer<int>(value[0]);
        else
            return failure(EINVAL);
        const std::optional<int> before = std::exchange(mine, given);
        if (option.setting != nullptr) {
            tcp::Settings alone;  // keep-alive's are judged though it may be off
            option.setting(alone, given);
            tcp::Error error = tcp::valid(alone) ? tcp::Error::none : tcp::Error::invalid_setting;
            if (error == tcp::Error::none && connection_.alive()) error = connection_.set(settings());
            if (error != tcp::Error::none) {
                mine = before;
                return failure(errno_of(error));
            }
        }
        const bool of_listener = option.setting != nullptr ||
                                 (level == IPPROTO_TCP && (name == TCP_FASTOPEN || name == TCP_NODELAY));
        if (role_ == Role::listening && of_listener) {
            machine_.stack().unlisten(local_address_, local_port_);
            begin_to_listen();
        }
        if (option.on_connection != nullptr && connection_.alive())
            if (const tcp::Error error = option.on_connection(connection_, given); error != tcp::Error::none)
                return failure(errno_of(error));
        return {};
    }
    return failure(ENOPROTOOPT);
}

Outcome Socket::get_option(int level, int name, std::span<std::byte> value, std::size_t& size) {
    const auto give = [&](const auto& what) {
        size = std::min(value.size(), sizeof what);
        std::memcpy(value.data(), &what, size);
        return Outcome{};
    };
    if (level == SOL_SOCKET && name == SO_LINGER) return give(linger_.value_or(linger{}));
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
        const std::string_view text =
            tcp::to_string(congestion_.value_or(configuration_.config().tcp.congestion));
        size = std::min(value.size(), text.size());
        std::memcpy(value.data(), text.data(), size);
        return {};
    }
    if (level == SOL_SOCKET && name == SO_ERROR) return give(take_error());
    if (level == SOL_SOCKET && name == SO_TYPE) return give(int{SOCK_STREAM});
    if (level == SOL_SOCKET && name == SO_ACCEPTCONN) return give(int{listening()});
    for (std::size_t i = 0; const SocketOption& option : socket_options()) {
        const std::optional<int> mine = options_[i++];
        if (option.level != level || option.name != name) continue;
        const int last = mine.value_or(option.initial);
        return give(option.read != nullptr ? option.read(info(), last) : last);
    }
    return failure(ENOPROTOOPT);
}

// ------------------------------------------------------------------------------------------------ data

std::optional<Outcome> Socket::receive(std::span<const iovec> to, int flags) {
    if (role_ == Role::fresh && !over_) return failure(error_ != 0 ? take_error() : ENOTCONN);
    if (role_ == Role::listening) return failure(ENOTCONN);
    if ((flags & (MSG_OOB | MSG_ERRQUEUE)) != 0) return failure((flags & MSG_OOB) != 0 ? EINVAL : EAGAIN);
    std::size_t room = 0;
    for (const iovec& part : to) {
        if (part.iov_base == nullptr && part.iov_len > 0 && (flags & MSG_TRUNC) == 0 && !received_.empty())
            return failure(EFAULT);
        room += part.iov_len;
    }
    if (room == 0) return Outcome{};
    const bool at_end = peer_closed_ || error_ != 0 || shut_read_ || over_;
    const bool enough = !received_.empty() && ((flags & MSG_WAITALL) == 0 || received_.size() >= room);
    if (!received_.empty() && (enough || at_end)) {
        std::size_t done = 0;
        for (const iovec& part : to) {
            const std::size_t n = std::min(part.iov_len, received_.size() - done);
            if ((flags & MSG_TRUNC) == 0)
                std::copy_n(received_.begin() + static_cast<std::ptrdiff_t>(done), n,
                            static_cast<std::byte*>(part.iov_base));
            done += n;
        }
        if ((flags & MSG_PEEK) == 0) {
            received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(done));
            connection_.consume(done);
        }
        return Outcome{static_cast<ssize_t>(done)};
    }
    // In the order in which Linux looks: the end of the stream, then an error, then our own shutdown.
    if (peer_closed_) return Outcome{};
    if (error_ != 0) return failure(take_error());
    if (shut_read_ || over_) return Outcome{};
    return std::nullopt;
}

std::optional<int> Socket::option_set(int level, int name) const {
    for (std::size_t i = 0; const SocketOption& option : socket_options()) {
        const std::optional<int> mine = options_[i++];
        if (option.level == level && option.name == name) return mine;
    }
    return std::nullopt;
}

// Where nothing was set the stack's own send buffer is the limit.
std::size_t Socket::send_room() const {
    const tcp::ConnectionInfo now = info();
    if (const auto least = static_cast<std::uint32_t>(option_set(IPPROTO_TCP, TCP_NOTSENT_LOWAT).value_or(0));
        least != 0 && now.unsent >= least)
        return 0;
    const std::optional<int> given = option_set(SOL_SOCKET, SO_SNDBUF);
    if (!given) return SIZE_MAX;
    const std::size_t most = 2 * static_cast<std::size_t>(std::max(*given, 0));
    const std::size_t held = now.unsent + now.unacknowledged;
    return most > held ? most - held : 0;
}

std::optional<Outcome> Socket::send(std::span<const iovec> from, int flags, std::size_t& done) {
    const auto end = [&](int error) {
        return done > 0 ? Outcome{static_cast<ssize_t>(done)} : failure(error);
    };
    if (role_ == Role::fresh || role_ == Role::listening) return end(error_ != 0 ? take_error() : EPIPE);
    if (error_ != 0 && done == 0) {
        const int error = take_error();
        return failure(error == ECONNRESET && peer_closed_ ? EPIPE : error);  // as Linux has it in CLOSE-WAIT
    }
    if (shut_write_ || over_) return end(EPIPE);
    if (role_ == Role::connecting) return std::nullopt;
    std::size_t skip = done;
    std::size_t room = send_room();
    for (const iovec& part : from) {
        const std::size_t before = std::min(skip, part.iov_len);
        skip -= before;
        if (part.iov_len == before) continue;
        if (part.iov_base == nullptr) return end(EFAULT);
        const std::span<const std::byte> octets{static_cast<const std::byte*>(part.iov_base) + before,
                                                part.iov_len - before};
        const auto now = octets.first(std::min(octets.size(), room));
        const tcp::SendResult result = now.empty()               ? tcp::SendResult{0, tcp::Error::buffer_full}
                                       : (flags & MSG_OOB) != 0  ? connection_.send_urgent(now)
                                       : (flags & MSG_MORE) != 0 ? connection_.send_more(now)
                                                                 : connection_.send(now);
        done += result.accepted;
        room -= result.accepted;
        if (result.accepted == octets.size()) continue;
        if (now.size() < octets.size() || result.error == tcp::Error::buffer_full) return std::nullopt;
        return end(errno_of(result.error));
    }
    return Outcome{static_cast<ssize_t>(done)};
}

short Socket::readiness() const {
    if (role_ == Role::listening) return queue_.empty() ? 0 : POLLIN | POLLRDNORM;
    int events = 0;
    const bool dead = over_ || role_ == Role::fresh;
    const bool reads_end = peer_closed_ || shut_read_ || over_ || (dead && error_ != 0);
    const bool writes_end = shut_write_ || over_;
    if (error_ != 0) events |= POLLERR;
    if (dead || (reads_end && writes_end)) events |= POLLHUP;
    if (reads_end) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (role_ == Role::connecting) return static_cast<short>(events);
    if (!received_.empty()) events |= POLLIN | POLLRDNORM;
    if (writes_end || role_ == Role::fresh || send_room() > 0) events |= POLLOUT | POLLWRNORM;
    return static_cast<short>(events);
}

// --------------------------------------------------------------------------------------------- events

Socket& Socket::of(tcp::Connection connection) noexcept {
    const std::uint64_t context = connection.context();
    return context == 0 ? *this : *reinterpret_cast<Socket*>(context);
}

void Socket::established(tcp::Connection connection) noexcept {
    if (connection.context() == 0) {  // one that listens has received it
        Socket& child = *children_.emplace_back(std::make_unique<Socket>(machine_, configuration_, -1));
        const tcp::ConnectionInfo info = connection.info();
        child.connection_ = connection;
        child.local_address_ = info.local_address;
        child.local_port_ = info.local_port;
        child.remote_address_ = info.remote_address;
        child.remote_port_ = info.remote_port;
        child.options_ = options_;
        child.linger_ = linger_;
        child.congestion_ = congestion_;
        child.told_connected_ = true;
        connection.set_context(reinterpret_cast<std::uintptr_t>(&child));
        if (option_set(IPPROTO_TCP, TCP_DEFER_ACCEPT).value_or(0) > 0)
            child.deferred_by_ = this;
        else
            queue_.push_back(&child);
    }
    Socket& socket = of(connection);
    socket.role_ = Role::connected;
    socket.apply_options();
    ++socket.activity_;
    ++activity_;
}

tcp::Ownership Socket::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    Socket& socket = of(connection);
    if (Socket* const listener = std::exchange(socket.deferred_by_, nullptr)) {
        listener->queue_.push_back(&socket);
        ++listener->activity_;
    }
    for (const rte_mbuf* part = &payload; part != nullptr; part = part->next) {
        const auto* const begin = rte_pktmbuf_mtod(part, const std::byte*);
        socket.received_.insert(socket.received_.end(), begin, begin + part->data_len);
    }
    ++socket.activity_;
    return tcp::Ownership::returned;
}

void Socket::writable(tcp::Connection connection) noexcept {
    ++of(connection).activity_;
}

void Socket::peer_closed(tcp::Connection connection) noexcept {
    Socket& socket = of(connection);
    socket.peer_closed_ = true;
    ++socket.activity_;
}

void Socket::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    if (connection.context() == 0) return;  // it was disconnected
    Socket& socket = of(connection);
    socket.error_ = errno_of(reason);
    if (socket.role_ == Role::connecting)
        socket.role_ = Role::fresh;
    else
        socket.over_ = true;
    ++socket.activity_;
}

}  // namespace runnel::packetdrill
