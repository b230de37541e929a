// The calls that packetdrill makes, carried to sockets over a stack in virtual time.
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "interface.hpp"
#include "machine.hpp"
#include "settings.hpp"
#include "socket.hpp"

namespace runnel::packetdrill {

namespace {

// Where the virtual clock begins: any time that is not 0.
constexpr Duration epoch = 1'000'000'000s;

Instant deadline(Instant now, int timeout_ms) {
    return timeout_ms < 0 ? never : now + std::chrono::milliseconds{timeout_ms};
}

// What the C library answers, for a descriptor that is not ours.
Outcome of_libc(ssize_t value) {
    return {value, errno};
}

struct Epoll {
    struct Item {
        epoll_event wanted{};
        std::uint64_t told = 0;  // the activity that an edge was last reported for
    };
    std::map<int, Item> items;
};

class Adapter {
  public:
    explicit Adapter(const char* so_flags) : settings_(so_flags == nullptr ? "" : so_flags) {}

    Machine& machine() { return machine_; }

    // -- sockets
    Outcome socket(int domain, int type, int protocol);
    Outcome bind(int fd, const sockaddr* address, socklen_t length);
    Outcome accept(Machine::Lock& lock, int fd, sockaddr* address, socklen_t* length);
    Outcome connect(Machine::Lock& lock, int fd, const sockaddr* address, socklen_t length);
    Outcome receive(Machine::Lock& lock, int fd, std::span<const iovec> to, int flags);
    Outcome send(Machine::Lock& lock, int fd, std::span<const iovec> from, int flags);
    Outcome close(int fd);
    Outcome fcntl(int fd, int command, int argument);
    Outcome ioctl(int fd, unsigned long request, int* argument);
    template <typename Call>
    Outcome with(int fd, Call&& call) {
        Socket* const socket = find(fd);
        return socket == nullptr
                   ? failure(EBADF)
                   : machine_.call_now([&] { return std::optional<Outcome>{call(*socket)}; }, {});
    }

    // -- many at once
    Outcome poll(Machine::Lock& lock, std::span<pollfd> fds, int timeout);
    Outcome epoll_create();
    Outcome epoll_ctl(int epoll_fd, int operation, int fd, const epoll_event* event);
    Outcome epoll_wait(Machine::Lock& lock, int epoll_fd, std::span<epoll_event> events, int timeout);
    Outcome splice(Machine::Lock& lock, int from, int to, std::size_t size);

    // -- the wire
    Outcome netdev_send(std::span<const std::byte> packet);
    Outcome netdev_receive(std::byte* packet, std::size_t& size, long long& time_usecs);

  private:
    Socket* find(int fd) {
        const auto found = open_.find(fd);
        return found == open_.end() ? nullptr : found->second;
    }
    Outcome give_descriptor(Socket& socket);
    Patience patience(const Socket& socket, int flags) const {
        const bool at_once = socket.nonblocking || (flags & MSG_DONTWAIT) != 0;
        return {at_once ? machine_.now() : never, failure(EAGAIN)};
    }

    Settings settings_;
    std::vector<std::unique_ptr<Socket>> sockets_;
    std::map<int, Socket*> open_;
    std::map<int, Epoll> epolls_;
    Machine machine_;  // goes first, as its stack knows the sockets
};

// A real descriptor: the script's interpreter closes what is left over with the C library's close.
Outcome Adapter::give_descriptor(Socket& socket) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0) return of_libc(-1);
    socket.fd = fd;
    open_[fd] = &socket;
    return {fd};
}

Outcome Adapter::socket(int domain, int type, int protocol) {
    if (domain != AF_INET) return failure(EAFNOSUPPORT);
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return failure(ESOCKTNOSUPPORT);
    if (protocol != 0 && protocol != IPPROTO_TCP) return failure(EPROTONOSUPPORT);
    Socket& socket = *sockets_.emplace_back(std::make_unique<Socket>(machine_, settings_, -1));
    socket.nonblocking = (type & SOCK_NONBLOCK) != 0;
    return give_descriptor(socket);
}

Outcome Adapter::bind(int fd, const sockaddr* address, socklen_t length) {
    sockaddr_in v4{};
    if (address == nullptr || length < sizeof v4) return failure(EINVAL);
    if (address->sa_family != AF_INET) return failure(EAFNOSUPPORT);
    std::memcpy(&v4, address, sizeof v4);
    return with(fd, [&](Socket& socket) {
        return socket.bind(Ipv4Address{ntohl(v4.sin_addr.s_addr)}, ntohs(v4.sin_port));
    });
}

