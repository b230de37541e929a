#include "runnel/wire/describe_membership.hpp"

#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/wire/byte_order.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/igmp.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/mld.hpp"

namespace runnel::wire {

namespace {

std::string_view name_of(GroupRecordType type) {
    static constexpr std::array<std::string_view, 7> names{"",      "is_in", "is_ex", "to_in",
                                                           "to_ex", "allow", "block"};
    const auto index = static_cast<std::size_t>(type);
    return index == 0 || index >= names.size() ? "[unknown record]" : names[index];
}

// The query itself; `version` as its family counts.
void append_query(std::string& line, const MembershipQuery& query, unsigned version) {
    line += fmt::format(" v{} [max resp {} ms]", version, query.max_response / Duration{1ms});
    if (query.group.is_unspecified()) return;
    line += fmt::format(" [gaddr {}", to_string(query.group));
    if (query.source_count > 0) {
        line += " {";
        for (std::size_t i = 0; i < query.source_count; ++i) line += ' ' + to_string(query.source(i));
        line += " }";
    }
    line += ']';
}

// The records of a report of the newest version, whose addresses are of so many octets.
void append_records(std::string& line, std::span<const std::byte> message, std::size_t address_size) {
    const auto address_at = [&](std::size_t at) -> IpAddress {
        if (address_size == sizeof(Ipv6Address)) return load_ipv6(message.data() + at);
        return Ipv4Address{load_be32(message, at)};
    };
    const unsigned count = load_be16(message, 6);
    line += fmt::format(", {} group record(s)", count);
    std::size_t at = group_report_header_size;
    for (unsigned i = 0; i < count; ++i) {
        const std::size_t sources_at = at + 4 + address_size;
        const std::size_t sources = sources_at <= message.size() ? load_be16(message, at + 2) : 0;
        if (sources_at + sources * address_size > message.size()) {
            line += " [truncated]";
            return;
        }
        const auto type = std::to_integer<std::uint8_t>(message[at]);
        line +=
            fmt::format(" [gaddr {} {} {{", to_string(address_at(at + 4)), name_of(GroupRecordType{type}));
        for (std::size_t source = 0; source < sources; ++source)
            line += ' ' + to_string(address_at(sources_at + source * address_size));
        line += " }]";
        at = sources_at + sources * address_size + std::to_integer<std::size_t>(message[at + 1]) * 4;
    }
}

}  // namespace

std::string describe_igmp(std::span<const std::byte> message) {
    std::string line = "igmp";
    if (message.size() < igmp_header_size) return line + " [truncated]";
    const auto group = [&] { return to_string(Ipv4Address{load_be32(message, 4)}); };
    switch (IgmpType{std::to_integer<std::uint8_t>(message[0])}) {
        case IgmpType::query:
            line += " query";
            if (const auto query = parse_igmp_query(message))
                append_query(line, *query, static_cast<unsigned>(query->version));
            else
                line += " [malformed]";
            break;
        case IgmpType::report_v1:
            line += " v1 report " + group();
            break;
        case IgmpType::report_v2:
            line += " v2 report " + group();
            break;
        case IgmpType::leave:
            line += " leave " + group();
            break;
        case IgmpType::report_v3:
            line += " v3 report";
            append_records(line, message, sizeof(Ipv4Address));
            break;
        default:
            line += fmt::format(" type-#{}", std::to_integer<unsigned>(message[0]));
    }
    return line;
}

std::string describe_mld(std::span<const std::byte> message) {
    std::string line = "multicast listener ";
    if (message.size() < icmpv6_header_size) return line + "[truncated]";
    const auto type = Icmpv6Type{std::to_integer<std::uint8_t>(message[0])};
    if (type == Icmpv6Type::listener_report_v2) {
        line += "report v2";
        append_records(line, message, sizeof(Ipv6Address));
        return line;
    }
    if (type == Icmpv6Type::listener_query) {
        line += "query";
        if (const auto query = parse_mld_query(message))
            append_query(line, *query, static_cast<unsigned>(query->version) - 1);
        else
            line += " [malformed]";
        return line;
    }
    line += type == Icmpv6Type::listener_done ? "done " : "report ";
    return line +
           (message.size() < mld_header_size ? "[truncated]" : to_string(load_ipv6(message.data() + 8)));
}

}  // namespace runnel::wire
