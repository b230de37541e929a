// The shared object as packetdrill uses it, without packetdrill: loaded by name, driven through its table
// only.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "interface.hpp"

namespace runnel::test {
namespace {

constexpr std::uint8_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16;
constexpr std::uint32_t us = 0xc0a80001, peer = 0xc0000201;  // 192.168.0.1, 192.0.2.1
constexpr std::uint16_t our_port = 8080, peer_port = 40000;
constexpr std::size_t header_size = 40;  // IP and TCP, without options

using Packet = std::vector<std::uint8_t>;

void put(Packet& packet, std::size_t at, std::uint32_t value, std::size_t octets) {
    for (std::size_t i = 0; i < octets; ++i)
        packet[at + i] = static_cast<std::uint8_t>(value >> 8 * (octets - 1 - i));
}

std::uint32_t get(const Packet& packet, std::size_t at, std::size_t octets) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < octets; ++i) value = value << 8 | packet.at(at + i);
    return value;
}

std::uint16_t checksum(const Packet& octets, std::size_t begin, std::size_t end, std::uint32_t sum = 0) {
    for (std::size_t i = begin; i < end; ++i)
        sum += std::uint32_t{octets[i]} << ((i - begin) % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

struct Segment {
    std::uint8_t flags = 0;
    std::uint32_t seq = 0, ack = 0;
    std::string data;
    std::string options;
    long long time_usecs = 0;
};

Packet encode(const Segment& segment) {
    const std::size_t options = segment.options.size();  // a multiple of 4
    Packet packet(header_size + options + segment.data.size());
    put(packet, 0, 0x4500, 2);
    put(packet, 2, static_cast<std::uint32_t>(packet.size()), 2);
    put(packet, 8, 64 << 8 | IPPROTO_TCP, 2);
    put(packet, 12, peer, 4);
    put(packet, 16, us, 4);
    put(packet, 10, checksum(packet, 0, 20), 2);
    put(packet, 20, peer_port, 2);
    put(packet, 22, our_port, 2);
    put(packet, 24, segment.seq, 4);
    put(packet, 28, segment.ack, 4);
    put(packet, 32, (0x5000U + (static_cast<std::uint32_t>(options) << 10)) | segment.flags, 2);
    put(packet, 34, 65535, 2);
    std::copy(segment.options.begin(), segment.options.end(), packet.begin() + header_size);
    std::copy(segment.data.begin(), segment.data.end(),
              packet.begin() + static_cast<std::ptrdiff_t>(header_size + options));
    const auto pseudo = (us >> 16) + (us & 0xffff) + (peer >> 16) + (peer & 0xffff) + IPPROTO_TCP +
                        static_cast<std::uint32_t>(packet.size() - 20);
    put(packet, 36, checksum(packet, 20, packet.size(), pseudo), 2);
    return packet;
}

/// A call on a thread of its own that has to wait: as packetdrill, which goes on with the script when it sees
/// the thread asleep.
template <typename Call>
class Waiting {
  public:
    explicit Waiting(Call call)
        : thread_([this, call] {
              thread_id_ = gettid();
              call();
          }) {
        while (!asleep()) std::this_thread::yield();
    }
    void join() { thread_.join(); }

  private:
    [[nodiscard]] bool asleep() const {
        std::ifstream file{"/proc/self/task/" + std::to_string(thread_id_.load()) + "/stat"};
        std::string number, name, state;
        return file >> number >> name >> state && state == "S";
    }
    std::atomic<int> thread_id_ = 0;
    std::jthread thread_;
};

/// packetdrill's part: a fresh stack for each test, and the segments of one connection.
class PacketdrillAdapter : public testing::Test {
  protected:
    void SetUp() override { load("192.168.0.1,sysctls=0"); }  // whatever this machine is tuned for
    void TearDown() override { table.free(table.userdata); }

    void load(const char* so_flags) {
        // As packetdrill does. Never unloaded: EAL would not survive it.
        static void* const library =
            dlopen(RUNNEL_PACKETDRILL_LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_DEEPBIND);
        ASSERT_NE(library, nullptr) << dlerror();
        const auto init = reinterpret_cast<decltype(&packetdrill_interface_init)>(
            dlsym(library, "packetdrill_interface_init"));
        ASSERT_NE(init, nullptr) << dlerror();
        if (table.userdata != nullptr) table.free(table.userdata);
        init(so_flags, &table);
        u = table.userdata;
    }

    void inject(const Segment& segment) {
        const Packet packet = encode(segment);
        ASSERT_EQ(table.netdev_send(u, packet.data(), packet.size()), 0);
    }

    /// The next segment that the stack sends; flags 0 where none comes.
    Segment next() {
        Packet packet(65536);
        std::size_t size = packet.size();
        Segment segment;
        if (table.netdev_receive(u, packet.data(), &size, &segment.time_usecs) != 0 || size < header_size)
            return segment;
        packet.resize(size);
        EXPECT_EQ(get(packet, 12, 4), us);
        EXPECT_EQ(get(packet, 16, 4), peer);
        segment.flags = static_cast<std::uint8_t>(get(packet, 32, 2) & 0x3f);
        segment.seq = get(packet, 24, 4);
        segment.ack = get(packet, 28, 4);
        const std::size_t begin = 20 + (packet[32] >> 4) * 4U;
        segment.options.assign(packet.begin() + header_size,
                               packet.begin() + static_cast<std::ptrdiff_t>(begin));
        segment.data.assign(packet.begin() + static_cast<std::ptrdiff_t>(begin), packet.end());
        return segment;
    }

    long long usecs_now() {
        timeval time{};
        EXPECT_EQ(table.gettimeofday(u, &time, nullptr), 0);
        return time.tv_sec * 1'000'000LL + time.tv_usec;
    }

    static sockaddr_in address_of(std::uint32_t address, std::uint16_t port) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_addr.s_addr = htonl(address);
        v4.sin_port = htons(port);
        return v4;
    }

    int make_socket(bool nonblocking) {
        const int fd = table.socket(u, AF_INET, SOCK_STREAM, IPPROTO_TCP);
        EXPECT_GE(fd, 0);
        if (nonblocking) {
            EXPECT_EQ(table.fcntl(u, fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
        }
        return fd;
    }

    int listener(bool nonblocking) {
        const int fd = make_socket(nonblocking);
        const sockaddr_in local = address_of(us, our_port);
        EXPECT_EQ(table.bind(u, fd, reinterpret_cast<const sockaddr*>(&local), sizeof local), 0);
        EXPECT_EQ(table.listen(u, fd, 1), 0);
        return fd;
    }

    int connect(int fd) {
        const sockaddr_in local = address_of(us, our_port);
        const sockaddr_in remote = address_of(peer, peer_port);
        EXPECT_EQ(table.bind(u, fd, reinterpret_cast<const sockaddr*>(&local), sizeof local), 0);
        return table.connect(u, fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote);
    }

    void handshake() {
        inject({.flags = syn, .seq = 1000});
        const Segment answer = next();
        ASSERT_EQ(answer.flags, syn | ack);
        ASSERT_EQ(answer.ack, 1001U);
        isn = answer.seq;
        inject({.flags = ack, .seq = 1001, .ack = isn + 1});
    }

    /// A connection that the stack has accepted.
    int accepted(bool nonblocking) {
        const int listening = listener(true);
        handshake();
        const int fd = table.accept(u, listening, nullptr, nullptr);
        EXPECT_GE(fd, 0);
        if (nonblocking) {
            EXPECT_EQ(table.fcntl(u, fd, F_SETFL, O_NONBLOCK), 0);
        }
        return fd;
    }

    packetdrill_interface table{};
    void* u = nullptr;
    std::uint32_t isn = 0;
};

TEST_F(PacketdrillAdapter, ServesAConversation) {
    const int listening = listener(true);
    EXPECT_EQ(table.accept(u, listening, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
    handshake();
    sockaddr_in remote{};
    socklen_t length = sizeof remote;
    const int fd = table.accept(u, listening, reinterpret_cast<sockaddr*>(&remote), &length);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(remote.sin_port, htons(peer_port));
    EXPECT_EQ(remote.sin_addr.s_addr, htonl(peer));
    EXPECT_EQ(table.fcntl(u, fd, F_GETFL), O_RDWR);

    inject({.flags = psh | ack, .seq = 1001, .ack = isn + 1, .data = "hello"});
    std::array<char, 100> buffer{};
    EXPECT_EQ(table.read(u, fd, buffer.data(), 2), 2);
    int unread = 0;
    EXPECT_EQ(table.ioctl(u, fd, 0x541BUL /* FIONREAD */, &unread), 0);
    EXPECT_EQ(unread, 3);
    EXPECT_EQ(table.recv(u, fd, buffer.data() + 2, 98, 0), 3);
    EXPECT_EQ((std::string_view{buffer.data(), 5}), "hello");
    EXPECT_EQ(next().ack, 1006U);

    EXPECT_EQ(table.write(u, fd, "world", 5), 5);
    const Segment data = next();
    EXPECT_EQ(data.data, "world");
    EXPECT_EQ(data.seq, isn + 1);
    inject({.flags = fin | ack, .seq = 1006, .ack = isn + 6});
    EXPECT_EQ(table.read(u, fd, buffer.data(), buffer.size()), 0);
    EXPECT_EQ(next().ack, 1007U);
    EXPECT_EQ(table.close(u, fd), 0);
    EXPECT_EQ(next().flags, fin | ack);
    EXPECT_EQ(table.read(u, fd, buffer.data(), buffer.size()), -1);
    EXPECT_EQ(errno, EBADF);
    inject({.flags = ack, .seq = 1007, .ack = isn + 7});
    EXPECT_EQ(next().flags, 0);  // nothing more, however long one waits
    EXPECT_EQ(table.close(u, listening), 0);
}

TEST_F(PacketdrillAdapter, ABlockingAcceptEndsAtTheInstantOfTheHandshake) {
    const int listening = listener(false);
    const long long before = usecs_now();
    std::atomic<int> fd = -2;
    long long returned = 0;
    Waiting caller{[&] {
        const int got = table.accept(u, listening, nullptr, nullptr);
        returned = usecs_now();  // as packetdrill's thread does
        fd = got;
    }};
    EXPECT_EQ(table.usleep(u, 250'000), 0);
    EXPECT_EQ(fd, -2);
    handshake();
    EXPECT_EQ(table.usleep(u, 3'000'000), 0);  // the thread may wake as late as it likes
    caller.join();
    EXPECT_GE(fd, 0);
    EXPECT_GE(returned, before + 250'000);
    EXPECT_LT(returned, before + 251'000);
}

TEST_F(PacketdrillAdapter, ABlockingPollTimesOutInVirtualTimeThoughNobodyMovesIt) {
    pollfd fds{.fd = listener(false), .events = POLLIN, .revents = 0};
    const long long before = usecs_now();
    int result = -2;
    long long returned = 0;
    std::jthread caller{[&] {
        result = table.poll(u, &fds, 1, 3'600'000);
        returned = usecs_now();
    }};
    caller.join();
    EXPECT_EQ(result, 0);
    EXPECT_GE(returned, before + 3'600'000'000LL);
    EXPECT_LT(returned, before + 3'600'001'000LL);
}

TEST_F(PacketdrillAdapter, ABlockingWriteWaitsForTheWindow) {
    const int fd = accepted(false);
    const int room = 1000;  // doubled
    EXPECT_EQ(table.setsockopt(u, fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    const std::string octets(3000, 'x');
    std::atomic<ssize_t> written = -2;
    Waiting caller{[&] { written = table.write(u, fd, octets.data(), octets.size()); }};
    std::size_t sent = 0;
    while (sent < octets.size()) {
        const Segment segment = next();
        ASSERT_NE(segment.flags, 0);
        ASSERT_EQ(segment.seq, isn + 1 + sent);
        sent += segment.data.size();
        inject({.flags = ack, .seq = 1001, .ack = static_cast<std::uint32_t>(isn + 1 + sent)});
    }
    caller.join();
    EXPECT_EQ(written, 3000);
}

TEST_F(PacketdrillAdapter, TheReceiveWindowFollowsReads) {
    load("192.168.0.1,sysctls=0,receive_buffer=4000,window_scaling=0");
    const int fd = accepted(true);
    const std::string octets(1000, 'x');
    for (std::uint32_t i = 0; i < 4; ++i)
        inject({.flags = psh | ack, .seq = 1001 + 1000 * i, .ack = isn + 1, .data = octets});
    Packet packet(65536);
    std::size_t size = packet.size();
    long long time = 0;
    std::uint32_t window = 65535;
    while (window != 0) {
        size = packet.size();
        ASSERT_EQ(table.netdev_receive(u, packet.data(), &size, &time), 0);
        ASSERT_GE(size, header_size);
        window = get(packet, 34, 2);
    }
    std::string buffer(4000, ' ');
    EXPECT_EQ(table.read(u, fd, buffer.data(), buffer.size()), 4000);
    size = packet.size();
    ASSERT_EQ(table.netdev_receive(u, packet.data(), &size, &time), 0);
    ASSERT_GE(size, header_size);
    EXPECT_EQ(get(packet, 34, 2), 4000U);
}

TEST_F(PacketdrillAdapter, ClosingWithUnreadDataSendsAReset) {
    const int fd = accepted(true);
    inject({.flags = psh | ack, .seq = 1001, .ack = isn + 1, .data = "unread"});
    EXPECT_EQ(next().ack, 1007U);
    EXPECT_EQ(table.close(u, fd), 0);
    EXPECT_NE(next().flags & rst, 0);
}

TEST_F(PacketdrillAdapter, ConnectsAndReportsARefusal) {
    const int fd = make_socket(true);
    EXPECT_EQ(connect(fd), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    const Segment first = next();
    EXPECT_EQ(first.flags, syn);
    pollfd fds{.fd = fd, .events = POLLOUT, .revents = 0};
    EXPECT_EQ(table.poll(u, &fds, 1, 0), 0);
    inject({.flags = rst | ack, .seq = 0, .ack = first.seq + 1});
    EXPECT_EQ(table.poll(u, &fds, 1, 0), 1);
    EXPECT_NE(fds.revents & POLLERR, 0);
    int error = 0;
    socklen_t length = sizeof error;
    EXPECT_EQ(table.getsockopt(u, fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    EXPECT_EQ(error, ECONNREFUSED);
}

TEST_F(PacketdrillAdapter, AResetIsToldOnceAndThenItIsABrokenPipe) {
    const int fd = accepted(true);
    inject({.flags = rst, .seq = 1001});
    EXPECT_EQ(table.write(u, fd, "x", 1), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(table.write(u, fd, "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
}

TEST_F(PacketdrillAdapter, ReportsAnEdgeOnce) {
    const int fd = accepted(true);
    const int epoll = table.epoll_create(u, 1);
    ASSERT_GE(epoll, 0);
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = fd}};
    ASSERT_EQ(table.epoll_ctl(u, epoll, EPOLL_CTL_ADD, fd, &event), 0);
    EXPECT_EQ(table.epoll_wait(u, epoll, &event, 1, 0), 0);
    for (std::uint32_t i = 0; i < 2; ++i) {
        inject({.flags = psh | ack, .seq = 1001 + i, .ack = isn + 1, .data = "x"});
        EXPECT_EQ(table.epoll_wait(u, epoll, &event, 1, 0), 1);
        EXPECT_EQ(event.events, std::uint32_t{EPOLLIN});
        EXPECT_EQ(event.data.fd, fd);
        EXPECT_EQ(table.epoll_wait(u, epoll, &event, 1, 0), 0);
    }
}

TEST_F(PacketdrillAdapter, SetsWhatTheStackHasAndRefusesTheRest) {
    const int fd = listener(true);
    const int on = 1;
    EXPECT_EQ(table.setsockopt(u, fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    int value = 0;
    socklen_t length = sizeof value;
    EXPECT_EQ(table.getsockopt(u, fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
    EXPECT_EQ(value, 1);
    const int seconds = 5;
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds), 0);
    EXPECT_EQ(table.getsockopt(u, fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &length), 0);
    EXPECT_EQ(value, 5);
    const int none = 0;
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_KEEPCNT, &none, sizeof none), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_CONGESTION, "newreno", 7), 0);
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_CONGESTION, "vegas", 5), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_MD5SIG, &on, sizeof on), -1);
    EXPECT_EQ(errno, ENOPROTOOPT);
}

TEST_F(PacketdrillAdapter, AnOptionOfTheListenerHoldsForWhatItAccepts) {
    const int listening = make_socket(true);
    const int on = 1, seconds = 5;
    EXPECT_EQ(table.setsockopt(u, listening, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
    EXPECT_EQ(table.setsockopt(u, listening, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds), 0);
    const sockaddr_in local = address_of(us, our_port);
    ASSERT_EQ(table.bind(u, listening, reinterpret_cast<const sockaddr*>(&local), sizeof local), 0);
    ASSERT_EQ(table.listen(u, listening, 1), 0);
    handshake();
    const long long before = usecs_now();
    const Segment probe = next();
    EXPECT_EQ(probe.flags, ack);
    EXPECT_EQ(probe.seq, isn);
    EXPECT_NEAR(static_cast<double>(probe.time_usecs - before), 5e6, 1e4);
}

TEST_F(PacketdrillAdapter, CorkAndMoreHoldWhatIsSmall) {
    const int fd = accepted(true);
    const int on = 1, off = 0;
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on), 0);
    EXPECT_EQ(table.write(u, fd, "a", 1), 1);
    EXPECT_EQ(table.write(u, fd, "b", 1), 1);
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off), 0);
    EXPECT_EQ(next().data, "ab");
    inject({.flags = ack, .seq = 1001, .ack = isn + 3});
    EXPECT_EQ(table.send(u, fd, "c", 1, MSG_MORE), 1);
    EXPECT_EQ(table.send(u, fd, "d", 1, 0), 1);
    EXPECT_EQ(next().data, "cd");
}

TEST_F(PacketdrillAdapter, AnOptionSetWhileListeningHoldsFromThenOn) {
    const int listening = listener(true);
    const int mss = 1100, on = 1;
    EXPECT_EQ(table.setsockopt(u, listening, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss), 0);
    inject({.flags = syn, .seq = 1000});
    EXPECT_EQ(next().options, (std::string{"\x02\x04\x04\x4c", 4}));
    inject({.flags = rst, .seq = 1001});
    const int small = 10;
    EXPECT_EQ(table.setsockopt(u, listening, IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small), -1);
    EXPECT_EQ(errno, EINVAL);

    EXPECT_EQ(table.setsockopt(u, listening, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof on), 0);
    inject({.flags = syn, .seq = 2000, .options = {"\x22\x02\x01\x01", 4}});
    EXPECT_EQ(next().options.substr(4, 2), "\x22\x0a");
}

TEST_F(PacketdrillAdapter, UnderLinuxsKeyAFastOpenCookieIsLinuxs) {
    load("192.168.0.1,sysctls=0,fast_open=1027,fast_open_key=a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
    const int listening = listener(true);
    const std::string cookie = "\x22\x0a\x30\x21\xb9\xd8\x89\x01\x7e\xeb\x01\x01";
    inject({.flags = syn, .seq = 1000, .options = {"\x22\x02\x01\x01", 4}});
    EXPECT_EQ(next().options, (std::string{"\x02\x04\x05\xb4", 4} + cookie));
    inject({.flags = rst, .seq = 1001});
    inject({.flags = syn, .seq = 2000, .data = "early", .options = cookie});
    EXPECT_EQ(next().ack, 2006U);
    const int fd = table.accept(u, listening, nullptr, nullptr);
    ASSERT_GE(fd, 0);
    std::array<char, 10> buffer{};
    EXPECT_EQ(table.read(u, fd, buffer.data(), buffer.size()), 5);
}

TEST_F(PacketdrillAdapter, ADeferredAcceptWaitsForData) {
    const int listening = listener(true);
    const int seconds = 5;
    EXPECT_EQ(table.setsockopt(u, listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds), 0);
    handshake();
    EXPECT_EQ(table.accept(u, listening, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
    inject({.flags = psh | ack, .seq = 1001, .ack = isn + 1, .data = "hello"});
    EXPECT_GE(table.accept(u, listening, nullptr, nullptr), 0);
}

TEST_F(PacketdrillAdapter, LingerInFinWait2IsTheSockets) {
    const int fd = accepted(true);
    const int second = 1;
    EXPECT_EQ(table.setsockopt(u, fd, IPPROTO_TCP, TCP_LINGER2, &second, sizeof second), 0);
    EXPECT_EQ(table.close(u, fd), 0);
    EXPECT_EQ(next().flags, fin | ack);
    inject({.flags = ack, .seq = 1001, .ack = isn + 2});
    EXPECT_EQ(table.usleep(u, 900'000), 0);
    inject({.flags = ack, .seq = 1001, .ack = isn + 2});  // still there
    EXPECT_EQ(table.usleep(u, 300'000), 0);
    inject({.flags = ack, .seq = 1001, .ack = isn + 2});
    EXPECT_EQ(next().flags, rst);
}

TEST_F(PacketdrillAdapter, SaysWhatIsWrongWithItsSettings) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    EXPECT_EXIT(load("192.168.0.1,colour=blue"), testing::ExitedWithCode(1), "no setting \"colour\"");
    EXPECT_EXIT(load("192.168.0.1,fast_open_key=1-2-3"), testing::ExitedWithCode(1), "give a key as");
    EXPECT_EXIT(load("localhost"), testing::ExitedWithCode(1), "give the stack's IPv4 address first");
}

}  // namespace
}  // namespace runnel::test
