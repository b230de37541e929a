#include "runnel/base/keyed_hash.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <system_error>

#include <sys/random.h>

namespace runnel {

HashKey random_hash_key() {
    std::array<std::uint64_t, 2> words{};
    std::span<std::byte> rest = std::as_writable_bytes(std::span{words});
    while (!rest.empty()) {
        const ssize_t n = getrandom(rest.data(), rest.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            throw std::system_error(errno, std::generic_category(),
                                    "no random numbers for the hash key: getrandom");
        rest = rest.subspan(static_cast<std::size_t>(n));
    }
    return {words[0], words[1]};
}

}  // namespace runnel
