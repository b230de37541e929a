// Ethernet headers and VLAN tags.
#include <algorithm>
#include <array>

#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/vlan.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    using runnel::fuzz::require;
    const auto octets = runnel::fuzz::octets_of(data, size);
    const auto view = EthernetView::parse(octets);
    require(view.has_value() == (size >= ethernet_header_size),
            "a frame is refused for being short, and only so");
    if (!view) return 0;
    require(view->payload().size() + ethernet_header_size == size, "header and payload are the frame");
    runnel::fuzz::touch(view->payload());

    std::array<std::byte, ethernet_header_size> header{};
    write(view->header(), header);
    require(std::equal(header.begin(), header.end(), octets.begin()),
            "the header written is the header read");

    const auto tag = parse_vlan_tag(view->payload());
    require(tag.has_value() == (view->payload().size() >= vlan_tag_size),
            "a tag is refused for being short, and only so");
    if (!tag) return 0;
    std::array<std::byte, vlan_tag_size> written{};
    write(*tag, written);
    require(std::equal(written.begin(), written.end(), view->payload().begin()),
            "the tag written is the tag read");
    return 0;
}
