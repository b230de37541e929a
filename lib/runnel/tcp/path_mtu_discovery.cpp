#include "runnel/tcp/path_mtu_discovery.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/loss_timer.hpp"

namespace runnel::tcp {

namespace {

// MTUs that are tried where large segments vanish and no router says why: RFC 4821 section 7.2 names 1024 as
// where to begin from, and 576 takes each link that RFC 1122 section 3.3.3 knows of; 552 leaves room for a
// tunnel's header.
constexpr std::array<std::uint16_t, 2> safe_mtus_ipv4{1024, 552};
constexpr std::array<std::uint16_t, 1> safe_mtus_ipv6{1280};  // each link takes it (RFC 8200 section 5)
// Of one segment, in a row. Two losses of it are no rarity, nor are four on a path that loses much: where it
// has carried full segments before, more are needed to say that it no longer does.
constexpr std::uint8_t suspicious_time_outs = 3;
constexpr std::uint8_t suspicious_on_proven_path = 6;
constexpr Duration raise_after = 10min;

}  // namespace

// The octets of data that a packet of `mtu` octets has room for.
std::uint16_t PathMtuDiscovery::data_in(const Tcb& tcb, std::uint16_t mtu) noexcept {
    return segment_data_size(UINT16_MAX, mtu, tcb.flow.is_ipv6(), tcb.timestamps);
}

void PathMtuDiscovery::too_big(std::uint32_t slot, Tcb& tcb, const ip::IcmpError& error) noexcept {
    const std::uint16_t mss = data_in(tcb, core_.ip.lower_path_mtu(error, core_.now));
    if (mss >= tcb.mss) {
        core_.counters.drop(DropReason::icmp_mtu_not_lower);
        return;
    }
    core_.counters.add(Counter::tcp_path_mtu_lowered);
    tcb.mss = mss;
    if (Cold* const cold = core_.cold_of(tcb)) resend(slot, tcb, *cold);
}

void PathMtuDiscovery::resend(std::uint32_t slot, Tcb& tcb, Cold& cold) noexcept {
    const std::uint32_t text = tcb.in_flight() - (tcb.fin_sent ? 1 : 0);
    if (text <= tcb.mss) return;
    if (!cold.board.empty()) {
        cold.board.walk_in_order_of_sending(core_.ranges, [&](std::uint32_t at) noexcept {
            if (core_.ranges[at].length() > tcb.mss) cold.board.mark_lost(core_.ranges, at);
            return true;
        });
        if (cold.board.lost() == 0) return;
        cold.probe.active = false;
        restart_rto(core_, tcb, cold);
        arm_loss_timer(core_, slot, tcb, cold);
    } else {
        // Which segments were too large is not known: all go again, as after a time-out, but in this window.
        if (cold.fast_recovery && !core_.control_owns_window(tcb)) tcb.cwnd = tcb.ssthresh;
        cold.fast_recovery = false;
        cold.timeout_recovery = true;
        cold.timing = false;  // Karn (RFC 6298 section 3)
        cold.duplicate_acks = 0;
        cold.rtx_nxt = tcb.snd_una;
        cold.recover = tcb.snd_nxt;
        if (tcb.timer_kind == TimerKind::retransmission)
            core_.start_timer(slot, tcb, TimerKind::retransmission, core_.rto(tcb));
    }
    core_.want_output(slot, tcb);
}

// Octets of text in what a time-out sends again.
std::uint32_t PathMtuDiscovery::first_segment_in_flight(const Tcb& tcb, const Cold& cold) const noexcept {
    const std::uint32_t sent =
        cold.board.empty() ? tcb.in_flight() : core_.ranges[cold.board.head()].length();
    return std::min({sent, cold.queue.size(), std::uint32_t{tcb.mss}});
}

void PathMtuDiscovery::timed_out(Tcb& tcb) noexcept {
    Cold* const cold = core_.cold_of(tcb);
    if (cold == nullptr) return;
    const std::uint32_t size = first_segment_in_flight(tcb, *cold);
    const std::uint16_t known =
        data_in(tcb, core_.ip.path_mtu_for(core_.ends_of(tcb).remote_address(), core_.now));
    if (known < tcb.mss) {
        tcb.mss = known;
        core_.counters.add(Counter::tcp_path_mtu_lowered);
        if (size > known) return;  // what follows is another segment
    }
    // Not `backoff`: by Karn's rule that may outlast the loss.
    if (cold->stuck_at != tcb.snd_una) cold->stuck_time_outs = 0;
    cold->stuck_at = tcb.snd_una;
    if (cold->stuck_time_outs < 255) ++cold->stuck_time_outs;
    if (cold->stuck_time_outs < (tcb.full_size_delivered ? suspicious_on_proven_path : suspicious_time_outs))
        return;
    const std::span<const std::uint16_t> safe_mtus =
        tcb.flow.is_ipv6() ? std::span<const std::uint16_t>{safe_mtus_ipv6} : safe_mtus_ipv4;
    const auto next = std::find_if(safe_mtus.begin(), safe_mtus.end(), [&](std::uint16_t mtu) {
        return data_in(tcb, mtu) < tcb.mss && data_in(tcb, mtu) < size;
    });
    if (next == safe_mtus.end()) {
        cold->small_vanish_too = cold->full_mss != 0;
        return;
    }
    if (cold->full_mss == 0) cold->full_mss = tcb.mss;
    cold->shrunk_at = core_.now;
    tcb.mss = data_in(tcb, *next);
    core_.counters.add(Counter::tcp_black_holes);
}

void PathMtuDiscovery::progress(Core& core, Tcb& tcb, Cold& cold) noexcept {
    if (!cold.small_vanish_too && core.now - cold.shrunk_at < raise_after) return;
    const std::uint16_t known =
        data_in(tcb, core.ip.path_mtu_for(core.ends_of(tcb).remote_address(), core.now));
    tcb.mss = std::max(tcb.mss, std::min(cold.full_mss, known));
    cold.full_mss = 0;
    cold.small_vanish_too = false;
}

}  // namespace runnel::tcp
