// UDP headers.
#include <algorithm>
#include <array>

#include "runnel/wire/udp.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    using runnel::fuzz::require;
    const auto octets = runnel::fuzz::octets_of(data, size);
    UdpView view;
    if (UdpView::parse(octets, view) != UdpFault::none) return 0;
    require(view.length() <= size && view.payload().size() + udp_header_size == view.length(),
            "header and payload are the datagram, and the datagram lies in its buffer");
    runnel::fuzz::touch(view.payload());

    std::array<std::byte, udp_header_size> written{};
    write(UdpHeader{.source_port = view.source_port(),
                    .destination_port = view.destination_port(),
                    .length = static_cast<std::uint16_t>(view.length()),
                    .checksum = view.checksum()},
          written);
    require(std::equal(written.begin(), written.end(), octets.begin()),
            "the header written is the header read");
    return 0;
}
