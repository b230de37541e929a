#include "socket_options.hpp"

#include <algorithm>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace runnel::packetdrill {

namespace {

constexpr std::uint32_t octets(int value) {
    return static_cast<std::uint32_t>(std::max(value, 1));
}

std::uint8_t octet(int value) {
    return static_cast<std::uint8_t>(value);
}

tcp::KeepAlive& probing(tcp::Settings& settings) {
    if (!settings.keep_alive) settings.keep_alive.emplace();
    return *settings.keep_alive;
}

// Linux doubles what it is given, for its own bookkeeping, and says so.
int doubled(const tcp::ConnectionInfo&, int value) {
    return 2 * value;
}

constexpr SocketOption table[] = {
    {SOL_SOCKET, SO_REUSEADDR, 0},  // an address in TIME-WAIT can always be listened on
    {SOL_SOCKET, SO_REUSEPORT, 0},
    {SOL_SOCKET, SO_MARK, 0},  // of the sender's routing, which has one way
    {SOL_SOCKET, SO_PRIORITY, 0},
    {SOL_SOCKET, SO_ZEROCOPY, 0},  // every octet is copied, which MSG_ZEROCOPY allows
    {.level = SOL_SOCKET,
     .name = SO_RCVBUF,
     .initial = 128 * 1024,
     .before_start = [](StackConfig& c, int value) { c.tcp.receive_buffer = octets(value); },
     .read = doubled},
    {.level = SOL_SOCKET,
     .name = SO_SNDBUF,
     .initial = 2 * 1024 * 1024,
     .read = doubled},  // Socket::send_room

    {.level = IPPROTO_TCP,
     .name = TCP_MAXSEG,
     .initial = 0,
     .setting = [](tcp::Settings& s,
                   int value) { s.mss = static_cast<std::uint16_t>(std::clamp(value, 0, 65535)); },
     .read =
         [](const tcp::ConnectionInfo& info, int value) {
             if (info.mss != 0) return static_cast<int>(info.mss);
             return value != 0 ? value : 536;
         }},
    {.level = IPPROTO_TCP,
     .name = TCP_NODELAY,
     .initial = 0,
     .on_connection = [](tcp::Connection& c, int value) { return c.set_nagle(value == 0); }},
    {.level = IPPROTO_TCP,
     .name = TCP_CORK,
     .initial = 0,
     .on_connection = [](tcp::Connection& c, int value) { return c.set_cork(value != 0); }},
    {IPPROTO_TCP, TCP_FASTOPEN, 0},  // Socket::listen
    {.level = IPPROTO_TCP,
     .name = TCP_LINGER2,
     .initial = 0,
     .setting = [](tcp::Settings& s,
                   int value) { s.fin_wait_2_timeout = std::chrono::seconds{std::max(value, 0)}; }},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0},  // Socket::established
    {IPPROTO_TCP, TCP_QUICKACK, 1},      // no effect: the stack has one way
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, 0},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0},  // Socket::send_room
    {.level = IPPROTO_TCP,
     .name = TCP_USER_TIMEOUT,
     .initial = 0,
     .setting = [](tcp::Settings& s, int value) { s.user_timeout = std::chrono::milliseconds{value}; }},

    {.level = IPPROTO_TCP,
     .name = TCP_KEEPIDLE,
     .initial = 7200,
     .setting = [](tcp::Settings& s, int value) { probing(s).idle = std::chrono::seconds{value}; }},
    {.level = IPPROTO_TCP,
     .name = TCP_KEEPINTVL,
     .initial = 75,
     .setting = [](tcp::Settings& s, int value) { probing(s).interval = std::chrono::seconds{value}; }},
    {.level = IPPROTO_TCP,
     .name = TCP_KEEPCNT,
     .initial = 9,
     .setting = [](tcp::Settings& s, int value) { probing(s).probes = octet(value); }},
    {.level = SOL_SOCKET,  // after the three
     .name = SO_KEEPALIVE,
     .initial = 0,
     .setting =
         [](tcp::Settings& s, int value) {
             if (value == 0) s.keep_alive.reset();
         }},

    {IPPROTO_IP, IP_MTU_DISCOVER, 0},  // no effect: the stack has one way
    {IPPROTO_IP, IP_FREEBIND, 0},
    {.level = IPPROTO_IP,
     .name = IP_TOS,
     .initial = 0,
     .setting = [](tcp::Settings& s, int value) { s.dscp = octet(value) >> 2; }},
    {.level = IPPROTO_IP,
     .name = IP_TTL,
     .initial = 64,
     .setting = [](tcp::Settings& s, int value) { s.ttl = octet(value); }},
};
static_assert(std::size(table) <= most_socket_options);

}  // namespace

std::span<const SocketOption> socket_options() {
    return table;
}

}  // namespace runnel::packetdrill
