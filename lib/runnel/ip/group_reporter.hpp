// A host's side of IGMP and MLD, the same for both: it tells routers which groups it is a member of, at each
// change and when asked (RFC 3376 sections 5 and 7, RFC 2236 section 3; RFC 3810 sections 6 and 8, RFC 2710
// section 5). What the messages look like is its `ReportWriter`'s to know.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/keyed_hash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/source_filter.hpp"
#include "runnel/ip/token_bucket.hpp"
#include "runnel/wire/group_membership.hpp"

namespace runnel::ip {

/// Puts reports of one family on the wire. What cannot be sent is counted there.
class ReportWriter {
  public:
    virtual ~ReportWriter() = default;

    /// Adds a record to the report of version 3 that is being put together; one that is full is sent before.
    virtual void add(std::uint8_t interface, wire::GroupRecordType type, const IpAddress& group,
                     std::span<const IpAddress> sources) noexcept = 0;
    /// Sends what has been put together.
    virtual void flush(std::uint8_t interface) noexcept = 0;
    /// Sends a report of version 1 or 2, or a leave of version 2.
    virtual void report(std::uint8_t interface, wire::MembershipVersion version,
                        const IpAddress& group) noexcept = 0;
    virtual void leave(std::uint8_t interface, const IpAddress& group) noexcept = 0;
};

/// The state machine of one family on all interfaces. One owner thread. `set` may allocate; what the network
/// causes does not.
///
/// A querier is whoever says so, and is believed within bounds. RFC 3376 and RFC 3810 name none but those of
/// their fields (a robustness of 7, an interval of 8.8 hours, an answer within 53 minutes or 2.3 hours):
/// these are ours, and none of them delays an answer or ends a membership.
class GroupReporter {
  public:
    /// Queries that are looked at, of each interface; those beyond are dropped.
    static constexpr std::uint32_t queries_a_second = 1000;
    /// Within which a query is answered at the latest, whatever it says: who asks at the default interval
    /// has each answer before he asks again. Sooner than asked is within RFC 3376 section 5.2.
    static constexpr Duration longest_response = 125s;
    /// Between answers to general queries, at least: each is of all groups.
    static constexpr Duration general_interval = 250ms;
    /// How long a querier of an older version, once heard, holds us to that version, at most: the timeout of
    /// RFC 3376 section 8.12 (RFC 3810 section 9.12) with the greatest robustness and the default interval.
    static constexpr Duration longest_older_querier = 7 * 125s + 10s;

    /// Sent so often where the querier says nothing else (RFC 3376 section 8.1).
    static constexpr std::uint8_t default_robustness = 2;
    static constexpr Duration default_query_interval = 125s, default_response_interval = 10s;
    /// Between the reports of one change, at most; in older versions (RFC 3376 section 8.11, RFC 3810 section
    /// 9.11; RFC 2236 section 8.10, RFC 2710 section 7.10).
    static constexpr Duration unsolicited_interval = 1s, older_unsolicited_interval = 10s;

    /// Room for `capacity` groups on all interfaces together, those among them that have been left and are
    /// told of yet. `key` makes delays that nobody can foresee. `writer` is not owned and outlives this.
    GroupReporter(std::size_t interfaces, std::size_t capacity, HashKey key, ReportWriter& writer);

    /// From now on the interface hears the group through this filter; one that hears nobody ends the
    /// membership. The change is told at the next `advance`. False where the table is full: nothing is told
    /// of a group that was not in it before. One that was left, and of which that is told yet, makes room.
    bool set(std::uint8_t interface, const IpAddress& group, const SourceFilter& filter);
    /// The same with everybody heard, or nobody; it does not allocate.
    bool hear_all(std::uint8_t interface, const IpAddress& group) noexcept;
    void hear_nobody(std::uint8_t interface, const IpAddress& group) noexcept;

    /// Tells of all memberships on the interface again, as changes are told: nobody may have heard of them.
    void tell_again(std::uint8_t interface) noexcept;
    /// A valid query has come. False where it is one too many, and was not looked at.
    [[nodiscard]] bool query(std::uint8_t interface, const wire::MembershipQuery& query,
                             Instant now) noexcept;
    /// Another host has reported the group, in an older version.
    void heard_report(std::uint8_t interface, const IpAddress& group) noexcept;