Outcome Adapter::accept(Machine::Lock& lock, int fd, sockaddr* address, socklen_t* length) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return failure(EBADF);
    Socket* accepted = nullptr;
    const Outcome outcome = machine_.call(
        lock, [&] { return socket->accept(accepted); }, patience(*socket, 0));
    if (accepted == nullptr) return outcome;
    if (address != nullptr && length != nullptr) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(accepted->remote_port());
        v4.sin_addr.s_addr = htonl(accepted->remote_address().v4().value);
        std::memcpy(address, &v4, std::min<std::size_t>(*length, sizeof v4));
        *length = sizeof v4;
    }
    return give_descriptor(*accepted);
}

Outcome Adapter::connect(Machine::Lock& lock, int fd, const sockaddr* address, socklen_t length) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return failure(EBADF);
    if (address == nullptr || length < sizeof(sa_family_t)) return failure(EINVAL);
    if (address->sa_family == AF_UNSPEC) return with(fd, [](Socket& s) { return s.disconnect(); });
    if (address->sa_family != AF_INET) return failure(EAFNOSUPPORT);
    sockaddr_in v4{};
    if (length < sizeof v4) return failure(EINVAL);
    std::memcpy(&v4, address, sizeof v4);
    const Outcome begun = socket->connect(Ipv4Address{ntohl(v4.sin_addr.s_addr)}, ntohs(v4.sin_port));
    if (begun.error != EINPROGRESS && begun.error != EALREADY) return begun;
    return machine_.call(lock, [&] { return socket->connected(); },
                         {.until = socket->nonblocking ? machine_.now() : never, .late = begun});
}

Outcome Adapter::receive(Machine::Lock& lock, int fd, std::span<const iovec> to, int flags) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return of_libc(::readv(fd, to.data(), static_cast<int>(to.size())));
    return machine_.call(
        lock, [&] { return socket->receive(to, flags); }, patience(*socket, flags));
}

Outcome Adapter::send(Machine::Lock& lock, int fd, std::span<const iovec> from, int flags) {
    Socket* const socket = find(fd);
    if (socket == nullptr) return of_libc(::writev(fd, from.data(), static_cast<int>(from.size())));
    std::size_t done = 0;
    const Patience patient = patience(*socket, flags);
    const Attempt attempt = [&]() -> std::optional<Outcome> {
        if (const auto outcome = socket->send(from, flags, done)) return outcome;
        if (patient.until == never || done == 0) return std::nullopt;
        return Outcome{static_cast<ssize_t>(done)};
    };
    return machine_.call(lock, attempt, patient);
}

Outcome Adapter::close(int fd) {
    epolls_.erase(fd);
    if (Socket* const socket = find(fd)) {
        open_.erase(fd);
        for (auto& [epoll_fd, epoll] : epolls_) epoll.items.erase(fd);
        machine_.call_now([&] { return std::optional<Outcome>{socket->close()}; }, {});
    }
    return of_libc(::close(fd));
}

Outcome Adapter::fcntl(int fd, int command, int argument) {
    Socket* const socket = find(fd);
    if (socket == nullptr || (command != F_GETFL && command != F_SETFL))
        return of_libc(::fcntl(fd, command, argument));
    if (command == F_GETFL) return {O_RDWR | (socket->nonblocking ? O_NONBLOCK : 0)};
    socket->nonblocking = (argument & O_NONBLOCK) != 0;
    return {};
}

Outcome Adapter::ioctl(int fd, unsigned long request, int* argument) {
    return with(fd, [&](Socket& socket) {
        if (argument == nullptr) return failure(EFAULT);
        const tcp::ConnectionInfo info = socket.info();
        switch (request) {
            case FIONBIO:
                socket.nonblocking = *argument != 0;
                return Outcome{};
            case SIOCINQ:
                *argument = static_cast<int>(socket.unread());
                break;
            case SIOCOUTQ:
                *argument = static_cast<int>(info.unsent + info.unacknowledged);
                break;
            case SIOCOUTQNSD:
                *argument = static_cast<int>(info.unsent);
                break;
            default:
                return failure(ENOTTY);
        }
        return socket.listening() ? failure(EINVAL) : Outcome{};
    });
}

// -------------------------------------------------------------------------------------- many at once

