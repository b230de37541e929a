// ICMP messages, and the packets that its errors quote.
#include <array>

#include "runnel/wire/icmp.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    using runnel::fuzz::require;
    const auto octets = runnel::fuzz::octets_of(data, size);
    const auto view = IcmpView::parse(octets);
    require(view.has_value() == (size >= icmp_header_size),
            "a message is refused for being short, and only so");
    if (!view) return 0;
    require(view->payload().size() + icmp_header_size == size, "header and payload are the message");
    runnel::fuzz::touch(view->payload());
    static_cast<void>(is_icmp_error(view->type()));
    if (const auto quoted = parse_quoted_packet(view->payload()))
        require(view->payload().size() >= ipv4_header_size + 8, "a quote that is read holds ports");

    std::array<std::byte, icmp_header_size> written{};
    write(IcmpHeader{.type = view->type(),
                     .code = view->code(),
                     .checksum = view->checksum(),
                     .rest = std::uint32_t{view->identifier()} << 16 | view->sequence()},
          written);
    for (std::size_t i = 0; i < icmp_header_size; ++i)
        require(written[i] == octets[i], "the header written is the header read");
    return 0;
}
