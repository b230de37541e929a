// Which core a TCP connection belongs to where several share one address: receive side scaling (RSS), told as
// a function. A port does it in hardware, or the cores do the same in software: the owner is one and the
// same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/toeplitz.hpp"

namespace runnel::ip {

/// A Toeplitz key and a redirection table. Read by any number of threads, changed by none.
class FlowOwners {
  public:
    static constexpr std::size_t most_entries = 4096;

    /// `redirection`: the core of each value that the low bits of the hash can have; its size is a power of
    /// two, at most `most_entries`. Throws `std::invalid_argument` where it is not, or where the key is too
    /// short.
    FlowOwners(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection);

    /// Under a key from the kernel's entropy, with a table that gives each of `cores` cores its share. Throws
    /// `std::invalid_argument` where there are more cores than entries, or none.
    [[nodiscard]] static FlowOwners evenly(unsigned cores);

    /// The core of a connection, by its addresses and ports as the port sees them in what it receives:
    /// `remote` is the source.
    [[nodiscard]] std::uint16_t owner(Ipv4Address remote, Ipv4Address local, std::uint16_t remote_port,
                                      std::uint16_t local_port) const noexcept {
        return owner(toeplitz_.hash(remote, local, remote_port, local_port));
    }
    [[nodiscard]] std::uint16_t owner(const Ipv6Address& remote, const Ipv6Address& local,
                                      std::uint16_t remote_port, std::uint16_t local_port) const noexcept {
        return owner(toeplitz_.hash(remote, local, remote_port, local_port));
    }
    /// Both addresses are of one family. Under a key too short for IPv6 its connections have no owner:
    /// `toeplitz().hashes_ipv6()`.
    [[nodiscard]] std::uint16_t owner(const IpAddress& remote, const IpAddress& local,
                                      std::uint16_t remote_port, std::uint16_t local_port) const noexcept {
        return remote.is_v4() ? owner(remote.v4(), local.v4(), remote_port, local_port)
                              : owner(remote.v6(), local.v6(), remote_port, local_port);
    }
    /// The core of a hash value.
    [[nodiscard]] std::uint16_t owner(std::uint32_t hash) const noexcept {
        return redirection_[hash & mask_];
    }

    [[nodiscard]] const wire::Toeplitz& toeplitz() const noexcept { return toeplitz_; }
    [[nodiscard]] std::span<const std::uint16_t> redirection() const noexcept { return redirection_; }

  private:
    wire::Toeplitz toeplitz_;
    std::vector<std::uint16_t> redirection_;
    std::uint32_t mask_;
};

}  // namespace runnel::ip
