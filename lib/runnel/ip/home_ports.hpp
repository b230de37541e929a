// The local ports whose replies come home: where cores share an address, the port of a connection that a core
// opens decides which core its replies reach (FlowOwners), so a core opens from those ports only that
// lead to itself.
//
// They are enumerated, not searched. The hash is linear: index = start(remote, local, remote port) + M port
// over GF(2), of which the low bits choose the entry of the redirection table. M is brought to echelon form
// once: then a port for any wanted index is one look-up, and adding what M takes to zero (its kernel) gives
// all the others.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/ip/flow_owners.hpp"

namespace runnel::ip {

/// The ports of one core. Never changes; a stack holds it by its configuration.
class HomePorts {
    class Map;

  public:
    /// Throws `std::invalid_argument` where no entry of the table is the core's.
    HomePorts(std::shared_ptr<const FlowOwners> owners, std::uint16_t core);

    /// Towards one destination: candidates are numbered 0 to 2^bits - 1, and each port that leads home there
    /// has exactly one number.
    class Candidates {
      public:
        [[nodiscard]] unsigned bits() const noexcept { return bits_; }
        /// The candidate of a number; 0 where the number has none, which are fewer than half of them.
        [[nodiscard]] std::uint16_t operator[](std::uint32_t number) const noexcept {
            const std::uint32_t entry = number >> map_.kernel_bits_;
            if (entry >= coordinates_->size()) [[unlikely]]
                return 0;
            return static_cast<std::uint16_t>(map_.particular_[(*coordinates_)[entry] ^ start_] ^
                                              map_.in_kernel(number));
        }

      private:
        friend class HomePorts;
        Candidates(const Map& map, const std::vector<std::uint16_t>& coordinates, std::uint16_t start,
                   unsigned bits) noexcept
            : map_(map), coordinates_(&coordinates), start_(start), bits_(bits) {}

        const Map& map_;
        const std::vector<std::uint16_t>* coordinates_;  // of the core's entries
        std::uint16_t start_;
        unsigned bits_;
    };
    /// Both addresses are of one family; of IPv6 only where the key hashes it.
    [[nodiscard]] Candidates towards(const IpAddress& remote, std::uint16_t remote_port,
                                     const IpAddress& local) const noexcept;

    /// Whether replies to that port reach this core.
    [[nodiscard]] bool contains(const IpAddress& remote, std::uint16_t remote_port, const IpAddress& local,
                                std::uint16_t local_port) const noexcept {
        return owners_->owner(remote, local, remote_port, local_port) == core_;
    }
    [[nodiscard]] std::uint16_t core() const noexcept { return core_; }
    /// The key hashes IPv6: its connections can be opened.
    [[nodiscard]] bool knows_ipv6() const noexcept { return ipv6_.has_value(); }

  private:
    // Where an index lies: in which coset of M's image, and by which combination of the basis it is reached
    // there.
    struct Place {
        std::uint16_t coset = 0, coordinates = 0;
    };
    // The core's entries in one coset: all there are, where M has full rank.
    struct Share {
        std::vector<std::uint16_t> coordinates;
        unsigned bits = 0;
    };
    // M of one family, solved: the port's bits meet other bits of the key in each.
    class Map {
      public:
        Map(const FlowOwners& owners, std::uint16_t core, bool ipv6);
        [[nodiscard]] std::uint16_t in_kernel(std::uint32_t number) const noexcept {
            return static_cast<std::uint16_t>(kernel_[0][number & kernel_masks_[0]] ^
                                              kernel_[1][number >> 8 & kernel_masks_[1]]);
        }

        unsigned kernel_bits_ = 0;
        std::array<std::uint32_t, 2> kernel_masks_{};
        std::array<std::array<std::uint16_t, 256>, 2>
            kernel_{};                           // sums of the kernel's basis, by eight of it
        std::vector<std::uint16_t> particular_;  // by coordinates: a port that leads there
        std::vector<Place> places_;              // by index
        std::vector<Share> shares_;              // by coset
    };

    std::shared_ptr<const FlowOwners> owners_;
    std::uint16_t core_;
    Map ipv4_;
    std::optional<Map> ipv6_;  // where the key hashes it
};

}  // namespace runnel::ip
