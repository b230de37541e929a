// Messages of IGMP and MLD, and the options that say that they are some.
#include <algorithm>

#include "runnel/wire/igmp.hpp"
#include "runnel/wire/mld.hpp"

#include "require.hpp"

namespace {

using runnel::fuzz::require;

void look_at(const runnel::wire::MembershipQuery& query, std::size_t size, std::size_t address_size) {
    require(query.max_response >= runnel::Duration::zero() && query.robustness < 8,
            "a query says what it can");
    require(query.source_count * address_size <= size, "the sources that are told of are there");
    for (std::size_t i = 0; i < query.source_count; ++i)
        require(query.source(i).is_v4() == (address_size == 4) || address_size == 16,
                "sources are of the message's family");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace runnel::wire;
    const auto octets = runnel::fuzz::octets_of(data, size);
    if (const auto query = parse_igmp_query(octets)) look_at(*query, size, 4);
    if (const auto query = parse_mld_query(octets)) look_at(*query, size, 16);
    const bool igmp_report = parse_igmp_report(octets).has_value();
    require(!igmp_report || size >= igmp_header_size, "a report is whole");
    require(!parse_mld_report(octets) || size >= mld_header_size, "a report is whole");
    static_cast<void>(has_ipv4_router_alert(std::span{octets}.first(std::min<std::size_t>(size, 40))));
    if (check_ipv6_header(octets, size) == Ipv6Fault::none) {
        const Ipv6Chain chain = walk_ipv6_chain(octets, ipv6_header_size + load_be16(octets, 4));
        if (chain.verdict == Ipv6Verdict::deliver)
            static_cast<void>(has_mld_router_alert(octets, chain.offset));
    }
    return 0;
}
