#include "runnel/tcp/endpoint.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "runnel/base/stage_marks.hpp"
#include "runnel/ip/mbuf_checksum.hpp"
#include "runnel/tcp/acknowledgement.hpp"
#include "runnel/tcp/core.hpp"
#include "runnel/tcp/isn.hpp"
#include "runnel/tcp/parts.hpp"

namespace runnel::tcp {

namespace {

void require(bool holds, const std::string& sentence) {
    if (!holds) throw std::invalid_argument(sentence);
}

void require_between(const char* name, Duration value, Duration least, Duration most) {
    const auto in_ms = [](Duration d) { return std::to_string(d / 1ms) + " ms"; };
    require(value >= least && value <= most, std::string{"tcp "} + name + " is " + in_ms(value) + ": give " +
                                                 in_ms(least) + " to " + in_ms(most));
}

const Config& checked(const Config& config) {
    const auto entries = std::uint64_t{config.connections} + config.half_open + config.time_wait;
    require(config.connections > 0,
            "tcp connections is 0: give the number of connections at once, at least 1");
    require(entries <= Owner::max_slots,
            "tcp connections, half_open and time_wait are " + std::to_string(entries) +
                " together: the flow table holds at most " + std::to_string(Owner::max_slots));
    require(config.half_open > 0,
            "tcp half_open is 0: give the number of half-open connections at once, at least 1");
    require(config.receive_buffer >= 1024 && config.receive_buffer <= 1U << 30,
            "tcp receive_buffer is " + std::to_string(config.receive_buffer) +
                ": give 1024 to 1073741824 octets");
    require(config.send_buffer >= 1024 && config.send_buffer <= 1U << 30,
            "tcp send_buffer is " + std::to_string(config.send_buffer) + ": give 1024 to 1073741824 octets");
    require_between("syn_timeout", config.syn_timeout, 1ms, 120s);
    require_between("synack_timeout", config.synack_timeout, 1ms, 120s);
    require_between("min_rto", config.min_rto, 1ms, 60s);
    require_between("max_rto", config.max_rto, std::max<Duration>(config.min_rto, 1s), 24h);
    require_between("delayed_ack", config.delayed_ack, 0ms, 499ms);  // RFC 9293 MUST-40
    require_between("r2", config.r2, 1s, 24h * 365);
    require_between("time_wait_duration", config.time_wait_duration, 1ms, 24h);
    require_between("fin_wait_2_timeout", config.fin_wait_2_timeout, 1ms, 24h);
    require(config.sent_ranges <= Owner::max_slots, "tcp sent_ranges is " +
                                                        std::to_string(config.sent_ranges) +
                                                        ": give at most " + std::to_string(Owner::max_slots));
    require(config.cold_blocks <= Owner::max_slots, "tcp cold_blocks is " +
                                                        std::to_string(config.cold_blocks) +
                                                        ": give at most " + std::to_string(Owner::max_slots));
    require(config.r1 >= 1, "tcp r1 is 0: give retransmissions, at least 1 (RFC 9293 asks for 3)");
    require(config.quick_acks <= 15,
            "tcp quick_acks is " + std::to_string(config.quick_acks) + ": give 0 to 15 segments");
    require_between("min_probe_timeout", config.min_probe_timeout, 0ms, 10s);
    require_between("peer_ack_delay", config.peer_ack_delay, 0ms, 1s);
    require(config.fast_open_pending <= Owner::max_slots,
            "tcp fast_open_pending is " + std::to_string(config.fast_open_pending) + ": give at most " +
                std::to_string(Owner::max_slots));
    require(config.fast_open_servers <= Owner::max_slots,
            "tcp fast_open_servers is " + std::to_string(config.fast_open_servers) + ": give at most " +
                std::to_string(Owner::max_slots));
    require(config.initial_window > 0, "tcp initial_window is 0: give segments, at least 1");
    require(config.min_peer_mss >= 48, "tcp min_peer_mss is " + std::to_string(config.min_peer_mss) +
                                           ": give at least 48, so that options leave room for data");
    require(config.ephemeral_first > 0 && config.ephemeral_first <= config.ephemeral_last,
            "tcp ephemeral ports " + std::to_string(config.ephemeral_first) + " to " +
                std::to_string(config.ephemeral_last) +
                ": give a range that is not empty and does not hold 0");
    require(config.challenge_acks_per_second >= 1 && config.challenge_acks_per_second <= 15,
            "tcp challenge_acks_per_second is " + std::to_string(config.challenge_acks_per_second) +
                ": give 1 to 15");
    return config;
}

}  // namespace

Endpoint::Endpoint(const Config& config, const Secrets& secrets, ip::InternetLayer& ip, Counters& counters,
                   MbufStash& stash, TransmitQueue& queue)
    : parts_(std::make_unique<Parts>(*this, checked(config), secrets, ip, counters, stash, queue)) {}

Endpoint::~Endpoint() = default;

Core& Endpoint::core() noexcept {
    return parts_->core;
}

std::array<MemoryUse, memory_use_count> Endpoint::memory_uses(const Config& config, bool ipv6) noexcept {
    const std::uint32_t cold = config.cold_blocks == 0 ? config.connections : config.cold_blocks;
    // Settings whose sum does not fit are refused by the constructor.
    const auto entries = std::min<std::uint64_t>(
        std::uint64_t{config.connections} + config.half_open + config.time_wait, UINT32_MAX);
    const std::size_t pairs = ipv6 ? EalArray<ip::Ipv6Pair>::bytes(config.connections) +
                                         EalArray<ip::Ipv6Pair>::bytes(config.half_open) +
                                         EalArray<ip::Ipv6Pair>::bytes(config.time_wait)
                                   : 0;
    return {{{"connections", SlotPool<Tcb>::bytes(config.connections)},
             {"flow table", FlowTable::bytes(static_cast<std::uint32_t>(entries))},
             {"list of those that want to send", Core::pending_bytes(config.connections)},
             {"data in flight", SlotPool<Cold>::bytes(cold)},
             {"sent ranges", SentRanges::bytes(cold, spare_ranges(config))},
             {"half-open", HalfOpenPool::bytes(config.half_open)},
             {"TIME-WAIT", TimeWaitTable::bytes(config.time_wait)},
             {"addresses of IPv6", pairs}}};
}

void Endpoint::set_time(Instant now) noexcept {
    parts_->core.set_time(now);
}

// ---------------------------------------------------------------------------------------------------------------------
// A burst, in stages

namespace {

// Options other than timestamps alone.
[[gnu::noinline]] bool parse_options(Counters& counters, std::span<const std::byte> list,
                                     Segment& segment) noexcept {
    const wire::TcpOptions options = wire::parse_tcp_options(list);
    if (options.malformed) [[unlikely]] {
        counters.drop(DropReason::tcp_bad_option_length);  // RFC 9293 MUST-7
        return false;
    }
    segment.timestamps = options.has_timestamps;
    segment.sack_blocks = options.sack_count > 0;
    segment.ts_value = options.ts_value;
    segment.ts_echo = options.ts_echo;
    return true;
}

bool parse(Counters& counters, const FlowDigest& digest, const ip::Ingress& in, Segment& segment,
           ip::Ipv6Pair& pair) noexcept {
    counters.add(Counter::tcp_in);
    if (in.group) [[unlikely]] {
        counters.drop(DropReason::tcp_group_destination);  // RFC 9293 MUST-57
        return false;
    }
    const std::span<const std::byte> first{rte_pktmbuf_mtod(in.mbuf, const std::byte*), in.mbuf->data_len};
    switch (wire::TcpView::check(first)) {
        case wire::TcpError::none:
            break;
        case wire::TcpError::truncated_header:
            counters.drop(DropReason::tcp_truncated);
            return false;
        case wire::TcpError::data_offset_small:
        case wire::TcpError::data_offset_beyond:
            counters.drop(DropReason::tcp_bad_data_offset);
            return false;
    }
    if (!ip::transport_checksum_holds(in)) [[unlikely]] {
        counters.drop(DropReason::tcp_bad_checksum);
        return false;
    }
    const wire::TcpView view = *wire::TcpView::parse(first);
    segment.mbuf = in.mbuf;
    if (in.ipv6 == nullptr) [[likely]] {
        segment.flow = {in.source, in.destination, view.source_port(), view.destination_port()};
        segment.ipv6 = nullptr;
    } else {
        pair = in.ipv6_pair();
        segment.flow = digest(pair, view.source_port(), view.destination_port());
        segment.ipv6 = &pair;
    }
    segment.seq = view.sequence();
    segment.ack = view.acknowledgement();
    segment.flags = view.flags();
    segment.window = view.window();
    segment.urgent_pointer = view.urgent_pointer();
    segment.header_size = static_cast<std::uint8_t>(view.header_size());
    segment.text = in.mbuf->pkt_len - segment.header_size;
    segment.timestamps = false;
    segment.sack_blocks = false;
    segment.merged = false;
    segment.congestion_marked = (in.tos & 3) == 3;
    if (segment.header_size > wire::tcp_header_size) {
        const std::byte* const options = first.data() + wire::tcp_header_size;
        if (segment.header_size == wire::tcp_header_size + wire::tcp_timestamps_size &&
            wire::only_timestamps(options)) [[likely]] {
            segment.timestamps = true;
            segment.ts_value = wire::load_be32(options + 4);
            segment.ts_echo = wire::load_be32(options + 8);
        } else {
            return parse_options(counters, view.options(), segment);
        }
    }
    return true;
}

// Whether a segment has nothing to say that the one before has not said, but the text that follows. As hosts
// do it (GRO): marks, timestamps, windows and lengths of headers are the same, PSH and a shorter text end it.
bool continues(const Segment& segment, const Segment& before, SeqNum seq) noexcept {
    constexpr std::uint8_t push = wire::tcp_flags::psh, ack = wire::tcp_flags::ack;
    return segment.hash == before.hash && segment.seq == seq && before.flags == ack &&
           (segment.flags & ~push) == ack && segment.text > 0 && segment.text <= before.text &&
           segment.ack == before.ack && segment.window == before.window &&
           segment.header_size == before.header_size && segment.timestamps == before.timestamps &&
           (!segment.timestamps ||
            (segment.ts_value == before.ts_value && segment.ts_echo == before.ts_echo)) &&
           segment.congestion_marked == before.congestion_marked && !segment.sack_blocks &&
           !before.sack_blocks && segment.mbuf->nb_segs == 1 && segment.flow == before.flow &&
           (segment.ipv6 == nullptr || *segment.ipv6 == *before.ipv6);
}

// Joins the segments of a burst that follow one another to the first of them, where it comes in its turn and
// nothing is missing before: then all are taken at once. Each that comes out of its turn is answered by
// itself (RFC 5681 section 4.2). Returns how many have gone into the first.
[[gnu::noinline]] std::size_t merge(Core& core, std::span<Segment> segments) noexcept {
    Segment& first = segments[0];
    const std::uint32_t value = core.find(first.ends(), first.hash);
    if (value == FlowTable::none || Owner::decode(value).table != Table::connection) return 0;
    const Tcb& tcb = core.tcbs[Owner::decode(value).slot];
    const Cold* const cold = core.cold_of(tcb);
    if (first.seq != tcb.rcv_nxt || (cold != nullptr && !cold->out_of_order.empty())) return 0;
    const Segment before = first;
    const Segment* last = &before;
    rte_mbuf* end = rte_pktmbuf_lastseg(first.mbuf);
    std::size_t joined = 0;
    while (joined + 1 < segments.size()) {
        Segment& next = segments[joined + 1];
        // The first's text is the measure, that of one before that was shorter the end.
        if (last->text != before.text || last->has(wire::tcp_flags::psh) ||
            !continues(next, before, before.seq + first.text))
            break;
        rte_pktmbuf_adj(next.mbuf, next.header_size);
        end->next = next.mbuf;
        end = next.mbuf;
        ++first.mbuf->nb_segs;
        first.mbuf->pkt_len += next.text;
        first.text += next.text;
        first.flags |= next.flags;
        next.mbuf = nullptr;
        last = &next;
        ++joined;
    }
    first.merged = joined > 0;
    core.counters.add(Counter::tcp_merged_in, joined);
    return joined;
}

}  // namespace

void Endpoint::receive(std::span<const ip::Ingress> burst) noexcept {
    Core& core = parts_->core;
    std::array<Segment, max_burst>& segments = parts_->burst;
    std::size_t n = 0;
    for (const ip::Ingress& in : burst) {
        Segment& segment = segments[n];
        if (!parse(core.counters, core.digest, in, segment, parts_->pairs[n])) [[unlikely]] {
            core.stash.put(in.mbuf);
            continue;
        }
        ++n;
    }
    mark(Stage::look_up);
    std::array<std::uint32_t, max_burst> hashes;
    core.flow_hasher.many(&segments[0].flow, sizeof(Segment), n, hashes.data());
    for (std::size_t i = 0; i < n; ++i) {
        segments[i].hash = hashes[i];
        core.flows.prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint32_t candidate = core.flows.candidate(segments[i].hash);
        if (candidate == FlowTable::none) continue;
        core.prefetch(candidate);
        if (segments[i].ipv6 != nullptr) __builtin_prefetch(&core.pair_of(Owner::decode(candidate)));
    }
    mark(Stage::segments);
    const bool merges = core.config.merge_segments;
    for (std::size_t i = 0; i < n; ++i) {
        Segment& segment = segments[i];
        if (merges && i + 1 < n && continues(segments[i + 1], segment, segment.seq + segment.text))
            i += merge(core, {&segment, n - i});
        parts_->arrival.process(segment);
        if (segment.mbuf != nullptr) core.stash.put(segment.mbuf);
    }
    core.syn_credit.received(n);
}

void Endpoint::set_behind(bool behind) noexcept {
    parts_->core.syn_credit.set_behind(behind);
}

// Nothing that ICMP says ends a connection that is established; in SYN-SENT only what names our very SYN and
// refuses it does (RFC 9293 section 3.9.2.2, RFC 5927 sections 4.1 and 5.2).
std::optional<Owner> Endpoint::owner_of(const ip::TransportFlow& ends) const noexcept {
    const Core& core = parts_->core;
    const bool ipv6 = !ends.local.is_v4();
    if (ipv6 != !ends.remote.is_v4() || (ipv6 && !core.ip.speaks_ipv6())) return std::nullopt;
    const ip::Ipv6Pair pair{ends.remote.v6(), ends.local.v6()};
    const Flow flow = ipv6 ? core.digest(pair, ends.remote_port, ends.local_port)
                           : Flow{ends.remote.v4(), ends.local.v4(), ends.remote_port, ends.local_port};
    const std::uint32_t value = core.find({flow, ipv6 ? &pair : nullptr}, flow_hash(core.flow_hasher, flow));
    if (value == FlowTable::none) return std::nullopt;
    return Owner::decode(value);
}

std::optional<std::uint64_t> Endpoint::progress_of(const ip::TransportFlow& flow) const noexcept {
    const auto owner = owner_of(flow);
    if (!owner) return std::nullopt;
    switch (owner->table) {
        case Table::half_open:
            return 0;
        case Table::time_wait:
            return UINT64_MAX;
        case Table::connection:
            break;
    }
    const Tcb& tcb = parts_->core.tcbs[owner->slot];
    return std::uint64_t{tcb.snd_una.value()} << 32 | tcb.rcv_nxt.value();
}

void Endpoint::receive_error(const ip::IcmpError& error) noexcept {
    Core& core = parts_->core;
    const auto found = owner_of({error.destination, error.source, error.destination_port, error.source_port});
    if (!found || found->table != Table::connection) {
        core.counters.drop(DropReason::icmp_error_without_owner);
        return;
    }
    const Owner owner = *found;
    Tcb& tcb = core.tcbs[owner.slot];
    if (tcb.aborting || !SeqNum{error.sequence}.in_window(tcb.snd_una, tcb.in_flight())) {
        core.counters.drop(DropReason::icmp_error_without_owner);
        return;
    }
    if (error.meaning == ip::IcmpMeaning::too_big) {
        // A SYN is smaller than what every path takes.
        if (tcb.handshake_done())
            parts_->path_mtu.too_big(owner.slot, tcb, error);
        else
            core.counters.drop(DropReason::icmp_mtu_not_lower);
        return;
    }
    if (tcb.state == State::syn_sent) {
        switch (error.meaning) {
            case ip::IcmpMeaning::refused:
                core.end(owner.slot, CloseReason::refused);
                return;
            case ip::IcmpMeaning::prohibited:
                core.end(owner.slot, CloseReason::unreachable);
                return;
            case ip::IcmpMeaning::unreachable:
                tcb.unreachable = true;
                break;
            case ip::IcmpMeaning::too_big:
            case ip::IcmpMeaning::other:
                break;
        }
    }
    core.handler_of(tcb).soft_error(core.handle(owner.slot), error.type, error.code);
}

void Endpoint::advance() noexcept {
    parts_->timers.advance();
    parts_->defence.advance();
    if (!parts_->core.memory_waiters.empty()) [[unlikely]]
        parts_->core.tell_memory_waiters();
}

bool Endpoint::send_pending(std::size_t frames) noexcept {
    Core& core = parts_->core;
    core.go_on_with_output();
    while (core.transmit_queue.size() < frames) {
        const std::uint32_t slot = core.take_pending();
        if (slot == no_slot) return false;
        Tcb& tcb = core.tcbs[slot];
        if (tcb.aborting) [[unlikely]] {
            // RFC 9293 section 3.10.5: where the peer knows of no connection, or both have closed, no RST is
            // due.
            const bool tell =
                tcb.state != State::syn_sent && tcb.state != State::closing && tcb.state != State::last_ack;
            if (tell) parts_->transmission.send_reset(tcb);
            core.end(slot, CloseReason::aborted);
            continue;
        }
        if (!parts_->transmission.output(slot, tcb)) {
            core.untake_pending(slot, tcb);
            if (core.transmit_queue.room() > 0) core.wait_with_output();
            return false;
        }
    }
    return true;
}

Instant Endpoint::next_deadline() const noexcept {
    const Core& core = parts_->core;
    return std::min({core.output_deadline(), core.timers.next_deadline(),
                     core.half_open_timers.next_deadline(), core.time_wait_deadline(),
                     parts_->defence.next_deadline(), core.memory_deadline()});
}

// ---------------------------------------------------------------------------------------------------------------------
// Opening

namespace {

bool may_connect_to(const IpAddress& address) noexcept {
    if (!address.is_v4()) {
        const Ipv6Address v6 = address.v6();
        return !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast();
    }
    const Ipv4Address v4 = address.v4();
    return !v4.is_unspecified() && !v4.is_loopback() && !v4.is_multicast() && !v4.is_reserved();
}

}  // namespace

void Endpoint::listen(const ListenOptions& options) {
    Core& core = parts_->core;
    const std::string where = to_string(options.address) + " port " + std::to_string(options.port);
    require(options.port != 0, "listen: the port is 0; give one from 1 to 65535");
    require(options.handler != nullptr,
            "listen on " + where + ": the handler is null; give one that outlives the stack");
    const IpAddress address = options.address.is_unspecified() ? IpAddress{} : options.address;
    require(address.is_unspecified() || core.ip.is_configured(address),
            "listen on " + where + ": no interface has this address; give one of its addresses or 0.0.0.0");
    require(
        valid(options.settings),
        "listen on " + where +
            ": a setting is out of range; give dscp 0 to 63, keep-alive times of at least 1 s and at least "
            "one probe, and no negative time-out");
    require(!options.fast_open || core.config.fast_open_pending > 0,
            "listen on " + where +
                " with fast_open: tcp fast_open_pending is 0; give the number of "
                "connections that may be served before their handshake is complete");
    require(core.listeners.exact(address, options.port) == no_listener,
            "listen on " + where + ": somebody listens there already; unlisten first, or take another port");
    const std::uint16_t handler = core.handlers.acquire(options.handler);
    require(handler != HandlerTable::none,
            "listen on " + where + ": 65535 handlers are in use; share handlers");
    const std::uint16_t settings = core.settings.acquire(options.settings);
    if (settings == SettingsTable::none) {
        core.handlers.release(handler);
        require(false, "listen on " + where + ": 255 different settings are in use; share settings");
    }
    Listeners::Listener listener{.address = address,
                                 .port = options.port,
                                 .handler = handler,
                                 .settings = static_cast<std::uint8_t>(settings),
                                 .nagle = options.nagle,
                                 .fast_open = options.fast_open};
    if (core.listeners.add(listener) == no_listener) {
        core.handlers.release(handler);
        core.settings.release(listener.settings);
        require(false, "listen on " + where + ": 65535 listeners exist; unlisten one first");
    }
}

void Endpoint::unlisten(IpAddress address, std::uint16_t port) {
    Core& core = parts_->core;
    const std::uint16_t index = core.listeners.exact(address.is_unspecified() ? IpAddress{} : address, port);
    if (index == no_listener) return;
    for (std::uint32_t slot = 0; slot < core.half_open.capacity(); ++slot)
        if (core.half_open_timers.armed(slot) && core.half_open[slot].listener == index)
            core.forget_half_open(slot);
    core.handlers.release(core.listeners[index].handler);
    core.settings.release(core.listeners[index].settings);
    core.listeners.remove(index);
}

ConnectResult Endpoint::connect(const ConnectOptions& options) noexcept {
    Core& core = parts_->core;
    const auto refuse = [&](Error error) noexcept { return ConnectResult{{}, error}; };
    if (options.handler == nullptr) return refuse(Error::wrong_state);
    if (!valid(options.settings)) return refuse(Error::invalid_setting);
    const IpAddress& remote = options.remote_address;
    if (options.remote_port == 0 || !may_connect_to(remote) || core.ip.is_group(remote) ||
        core.ip.is_local(remote))
        return refuse(Error::invalid_address);
    const std::uint16_t mtu = core.ip.mtu_for(remote);
    if (mtu == 0) return refuse(Error::no_route);
    IpAddress local = options.local_address;
    if (local.is_unspecified()) {
        const std::optional<IpAddress> source = core.ip.source_for(remote);
        if (!source) return refuse(Error::no_route);
        local = *source;
    } else if (local.is_v4() != remote.is_v4() || !core.ip.is_local(local)) {
        return refuse(Error::invalid_address);
    }

    const bool ipv6 = !remote.is_v4();
    if (ipv6 && core.config.home_ports && !core.config.home_ports->knows_ipv6())
        return refuse(Error::port_elsewhere);
    const ip::Ipv6Pair pair{remote.v6(), local.v6()};
    Flow flow = ipv6 ? core.digest(pair, options.remote_port, options.local_port)
                     : Flow{remote.v4(), local.v4(), options.remote_port, options.local_port};
    const Ends ends{flow, ipv6 ? &pair : nullptr};
    std::uint32_t hash = 0;
    const auto is_free = [&](std::uint16_t port) noexcept {
        flow.local_port = port;
        hash = flow_hash(core.flow_hasher, flow);
        return core.find(ends, hash) == FlowTable::none;
    };
    if (options.local_port != 0) {
        if (core.config.home_ports &&
            !core.config.home_ports->contains(remote, options.remote_port, local, options.local_port))
            return refuse(Error::port_elsewhere);
        if (!is_free(options.local_port)) return refuse(Error::address_in_use);
    } else if (core.tcbs.size() < core.tcbs.capacity() && core.ports.choose(ends, is_free) == 0) {
        return refuse(Error::no_port_free);
    }
    const std::uint32_t slot = core.new_tcb(ends, hash);
    if (slot == no_slot || !core.flows.insert(hash, Owner{Table::connection, slot}.encode())) {
        if (slot != no_slot) core.tcbs.free(slot);
        core.counters.drop(DropReason::tcp_connections_full);
        return refuse(Error::connections_full);
    }
    Tcb& tcb = core.tcbs[slot];
    tcb.handler = core.handlers.acquire(options.handler);
    if (tcb.handler == HandlerTable::none) {
        core.flows.erase(hash, Owner{Table::connection, slot}.encode());
        core.tcbs.free(slot);
        return refuse(Error::connections_full);
    }
    const std::uint16_t settings = core.settings.acquire(options.settings);
    if (settings == SettingsTable::none) {
        core.handlers.release(tcb.handler);
        core.flows.erase(hash, Owner{Table::connection, slot}.encode());
        core.tcbs.free(slot);
        return refuse(Error::no_memory);
    }
    tcb.settings = static_cast<std::uint8_t>(settings);
    const InitialNumbers numbers = initial_numbers(core.isn_secret, flow, core.now);
    tcb.state = State::syn_sent;
    tcb.ecn = core.config.ecn == Ecn::request;
    tcb.nagle = options.nagle;
    tcb.context = options.context;
    tcb.snd_una = numbers.iss;
    tcb.snd_nxt = numbers.iss;
    tcb.ts_offset = numbers.timestamp_offset;
    if (options.fast_open)
        if (Cold* const cold = core.attach_cold(tcb)) cold->fast_open = FastOpenUse::wanted;
    core.counters.add(Counter::tcp_active_opens);
    core.want_output(slot, tcb);
    return {core.handle(slot), Error::none};
}

Connection Endpoint::connection_in(std::uint32_t slot) noexcept {
    const Core& core = parts_->core;
    return slot < core.tcbs.capacity() ? Connection{this, slot, core.tcbs[slot].generation} : Connection{};
}

void Endpoint::prefetch(std::uint32_t slot) const noexcept {
    parts_->core.tcbs.prefetch(slot);
}

std::uint32_t Endpoint::connections() const noexcept {
    return parts_->core.tcbs.size();
}
std::uint32_t Endpoint::half_open() const noexcept {
    return parts_->core.half_open.size();
}
std::uint32_t Endpoint::time_wait() const noexcept {
    return parts_->core.time_wait.size();
}

}  // namespace runnel::tcp