    void advance(Instant now) noexcept;
    [[nodiscard]] Instant next_deadline() const noexcept { return deadline_; }

    /// The version that is spoken on an interface, which is that of its oldest querier.
    [[nodiscard]] wire::MembershipVersion version(std::uint8_t interface) const noexcept {
        return links_[interface].version;
    }

  private:
    struct Change {
        IpAddress source{};
        std::uint8_t left = 0;  // reports that are to tell of it yet
    };
    struct Group {
        IpAddress address{};
        std::uint8_t interface = 0;
        SourceFilter filter{};
        std::uint8_t mode_changes = 0;  // reports that are to tell of a new filter mode yet
        std::vector<Change> changes;    // room for all is there before, or the whole filter is told
        Instant answer{never};          // when a query for this group is answered
        std::uint8_t asked = nothing;   // the place of the sources that it asked for; else for the group
        bool told = false;              // of an older version: some host has said that there are members,
        bool told_last = false;         // and we have been the last to say so
        std::uint8_t repeats = 0;       // unsolicited reports of older versions yet to come

        [[nodiscard]] bool changing() const noexcept { return mode_changes > 0 || !changes.empty(); }
        [[nodiscard]] bool over() const noexcept { return filter.none() && !changing(); }
    };
    // Sources that a group is asked for: a query for sources is rare, and few wait at once.
    struct Asked {
        std::array<IpAddress, SourceFilter::most_sources> sources{};
        std::uint8_t count = 0;
        bool taken = false;
    };
    static constexpr std::uint8_t nothing = UINT8_MAX;
    static constexpr std::size_t most_asked = 32;
    struct Link {
        explicit Link(HashKey key) noexcept : queries(queries_a_second, key) {}

        wire::MembershipVersion version = wire::MembershipVersion::third;
        Instant first_until = Instant::min(), second_until = Instant::min();  // queriers of before are there
        std::uint8_t robustness = default_robustness;
        Duration query_interval = default_query_interval;
        Instant change{never};                 // when changes are told
        Instant answer{never};                 // when a general query is answered
        Instant next_answer = Instant::min();  // not before this
        TokenBucket queries;
    };

    [[nodiscard]] Group* find(std::uint8_t interface, const IpAddress& group) noexcept;
    [[nodiscard]] Group* find_or_add(std::uint8_t interface, const IpAddress& group) noexcept;
    void change(Group& group, const SourceFilter& to);
    void note_change(Group& group, const SourceFilter& to);
    void forget_what_is_over() noexcept;
    [[nodiscard]] bool take_place_for_asked(Group& group) noexcept;
    void forget_asked(Group& group) noexcept;
    void hasten(Instant& what, Instant to) noexcept;
    void become(std::uint8_t interface, wire::MembershipVersion version) noexcept;
    void note_querier(Link& link, const wire::MembershipQuery& query, Duration response,
                      Instant now) noexcept;
    void update_version(std::uint8_t interface, Instant now) noexcept;
    void ask(Group& group, const wire::MembershipQuery& query, Duration delay, Instant now) noexcept;
    void ask_in_older_version(Group& group, Duration response, Instant now) noexcept;
    void hasten_answer(Group& group, Instant to) noexcept;
    void tell_changes(std::uint8_t interface, Instant now) noexcept;
    void tell_change(Group& group) noexcept;
    void tell_change_in_older_version(Group& group, Instant now) noexcept;
    void answer_general(std::uint8_t interface) noexcept;
    void answer_groups(Instant now) noexcept;
    void answer(Group& group, Instant now) noexcept;
    [[nodiscard]] Duration random_up_to(Duration most) noexcept;
    void find_deadline() noexcept;

    ReportWriter& writer_;
    HashKey key_;
    std::uint64_t drawn_ = 0;
    TokenBucket answers_;  // however often somebody asks
    std::vector<Link> links_;
    std::size_t capacity_;
    std::vector<Group> groups_;  // in ascending order of interface and address; room for all is there
    std::vector<Asked> asked_;
    std::vector<IpAddress> scratch_;
    Instant first_answer_{never};            // when a group is to be answered for, at the soonest
    Instant next_answers_ = Instant::min();  // not before this
    Instant deadline_{never};                // of all that is to be done, at the soonest
};

}  // namespace runnel::ip
