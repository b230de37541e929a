// What was sent and what became of it (RFC 2018, RFC 6675), against a map of octets to states.
#include "runnel/tcp/scoreboard.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::tcp {
namespace scoreboard_test {

using State = SentRange::State;

// Each test's numbers start just before they come round, and so does the clock.
constexpr SeqNum start{0xffff'f000U};
constexpr std::uint32_t start_us = 0xffff'0000U;

class ScoreboardTest : public testing::Test {
  protected:
    static constexpr std::uint32_t connections = 2;
    static constexpr std::uint32_t roomy = 600;

    // -- operations, each on the scoreboard and on the model
    void send(std::uint32_t octets, std::uint32_t same_time_us);
    void acknowledge(std::uint32_t octets);
    void sack(std::uint32_t first, std::uint32_t end);
    void mark_lost(unsigned percent);
    void retransmit(std::uint32_t octets);
    void split();
    void mark_none_lost();
    void forget_sacks();
    void clear();
    void act();
    void follow_a_model(std::uint32_t spare, int steps);

    void check();
    /// The ranges as stretches of octets from SND.UNA on.
    [[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_as_they_are() const;
    [[nodiscard]] std::uint32_t slot_at(std::uint32_t octet) const;
    [[nodiscard]] bool range_to_be_had() const {
        return board_.ranges() == 0 || (board_.ranges() < Scoreboard::max_ranges && all_->spare() > 0);
    }
    [[nodiscard]] std::uint32_t offset(SeqNum at) const { return at - una_; }
    std::uint32_t up_to(std::uint32_t most) {
        return most == 0 ? 0 : static_cast<std::uint32_t>(random_() % (std::uint64_t{most} + 1));
    }
    [[nodiscard]] SendStamp stamp() const {
        return {.sent_us = now_,
                .first_sent_us = now_,
                .delivered = 0,
                .delivered_us = now_,
                .app_limited = false};
    }
    [[nodiscard]] std::uint32_t flight() const { return static_cast<std::uint32_t>(model_.size()); }

    std::mt19937_64 random_{test::seed()};
    std::optional<SentRanges> all_;
    Scoreboard board_;
    SeqNum una_ = start;
    std::uint32_t now_ = start_us;
    std::deque<State> model_;  // of each octet from SND.UNA on
};

std::vector<std::pair<std::uint32_t, std::uint32_t>> ScoreboardTest::ranges_as_they_are() const {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    for (std::uint32_t slot = board_.head(); slot != no_slot; slot = (*all_)[slot].next)
        ranges.emplace_back(offset((*all_)[slot].first), offset((*all_)[slot].end));
    return ranges;
}

std::uint32_t ScoreboardTest::slot_at(std::uint32_t octet) const {
    std::uint32_t slot = board_.head();
    while (slot != no_slot && offset((*all_)[slot].end) <= octet) slot = (*all_)[slot].next;
    return slot;
}

void ScoreboardTest::send(std::uint32_t octets, std::uint32_t same_time_us) {
    bool joins = false;
    if (board_.tail() != no_slot) {
        const SentRange& last = (*all_)[board_.tail()];
        joins = last.state == State::in_flight && !last.retransmitted &&
                now_ - last.stamp.sent_us <= same_time_us;
    }
    const std::uint32_t ranges = board_.ranges();
    const bool room = range_to_be_had();
    const SeqNum first = una_ + flight();
    if (!joins && !room)  // all of the last range counts as sent now
        for (std::uint32_t i = offset((*all_)[board_.tail()].first); i < flight(); ++i)
            model_[i] = State::in_flight;
    board_.sent(*all_, first, first + octets, stamp(), same_time_us);
    model_.insert(model_.end(), octets, State::in_flight);
    EXPECT_EQ(board_.ranges(), ranges + (!joins && room ? 1 : 0));
    if (!joins) {
        EXPECT_EQ((*all_)[board_.tail()].stamp.sent_us, now_);
    }
}

void ScoreboardTest::acknowledge(std::uint32_t octets) {
    std::uint32_t at = 0;
    board_.acknowledge(*all_, una_ + octets, [&](const SentRange& range) {
        ASSERT_EQ(offset(range.first), at) << "in their order, without a gap";
        ASSERT_LE(offset(range.end), octets);
        for (; at < offset(range.end); ++at) ASSERT_EQ(range.state, model_[at]);
    });
    EXPECT_EQ(at, octets);
    model_.erase(model_.begin(), model_.begin() + octets);
    una_ += octets;
    // What is left of a range of which the first octets only were sent again is lost.
    if (octets > 0 && flight() > 0 && (*all_)[board_.head()].rest_missing && model_[0] == State::in_flight)
        for (std::uint32_t i = 0; i < offset((*all_)[board_.head()].end); ++i) model_[i] = State::lost;
}

// Where a range would have to be split and none is to be had, it is heeded for what it covers wholly.
void ScoreboardTest::sack(std::uint32_t first, std::uint32_t end) {
    std::vector<std::uint32_t> told(flight(), 0);
    const std::vector<State> before{model_.begin(), model_.end()};
    const std::uint32_t room = std::min(all_->spare(), Scoreboard::max_ranges - board_.ranges());
    const auto ranges = ranges_as_they_are();
    board_.sack(*all_, una_ + first, una_ + end, [&](const SentRange& range) {
        ASSERT_NE(range.state, State::sacked) << "news once only";
        for (std::uint32_t i = offset(range.first); i < offset(range.end); ++i) {
            ASSERT_GE(i, first);
            ASSERT_LT(i, end);
            ASSERT_EQ(range.state, before[i]) << "in the state in which it was";
            ++told[i];
            model_[i] = State::sacked;
        }
    });
    for (std::uint32_t i = 0; i < flight(); ++i) ASSERT_EQ(told[i], before[i] != model_[i] ? 1U : 0U);
    for (const auto& [from, to] : ranges) {
        const bool wholly = first <= from && to <= end;
        if (!wholly && room < 2) continue;
        for (std::uint32_t i = std::max(from, first); i < std::min(to, end); ++i)
            ASSERT_EQ(model_[i], State::sacked) << "octet " << i << " of " << first << " to " << end;
    }
}

void ScoreboardTest::mark_lost(unsigned percent) {
    std::uint32_t last = 0;
    bool any = false;
    const auto most = static_cast<std::uint32_t>(random_() % 20);
    std::uint32_t seen = 0;
    board_.walk_in_order_of_sending(*all_, [&](std::uint32_t slot) {
        const SentRange& range = (*all_)[slot];
        EXPECT_EQ(range.state, State::in_flight);
        if (any) {
            EXPECT_LE(static_cast<std::int32_t>(last - range.stamp.sent_us), 0);
        }
        any = true;
        last = range.stamp.sent_us;
        if (random_() % 100 < percent) {
            for (std::uint32_t i = offset(range.first); i < offset(range.end); ++i) model_[i] = State::lost;
            board_.mark_lost(*all_, slot);
        }
        return ++seen < most;
    });
}

void ScoreboardTest::retransmit(std::uint32_t octets) {
    const std::uint32_t slot = board_.first_lost(*all_);
    if (slot == no_slot) return;
    const SentRange range = (*all_)[slot];
    octets = std::clamp(octets, 1U, range.length());
    const bool cut = octets < range.length() && range_to_be_had();
    const SeqNum end = cut ? range.first + octets : range.end;
    board_.sent_again(*all_, slot, range.first + octets, stamp());
    for (std::uint32_t i = offset(range.first); i < offset(end); ++i) model_[i] = State::in_flight;
    EXPECT_TRUE((*all_)[slot].retransmitted);
    EXPECT_EQ((*all_)[slot].stamp.sent_us, now_);
}

void ScoreboardTest::split() {
    if (flight() == 0) return;
    const std::uint32_t slot = slot_at(up_to(flight() - 1));
    const std::uint32_t length = (*all_)[slot].length();
    if (length < 2) return;
    const bool room = range_to_be_had();
    EXPECT_EQ(board_.split(*all_, slot, (*all_)[slot].first + 1 + up_to(length - 2)), room);
}

void ScoreboardTest::mark_none_lost() {
    board_.mark_none_lost(*all_, now_);
    std::replace(model_.begin(), model_.end(), State::lost, State::in_flight);
}

void ScoreboardTest::forget_sacks() {
    board_.forget_sacks(*all_);
    std::replace(model_.begin(), model_.end(), State::sacked, State::lost);
}

void ScoreboardTest::clear() {
    board_.clear(*all_);
    una_ += flight();
    model_.clear();
}

void ScoreboardTest::check() {
    const SentRanges& all = *all_;
    std::uint32_t at = 0, count = 0, previous = no_slot, first_lost = no_slot;
    std::set<std::uint32_t> in_flight;
    for (std::uint32_t slot = board_.head(); slot != no_slot; previous = slot, slot = all[slot].next) {
        const SentRange& range = all[slot];
        ASSERT_EQ(range.prev, previous);
        ASSERT_EQ(offset(range.first), at) << "no gap and no overlap";
        ASSERT_GT(range.length(), 0U);
        ASSERT_LE(offset(range.end), flight());
        for (; at < offset(range.end); ++at) ASSERT_EQ(range.state, model_[at]) << "octet " << at;
        if (range.state == State::in_flight) in_flight.insert(slot);
        if (range.state == State::lost && first_lost == no_slot) first_lost = slot;
        ++count;
    }
    ASSERT_EQ(at, flight()) << "up to SND.NXT";
    ASSERT_EQ(board_.tail(), previous);
    ASSERT_EQ(board_.empty(), model_.empty());
    ASSERT_EQ(board_.ranges(), count);
    ASSERT_EQ(board_.sacked(), std::count(model_.begin(), model_.end(), State::sacked));
    ASSERT_EQ(board_.lost(), std::count(model_.begin(), model_.end(), State::lost));
    ASSERT_EQ(board_.first_lost(all), first_lost);

    std::optional<std::uint32_t> last;
    board_.walk_in_order_of_sending(*all_, [&](std::uint32_t slot) {
        EXPECT_EQ(in_flight.erase(slot), 1U) << "each of those in flight, once";
        if (last) {
            EXPECT_LE(static_cast<std::int32_t>(*last - all[slot].stamp.sent_us), 0);
        }
        last = all[slot].stamp.sent_us;
        return true;
    });
    ASSERT_TRUE(in_flight.empty()) << "each of those in flight, once";
}

void ScoreboardTest::act() {
    now_ += up_to(3) == 0 ? up_to(2000) : 0;
    switch (random_() % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
            if (flight() < 2000) send(1 + up_to(100), random_() % 2 == 0 ? 0 : up_to(1000));
            break;
        case 4:
            acknowledge(up_to(random_() % 8 == 0 ? flight() : std::min(flight(), 60U)));
            break;
        case 5:
        case 6:
        case 7: {
            if (flight() == 0) break;
            const std::uint32_t first = up_to(flight() - 1);
            sack(first, first + 1 + up_to(std::min(flight() - first - 1, random_() % 4 == 0 ? 2000U : 40U)));
            break;
        }
        case 8:
        case 9:
            mark_lost(random_() % 2 == 0 ? 20 : 90);
            break;
        case 10:
        case 11:
        case 12:
            retransmit(1 + up_to(80));
            break;
        case 13:
            split();
            break;
        case 14:
            if (random_() % 8 == 0) mark_none_lost();
            break;
        default:
            if (random_() % 40 == 0) clear();
            if (random_() % 20 == 0) forget_sacks();
    }
}

void ScoreboardTest::follow_a_model(std::uint32_t spare, int steps) {
    all_.emplace("sent ranges", connections, spare);
    bool exhausted = false;
    for (int step = 0; step < steps && !HasFatalFailure() && !HasNonfatalFailure(); ++step) {
        SCOPED_TRACE("step " + std::to_string(step));
        act();
        check();
        ASSERT_EQ(all_->spare() + (board_.ranges() > 0 ? board_.ranges() - 1 : 0), spare);
        exhausted = exhausted || all_->spare() == 0;
    }
    EXPECT_EQ(exhausted, spare < roomy) << "what the test is about has come about";
    acknowledge(flight());
    EXPECT_TRUE(board_.empty());
    EXPECT_EQ(all_->spare(), spare) << "all ranges are given back";
    EXPECT_EQ(board_.sacked() + board_.lost() + board_.ranges(), 0U);
}

TEST_F(ScoreboardTest, FollowsAModel) {
    follow_a_model(roomy, 20'000);
}

TEST_F(ScoreboardTest, FollowsAModelWhereRangesRunOut) {
    follow_a_model(7, 20'000);
}

TEST_F(ScoreboardTest, FollowsAModelWhereThereIsOneRangeOnly) {
    follow_a_model(0, 10'000);
}

TEST_F(ScoreboardTest, OneConnectionCannotTakeTheFirstRangeOfAnother) {
    all_.emplace("sent ranges", connections, 3);
    for (int i = 0; i < 10; ++i) {
        send(10, 0);
        ++now_;
    }
    EXPECT_EQ(board_.ranges(), 4U);
    EXPECT_EQ(all_->spare(), 0U);
    Scoreboard other;
    other.sent(*all_, start, start + 1, stamp(), 0);
    EXPECT_EQ(other.ranges(), 1U);
    other.clear(*all_);
    check();
}

TEST_F(ScoreboardTest, HoldsNoMoreRangesThanItMay) {
    all_.emplace("sent ranges", connections, 2 * Scoreboard::max_ranges);
    send(4 * Scoreboard::max_ranges, 0);
    for (std::uint32_t i = 1; i < flight(); i += 2) sack(i, i + 1);
    EXPECT_EQ(board_.ranges(), Scoreboard::max_ranges);
    check();
    ++now_;
    send(10, 0);
    EXPECT_EQ(board_.ranges(), Scoreboard::max_ranges);
    check();
    sack(1, flight());  // one stretch in the end
    EXPECT_EQ(board_.ranges(), 2U);
    EXPECT_EQ(all_->spare(), 2 * Scoreboard::max_ranges - 1);
    check();
}

}  // namespace scoreboard_test
}  // namespace runnel::tcp
