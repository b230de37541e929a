// SHA-256 of a stream that comes in pieces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;

namespace runnel::load {

using Sha256 = std::array<std::uint8_t, 32>;

/// As `sha256sum` prints it.
[[nodiscard]] std::string to_string(const Sha256& digest);

/// All memory is taken by the constructor. One thread at a time.
class Digest {
  public:
    /// Throws `std::runtime_error` where libcrypto offers no SHA-256.
    Digest();

    /// Forgets what was added before.
    void begin() noexcept;
    void add(std::span<const std::byte> octets) noexcept;
    /// Of all that was added since `begin()`, which is to be called next.
    [[nodiscard]] Sha256 finish() noexcept;

  private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const noexcept;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace runnel::load
