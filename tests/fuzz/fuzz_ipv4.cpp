// IPv4 headers and their options.
#include <array>

#include "runnel/wire/ipv4.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    using runnel::fuzz::require;
    const auto octets = runnel::fuzz::octets_of(data, size);
    static_cast<void>(check_ipv4_options(octets));

    Ipv4View view;
    if (Ipv4View::parse(octets, view) != Ipv4Fault::none) return 0;
    require(view.header_size() + view.payload().size() == view.total_length() && view.total_length() <= size,
            "header and payload are the packet, and the packet lies in its buffer");
    runnel::fuzz::touch(view.payload());
    static_cast<void>(check_ipv4_options(view.options()));

    const Ipv4Header header{.tos = view.tos(),
                            .total_length = static_cast<std::uint16_t>(view.total_length()),
                            .id = view.id(),
                            .dont_fragment = view.dont_fragment(),
                            .ttl = view.ttl(),
                            .protocol = view.protocol(),
                            .checksum = view.checksum(),
                            .source = view.source(),
                            .destination = view.destination()};
    std::array<std::byte, ipv4_header_size> written{};
    write(header, written);
    for (std::size_t i = 1; i < ipv4_header_size; ++i)
        if (i != 6 && i != 7)  // a header that we send has no options and is no fragment
            require(written[i] == octets[i], "the header written is the header read");
    return 0;
}
