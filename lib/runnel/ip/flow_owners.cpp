#include "runnel/ip/flow_owners.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

namespace runnel::ip {

FlowOwners::FlowOwners(std::span<const std::uint8_t> key, std::vector<std::uint16_t> redirection)
    : toeplitz_(key),
      redirection_(std::move(redirection)),
      mask_(static_cast<std::uint32_t>(redirection_.size() - 1)) {
    if (!std::has_single_bit(redirection_.size()) || redirection_.size() > most_entries)
        throw std::invalid_argument("RSS table: it has " + std::to_string(redirection_.size()) +
                                    " entries; give a power of two, at most " + std::to_string(most_entries));
}

FlowOwners FlowOwners::evenly(unsigned cores) {
    if (cores == 0 || cores > most_entries)
        throw std::invalid_argument("cores: flows cannot be spread over " + std::to_string(cores) +
                                    "; give 1 to " + std::to_string(most_entries));
    // Sixteen entries a core keep the shares within a sixteenth of one another.
    const std::size_t entries =
        std::clamp<std::size_t>(std::bit_ceil(std::size_t{cores} * 16), 128, most_entries);
    std::vector<std::uint16_t> redirection(entries);
    for (std::size_t i = 0; i < entries; ++i) redirection[i] = static_cast<std::uint16_t>(i % cores);
    std::array<std::uint8_t, wire::Toeplitz::least_ipv6_key> key;
    std::random_device entropy;
    for (std::uint8_t& octet : key) octet = static_cast<std::uint8_t>(entropy());
    return {key, std::move(redirection)};
}

}  // namespace runnel::ip
