// The making of each segment: header, window, options, and the way to the internet layer. What may go is
// transmission.cpp's to say.
#include <algorithm>
#include <array>

#include <netinet/in.h>

#include "runnel/tcp/handshake_options.hpp"
#include "runnel/tcp/transmission.hpp"
#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"

namespace runnel::tcp {

namespace flag = wire::tcp_flags;

namespace {

// The header of a segment in an empty mbuf; the options follow at 20.
std::byte* put_header(rte_mbuf* mbuf, const wire::TcpHeader& header, std::uint32_t text) noexcept {
    const auto size = static_cast<std::uint16_t>(header.header_size + text);
    mbuf->data_len = size;
    mbuf->pkt_len = size;
    auto* at = rte_pktmbuf_mtod(mbuf, std::byte*);
    wire::write(header, at);
    return at;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------
// Windows

SeqNum Transmission::new_right_edge(const Tcb& tcb) const noexcept {
    const std::uint32_t buffer = core_.config.receive_buffer;
    const std::uint32_t free = buffer > tcb.unconsumed ? buffer - tcb.unconsumed : 0;
    const std::uint32_t nameable = 65535U << tcb.rcv_wscale;
    return max(tcb.rcv_nxt + std::min(free, nameable), tcb.rcv_adv);
}

// The window field. The right edge moves on only by a step worth telling (RFC 9293 MUST-39) and never left,
// not even by the rounding of the window scale (SHLD-14): the field is rounded up.
std::uint16_t Transmission::advertise_window(Tcb& tcb) const noexcept {
    const SeqNum edge = new_right_edge(tcb);
    const std::uint32_t step = std::min<std::uint32_t>(tcb.mss, core_.config.receive_buffer / 2);
    const SeqNum right = edge - tcb.rcv_adv >= step ? edge : tcb.rcv_adv;
    const std::uint32_t window = right > tcb.rcv_nxt ? right - tcb.rcv_nxt : 0;
    const std::uint32_t unit = 1U << tcb.rcv_wscale;
    const std::uint32_t field = std::min((window + unit - 1) >> tcb.rcv_wscale, 65535U);
    tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + (field << tcb.rcv_wscale));
    return static_cast<std::uint16_t>(field);
}

bool Transmission::window_update_due(const Tcb& tcb) const noexcept {
    const std::uint32_t buffer = core_.config.receive_buffer;
    const std::uint32_t opened = new_right_edge(tcb) - tcb.rcv_adv;
    const std::uint32_t left = tcb.rcv_wnd();
    if (left < tcb.mss) return opened >= std::min<std::uint32_t>(tcb.mss, buffer / 2);
    // With much of the window left the next ACK will do.
    return left < std::min(buffer / 2, 16U * tcb.mss) && opened >= std::min(2U * tcb.mss, buffer / 2);
}

// How many SACK blocks the next segment carries. On one with text they leave at least three quarters of it to
// the text.
std::size_t Transmission::count_sack_blocks(const Tcb& tcb, const Cold& cold, bool with_text) noexcept {
    std::array<wire::SackBlock, wire::tcp_max_sack_blocks> blocks;
    const std::size_t most = tcb.timestamps ? 3 : 4;
    const std::size_t wanted = std::min(cold.reported.list(blocks), most);
    if (!with_text) return wanted;
    return std::min<std::size_t>(wanted, tcb.mss / 4 < 12 ? 0 : (tcb.mss / 4 - 4) / 8);
}

// ---------------------------------------------------------------------------------------------------------------------
// Segments

bool Transmission::hand_over(rte_mbuf* mbuf, const Ends& ends, std::uint8_t settings, bool ecn_capable,
                             std::uint16_t segment_size) noexcept {
    constexpr std::uint8_t ect_0 = 2;  // RFC 3168 section 5
    core_.counters.add(Counter::tcp_out);
    std::uint8_t tos = ecn_capable ? ect_0 : 0;
    std::uint8_t ttl = 0;
    if (settings != SettingsTable::plain) [[unlikely]] {
        tos = static_cast<std::uint8_t>(tos | core_.settings[settings].dscp << 2);
        ttl = core_.settings[settings].ttl;
    }
    ip::Output how{.source = ends.flow.local_address,
                   .destination = ends.flow.remote_address,
                   .protocol = IPPROTO_TCP,
                   .tos = tos,
                   .ttl = ttl,
                   .segment_size = segment_size};
    if (ends.ipv6 != nullptr) {
        how.ipv6 = ends.ipv6;
        how.flow_label = ip::flow_label_of(core_.flow_labels(&ends.flow));
    }
    return core_.ip.output(mbuf, how, core_.now);
}

// Whether a segment of usual size refers to its text rather than have it copied.
bool Transmission::may_refer(const Tcb& tcb, Cold& cold, const Piece& piece) noexcept {
    const std::uint8_t mbufs = core_.ip.offloads_for(core_.ends_of(tcb).remote_address()).tx_chain;
    if (mbufs == 1) [[likely]] {
        if (cold.queue.in_mbuf(piece.position)) core_.counters.add(Counter::frames_linearized);
        return false;
    }
    if (!cold.queue.in_place(piece.position)) return false;
    if (cold.queue.fits(piece.position, piece.octets, mbufs - 1U,
                        rte_pktmbuf_data_room_size(core_.stash.pool())) == piece.octets)
        return true;
    core_.counters.add(Counter::frames_linearized);
    return false;
}

bool Transmission::emit(Tcb& tcb, const Piece& piece) noexcept {
    rte_mbuf* const mbuf = piece.octets > 0 ? core_.stash.take_data() : core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return false;
    }
    Cold* const cold = core_.cold_of(tcb);
    bool refers = piece.segment_size != 0;
    if (piece.octets >= core_.config.refer_from && core_.config.refer_from != 0 && !refers)
        refers = may_refer(tcb, *cold, piece);
    if (refers) [[unlikely]] {
        if (!cold->queue.refer(piece.position, piece.octets, mbuf, core_.stash, core_.static_octets)) {
            core_.stash.put(mbuf);
            core_.counters.drop(DropReason::no_mbuf);
            return false;
        }
        core_.counters.add(Counter::tcp_referred_out);
    }
    std::uint8_t flags = piece.flags;
    if (tcb.ece_out) flags |= flag::ece;
    const bool ecn_capable = tcb.ecn && piece.fresh && piece.octets > 0;
    if (tcb.cwr_out && ecn_capable) [[unlikely]] {
        flags |= flag::cwr;
        tcb.cwr_out = false;
    }
    std::uint16_t urgent_pointer = 0;
    if (cold != nullptr && cold->urgent_out && cold->snd_up > piece.seq) [[unlikely]] {
        flags |= flag::urg;
        urgent_pointer = static_cast<std::uint16_t>(std::min(cold->snd_up - piece.seq, 65535U));
    }
    auto header_size =
        static_cast<std::uint8_t>(wire::tcp_header_size + (tcb.timestamps ? wire::tcp_timestamps_size : 0U));
    const std::size_t sacks = (flags & flag::rst) != 0 ? 0 : sack_blocks_for(tcb, cold, piece.octets > 0);
    if (sacks > 0) [[unlikely]]
        header_size = static_cast<std::uint8_t>(header_size + 4 + 8 * sacks);
    std::byte* const header = put_header(mbuf,
                                         {.source_port = tcb.flow.local_port,
                                          .destination_port = tcb.flow.remote_port,
                                          .sequence = piece.seq,
                                          .acknowledgement = tcb.rcv_nxt,
                                          .flags = flags,
                                          .window = advertise_window(tcb),
                                          .urgent_pointer = urgent_pointer,
                                          .header_size = header_size},
                                         refers ? 0 : piece.octets);
    if (refers) mbuf->pkt_len += piece.octets;
    if (tcb.timestamps)
        wire::write_timestamps(header + wire::tcp_header_size, core_.ts_clock + tcb.ts_offset, tcb.ts_recent);
    if (sacks > 0) [[unlikely]] {
        std::array<wire::SackBlock, wire::tcp_max_sack_blocks> blocks;
        (void)cold->reported.list(blocks);
        const std::size_t size = 4 + 8 * sacks;
        wire::write_sack({header + header_size - size, size}, std::span{blocks}.first(sacks));
        cold->reported.duplicate_reported();
    }
    if (piece.octets > 0 && !refers) cold->queue.read(piece.position, piece.octets, header + header_size);
    if (piece.segment_size != 0) {
        core_.counters.add(Counter::tcp_large_out);
        core_.counters.add(Counter::tcp_out, piece.octets / piece.segment_size - 1);
    }
    tcb.last_ack_sent = tcb.rcv_nxt;
    tcb.ack_now = false;
    tcb.ack_delayed = false;
    hand_over(mbuf, core_.ends_of(tcb), tcb.settings, ecn_capable, piece.segment_size);
    return true;
}

bool Transmission::send_ack(Tcb& tcb) noexcept {
    if (!emit(tcb, {tcb.snd_nxt, 0, 0, flag::ack})) return false;
    if (tcb.cold != no_slot) core_.detach_idle_cold(tcb);  // it may have held but the report of a duplicate
    return true;
}

bool Transmission::send_keep_alive(Tcb& tcb) noexcept {
    core_.counters.add(Counter::tcp_keep_alives);
    return emit(tcb, {tcb.snd_nxt - 1, 0, 0, flag::ack});
}

void Transmission::send_challenge_ack(Tcb& tcb) noexcept {
    if (!tcb.challenges.allow(core_.now, core_.config.challenge_acks_per_second)) return;
    core_.counters.add(Counter::tcp_challenge_acks);
    send_ack(tcb);
}

void Transmission::send_reset(Tcb& tcb) noexcept {
    core_.counters.add(Counter::tcp_resets_out);
    const bool synchronized = tcb.state != State::syn_sent;
    emit(tcb, {tcb.snd_nxt, 0, 0, synchronized ? std::uint8_t{flag::rst | flag::ack} : flag::rst});
}

bool Transmission::emit_syn(const Ends& ends, SeqNum seq, SeqNum ack, std::uint8_t flags,
                            std::uint16_t window, const wire::SynOptions& options, std::uint8_t settings,
                            SendQueue* text, std::uint32_t octets) noexcept {
    rte_mbuf* const mbuf = octets > 0 ? core_.stash.take_data() : core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return false;
    }
    core_.counters.add((flags & flag::ack) != 0 ? Counter::tcp_syn_acks_out : Counter::tcp_syns_out);
    const auto header_size =
        static_cast<std::uint8_t>(wire::tcp_header_size + wire::syn_options_size(options));
    std::byte* const header = put_header(mbuf,
                                         {.source_port = ends.flow.local_port,
                                          .destination_port = ends.flow.remote_port,
                                          .sequence = seq,
                                          .acknowledgement = ack,
                                          .flags = flags,
                                          .window = window,
                                          .header_size = header_size},
                                         octets);
    wire::write_syn_options({header + wire::tcp_header_size, header_size - wire::tcp_header_size}, options);
    if (octets > 0) text->read(0, octets, header + header_size);
    return hand_over(mbuf, ends, settings);
}

