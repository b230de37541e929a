// See digest.hpp.
#include "engine/digest.hpp"

#include <iterator>
#include <stdexcept>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace runnel::load {

std::string to_string(const Sha256& digest) {
    std::string text;
    for (const std::uint8_t octet : digest) fmt::format_to(std::back_inserter(text), "{:02x}", octet);
    return text;
}

void Digest::Free::operator()(evp_md_ctx_st* context) const noexcept {
    EVP_MD_CTX_free(context);
}

Digest::Digest() : context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("--digest: libcrypto of this machine offers no SHA-256; leave out --digest");
}

void Digest::begin() noexcept {
    // With the same algorithm again: the context is used as it is.
    (void)EVP_DigestInit_ex(context_.get(), nullptr, nullptr);
}

void Digest::add(std::span<const std::byte> octets) noexcept {
    (void)EVP_DigestUpdate(context_.get(), octets.data(), octets.size());
}

Sha256 Digest::finish() noexcept {
    Sha256 digest{};
    (void)EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
    return digest;
}

}  // namespace runnel::load
