// A keyed function whose values peers may see without learning anything of the key or of other values:
// AES-128 of one block (FIPS 197) where the processor has its instructions, SipHash-2-4 elsewhere. For
// initial sequence numbers (RFC 6528) and ports (RFC 6056), which every connection asks for.
#pragma once

#include <array>
#include <cstdint>

#include "runnel/base/keyed_hash.hpp"

namespace runnel {

/// Immutable: any thread may ask.
class BlockPrf {
  public:
    /// Which of the two functions; `native` is AES where this processor has it.
    enum class Function : std::uint8_t { native, siphash };

    explicit BlockPrf(HashKey key, Function function = Function::native) noexcept;

    /// Of the block whose 16 octets are `a` and `b`, in little-endian order: its first 8 octets.
    [[nodiscard]] std::uint64_t operator()(std::uint64_t a, std::uint64_t b) const noexcept {
        return aes_ ? by_aes(a, b) : siphash_2_4(key_, a, b);
    }
    [[nodiscard]] bool uses_aes() const noexcept { return aes_; }

  private:
    struct alignas(16) RoundKey {
        std::array<std::uint64_t, 2> words;
    };
    void expand() noexcept;
    [[nodiscard]] std::uint64_t by_aes(std::uint64_t a, std::uint64_t b) const noexcept;

    HashKey key_;
    std::array<RoundKey, 11> round_keys_{};
    bool aes_;
};

}  // namespace runnel
