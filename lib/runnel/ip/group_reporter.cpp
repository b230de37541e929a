#include "runnel/ip/group_reporter.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <tuple>

namespace runnel::ip {

namespace {

using wire::GroupRecordType;
using wire::MembershipVersion;

// Reports that a second's queries cause, at most: who asks more often is answered later.
constexpr std::uint32_t answers_a_second = 200;
constexpr Duration answer_put_off = 100ms;
// Between looks at which groups are to be answered for, however often somebody asks for one at once.
constexpr Duration answers_apart = 10ms;
// Sources of which a change is yet to be told, at most; beyond them the whole filter is told.
constexpr std::size_t most_changes = 2 * SourceFilter::most_sources;

constexpr auto place_of = [](const auto& group) { return std::tuple{group.interface, group.address}; };

}  // namespace

GroupReporter::GroupReporter(std::size_t interfaces, std::size_t capacity, HashKey key, ReportWriter& writer)
    : writer_(writer),
      key_(key),
      answers_(answers_a_second, key),
      links_(interfaces, Link{key}),
      capacity_(capacity),
      asked_(most_asked) {
    groups_.reserve(capacity);
    scratch_.reserve(most_changes);
}

GroupReporter::Group* GroupReporter::find(std::uint8_t interface, const IpAddress& group) noexcept {
    const auto found = std::ranges::lower_bound(groups_, std::tuple{interface, group}, {}, place_of);
    return found != groups_.end() && found->interface == interface && found->address == group ? &*found
                                                                                              : nullptr;
}

GroupReporter::Group* GroupReporter::find_or_add(std::uint8_t interface, const IpAddress& group) noexcept {
    if (Group* const known = find(interface, group)) return known;
    if (groups_.size() == capacity_) {
        const auto left = std::ranges::find_if(groups_, [](const Group& one) { return one.filter.none(); });
        if (left == groups_.end()) return nullptr;
        forget_asked(*left);
        groups_.erase(left);
    }
    const auto at = std::ranges::lower_bound(groups_, std::tuple{interface, group}, {}, place_of);
    return &*groups_.insert(at, Group{.address = group, .interface = interface});
}

bool GroupReporter::set(std::uint8_t interface, const IpAddress& group, const SourceFilter& filter) {
    Group* const known = filter.none() ? find(interface, group) : find_or_add(interface, group);
    if (known == nullptr) return filter.none();
    if (!filter.sources().empty() || !known->filter.sources().empty()) known->changes.reserve(most_changes);
    change(*known, filter);
    return true;
}

bool GroupReporter::hear_all(std::uint8_t interface, const IpAddress& group) noexcept {
    Group* const known = find_or_add(interface, group);
    if (known != nullptr) change(*known, SourceFilter::any());
    return known != nullptr;
}

void GroupReporter::hear_nobody(std::uint8_t interface, const IpAddress& group) noexcept {
    if (Group* const known = find(interface, group)) change(*known, {});
}

void GroupReporter::change(Group& group, const SourceFilter& to) {
    if (group.filter == to) return;
    note_change(group, to);
    group.filter = to;
    hasten(links_[group.interface].change, Instant::min());
}

// A moment only ever comes sooner by this: that nothing is due yet is found at no cost to who asks.
void GroupReporter::hasten(Instant& what, Instant to) noexcept {
    what = std::min(what, to);
    deadline_ = std::min(deadline_, to);
}

void GroupReporter::forget_what_is_over() noexcept {
    std::erase_if(groups_, [this](Group& group) {
        if (!group.over()) return false;
        forget_asked(group);
        return true;
    });
}

void GroupReporter::tell_again(std::uint8_t interface) noexcept {
    for (Group& group : groups_) {
        if (group.interface != interface || group.filter.none()) continue;
        group.mode_changes = links_[interface].robustness;
        group.told = false;
        hasten(links_[interface].change, Instant::min());
    }
}

// RFC 3376 section 5.1, RFC 3810 section 6.1.
void GroupReporter::note_change(Group& group, const SourceFilter& to) {
    const std::uint8_t robustness = links_[group.interface].robustness;
    const auto whole = [&] {
        group.mode_changes = robustness;
        group.changes.clear();
    };
    if (to.mode() != group.filter.mode() || group.changes.capacity() < most_changes) return whole();
    scratch_.clear();
    std::ranges::set_symmetric_difference(to.sources(), group.filter.sources(), std::back_inserter(scratch_));
    for (const IpAddress& source : scratch_) {
        const auto pending = std::ranges::find(group.changes, source, &Change::source);
        if (pending != group.changes.end())
            pending->left = robustness;
        else if (group.changes.size() == most_changes)
            return whole();
        else
            group.changes.push_back({source, robustness});
    }
}

// RFC 3376 section 5.2, RFC 3810 section 6.2; of older versions RFC 2236 section 3, RFC 2710 section 4.
bool GroupReporter::query(std::uint8_t interface, const wire::MembershipQuery& query, Instant now) noexcept {
    Link& link = links_[interface];
    if (!link.queries.take(now)) return false;
    const Duration response = std::min(query.max_response, longest_response);
    note_querier(link, query, response, now);
    update_version(interface, now);
    const bool general = query.group.is_unspecified();
    if (link.version == MembershipVersion::third) {
        const Duration delay = random_up_to(response);
        if (link.answer <= now + delay) return true;
        if (general)
            hasten(link.answer, std::max(now + delay, link.next_answer));
        else if (Group* const group = find(interface, query.group); group != nullptr)
            ask(*group, query, delay, now);
        return true;
    }
    if (!general) {
        if (Group* const group = find(interface, query.group)) ask_in_older_version(*group, response, now);
        return true;
    }
    if (now < link.next_answer) return false;
    link.next_answer = now + general_interval;
    for (Group& group : groups_)
        if (group.interface == interface) ask_in_older_version(group, response, now);
    return true;
}

void GroupReporter::ask_in_older_version(Group& group, Duration response, Instant now) noexcept {
    if (group.filter.none() || group.answer <= now + response) return;
    hasten_answer(group, now + random_up_to(response));
}

// What a query says of who sent it (RFC 3376 sections 4.1.6, 4.1.7 and 7.2.1, RFC 3810 section 8.2.1).
void GroupReporter::note_querier(Link& link, const wire::MembershipQuery& query, Duration response,
                                 Instant now) noexcept {
    if (query.version == MembershipVersion::third) {
        link.robustness = query.robustness != 0 ? query.robustness : default_robustness;
        if (query.query_interval > Duration::zero()) link.query_interval = query.query_interval;
        return;
    }
    if (!query.group.is_unspecified()) return;
    const Instant until =
        now + std::min(link.robustness * link.query_interval + response, longest_older_querier);
    Instant& known = query.version == MembershipVersion::first ? link.first_until : link.second_until;
    known = until;
    deadline_ = std::min(deadline_, until);
}

void GroupReporter::update_version(std::uint8_t interface, Instant now) noexcept {
    const Link& link = links_[interface];
    const MembershipVersion version = now < link.first_until    ? MembershipVersion::first
                                      : now < link.second_until ? MembershipVersion::second
                                                                : MembershipVersion::third;
    if (version != link.version) become(interface, version);
}

// All that waits in the old version is given up (RFC 3376 section 7.2.1).
void GroupReporter::become(std::uint8_t interface, MembershipVersion version) noexcept {
    Link& link = links_[interface];
    link.version = version;
    link.answer = never;
    for (Group& group : groups_) {
        if (group.interface != interface) continue;
        group.answer = never;
        forget_asked(group);
        group.repeats = 0;
        // What nobody has been told at all is told in the new one.
        if (link.change == Instant::min()) continue;
        group.mode_changes = 0;
        group.changes.clear();
    }
    if (link.change != Instant::min()) link.change = never;
    forget_what_is_over();
}

// RFC 3376 section 5.2, rules 3 to 5. Of sources that cannot be remembered all the group is told.
void GroupReporter::ask(Group& group, const wire::MembershipQuery& query, Duration delay,
                        Instant now) noexcept {
    const bool for_all = group.answer != never && group.asked == nothing;
    hasten_answer(group, now + delay);
    if (query.source_count == 0 || for_all || !take_place_for_asked(group)) return forget_asked(group);
    Asked& asked = asked_[group.asked];
    for (std::size_t i = 0; i < query.source_count; ++i) {
        const IpAddress source = query.source(i);
        const auto known = std::span{asked.sources}.first(asked.count);
        if (std::ranges::find(known, source) != known.end()) continue;
        if (asked.count == asked.sources.size()) return forget_asked(group);
        asked.sources[asked.count++] = source;
    }
}

bool GroupReporter::take_place_for_asked(Group& group) noexcept {
    if (group.asked != nothing) return true;
    const auto free = std::ranges::find(asked_, false, &Asked::taken);
    if (free == asked_.end()) return false;
    free->taken = true;
    free->count = 0;
    group.asked = static_cast<std::uint8_t>(free - asked_.begin());
    return true;
}

void GroupReporter::forget_asked(Group& group) noexcept {
    if (group.asked != nothing) asked_[group.asked].taken = false;
    group.asked = nothing;
}

void GroupReporter::hasten_answer(Group& group, Instant to) noexcept {
    group.answer = std::min(group.answer, to);
    hasten(first_answer_, std::max(group.answer, next_answers_));
}

// Another's report does for ours too, but in version 3 (RFC 2236 section 3, RFC 2710 section 4).
void GroupReporter::heard_report(std::uint8_t interface, const IpAddress& address) noexcept {
    if (links_[interface].version == MembershipVersion::third) return;
    Group* const group = find(interface, address);
    if (group == nullptr || group->answer == never) return;
    group->answer = never;
    group->repeats = 0;
    group->told_last = false;
}

void GroupReporter::advance(Instant now) noexcept {
    if (now < deadline_) return;
    for (std::size_t i = 0; i < links_.size(); ++i) {
        const auto interface = static_cast<std::uint8_t>(i);
        update_version(interface, now);
        Link& link = links_[i];
        if (link.change <= now) tell_changes(interface, now);
        if (link.answer > now) continue;
        if (!answers_.take(now)) {
            link.answer = now + answer_put_off;
            continue;
        }
        link.answer = never;
        link.next_answer = now + general_interval;
        answer_general(interface);
        writer_.flush(interface);
    }
    if (first_answer_ <= now) answer_groups(now);
    forget_what_is_over();
    find_deadline();
}

void GroupReporter::answer_groups(Instant now) noexcept {
    next_answers_ = now + answers_apart;
    std::uint8_t interface = 0;
    for (Group& group : groups_) {
        if (group.answer > now) continue;
        // What is put together is of one interface: groups are in their order.
        if (group.interface != interface) {
            writer_.flush(interface);
            interface = group.interface;
        }
        if (answers_.take(now))
            answer(group, now);
        else
            group.answer = now + answer_put_off;
    }
    writer_.flush(interface);
}

void GroupReporter::tell_changes(std::uint8_t interface, Instant now) noexcept {
    Link& link = links_[interface];
    bool more = false;
    for (Group& group : groups_) {
        if (group.interface != interface || !group.changing()) continue;
        if (link.version == MembershipVersion::third)
            tell_change(group);
        else
            tell_change_in_older_version(group, now);
        more |= group.changing();
    }
    writer_.flush(interface);
    link.change = more ? now + random_up_to(unsolicited_interval) : never;
}

void GroupReporter::tell_change(Group& group) noexcept {
    group.told = group.told_last = !group.filter.none();
    const bool include = group.filter.mode() == FilterMode::include;
    if (group.mode_changes > 0) {
        --group.mode_changes;
        writer_.add(group.interface,
                    include ? GroupRecordType::change_to_include : GroupRecordType::change_to_exclude,
                    group.address, group.filter.sources());
    } else {
        for (const bool allowed : {true, false}) {
            scratch_.clear();
            for (const Change& change : group.changes)
                if (group.filter.passes(change.source) == allowed) scratch_.push_back(change.source);
            for (std::span<const IpAddress> rest{scratch_}; !rest.empty();) {
                const auto some = rest.first(std::min(rest.size(), SourceFilter::most_sources));
                writer_.add(group.interface,
                            allowed ? GroupRecordType::allow_new_sources : GroupRecordType::block_old_sources,
                            group.address, some);
                rest = rest.subspan(some.size());
            }
        }
    }
    for (Change& change : group.changes) --change.left;
    std::erase_if(group.changes, [](const Change& change) { return change.left == 0; });
}

// Older versions know members and no sources (RFC 3376 section 7.2.1).
void GroupReporter::tell_change_in_older_version(Group& group, Instant now) noexcept {
    const Link& link = links_[group.interface];
    group.mode_changes = 0;
    group.changes.clear();
    const bool member = !group.filter.none();
    if (member && !group.told) {
        writer_.report(group.interface, link.version, group.address);
        group.told = group.told_last = true;
        group.repeats = static_cast<std::uint8_t>(link.robustness - 1);
        if (group.repeats > 0) group.answer = now + random_up_to(older_unsolicited_interval);
    } else if (!member && group.told) {
        if (group.told_last && link.version == MembershipVersion::second)
            writer_.leave(group.interface, group.address);
        group.told = group.told_last = false;
        group.answer = never;
        group.repeats = 0;
    }
}

void GroupReporter::answer_general(std::uint8_t interface) noexcept {
    for (const Group& group : groups_) {
        if (group.interface != interface || group.filter.none()) continue;
        writer_.add(interface,
                    group.filter.mode() == FilterMode::include ? GroupRecordType::mode_is_include
                                                               : GroupRecordType::mode_is_exclude,
                    group.address, group.filter.sources());
    }
}

void GroupReporter::answer(Group& group, Instant now) noexcept {
    group.answer = never;
    const MembershipVersion version = links_[group.interface].version;
    if (version != MembershipVersion::third) {
        if (group.filter.none()) return;
        writer_.report(group.interface, version, group.address);
        group.told = group.told_last = true;
        if (group.repeats > 0 && --group.repeats > 0)
            group.answer = now + random_up_to(older_unsolicited_interval);
        return;
    }
    if (group.asked == nothing) {
        if (!group.filter.none())
            writer_.add(group.interface,
                        group.filter.mode() == FilterMode::include ? GroupRecordType::mode_is_include
                                                                   : GroupRecordType::mode_is_exclude,
                        group.address, group.filter.sources());
        return;
    }
    Asked& asked = asked_[group.asked];
    const auto known = std::span{asked.sources}.first(asked.count);
    const auto rest =
        std::ranges::remove_if(known, [&](const IpAddress& one) { return !group.filter.passes(one); });
    if (rest.begin() != known.begin())
        writer_.add(group.interface, GroupRecordType::mode_is_include, group.address,
                    std::span{known.begin(), rest.begin()});
    forget_asked(group);
}

Duration GroupReporter::random_up_to(Duration most) noexcept {
    if (most <= Duration::zero()) return Duration::zero();
    const std::uint64_t drawn = siphash_1_3(key_, drawn_++, 0x6d63);
    return Duration{1 + static_cast<Duration::rep>(drawn % static_cast<std::uint64_t>(most.count()))};
}

void GroupReporter::find_deadline() noexcept {
    deadline_ = never;
    for (const Link& link : links_) {
        deadline_ = std::min({deadline_, link.change, link.answer});
        if (link.version == MembershipVersion::first) deadline_ = std::min(deadline_, link.first_until);
        if (link.version == MembershipVersion::second) deadline_ = std::min(deadline_, link.second_until);
    }
    first_answer_ = never;
    for (const Group& group : groups_) first_answer_ = std::min(first_answer_, group.answer);
    if (first_answer_ != never) first_answer_ = std::max(first_answer_, next_answers_);
    deadline_ = std::min(deadline_, first_answer_);
}

}  // namespace runnel::ip
