// See measurement.hpp.
#include "engine/measurement.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

#include "engine/datagram_result.hpp"
#include "engine/seconds.hpp"
#include "engine/watch.hpp"

namespace runnel::load {

namespace {

using Phase = Generator::Phase;

// Memory that the process has now: its pages, and its share of the machine's hugepages.
std::uint64_t resident_octets() {
    std::ifstream status{"/proc/self/status"};
    std::uint64_t kilobytes = 0;
    for (std::string line; std::getline(status, line);)
        for (const std::string_view name : {"VmRSS:", "HugetlbPages:"})
            if (line.starts_with(name)) kilobytes += std::strtoull(line.c_str() + name.size(), nullptr, 10);
    return kilobytes * 1024;
}

std::uint64_t most_resident_octets() {
    rusage usage{};
    return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::uint64_t>(usage.ru_maxrss) * 1024 : 0;
}

}  // namespace

void measure(runtime::Runtime& runtime, const runtime::Factory& factory, const Progress& progress,
             const Interrupted& interrupted, Result& result, const Followers& followers) {
    constexpr auto glance = std::chrono::milliseconds(5);
    result.memory.before = resident_octets();
    runtime.start(factory);
    Watch watch(runtime);
    const runtime::Clock& clock = runtime.clock();

    Control own;
    Control& control = followers.control != nullptr ? *followers.control : own;
    Orders orders(control, watch, clock, result);
    Instant begin = clock.now();
    Observing observing(followers, control, watch, begin);
    bool in_window = false;  // its intervals are observed
    const auto heed = [&] {
        if (interrupted && interrupted()) control.ask({.kind = Order::Kind::stop, .by = "signal"});
        orders.carry_out();
        if (!in_window && observing.due(clock.now())) observing.publish(watch.look(), orders.events(begin));
    };
    // Where nobody answers there is nothing to wait for. (Clients of datagrams see that themselves.)
    bool heard = result.give_up == 0s || sends_datagrams(result.recipe) || result.recipe == Recipe::none;
    std::optional<Instant> first_started;
    Instant next_look = clock.now();
    const auto give_up_if_silent = [&] {
        const Instant now = clock.now();
        if (heard || now < next_look) return;
        next_look = now + 100ms;
        const Watch::Heard so_far = watch.heard();
        heard = so_far.established;
        if (heard || !so_far.started) return;
        if (!first_started) first_started = now;
        // A refusal is an answer: no better one is to be expected.
        if (now - *first_started < (so_far.refused ? std::min(result.give_up, Duration{1s}) : result.give_up))
            return;
        for (const Watch::Running& running : watch.clients()) running.side->client->abandon();
        heard = true;
        result.nobody_answered = true;
    };
    const auto wait_past = [&](Phase phase) {
        while (!watch.all_past(phase)) {
            std::this_thread::sleep_for(glance);
            heed();
            give_up_if_silent();
        }
    };
    wait_past(Phase::measured);
    begin = clock.now();
    const auto loops_before = watch.loops();
    const Picture first = watch.look();
    Picture last = first;
    Instant last_time = begin;
    const auto end_interval = [&] {
        Picture now = watch.look();
        const Instant time = clock.now();
        result.intervals.push_back(
            interval_between(last, now, seconds(time - last_time), seconds(time - begin), result.recipe));
        observing.publish(now, orders.events(begin));
        last = std::move(now);
        last_time = time;
        if (progress) progress(result.intervals.back());
    };
    in_window = true;
    while (!watch.all_past(Phase::draining)) {
        std::this_thread::sleep_for(glance);
        if (clock.now() - last_time >= 1s && !result.unmeasured && !watch.all_past(Phase::draining))
            end_interval();
        heed();
        give_up_if_silent();
    }
    if (clock.now() - last_time >= 100ms && !result.unmeasured) end_interval();
    in_window = false;
    const auto loops_after = watch.loops();

    // What is kept is counted before it is closed again: the recipes have no packets for that.
    Picture counted;
    const bool kept = result.keeps_connections();
    if (kept) {
        wait_past(Phase::held);
        result.memory.held = resident_octets();
        if (result.recipe == Recipe::hold) {
            std::this_thread::sleep_for(4 * glance);  // the last frames reach the server
            watch.count(counted);
        } else {
            count_window(first, watch.look(), result);
        }
        for (const Watch::Running& running : watch.clients()) running.side->client->release();
    }
    wait_past(Phase::finished);
    std::this_thread::sleep_for(4 * glance);
    Picture at_end;
    watch.count(at_end);
    if (!kept) counted = at_end;
    result.events = orders.events(begin);
    runtime.stop();

    gather(watch, result);
    result.memory.most = most_resident_octets();
    for (const Watch::Running& running : watch.clients()) {
        const Generator::Totals& all = running.side->client->measurement().all;
        result.connections_counted += result.recipe == Recipe::hold ? all.established : all.started;
    }
    if (!result.transfers()) {
        const auto frames = [](const runtime::Snapshot& s, Counter frame_counter, Counter octet_counter) {
            return FrameCount{s.get(frame_counter), s.get(octet_counter)};
        };
        result.client_tx = frames(counted.clients, Counter::frames_out, Counter::bytes_out);
        result.client_rx = frames(counted.clients, Counter::frames_in, Counter::bytes_in);
        result.server_tx = frames(counted.servers, Counter::frames_out, Counter::bytes_out);
        result.server_rx = frames(counted.servers, Counter::frames_in, Counter::bytes_in);
    }
    watch.count(result.octets);
    if (const std::uint64_t failures = result.http.failures(); failures > 0)
        result.notes.push_back(fmt::format("{} responses had a status of 400 or above", failures));
    result.goodput_bps = result.goodput_to_client_bps + result.goodput_to_server_bps;
    result.counters = at_end.all();
    for (std::size_t i = 0; i < loops_after.size(); ++i) {
        const auto values = loops_after[i].since(loops_before[i]);
        result.busy_percent.push_back(100 * values.busy_share());
        result.tx_full += values.transmit_full;
    }
    result.judgement = judge(result);
    // Of a target that is not ours it is said in words why none was established.
    const Accounting& all = result.connections;
    const bool none_established = !result.target.empty() && !sends_datagrams(result.recipe) &&
                                  all.established == 0 && all.attempted > all.unsent;
    if (result.nobody_answered || none_established) result.judgement = judge_unanswered(result);
    if (result.recipe == Recipe::none) result.judgement = {Verdict::valid, "the attacks were sent as asked"};
    if (result.judgement.verdict == Verdict::valid)
        if (const auto attacks = judge_attacks(result.attacks)) result.judgement = *attacks;
}

}  // namespace runnel::load
