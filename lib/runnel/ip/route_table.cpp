#include "runnel/ip/route_table.hpp"

#include <algorithm>

namespace runnel::ip {

template <class Address>
void RouteTableOf<Address>::add(const Address& network, unsigned prefix_length, const Route& route) {
    const auto shorter = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.prefix_length < prefix_length;
    });
    entries_.insert(shorter, {network, prefix_length, route});
}

template <class Address>
bool RouteTableOf<Address>::remove(const Address& network, unsigned prefix_length, const Route& route) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.prefix_length == prefix_length && same_prefix(entry.network, network, prefix_length) &&
               entry.route == route;
    });
    if (found == entries_.end()) return false;
    entries_.erase(found);
    return true;
}

template class RouteTableOf<Ipv4Address>;
template class RouteTableOf<Ipv6Address>;

}  // namespace runnel::ip
