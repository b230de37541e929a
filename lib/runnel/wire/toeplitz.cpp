#include "runnel/wire/toeplitz.hpp"

#include <stdexcept>
#include <string>

namespace runnel::wire {

Toeplitz::Toeplitz(std::span<const std::uint8_t> key)
    : octets_(key.size() < least_ipv6_key ? input_size : ipv6_input_size) {
    if (key.size() < least_key)
        throw std::invalid_argument("RSS key: it has " + std::to_string(key.size()) +
                                    " octets; addresses and ports need one of at least " +
                                    std::to_string(least_key));
    for (std::size_t octet = 0; octet < octets_; ++octet) {
        std::uint64_t window = 0;  // 40 bits of key, from this octet's place on
        for (std::size_t i = 0; i < 5; ++i)
            window = window << 8 | (octet + i < key.size() ? key[octet + i] : std::uint8_t{0});
        auto& table = tables_[octet];
        table[0] = 0;
        for (unsigned bit = 0; bit < 8; ++bit)
            table[1U << bit] = static_cast<std::uint32_t>(window >> (1 + bit));
        for (unsigned value = 1; value < 256; ++value)
            table[value] = table[value & (value - 1)] ^ table[value & -value];
    }
}

}  // namespace runnel::wire
