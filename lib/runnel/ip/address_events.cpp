#include "runnel/ip/address_events.hpp"

#include <fmt/format.h>

namespace runnel::ip {

std::string to_string(const AddressEvent& event) {
    const std::string address = runnel::to_string(event.address);
    const std::string who =
        event.mac == MacAddress{} ? "another host" : fmt::format("{}", runnel::to_string(event.mac));
    switch (event.kind) {
        case AddressEventKind::usable:
            return fmt::format("{} is ours", address);
        case AddressEventKind::duplicate:
            if (event.more > 0)
                return fmt::format(
                    "{} is in use by {}: it and {} more addresses with it stay unused; give others", address,
                    who, event.more);
            return fmt::format("{} is in use by {} and stays unused; give another", address, who);
        case AddressEventKind::disabled:
            return fmt::format(
                "{} is in use by {}: IPv6 is not spoken on this link; give the port another link address",
                address, who);
        case AddressEventKind::conflict:
            return fmt::format("{} is claimed by {} as well; take it from that host", address, who);
        case AddressEventKind::deprecated:
            return fmt::format("{} is deprecated: nothing new is begun from it", address);
        case AddressEventKind::preferred:
            return fmt::format("{} is preferred again", address);
        case AddressEventKind::removed:
            return fmt::format("{} is no longer valid and is ours no more", address);
        case AddressEventKind::router:
            return fmt::format("{} ({}) is a default router", address, who);
        case AddressEventKind::router_gone:
            return fmt::format("{} is a default router no more", address);
    }
    return address;
}

}  // namespace runnel::ip