Outcome Adapter::poll(Machine::Lock& lock, std::span<pollfd> fds, int timeout) {
    const Attempt attempt = [&]() -> std::optional<Outcome> {
        ssize_t ready = 0;
        for (pollfd& each : fds) {
            const Socket* const socket = find(each.fd);
            const int always = POLLERR | POLLHUP | POLLNVAL;
            each.revents = static_cast<short>(
                each.fd < 0 ? 0
                            : (socket != nullptr ? socket->readiness() : POLLNVAL) & (each.events | always));
            if (each.revents != 0) ++ready;
        }
        return ready > 0 ? std::optional<Outcome>{{ready}} : std::nullopt;
    };
    return machine_.call(lock, attempt, {.until = deadline(machine_.now(), timeout), .late = {}});
}

Outcome Adapter::epoll_create() {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd >= 0) epolls_[fd];
    return of_libc(fd);
}

Outcome Adapter::epoll_ctl(int epoll_fd, int operation, int fd, const epoll_event* event) {
    const auto epoll = epolls_.find(epoll_fd);
    if (epoll == epolls_.end() || find(fd) == nullptr) return failure(EBADF);
    std::map<int, Epoll::Item>& items = epoll->second.items;
    const bool known = items.contains(fd);
    switch (operation) {
        case EPOLL_CTL_ADD:
            if (known) return failure(EEXIST);
            break;
        case EPOLL_CTL_MOD:
            if (!known) return failure(ENOENT);
            break;
        case EPOLL_CTL_DEL:
            return items.erase(fd) > 0 ? Outcome{} : failure(ENOENT);
        default:
            return failure(EINVAL);
    }
    if (event == nullptr) return failure(EFAULT);
    items[fd] = {.wanted = *event, .told = UINT64_MAX};
    return {};
}

Outcome Adapter::epoll_wait(Machine::Lock& lock, int epoll_fd, std::span<epoll_event> events, int timeout) {
    const auto epoll = epolls_.find(epoll_fd);
    if (epoll == epolls_.end()) return failure(EBADF);
    if (events.empty()) return failure(EINVAL);
    const Attempt attempt = [&]() -> std::optional<Outcome> {
        std::size_t ready = 0;
        for (auto& [fd, item] : epoll->second.items) {
            if (ready == events.size()) break;
            const Socket* const socket = find(fd);
            if (socket == nullptr || (item.wanted.events & ~(EPOLLET | EPOLLONESHOT)) == 0) continue;
            const std::uint32_t now =
                static_cast<std::uint16_t>(socket->readiness()) & (item.wanted.events | EPOLLERR | EPOLLHUP);
            if (now == 0) continue;
            if ((item.wanted.events & EPOLLET) != 0 &&
                std::exchange(item.told, socket->activity()) == socket->activity())
                continue;
            events[ready].events = now;
            events[ready].data = item.wanted.data;
            ++ready;
            if ((item.wanted.events & EPOLLONESHOT) != 0) item.wanted.events = EPOLLONESHOT;
        }
        return ready > 0 ? std::optional<Outcome>{{static_cast<ssize_t>(ready)}} : std::nullopt;
    };
    return machine_.call(lock, attempt, {.until = deadline(machine_.now(), timeout), .late = {}});
}

// Between a socket and a pipe, which is the C library's.
Outcome Adapter::splice(Machine::Lock& lock, int from, int to, std::size_t size) {
    std::vector<std::byte> octets(std::min<std::size_t>(size, 65536));
    const iovec whole{octets.data(), octets.size()};
    const Outcome taken = receive(lock, from, std::span{&whole, 1}, 0);
    if (taken.value <= 0) return taken;
    const iovec part{octets.data(), static_cast<std::size_t>(taken.value)};
    return send(lock, to, std::span{&part, 1}, 0);
}

// -------------------------------------------------------------------------------------------- the wire

Outcome Adapter::netdev_send(std::span<const std::byte> packet) {
    if (!machine_.started()) machine_.start(settings_.config());
    machine_.send(packet);
    return {};
}

Outcome Adapter::netdev_receive(std::byte* packet, std::size_t& size, long long& time_usecs) {
    const std::optional<Machine::Packet> sent = machine_.receive();
    if (!sent) {
        size = 0;  // -1 would have it ask for ever
        return {};
    }
    size = std::min(size, sent->octets.size());
    std::memcpy(packet, sent->octets.data(), size);
    time_usecs = (sent->time.time_since_epoch() + epoch) / 1us;
    return {};
}

// ---------------------------------------------------------------------------- as C functions of the table

// What goes wrong with the stack itself, or with its settings, is no answer to a call.
[[noreturn]] void give_up(const std::exception& why) {
    std::fprintf(stderr, "librunnel_packetdrill: %s\n", why.what());
    std::fflush(nullptr);
    std::_Exit(1);
}

