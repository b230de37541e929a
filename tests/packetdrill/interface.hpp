// What packetdrill asks of a stack in a shared object: a table of calls, to be filled in by one exported
// function. The order of the members is the binary interface.
#pragma once

#include <cstddef>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

extern "C" {

/// Each call takes `userdata` first and is otherwise as POSIX has it: -1 and errno for an error. Calls come
/// from two threads: one runs the script, the other makes the calls that the script expects to block.
struct packetdrill_interface {
    void* userdata;
    void (*free)(void* userdata);

    int (*socket)(void* userdata, int domain, int type, int protocol);
    int (*bind)(void* userdata, int fd, const sockaddr* address, socklen_t length);
    int (*listen)(void* userdata, int fd, int backlog);
    int (*accept)(void* userdata, int fd, sockaddr* address, socklen_t* length);
    int (*connect)(void* userdata, int fd, const sockaddr* address, socklen_t length);

    ssize_t (*read)(void* userdata, int fd, void* to, size_t size);
    ssize_t (*readv)(void* userdata, int fd, const iovec* parts, int count);
    ssize_t (*recv)(void* userdata, int fd, void* to, size_t size, int flags);
    ssize_t (*recvfrom)(void* userdata, int fd, void* to, size_t size, int flags, sockaddr* address,
                        socklen_t* length);
    ssize_t (*recvmsg)(void* userdata, int fd, msghdr* message, int flags);

    ssize_t (*write)(void* userdata, int fd, const void* from, size_t size);
    ssize_t (*writev)(void* userdata, int fd, const iovec* parts, int count);
    ssize_t (*send)(void* userdata, int fd, const void* from, size_t size, int flags);
    ssize_t (*sendto)(void* userdata, int fd, const void* from, size_t size, int flags,
                      const sockaddr* address, socklen_t length);
    ssize_t (*sendmsg)(void* userdata, int fd, const msghdr* message, int flags);

    int (*fcntl)(void* userdata, int fd, int command, ...);
    int (*ioctl)(void* userdata, int fd, unsigned long request, ...);
    int (*close)(void* userdata, int fd);
    int (*shutdown)(void* userdata, int fd, int how);
    int (*getsockopt)(void* userdata, int fd, int level, int name, void* value, socklen_t* length);
    int (*setsockopt)(void* userdata, int fd, int level, int name, const void* value, socklen_t length);
    int (*poll)(void* userdata, pollfd* fds, nfds_t count, int timeout);

    /// Gives the stack an IPv4 or IPv6 packet. 0, or -1.
    int (*netdev_send)(void* userdata, const void* packet, size_t size);
    /// Takes the next packet that the stack sends, and when it did, in microseconds. `*size` is the room,
    /// then the packet's size, 0 where none will ever come.
    int (*netdev_receive)(void* userdata, void* packet, size_t* size, long long* time_usecs);

    int (*usleep)(void* userdata, useconds_t usecs);
    int (*gettimeofday)(void* userdata, timeval* time, struct timezone* zone);
    int (*epoll_create)(void* userdata, int size);
    int (*epoll_ctl)(void* userdata, int epoll_fd, int operation, int fd, epoll_event* event);
    int (*epoll_wait)(void* userdata, int epoll_fd, epoll_event* events, int room, int timeout);
    int (*pipe)(void* userdata, int fds[2]);
    int (*splice)(void* userdata, int fd_in, loff_t* offset_in, int fd_out, loff_t* offset_out, size_t size,
                  unsigned int flags);
};

/// Fills the table in. `so_flags` is the stack's IPv4 address and settings, see settings.hpp.
void packetdrill_interface_init(const char* so_flags, packetdrill_interface* table);
}
