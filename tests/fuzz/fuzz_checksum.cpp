// The Internet checksum of octets at every alignment, against a model, in pieces and by incremental update.
#include <algorithm>
#include <vector>

#include "runnel/wire/checksum.hpp"

#include "require.hpp"

namespace {

using namespace runnel::wire;
using runnel::fuzz::require;

std::uint16_t model_sum(std::span<const std::byte> octets) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < octets.size(); ++i)
        sum += std::to_integer<std::uint64_t>(octets[i]) << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<std::uint16_t>(sum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto octets = runnel::fuzz::octets_of(data, size);
    const std::uint16_t expected = model_sum(octets);
    for (std::size_t shift = 0; shift < 8; ++shift) {
        std::vector<std::byte> shifted(shift + size);
        std::copy(octets.begin(), octets.end(), shifted.begin() + static_cast<std::ptrdiff_t>(shift));
        require(checksum_add(std::span{shifted}.subspan(shift)) == expected,
                "alignment does not change the sum");
    }
    if (size < 4) return 0;

    const std::size_t cut = data[0] % (size / 2) * 2;
    require(checksum_fold(checksum_add(octets.subspan(cut), checksum_add(octets.first(cut)))) == expected,
            "the sum of two pieces is the sum of the whole");

    std::vector<std::byte> changed(octets.begin(), octets.end());
    const auto value = static_cast<std::uint16_t>(load_be16(octets, cut) ^ load_be16(octets, 0) ^ 0x5555);
    store_be16(changed, cut, value);
    if (expected != 0 && checksum_add(changed) != 0)
        require(checksum_update16(checksum_finish(expected), load_be16(octets, cut), value) ==
                    checksum_finish(checksum_add(changed)),
                "the checksum updated is the checksum computed anew");
    return 0;
}