template <typename Call>
ssize_t carry(void* userdata, Call&& call) {
    auto& adapter = *static_cast<Adapter*>(userdata);
    try {
        Machine::Lock lock = adapter.machine().lock();
        const Outcome outcome = call(adapter, lock);
        if (outcome.value < 0) errno = outcome.error;
        return outcome.value;
    } catch (const std::exception& why) {
        give_up(why);
    }
}

template <typename Call>
int carry_int(void* userdata, Call&& call) {
    return static_cast<int>(carry(userdata, std::forward<Call>(call)));
}

using Lock = Machine::Lock;

ssize_t receive_into(void* userdata, int fd, const iovec* parts, std::size_t count, int flags) {
    return carry(userdata, [&](Adapter& a, Lock& lock) {
        return a.receive(lock, fd, std::span{parts, count}, flags);
    });
}

ssize_t receive_into(void* userdata, int fd, void* to, std::size_t size, int flags) {
    const iovec whole{to, size};
    return receive_into(userdata, fd, &whole, 1, flags);
}

ssize_t send_from(void* userdata, int fd, const iovec* parts, std::size_t count, int flags) {
    return carry(userdata, [&](Adapter& a, Lock& lock) {
        return a.send(lock, fd, std::span{parts, count}, flags);
    });
}

ssize_t send_from(void* userdata, int fd, const void* from, std::size_t size, int flags) {
    const iovec whole{const_cast<void*>(from), size};
    return send_from(userdata, fd, &whole, 1, flags);
}

int call_fcntl(void* userdata, int fd, int command, ...) {
    std::va_list rest;
    va_start(rest, command);
    const int argument = command == F_GETFL || command == F_GETFD ? 0 : va_arg(rest, int);
    va_end(rest);
    return carry_int(userdata, [&](Adapter& a, Lock&) { return a.fcntl(fd, command, argument); });
}

int call_ioctl(void* userdata, int fd, unsigned long request, ...) {
    std::va_list rest;
    va_start(rest, request);
    int* const argument = va_arg(rest, int*);
    va_end(rest);
    return carry_int(userdata, [&](Adapter& a, Lock&) { return a.ioctl(fd, request, argument); });
}

