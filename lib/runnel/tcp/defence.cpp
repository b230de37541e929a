#include "runnel/tcp/defence.hpp"

#include <optional>

#include "runnel/wire/tcp.hpp"

namespace runnel::tcp {

namespace {

namespace flag = wire::tcp_flags;

// What kind of scan sends such a segment; nothing where hosts do.
std::optional<AttackKind> scan_kind(const Segment& segment) noexcept {
    if (segment.has(flag::rst)) return std::nullopt;
    const bool push_or_urgent = segment.has(flag::psh | flag::urg);
    switch (segment.flags & (flag::syn | flag::ack | flag::fin)) {
        case 0:
            return push_or_urgent ? std::nullopt : std::optional{AttackKind::null_scan};
        case flag::syn:
            return AttackKind::syn_scan;
        case flag::fin:
            return push_or_urgent ? AttackKind::xmas_scan : AttackKind::fin_scan;
        case flag::ack:
            // Data belongs to a connection that is no more.
            return push_or_urgent || segment.text > 0 ? std::nullopt : std::optional{AttackKind::ack_scan};
        default:
            return std::nullopt;
    }
}

Counter counter_of(AttackKind kind) noexcept {
    switch (kind) {
        case AttackKind::syn_flood:
            return Counter::tcp_syn_floods;
        case AttackKind::syn_scan:
            return Counter::tcp_syn_scans;
        case AttackKind::fin_scan:
            return Counter::tcp_fin_scans;
        case AttackKind::null_scan:
            return Counter::tcp_null_scans;
        case AttackKind::xmas_scan:
            return Counter::tcp_xmas_scans;
        case AttackKind::ack_scan:
            break;
    }
    return Counter::tcp_ack_scans;
}

}  // namespace

Defence::Defence(Core& core)
    : cookies(core.keys.cookies, core.config.min_peer_mss),
      core_(core),
      crowd_(core.config.syn_cookies == SynCookieUse::always
                 ? 0
                 : std::min<std::uint32_t>(FloodDetector::least_syns, core.half_open.capacity() / 2)),
      flood_(core.keys.detectors.k0, core.half_open.capacity()),
      scans_(core.keys.detectors) {}

Defence::~Defence() {
    if (const auto ended = flood_.finish()) report(*ended);
    scans_.finish([this](const AttackEpisode& ended) noexcept { report(ended); });
}

void Defence::turn() noexcept {
    const Counters& counters = core_.counters;
    // Who completes a handshake and finds no connection free has answered too.
    const FloodDetector::Picture picture{
        .half_open = core_.half_open.size(),
        .answered = counters.get(Counter::tcp_passive_opens) + counters.get(DropReason::tcp_connections_full),
        .overflowed =
            counters.get(DropReason::tcp_half_open_full) + counters.get(DropReason::tcp_syn_while_behind) +
            (core_.config.syn_cookies == SynCookieUse::when_full ? counters.get(Counter::tcp_syn_cookies_sent)
                                                                 : 0)};
    if (const auto news = flood_.turn(core_.now, picture)) report(*news);
}

void Defence::unexpected(const Segment& segment, bool listening) noexcept {
    const std::optional<AttackKind> kind = scan_kind(segment);
    if (!kind) return;
    // Where connections are accepted, or opened from, a bare ACK may be the last word of one that is gone.
    const bool opened_from = segment.flow.local_port >= core_.config.ephemeral_first &&
                             core_.counters.get(Counter::tcp_active_opens) > 0;
    if (*kind == AttackKind::ack_scan && (listening || opened_from)) return;
    touch(segment, *kind);
}

void Defence::touch(const Segment& segment, AttackKind kind) noexcept {
    run_timers();
    if (const auto began =
            scans_.touch(segment.ends().remote_address(), kind, segment.flow.local_port, core_.now))
        report(*began);
}

void Defence::run_timers() noexcept {
    if (core_.now >= flood_.deadline()) turn();
    if (core_.now >= scans_.deadline())
        scans_.advance(core_.now, [this](const AttackEpisode& ended) noexcept { report(ended); });
}

void Defence::report(const AttackEpisode& episode) noexcept {
    if (!episode.ended) core_.counters.add(counter_of(episode.kind));
    if (core_.config.observer != nullptr) core_.config.observer->attack(episode);
}

}  // namespace runnel::tcp
