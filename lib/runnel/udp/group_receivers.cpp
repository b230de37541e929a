#include "runnel/udp/group_receivers.hpp"

#include <utility>

namespace runnel::udp {

namespace {

using ip::FilterMode;
using ip::GroupResult;
using ip::SourceFilter;

}  // namespace

GroupReceivers::Place GroupReceivers::place_of(const GroupSocket& socket) const noexcept {
    Place place{.listener = {socket.handler, socket.port}};
    // Port 0 is nobody's: nothing that arrives for it is looked for.
    if (!is_multicast(socket.group) || socket.port == 0 || socket.handler == nullptr) {
        place.wrong = GroupResult::not_a_group;
        return place;
    }
    const auto interface = socket.interface ? socket.interface : internet_.interface_for(socket.group);
    if (!interface) {
        place.wrong = GroupResult::no_interface;
        return place;
    }
    place.interface = *interface;
    return place;
}

GroupResult GroupReceivers::join(const GroupSocket& socket) {
    if (filter(socket) != nullptr) return GroupResult::already_member;
    return set_filter(socket, SourceFilter::any());
}

GroupResult GroupReceivers::leave(const GroupSocket& socket) {
    return set_filter(socket, {});
}

GroupResult GroupReceivers::block(const GroupSocket& socket, const IpAddress& source) {
    return change(socket, FilterMode::exclude, source, true);
}

GroupResult GroupReceivers::unblock(const GroupSocket& socket, const IpAddress& source) {
    return change(socket, FilterMode::exclude, source, false);
}

GroupResult GroupReceivers::join_source(const GroupSocket& socket, const IpAddress& source) {
    if (filter(socket) == nullptr) return set_filter(socket, {FilterMode::include, {source}});
    return change(socket, FilterMode::include, source, true);
}

GroupResult GroupReceivers::leave_source(const GroupSocket& socket, const IpAddress& source) {
    return change(socket, FilterMode::include, source, false);
}

// RFC 3678 section 4.1.3 says which call goes with which mode, and what a repeated one is.
GroupResult GroupReceivers::change(const GroupSocket& socket, FilterMode mode, const IpAddress& source,
                                   bool listed) {
    const Place place = place_of(socket);
    if (place.wrong != GroupResult::done) return place.wrong;
    const SourceFilter* const known = filter(socket);
    if (known == nullptr) return GroupResult::not_member;
    if (known->mode() != mode) return GroupResult::wrong_mode;
    if (known->lists(source) == listed) return listed ? GroupResult::already_member : GroupResult::not_member;
    return set_filter(socket, listed ? known->with(source) : known->without(source));
}

GroupResult GroupReceivers::set_filter(const GroupSocket& socket, SourceFilter filter) {
    const Place place = place_of(socket);
    if (place.wrong != GroupResult::done) return place.wrong;
    return internet_.groups().listen(place.listener, place.interface, socket.group, std::move(filter));
}

const SourceFilter* GroupReceivers::filter(const GroupSocket& socket) const noexcept {
    const Place place = place_of(socket);
    if (place.wrong != GroupResult::done) return nullptr;
    return internet_.groups().filter_of(place.listener, place.interface, socket.group);
}

GroupReceivers::Hearers GroupReceivers::hearers(const Datagram& about) const noexcept {
    Hearers found;
    if (about.destination_port == 0) return found;
    for (const auto& member : internet_.groups().members(about.interface, about.destination_address))
        if (member.listener.port == about.destination_port && member.filter.passes(about.source_address))
            found.handlers[found.count++] = static_cast<Handler*>(member.listener.who);
    return found;
}

bool GroupReceivers::hears(Handler& handler, const Datagram& about) const noexcept {
    const SourceFilter* const filter = internet_.groups().filter_of(
        {&handler, about.destination_port}, about.interface, about.destination_address);
    return filter != nullptr && filter->passes(about.source_address);
}

}  // namespace runnel::udp