void fill(packetdrill_interface& table) {
    table.free = [](void* u) { delete static_cast<Adapter*>(u); };
    table.socket = [](void* u, int domain, int type, int protocol) {
        return carry_int(u, [&](Adapter& a, Lock&) { return a.socket(domain, type, protocol); });
    };
    table.bind = [](void* u, int fd, const sockaddr* address, socklen_t length) {
        return carry_int(u, [&](Adapter& a, Lock&) { return a.bind(fd, address, length); });
    };
    table.listen = [](void* u, int fd, int) {
        return carry_int(u,
                         [&](Adapter& a, Lock&) { return a.with(fd, [](Socket& s) { return s.listen(); }); });
    };
    table.accept = [](void* u, int fd, sockaddr* address, socklen_t* length) {
        return carry_int(u, [&](Adapter& a, Lock& lock) { return a.accept(lock, fd, address, length); });
    };
    table.connect = [](void* u, int fd, const sockaddr* address, socklen_t length) {
        return carry_int(u, [&](Adapter& a, Lock& lock) { return a.connect(lock, fd, address, length); });
    };

    table.read = [](void* u, int fd, void* to, size_t size) { return receive_into(u, fd, to, size, 0); };
    table.readv = [](void* u, int fd, const iovec* parts, int count) {
        return receive_into(u, fd, parts, static_cast<std::size_t>(count), 0);
    };
    table.recv = [](void* u, int fd, void* to, size_t size, int flags) {
        return receive_into(u, fd, to, size, flags);
    };
    table.recvfrom = [](void* u, int fd, void* to, size_t size, int flags, sockaddr*, socklen_t*) {
        return receive_into(u, fd, to, size, flags);
    };
    table.recvmsg = [](void* u, int fd, msghdr* message, int flags) {
        message->msg_flags = 0;
        message->msg_controllen = 0;
        return receive_into(u, fd, message->msg_iov, message->msg_iovlen, flags);
    };

    table.write = [](void* u, int fd, const void* from, size_t size) {
        return send_from(u, fd, from, size, 0);
    };
    table.writev = [](void* u, int fd, const iovec* parts, int count) {
        return send_from(u, fd, parts, static_cast<std::size_t>(count), 0);
    };
    table.send = [](void* u, int fd, const void* from, size_t size, int flags) {
        return send_from(u, fd, from, size, flags);
    };
    table.sendto = [](void* u, int fd, const void* from, size_t size, int flags, const sockaddr*, socklen_t) {
        return send_from(u, fd, from, size, flags);
    };
    table.sendmsg = [](void* u, int fd, const msghdr* message, int flags) {
        return send_from(u, fd, message->msg_iov, message->msg_iovlen, flags);
    };

    table.fcntl = call_fcntl;
    table.ioctl = call_ioctl;
    table.close = [](void* u, int fd) {
        return carry_int(u, [&](Adapter& a, Lock&) { return a.close(fd); });
    };
    table.shutdown = [](void* u, int fd, int how) {
        return carry_int(
            u, [&](Adapter& a, Lock&) { return a.with(fd, [&](Socket& s) { return s.shutdown(how); }); });
    };
    table.getsockopt = [](void* u, int fd, int level, int name, void* value, socklen_t* length) {
        return carry_int(u, [&](Adapter& a, Lock&) {
            return a.with(fd, [&](Socket& s) {
                if (value == nullptr || length == nullptr) return failure(EFAULT);
                std::size_t size = 0;
                const Outcome outcome =
                    s.get_option(level, name, std::span{static_cast<std::byte*>(value), *length}, size);
                if (outcome.value == 0) *length = static_cast<socklen_t>(size);
                return outcome;
            });
        });
    };
    table.setsockopt = [](void* u, int fd, int level, int name, const void* value, socklen_t length) {
        return carry_int(u, [&](Adapter& a, Lock&) {
            return a.with(fd, [&](Socket& s) {
                if (value == nullptr) return failure(EFAULT);
                return s.set_option(level, name, std::span{static_cast<const std::byte*>(value), length});
            });
        });
    };

    table.poll = [](void* u, pollfd* fds, nfds_t count, int timeout) {
        return carry_int(u, [&](Adapter& a, Lock& lock) {
            return a.poll(lock, std::span{fds, count}, timeout);
        });
    };
    table.epoll_create = [](void* u, int) {
        return carry_int(u, [&](Adapter& a, Lock&) { return a.epoll_create(); });
    };
    table.epoll_ctl = [](void* u, int epoll_fd, int operation, int fd, epoll_event* event) {
        return carry_int(u, [&](Adapter& a, Lock&) { return a.epoll_ctl(epoll_fd, operation, fd, event); });
    };
    table.epoll_wait = [](void* u, int epoll_fd, epoll_event* events, int room, int timeout) {
        return carry_int(u, [&](Adapter& a, Lock& lock) {
            return a.epoll_wait(lock, epoll_fd,
                                std::span{events, static_cast<std::size_t>(std::max(room, 0))}, timeout);
        });
    };
    table.pipe = [](void*, int fds[2]) { return ::pipe(fds); };
    table.splice = [](void* u, int from, loff_t*, int to, loff_t*, size_t size, unsigned) {
        return carry_int(u, [&](Adapter& a, Lock& lock) { return a.splice(lock, from, to, size); });
    };

    table.netdev_send = [](void* u, const void* packet, size_t size) {
        return carry_int(u, [&](Adapter& a, Lock&) {
            return a.netdev_send(std::span{static_cast<const std::byte*>(packet), size});
        });
    };
    table.netdev_receive = [](void* u, void* packet, size_t* size, long long* time_usecs) {
        return carry_int(u, [&](Adapter& a, Lock&) {
            return a.netdev_receive(static_cast<std::byte*>(packet), *size, *time_usecs);
        });
    };
    table.usleep = [](void* u, useconds_t usecs) {
        return carry_int(u, [&](Adapter& a, Lock&) {
            a.machine().sleep(std::chrono::microseconds{usecs});
            return Outcome{};
        });
    };
    table.gettimeofday = [](void* u, timeval* time, struct timezone*) {
        return carry_int(u, [&](Adapter& a, Lock&) {
            const auto usecs = (a.machine().look().time_since_epoch() + epoch) / 1us;
            time->tv_sec = usecs / 1'000'000;
            time->tv_usec = usecs % 1'000'000;
            return Outcome{};
        });
    };
}

}  // namespace

}  // namespace runnel::packetdrill

extern "C" [[gnu::visibility("default")]] void packetdrill_interface_init(const char* so_flags,
                                                                          packetdrill_interface* table) {
    using namespace runnel::packetdrill;
    try {
        table->userdata = new Adapter{so_flags};
    } catch (const std::exception& why) {
        give_up(why);
    }
    fill(*table);
}
