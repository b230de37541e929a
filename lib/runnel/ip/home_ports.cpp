#include "runnel/ip/home_ports.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>
#include <utility>

namespace runnel::ip {

namespace {

constexpr unsigned port_bits = 16;

// A basis vector of M's image, and a port that M takes to it.
struct Pivot {
    std::uint32_t image;
    std::uint16_t port;
};

}  // namespace

HomePorts::HomePorts(std::shared_ptr<const FlowOwners> owners, std::uint16_t core)
    : owners_(std::move(owners)), core_(core), ipv4_(*owners_, core, false) {
    if (owners_->toeplitz().hashes_ipv6()) ipv6_.emplace(*owners_, core, true);
}

HomePorts::Map::Map(const FlowOwners& owners, std::uint16_t core, bool ipv6) {
    const auto redirection = owners.redirection();
    if (std::ranges::find(redirection, core) == redirection.end())
        throw std::invalid_argument("RSS table: none of its " + std::to_string(redirection.size()) +
                                    " entries leads to core " + std::to_string(core) +
                                    "; take as many cores as the table has queues");
    const auto mask = static_cast<std::uint32_t>(redirection.size() - 1);

    // Gauss and Jordan: each pivot's leading bit stands in no other pivot, and what comes out as zero is the
    // kernel.
    std::vector<Pivot> pivots;
    std::vector<std::uint16_t> kernel;
    for (unsigned bit = 0; bit < port_bits; ++bit) {
        const auto port = static_cast<std::uint16_t>(1U << bit);
        Pivot next{owners.toeplitz().of_destination_port(port, ipv6) & mask, port};
        const auto add = [](Pivot& to, const Pivot& what) {
            to.image ^= what.image;
            to.port = static_cast<std::uint16_t>(to.port ^ what.port);
        };
        for (const Pivot& pivot : pivots)
            if ((next.image & std::bit_floor(pivot.image)) != 0) add(next, pivot);
        if (next.image == 0) {
            kernel.push_back(next.port);
            continue;
        }
        for (Pivot& pivot : pivots)
            if ((pivot.image & std::bit_floor(next.image)) != 0) add(pivot, next);
        pivots.push_back(next);
    }

    kernel_bits_ = static_cast<unsigned>(kernel.size());
    for (unsigned half = 0; half < 2; ++half) {
        const unsigned first = 8 * half;
        const unsigned bits = kernel_bits_ > first ? std::min(kernel_bits_ - first, 8U) : 0;
        kernel_masks_[half] = (1U << bits) - 1;
        for (unsigned value = 1; value < 1U << bits; ++value)
            kernel_[half][value] =
                static_cast<std::uint16_t>(kernel_[half][value & (value - 1)] ^
                                           kernel[first + static_cast<unsigned>(std::countr_zero(value))]);
    }
    particular_.resize(std::size_t{1} << pivots.size());
    for (unsigned value = 1; value < particular_.size(); ++value)
        particular_[value] = static_cast<std::uint16_t>(
            particular_[value & (value - 1)] ^ pivots[static_cast<unsigned>(std::countr_zero(value))].port);

    std::vector<std::uint32_t> cosets;  // by what is left of an index without the basis
    places_.resize(redirection.size());
    for (std::uint32_t index = 0; index < redirection.size(); ++index) {
        std::uint32_t left = index;
        Place& place = places_[index];
        for (std::size_t i = 0; i < pivots.size(); ++i) {
            if ((left & std::bit_floor(pivots[i].image)) == 0) continue;
            left ^= pivots[i].image;
            place.coordinates = static_cast<std::uint16_t>(place.coordinates | 1U << i);
        }
        const auto known = std::ranges::find(cosets, left);
        place.coset = static_cast<std::uint16_t>(known - cosets.begin());
        if (known == cosets.end()) cosets.push_back(left);
    }
    shares_.resize(cosets.size());
    for (std::uint32_t index = 0; index < redirection.size(); ++index)
        if (redirection[index] == core)
            shares_[places_[index].coset].coordinates.push_back(places_[index].coordinates);
    for (Share& share : shares_) {
        if (share.coordinates.empty()) continue;  // from there nothing leads home
        share.bits = kernel_bits_ + static_cast<unsigned>(std::bit_width(share.coordinates.size() - 1));
    }
}

HomePorts::Candidates HomePorts::towards(const IpAddress& remote, std::uint16_t remote_port,
                                         const IpAddress& local) const noexcept {
    const wire::Toeplitz& toeplitz = owners_->toeplitz();
    const bool ipv6 = !remote.is_v4();
    const std::uint32_t hash = ipv6 ? toeplitz.hash(remote.v6(), local.v6(), remote_port, 0)
                                    : toeplitz.hash(remote.v4(), local.v4(), remote_port, 0);
    const Map& map = ipv6 ? *ipv6_ : ipv4_;
    const Place start = map.places_[hash & (map.places_.size() - 1)];
    // A port moves the index within the coset that it starts in, no further.
    const Share& share = map.shares_[start.coset];
    return {map, share.coordinates, start.coordinates, share.bits};
}

}  // namespace runnel::ip
