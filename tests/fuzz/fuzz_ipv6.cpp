// IPv6 headers, the chain of extension headers, ICMPv6 and Neighbour Discovery.
#include <array>

#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/neighbour_discovery.hpp"

#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    using runnel::fuzz::require;
    const auto octets = runnel::fuzz::octets_of(data, size);
    static_cast<void>(carries_icmpv6_error(octets));
    static_cast<void>(parse_quoted_ipv6_packet(octets));
    static_cast<void>(parse_neighbour_message(octets));

    if (check_ipv6_header(octets, size) != Ipv6Fault::none) return 0;
    const Ipv6Header header = load_ipv6_header(octets.data());
    std::array<std::byte, ipv6_header_size> written{};
    write(header, written);
    for (std::size_t i = 0; i < ipv6_header_size; ++i)
        require(written[i] == octets[i], "the header written is the header read");

    const std::size_t length = ipv6_header_size + header.payload_length;
    const Ipv6Chain chain = walk_ipv6_chain(octets, length);
    require(chain.offset >= ipv6_header_size && chain.offset <= length,
            "the upper layer begins within the packet, behind the header");
    require(chain.next_header_field < length, "who names the upper layer stands in the packet");
    if (chain.verdict == Ipv6Verdict::parameter_problem)
        require(chain.pointer < length, "what is wrong stands in the packet");
    const auto upper = octets.subspan(chain.offset, length - chain.offset);
    runnel::fuzz::touch(upper);
    if (chain.protocol != icmpv6_protocol || chain.verdict != Ipv6Verdict::deliver) return 0;
    const auto message = parse_icmpv6(upper);
    require(message.has_value() == (upper.size() >= icmpv6_header_size),
            "a message is refused for being short, and only so");
    if (!message) return 0;
    static_cast<void>(parse_quoted_ipv6_packet(upper.subspan(icmpv6_header_size)));
    if (const auto neighbour = parse_neighbour_message(upper))
        require(!neighbour->target.is_multicast() && upper.size() >= neighbour_message_size,
                "a message that is read is valid");
    return 0;
}
