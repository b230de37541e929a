#include "conversation.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "seed.hpp"
#include "sending_port.hpp"

namespace runnel::test {

namespace {

/// Where time begins: it must not matter. 49.71 days is just before a millisecond clock of 32 bits comes
/// round.
Instant beginning() {
    static constexpr std::array<Duration, 3> choices{Duration{0}, 4294967296ms - 1500ms, Duration{12345s}};
    return Instant{choices[seed() % choices.size()]};
}

std::string seconds(Duration time) {
    return fmt::format("{:.6f}", std::chrono::duration<double>(time).count());
}

int conversations_alive = 0;  // mbufs are counted when the last one has ended

bool before(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

StackConfig small_stack() {
    StackConfig config;
    ip::InterfaceConfig interface;
    interface.mac = stack_mac;
    interface.address = stack_address;
    config.ip.interfaces.push_back(interface);
    config.ip.routes.push_back({Ipv4Address{}, 0, peer_address, 0});
    config.ip.neighbours.push_back({peer_address, peer_mac, 0});
    config.ip.neighbour_capacity = 64;
    config.tcp.connections = 64;
    config.tcp.half_open = 16;
    config.tcp.time_wait = 16;
    config.transmit_queue = 1024;
    config.mbuf_stash = 128;
    config.mbuf_reserve = 16;
    config.secret = std::array<std::uint64_t, 2>{seed() * 0x9e3779b97f4a7c15ULL + 1, ~seed()};
    config.tcp.quick_acks = 0;  // scripts speak of delayed ACKs from the start
    return config;
}

std::string to_string(const Event& event) {
    switch (event.kind) {
        case Event::Kind::established:
            return "established";
        case Event::Kind::data:
            return fmt::format("data, {} octets", event.data.size());
        case Event::Kind::writable:
            return "writable";
        case Event::Kind::peer_closed:
            return "peer_closed";
        case Event::Kind::urgent:
            return fmt::format("urgent {}", event.number);
        case Event::Kind::soft_error:
            return fmt::format("soft_error {}/{}", event.number / 256, event.number % 256);
        case Event::Kind::unanswered:
            return fmt::format("unanswered({})", event.number);
        case Event::Kind::closed:
            return fmt::format("closed({})", tcp::to_string(event.reason));
    }
    return "?";
}

// ----------------------------------------------------------------------------------------------------------
// Flow

Segment Flow::complete(const Segment& segment) {
    Segment s = segment;
    if (!s.source) s.source = remote;
    if (!s.destination) s.destination = local;
    if (!s.flag_bits) s.flag_bits = flag::ack;
    const std::uint32_t at = s.sequence.value_or(peer_next);
    if (!s.sequence) peer_next = at + s.sequence_length();
    s.sequence = at + peer_isn;
    if (s.has(flag::ack))
        s.acknowledgement = s.acknowledgement.value_or(stack_next) + stack_isn;
    else
        s.acknowledgement = s.acknowledgement.value_or(0);
    if (!s.window) s.window = window;
    if (s.sack_blocks && !s.sack_blocks->empty()) {
        for (auto& [left, right] : *s.sack_blocks) {
            left += stack_isn;
            right += stack_isn;
        }
        s.add_sack_option(*s.sack_blocks);
    }
    return s;
}

Segment Flow::relative(const Segment& absolute) const {
    Segment s = absolute;
    s.sequence = *s.sequence - stack_isn;
    if (s.has(flag::ack)) s.acknowledgement = *s.acknowledgement - peer_isn;
    s.sack_blocks = s.sack_option();
    for (auto& [left, right] : *s.sack_blocks) {
        left -= peer_isn;
        right -= peer_isn;
    }
    return s;
}

void Flow::inject(const Segment& segment) {
    const Segment s = complete(segment);
    const Octets frame = encode(s, stack_mac, peer_mac);
    conversation_->receive(std::span{&frame, 1});
}

bool Flow::has_sent_anything() const {
    return std::any_of(conversation_->sent_.begin(), conversation_->sent_.end(), [this](const auto& sent) {
        return *sent.segment.source == local && *sent.segment.destination == remote;
    });
}

Segment Flow::expect_between(Duration earliest, Duration latest, const Segment& expected, Where where) {
    Conversation& c = *conversation_;
    const Instant begin = c.now_;
    const auto mine = [this](const auto& sent) {
        return *sent.segment.source == local && *sent.segment.destination == remote;
    };
    auto found = std::find_if(c.sent_.begin(), c.sent_.end(), mine);
    while (found == c.sent_.end()) {
        if (!c.step(begin - c.start_ + latest))
            c.fail(fmt::format("expected {}\n  between {} and {}, but nothing was sent", to_string(expected),
                               seconds(begin - c.start_ + earliest), seconds(begin - c.start_ + latest)),
                   where);
        found = std::find_if(c.sent_.begin(), c.sent_.end(), mine);
    }
    const Segment got = relative(found->segment);
    const Instant time = found->time;
    c.sent_.erase(found);
    const std::string differences = difference(expected, got);
    if (!differences.empty())
        c.fail(fmt::format("expected {}\n     got {}\n{}", to_string(expected), to_string(got), differences),
               where);
    if (time < begin + earliest)
        c.fail(fmt::format("too early: {}\n  sent at {}, expected not before {}", to_string(got),
                           seconds(time - c.start_), seconds(begin - c.start_ + earliest)),
               where);
    return got;
}

Segment Flow::expect(const Segment& expected, Where where) {
    return expect_between(0ns, 0ns, expected, where);
}

Segment Flow::expect_after(Duration delay, const Segment& expected, Where where) {
    return expect_between(delay, delay + timer_tolerance, expected, where);
}

Segment Flow::expect_within(Duration latest, const Segment& expected, Where where) {
    return expect_between(0ns, latest, expected, where);
}

// --------------------------------------------------------------------------------------------------
// Conversation

Conversation::Conversation(const StackConfig& scripted)
    : start_(beginning()),
      now_(start_),
      invariants_(scripted.ip.interfaces.at(0).mac, scripted.ip.interfaces.at(0).mtu) {
    const StackConfig config = spoken(scripted);
    ++conversations_alive;
    flows_.emplace_back(*this, SocketAddress{stack_address, service_port},
                        SocketAddress{peer_address, peer_port});
    stack_ = std::make_unique<Stack>(config, mbuf_pool());
    stack_->advance(now_);
    pump();
}

Conversation::~Conversation() {
    stack_.reset();
    let_go(0);
    if (--conversations_alive == 0) {
        EXPECT_EQ(mbufs_in_use(), 0U) << "mbufs were lost";
    }
}

void Conversation::listen(std::uint16_t port) {
    tcp::ListenOptions options;
    options.port = port;
    options.handler = this;
    stack_->listen(options);
}

tcp::Connection Conversation::connect(tcp::ConnectOptions options) {
    if (options.remote_address.is_unspecified()) options.remote_address = spoken(peer_address);
    if (options.remote_port == 0) options.remote_port = peer_port;
    if (options.handler == nullptr) options.handler = this;
    flow().local.port = options.local_port;  // 0: learnt from the SYN
    const tcp::ConnectResult result = stack_->connect(options);
    EXPECT_EQ(result.error, tcp::Error::none);
    connection_ = result.connection;
    pump();
    return connection_;
}

tcp::SendResult Conversation::send(std::string_view octets) {
    const tcp::SendResult result = connection_.send(std::as_bytes(std::span{octets}));
    log(fmt::format("    send({} octets) = {}", octets.size(), result.accepted));
    pump();
    return result;
}

void Conversation::shutdown() {
    log("    shutdown()");
    EXPECT_EQ(connection_.shutdown(), tcp::Error::none);
    pump();
}

void Conversation::close() {
    log("    close()");
    EXPECT_EQ(connection_.close(), tcp::Error::none);
    pump();
}

void Conversation::abort() {
    log("    abort()");
    EXPECT_EQ(connection_.abort(), tcp::Error::none);
    pump();
}

void Conversation::consume(std::size_t octets) {
    log(fmt::format("    consume({})", octets));
    EXPECT_EQ(connection_.consume(octets), tcp::Error::none);
    pump();
}

void Conversation::receive(std::span<const Octets> frames) {
    std::vector<rte_mbuf*> burst;
    for (const Octets& octets : frames) {
        const Frame frame = decode(octets);
        if (frame.kind == FrameKind::tcp && frame.problems.empty()) {
            const Flow* known = nullptr;
            for (const Flow& f : flows_)
                if (f.local == *frame.segment.destination && f.remote == *frame.segment.source) known = &f;
            Segment shown = frame.segment;
            if (known != nullptr) {
                shown.sequence = *shown.sequence - known->peer_isn;
                if (shown.has(flag::ack)) shown.acknowledgement = *shown.acknowledgement - known->stack_isn;
            }
            log(fmt::format("< {}.{} {}", to_string(frame.source), shown.source->port, to_string(shown)));
        } else {
            log(fmt::format("< a frame of {} octets {}", octets.size(), frame.problems));
        }
        invariants_.received(frame);
        burst.push_back(to_mbuf(octets));
    }
    stack_->receive(burst, now_);
    pump();
}

void Conversation::inject_burst(const std::vector<Segment>& segments) {
    std::vector<Octets> frames;
    for (const Segment& segment : segments)
        frames.push_back(encode(flow().complete(segment), stack_mac, peer_mac));
    receive(frames);
}

void Conversation::inject_icmp(std::uint8_t type, std::uint8_t code, std::uint32_t sequence,
                               std::uint16_t mtu, std::uint16_t quoted_size) {
    Segment quoted;
    quoted.source = flow().local;
    quoted.destination = flow().remote;
    quoted.seq(sequence + flow().stack_isn);
    Octets segment = encode_tcp(quoted);
    segment.resize(quoted_size - 20U);
    const Octets packet =
        encode_ip(peer_mac, stack_mac, flow().local.address, flow().remote.address, 6, segment);
    if (speaks_ipv6()) {
        inject_icmpv6(type, code, mtu, packet);
        return;
    }
    Octets icmp{type, code, 0, 0, 0, 0, static_cast<std::uint8_t>(mtu >> 8), static_cast<std::uint8_t>(mtu)};
    icmp.insert(icmp.end(), packet.begin() + 14,
                packet.begin() + 14 + 28);  // RFC 792: the header and 8 octets
    const std::uint16_t sum = internet_checksum(icmp);
    icmp[2] = static_cast<std::uint8_t>(sum >> 8);
    icmp[3] = static_cast<std::uint8_t>(sum);
    inject_frame(encode_ip(stack_mac, peer_mac, peer_address, stack_address, 1, icmp));
}

// The error that says the same in ICMPv6.
void Conversation::inject_icmpv6(std::uint8_t type, std::uint8_t code, std::uint16_t mtu,
                                 const Octets& quoted) {
    const ErrorKind same = spoken_error(type, code);
    const unsigned more = same.type == 2 && mtu != 0 ? 20 : 0;  // as the MTU of the stack
    const unsigned told = mtu + more;
    Octets icmp{same.type,
                same.code,
                0,
                0,
                0,
                0,
                static_cast<std::uint8_t>(told >> 8),
                static_cast<std::uint8_t>(told)};
    icmp.insert(icmp.end(), quoted.begin() + 14, quoted.end());
    std::uint32_t pseudo = 58 + static_cast<std::uint32_t>(icmp.size());
    for (const Ipv6Address& address : {ipv6_for(peer_address), ipv6_for(stack_address)})
        for (std::size_t i = 0; i < 16; i += 2)
            pseudo += static_cast<std::uint32_t>(address.octets[i] << 8 | address.octets[i + 1]);
    const std::uint16_t sum = internet_checksum(icmp, pseudo);
    icmp[2] = static_cast<std::uint8_t>(sum >> 8);
    icmp[3] = static_cast<std::uint8_t>(sum);
    inject_frame(encode_ip(stack_mac, peer_mac, peer_address, stack_address, 58, icmp));
}

void Conversation::pump() {
    std::array<rte_mbuf*, 64> burst{};
    for (;;) {
        const std::size_t n = stack_->transmit(burst);
        for (std::size_t i = 0; i < n; ++i) {
            for (const Octets& octets : frames_of(*burst[i])) take(octets);
            held_by_port_.emplace_back(burst[i], octets_of(*burst[i]));
        }
        let_go(port_holds);
        if (n < burst.size()) return;
    }
}

void Conversation::let_go(std::size_t keep) {
    for (; held_by_port_.size() > keep; held_by_port_.pop_front()) {
        const auto& [mbuf, octets] = held_by_port_.front();
        EXPECT_TRUE(octets_of(*mbuf) == octets) << "a frame has changed that the port was reading";
        rte_pktmbuf_free(mbuf);
    }
}

Flow* Conversation::flow_of(const Segment& sent) {
    for (Flow& f : flows_)
        if (f.local == *sent.source && f.remote == *sent.destination) return &f;
    if (sent.has(flag::syn) && !sent.has(flag::ack))
        for (Flow& f : flows_)
            if (f.local.port == 0 && f.local.address == sent.source->address &&
                f.remote == *sent.destination) {
                f.local.port = sent.source->port;
                return &f;
            }
    return nullptr;
}

void Conversation::take(const Octets& octets) {
    const Frame frame = decode(octets);
    const std::string wrong = invariants_.sent(frame);
    if (frame.kind != FrameKind::tcp) {
        log(fmt::format("> a frame of {} octets, kind {}", octets.size(), static_cast<int>(frame.kind)));
        other_frames.push_back(frame);
    } else if (frame.problems.empty()) {
        Segment shown = frame.segment;
        last_destination = frame.ethernet_to;
        if (Flow* f = flow_of(frame.segment)) {
            if (shown.has(flag::syn) && *shown.sequence != f->stack_isn) {
                f->stack_isn = *shown.sequence;
                f->stack_next = 1;
            }
            const std::uint32_t end = *shown.sequence - f->stack_isn + shown.sequence_length();
            if (!shown.has(flag::rst) && before(f->stack_next, end)) f->stack_next = end;
            shown = f->relative(shown);
        }
        log(fmt::format("> {}.{} {}", to_string(frame.destination), shown.destination->port,
                        to_string(shown)));
        sent_.push_back({now_, frame.segment});
    }
    if (!wrong.empty()) {
        std::string text = "the stack sent a frame that breaks an invariant: " + wrong + "\n";
        for (const std::string& line : transcript_) text += line + '\n';
        ADD_FAILURE() << text;
    }
}

void Conversation::expect_nothing(Where where) {
    if (!sent_.empty())
        fail(fmt::format("expected nothing, got {}", to_string(sent_.front().segment)), where);
    if (!other_frames.empty()) fail("expected nothing, got a frame that is not TCP", where);
}

void Conversation::expect_silence(Duration span, Where where) {
    expect_nothing(where);
    const Duration end = now() + span;
    while (step(end)) expect_nothing(where);
    elapse_until(end);
    expect_nothing(where);
}

std::vector<Segment> Conversation::take_all() {
    std::vector<Segment> segments;
    for (const Sent& sent : sent_) {
        const Flow* f = flow_of(sent.segment);
        segments.push_back(f != nullptr ? f->relative(sent.segment) : sent.segment);
    }
    sent_.clear();
    return segments;
}

Flow& Conversation::add_flow(std::uint16_t remote_port, std::uint16_t local_port, Ipv4Address remote) {
    return flows_.emplace_back(*this, SocketAddress{stack_address, local_port},
                               SocketAddress{remote, remote_port});
}

bool Conversation::step(Duration limit) {
    const Instant end = start_ + limit;
    for (int stuck = 0; stuck < 1000; ++stuck) {
        const Instant deadline = stack_->next_deadline();
        if (deadline > end) return false;
        if (deadline > now_) {
            now_ = deadline;
            stack_->advance(now_);
            pump();
            return true;
        }
        stack_->advance(now_);  // an instant that has passed means: now
        pump();
        if (!sent_.empty()) return true;
    }
    fail("next_deadline() stays in the past", Where::current());
}

void Conversation::elapse_until(Duration time) {
    while (step(time)) {
    }
    now_ = start_ + time;
    stack_->advance(now_);
    pump();
}

Event Conversation::expect_event(Event::Kind kind, Where where) {
    Event wanted;
    wanted.kind = kind;
    if (events.empty())
        fail(fmt::format("expected the event {}, but there was none", to_string(wanted)), where);
    Event event = events.front();
    events.pop_front();
    if (event.kind != kind)
        fail(fmt::format("expected the event {}, got {}", to_string(wanted), to_string(event)), where);
    return event;
}

void Conversation::expect_data(std::string_view octets, Where where) {
    std::string got;
    while (got.size() < octets.size() && !events.empty() && events.front().kind == Event::Kind::data) {
        got += events.front().data;
        events.pop_front();
    }
    if (got != octets)
        fail(fmt::format("expected {} octets of data, got {}{}", octets.size(), got.size(),
                         got.size() == octets.size() ? " others" : ""),
             where);
}

void Conversation::expect_closed(tcp::CloseReason reason, Where where) {
    const Event event = expect_event(Event::Kind::closed, where);
    if (event.reason != reason)
        fail(fmt::format("expected closed({}), got closed({})", tcp::to_string(reason),
                         tcp::to_string(event.reason)),
             where);
}

void Conversation::expect_no_event(Where where) {
    if (!events.empty()) fail(fmt::format("expected no event, got {}", to_string(events.front())), where);
}

void Conversation::expect_state(tcp::State state, Where where) {
    const tcp::State is = connection_.info().state;
    if (is != state)
        fail(fmt::format("expected {}, the state is {}", tcp::to_string(state), tcp::to_string(is)), where);
}

Segment Conversation::open_passive(const Segment& offered, Where where) {
    listen();
    inject(offered);
    const Segment answer = expect(syn_ack().ack(flow().peer_next), where);
    Segment third = ack();
    if (const auto stamps = answer.timestamps()) third.ts(offered.timestamps()->value + 1, stamps->value);
    inject(third);
    expect_established(where);
    expect_nothing(where);
    return answer;
}

Segment Conversation::open_active(const Segment& answer, Where where) {
    connect();
    const Segment first = expect(syn().seq(0), where);
    inject(answer);
    expect(test::ack().seq(1).ack(flow().peer_next), where);
    expect_established(where);
    expect_nothing(where);
    return first;
}

std::uint64_t Conversation::all_drops() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < drop_count; ++i) sum += stack_->counters().get(static_cast<DropReason>(i));
    return sum;
}

void Conversation::fail(const std::string& message, const Where& where) {
    std::string text = message + "\nThe conversation, '<' to the stack, '>' from it:\n";
    const std::size_t shown = 400;
    if (transcript_.size() > shown) text += "...\n";
    for (std::size_t i = transcript_.size() > shown ? transcript_.size() - shown : 0; i < transcript_.size();
         ++i)
        text += transcript_[i] + '\n';
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << text;
    throw testing::AssertionException(testing::TestPartResult(
        testing::TestPartResult::kFatalFailure, where.file_name(), static_cast<int>(where.line()), ""));
}

void Conversation::log(std::string line) {
    transcript_.push_back(fmt::format("{:>14} {}", seconds(now()), line));
}

// ---------------------------------------------------------------------------------------------------- the
// handler

void Conversation::note(Event event) {
    event.time = now();
    log("    * " + to_string(event));
    events.push_back(std::move(event));
}

void Conversation::established(tcp::Connection connection) noexcept {
    connection_ = connection;
    note({.kind = Event::Kind::established, .connection = connection});
}

tcp::Ownership Conversation::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    note({.kind = Event::Kind::data, .connection = connection, .data = text_of(payload)});
    if (auto_consume) {
        EXPECT_EQ(connection.consume(rte_pktmbuf_pkt_len(&payload)), tcp::Error::none);
    }
    return tcp::Ownership::returned;
}

void Conversation::writable(tcp::Connection connection) noexcept {
    note({.kind = Event::Kind::writable, .connection = connection});
}

void Conversation::peer_closed(tcp::Connection connection) noexcept {
    note({.kind = Event::Kind::peer_closed, .connection = connection});
}

void Conversation::urgent(tcp::Connection connection, std::uint32_t octets) noexcept {
    note({.kind = Event::Kind::urgent, .connection = connection, .number = octets});
}

void Conversation::soft_error(tcp::Connection connection, std::uint8_t type, std::uint8_t code) noexcept {
    note({.kind = Event::Kind::soft_error, .connection = connection, .number = type * 256U + code});
}

void Conversation::unanswered(tcp::Connection connection, std::uint32_t retransmissions) noexcept {
    // Nearly every test of time-outs passes R1: only those that ask for it hear of it.
    if (notes_unanswered)
        note({.kind = Event::Kind::unanswered, .connection = connection, .number = retransmissions});
}

void Conversation::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    note({.kind = Event::Kind::closed, .connection = connection, .reason = reason});
}

}  // namespace runnel::test
