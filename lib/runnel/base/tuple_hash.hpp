// A keyed hash of twelve octets, for the table of connections, and of IPv6 addresses: three rounds of AES
// where the processor has them, SipHash-1-3 elsewhere. It is asked once for each packet.
//
// What it has to stand against is somebody who chooses the octets and wants them to fall together. He sees no
// hash, only how long a search takes, and the round keys are secret. Each octet of the input has reached each
// of the state after two rounds (J. Daemen and V. Rijmen, "The Design of Rijndael", 2002, section 9.5); the
// third hides which differences meet.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runnel/base/keyed_hash.hpp"

namespace runnel {

/// Immutable: any thread may ask.
class TupleHash {
  public:
    static constexpr std::size_t size = 12;  ///< octets of a tuple

    /// Which of the two functions; `native` is AES where this processor has its instructions.
    enum class Function : std::uint8_t { native, siphash };

    explicit TupleHash(HashKey key, Function function = Function::native) noexcept;

    /// The hash of the 12 octets at `tuple`.
    [[nodiscard]] std::uint32_t operator()(const void* tuple) const noexcept {
        std::uint32_t hash = 0;
        many(tuple, 0, 1, &hash);
        return hash;
    }
    /// The hashes of `count` tuples that lie `stride` octets apart, into `hashes`.
    void many(const void* first, std::size_t stride, std::size_t count, std::uint32_t* hashes) const noexcept;

    /// The hashes of the two IPv6 addresses at `pair`, 32 octets: both at once, as one must wait for the
    /// other's rounds least so.
    [[nodiscard]] std::array<std::uint64_t, 2> addresses(const void* pair) const noexcept;

    [[nodiscard]] bool uses_aes() const noexcept { return aes_; }

  private:
    struct alignas(16) RoundKey {
        std::array<std::uint64_t, 2> words;
    };
    void many_by_aes(const std::byte* at, std::size_t stride, std::size_t count,
                     std::uint32_t* hashes) const noexcept;
    [[nodiscard]] std::array<std::uint64_t, 2> addresses_by_aes(const std::byte* pair) const noexcept;

    HashKey key_;
    std::array<RoundKey, 4> round_keys_;
    bool aes_;
};

}  // namespace runnel
