// What an embedder hears of the addresses of a stack: which are used, and which are not, and why.
#pragma once

#include <cstdint>
#include <string>

#include "runnel/base/ip_address.hpp"

namespace runnel::ip {

enum class AddressEventKind : std::uint8_t {
    usable,       ///< it has been probed for, or formed of a prefix, and is used from now on
    duplicate,    ///< another host has it: it is not used (RFC 4862 section 5.4, RFC 5227 section 2.1)
    disabled,     ///< the same of the link-local address: IPv6 is not spoken there (RFC 4862 section 5.4.5)
    conflict,     ///< another host claims it, though we use it: we go on (RFC 5227 section 2.4 (c))
    deprecated,   ///< its preferred lifetime has ended: nothing new is begun from it (RFC 4862 section 5.5.4)
    preferred,    ///< a router has prolonged that lifetime
    removed,      ///< its valid lifetime has ended
    router,       ///< a router on the link offers itself as the default (RFC 4861 section 6.3.4)
    router_gone,  ///< it does so no more
};

struct AddressEvent {
    AddressEventKind kind{};
    IpAddress address{};
    MacAddress mac{};  ///< of who has it, where it is known; else all zero
    std::uint8_t interface = 0;
    std::uint32_t more = 0;  ///< addresses of the same range that stay unused for the same reason
};

/// A line for a log, which says what follows of it: "2001:db8::1 is in use by 02:00:00:00:00:02 and stays
/// unused; give --address another". Allocates: not for the packet path.
[[nodiscard]] std::string to_string(const AddressEvent& event);

/// What an embedder overrides to hear of them.
class AddressObserver {
  public:
    AddressObserver() = default;
    AddressObserver(const AddressObserver&) = delete;
    AddressObserver& operator=(const AddressObserver&) = delete;
    virtual ~AddressObserver() = default;

    /// Called on the stack's thread, from within `receive`, `hear` and `advance`. Must not call the stack.
    /// Conflicts are told at most once in 10 s for an address; all else follows from few messages of routers.
    virtual void address(const AddressEvent& event) noexcept = 0;
};

}  // namespace runnel::ip
