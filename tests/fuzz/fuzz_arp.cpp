// ARP packets.
#include <algorithm>
#include <array>

#include "runnel/wire/arp.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    const auto octets = runnel::fuzz::octets_of(data, size);
    const auto packet = parse_arp(octets);
    if (!packet) return 0;
    std::array<std::byte, arp_packet_size> written{};
    write(*packet, written);
    runnel::fuzz::require(
        size >= arp_packet_size && std::equal(written.begin(), written.end(), octets.begin()),
        "the packet written is the packet read");
    return 0;
}