// What the SYN of a connection that wants Fast Open says; how much of the data goes with it (RFC 7413
// section 4.2.1).
std::uint32_t Transmission::prepare_fast_open(const Tcb& tcb, Cold& cold, std::uint16_t mtu,
                                              wire::SynOptions& options) noexcept {
    const FastOpenCache::Known known = core_.fast_open_servers.find(tcb.flow.remote_address, core_.now);
    if (known.refused) {
        cold.fast_open = FastOpenUse::none;
        return 0;
    }
    options.fast_open = known.cookie;
    if (known.cookie.size == 0) {
        cold.fast_open = FastOpenUse::asked;
        return 0;
    }
    cold.fast_open = FastOpenUse::given;
    const bool ipv6 = tcb.flow.is_ipv6();
    const std::uint32_t peer_mss = known.mss == 0 ? default_mss(ipv6) : known.mss;
    const std::uint32_t room = std::min<std::uint32_t>(peer_mss, mtu - headers_size(ipv6));
    const auto size = static_cast<std::uint32_t>(wire::syn_options_size(options));
    return std::min(cold.queue.size(), room - std::min(room, size));
}

bool Transmission::send_syn(Tcb& tcb, bool fast_open) noexcept {
    const bool answer = tcb.state == State::syn_received;
    const Ends ends = core_.ends_of(tcb);
    const std::uint16_t mtu = core_.ip.mtu_for(ends.remote_address());
    wire::SynOptions options{
        .mss = core_.own_mss(tcb.settings, mtu, tcb.flow.is_ipv6()),
        .sack_permitted = answer ? tcb.sack : core_.config.sack,
        .timestamps = answer ? tcb.timestamps : core_.config.timestamps,
        .ts_value = core_.ts_clock + tcb.ts_offset,
        .ts_echo = answer ? tcb.ts_recent : 0,
        .window_scale = core_.config.window_scaling && (!answer || tcb.snd_wscale != 0 || tcb.rcv_wscale != 0)
                            ? std::optional{receive_window_shift(core_.config)}
                            : std::nullopt};
    Cold* const cold = core_.cold_of(tcb);
    std::uint32_t octets = 0;
    if (answer && fast_open)
        options.fast_open =
            core_.fast_open_cookies.make(ends.remote_address(), ends.local_address(), core_.now);
    if (!answer && cold != nullptr && cold->fast_open != FastOpenUse::none)
        octets =
            prepare_fast_open(tcb, *cold, core_.ip.path_mtu_for(ends.remote_address(), core_.now), options);
    std::uint16_t window = syn_window(core_.config);
    if (answer) {
        // Data that came with the SYN takes its part of the buffer.
        const std::uint32_t buffer = core_.config.receive_buffer;
        window = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(window, buffer - std::min(tcb.unconsumed, buffer)));
        tcb.rcv_adv = max(tcb.rcv_adv, tcb.rcv_nxt + window);
        tcb.last_ack_sent = tcb.rcv_nxt;
    }
    std::uint8_t flags = flag::syn;
    if (answer) flags |= flag::ack;
    // RFC 3168 section 6.1.1: ECE and CWR ask, ECE alone agrees.
    if (tcb.ecn) flags |= answer ? flag::ece : std::uint8_t{flag::ece | flag::cwr};
    const SeqNum seq = tcb.fast_opening() ? tcb.snd_una - 1 : tcb.snd_una;
    if (!emit_syn(ends, seq, answer ? tcb.rcv_nxt : SeqNum{0}, flags, window, options, tcb.settings,
                  octets > 0 ? &cold->queue : nullptr, octets))
        return false;
    // What an earlier SYN carried may still be acknowledged.
    tcb.snd_nxt = max(tcb.snd_nxt, seq + 1 + octets);
    return true;
}

bool Transmission::send_syn_ack(const HalfOpen& half_open, const Ends& ends) noexcept {
    const std::uint16_t mtu = core_.ip.mtu_for(ends.remote_address());
    return emit_syn(
        ends, half_open.iss, half_open.rcv_nxt(),
        half_open.ecn ? std::uint8_t{flag::syn | flag::ack | flag::ece} : std::uint8_t{flag::syn | flag::ack},
        half_open.rcv_wnd,
        {.mss = core_.own_mss(core_.listeners[half_open.listener].settings, mtu, ends.ipv6 != nullptr),
         .sack_permitted = half_open.sack_permitted,
         .timestamps = half_open.timestamps,
         .ts_value = core_.ts_clock + half_open.ts_offset,
         .ts_echo = half_open.ts_recent,
         .window_scale =
             half_open.window_scaling ? std::optional{receive_window_shift(core_.config)} : std::nullopt,
         .fast_open = half_open.fast_open ? std::optional{core_.fast_open_cookies.make(
                                                ends.remote_address(), ends.local_address(), core_.now)}
                                          : std::nullopt},
        core_.listeners[half_open.listener].settings);
}

bool Transmission::send_bare_ack(const Ends& ends, const Bare& bare) noexcept {
    rte_mbuf* const mbuf = core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return false;
    }
    const std::uint8_t header_size =
        wire::tcp_header_size + (bare.timestamps ? std::uint8_t{wire::tcp_timestamps_size} : std::uint8_t{0});
    std::byte* const header = put_header(mbuf,
                                         {.source_port = ends.flow.local_port,
                                          .destination_port = ends.flow.remote_port,
                                          .sequence = bare.seq,
                                          .acknowledgement = bare.ack,
                                          .flags = flag::ack,
                                          .window = bare.window,
                                          .header_size = header_size},
                                         0);
    if (bare.timestamps)
        wire::write_timestamps(header + wire::tcp_header_size, core_.ts_clock + bare.ts_offset,
                               bare.ts_recent);
    return hand_over(mbuf, ends, bare.settings);
}

void Transmission::send_reset_for(const Segment& segment) noexcept {
    if (segment.has(flag::rst)) return;
    rte_mbuf* const mbuf = core_.stash.take_control();
    if (mbuf == nullptr) [[unlikely]] {
        core_.counters.drop(DropReason::no_mbuf);
        return;
    }
    core_.counters.add(Counter::tcp_resets_out);
    const bool has_ack = segment.has(flag::ack);
    put_header(mbuf,
               {.source_port = segment.flow.local_port,
                .destination_port = segment.flow.remote_port,
                .sequence = has_ack ? segment.ack : SeqNum{0},
                .acknowledgement = has_ack ? SeqNum{0} : segment.seq + segment.length(),
                .flags = has_ack ? flag::rst : std::uint8_t{flag::rst | flag::ack},
                .header_size = wire::tcp_header_size},
               0);
    hand_over(mbuf, segment.ends(), SettingsTable::plain);
}

}  // namespace runnel::tcp
