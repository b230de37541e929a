#include "invariants.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "family.hpp"

namespace runnel::test {

namespace {

bool precedes(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

Invariants::Direction Invariants::offered(const Segment& syn) {
    Direction direction;
    if (const auto shift = syn.option_number(option::wscale)) {
        direction.scaling = true;
        direction.shift = static_cast<std::uint8_t>(std::min<std::uint32_t>(*shift, 14));
    }
    direction.timestamps = syn.timestamps().has_value();
    direction.sack = syn.option(option::sack_permitted).has_value();
    return direction;
}

void Invariants::learn_peer(Conversation& c, const Segment& syn) {
    c.peers = offered(syn);
    c.peer_mss = std::max<std::uint32_t>(syn.option_number(option::mss).value_or(default_mss()),
                                         64);  // tcp::Config::min_peer_mss
    c.send_limit.reset();
    c.synchronized = true;
}

void Invariants::learn_window(Conversation& c, const Segment& s) {
    if (!s.has(flag::ack) || s.has(flag::rst)) return;
    if (c.end - *s.acknowledgement > 1U << 29)
        return;  // of what was never sent, or long ago: not to be believed
    const bool scaled = c.ours.scaling && c.peers.scaling && !s.has(flag::syn);
    const std::uint32_t edge =
        *s.acknowledgement + (std::uint32_t{*s.window} << (scaled ? c.peers.shift : 0));
    if (!c.send_limit || precedes(*c.send_limit, edge)) c.send_limit = edge;
}

void Invariants::received(const Frame& frame) {
    if (frame.kind != FrameKind::tcp || !frame.problems.empty()) return;
    const Segment& s = frame.segment;
    Conversation& c = conversations_[{*s.destination, *s.source}];
    if (s.has(flag::syn)) {
        // The same one without Fast Open: what it brought before has come.
        Segment& kept = c.syns[*s.sequence];
        if (!kept.option(option::fast_open)) kept = s;
        // One with RST synchronizes nobody.
        if (s.has(flag::ack) && !s.has(flag::rst) && c.isn &&
            *s.acknowledgement - *c.isn - 1 <= c.end - *c.isn - 1 && !c.synchronized)
            learn_peer(c, s);
    }
    if (c.synchronized) learn_window(c, s);
    const auto octets = static_cast<std::uint32_t>(s.text->size());
    const std::uint32_t first = *s.sequence + (s.has(flag::syn) ? 1 : 0);
    if (octets > 0) learn_arrival(c, first, first + octets);
}

void Invariants::learn_arrival(Conversation& c, std::uint32_t first, std::uint32_t end) {
    // What touches it joins it. Stretches lie within a window of one another: a comparison modulo 2^32
    // serves.
    for (auto i = c.arrived.begin(); i != c.arrived.end();) {
        if (precedes(end, i->first) || precedes(i->second, first)) {
            ++i;
            continue;
        }
        if (precedes(i->first, first)) first = i->first;
        if (precedes(end, i->second)) end = i->second;
        i = c.arrived.erase(i);
    }
    c.arrived[first] = end;
}

std::string Invariants::check_sack(const Segment& s, const Conversation& c) {
    const auto blocks = s.sack_option();
    if (blocks.empty()) return s.option(option::sack) ? "SACK option without a block; " : "";
    if (s.has(flag::syn)) return "SACK blocks on a SYN; ";
    if (!c.ours.sack || !c.peers.sack) return "SACK was not negotiated; ";
    std::string wrong;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const auto [left, right] = blocks[i];
        if (!precedes(left, right)) wrong += "SACK block that is empty or inverted; ";
        const bool duplicate =
            i == 0 &&
            (!precedes(*s.acknowledgement, right) ||
             (blocks.size() > 1 && !precedes(left, blocks[1].first) && !precedes(blocks[1].second, right)));
        if (!duplicate && !precedes(*s.acknowledgement, left)) wrong += "SACK block not above the ACK; ";
        const bool come = std::any_of(c.arrived.begin(), c.arrived.end(), [&](const auto& stretch) {
            return !precedes(left, stretch.first) && !precedes(stretch.second, right);
        });
        if (!come) wrong += fmt::format("SACK block of what has not come, {} octets; ", right - left);
    }
    return wrong;
}

void Invariants::check_segment(const Segment& s, Conversation& c, std::string& wrong) const {
    if (s.has(flag::syn) && s.has(flag::rst)) wrong += "SYN with RST; ";
    if (s.has(flag::syn) && s.has(flag::fin)) wrong += "SYN with FIN; ";
    if (!s.has(flag::syn) && !s.has(flag::rst) && !s.has(flag::ack)) wrong += "neither SYN, RST nor ACK; ";
    if (s.has(flag::rst) && !s.text->empty()) wrong += "RST with data; ";
    if (!s.has(flag::syn))
        for (const std::uint8_t kind :
             {option::mss, option::wscale, option::sack_permitted, option::fast_open})
            if (s.option(kind)) wrong += fmt::format("option {} without SYN; ", kind);
    if (s.has(flag::rst)) return;

    const auto stamps = s.timestamps();
    if (s.has(flag::syn)) {
        if (!c.isn || *c.isn != *s.sequence) {
            auto syns = std::move(c.syns);
            c = Conversation{};
            c.syns = std::move(syns);
            c.isn = *s.sequence;
            c.end = *s.sequence + s.sequence_length();
        }
        if (!s.text->empty() && s.option(option::fast_open).value_or(std::vector<std::uint8_t>{}).size() < 4)
            wrong += "SYN with data and no Fast Open cookie; ";
        c.ours = offered(s);
        if (c.ours.shift > 14) wrong += "window scale beyond 14; ";
        if (!s.option(option::mss)) wrong += "SYN without MSS; ";
        if (s.has(flag::ack)) {
            // With Fast Open it acknowledges data of the SYN too (RFC 7413 section 4.2).
            const auto syn = std::find_if(c.syns.begin(), c.syns.end(), [&](const auto& each) {
                const std::uint32_t text =
                    each.second.option(option::fast_open) ? each.second.sequence_length() - 1 : 0;
                return *s.acknowledgement - 1 - each.first <= text;
            });
            if (syn == c.syns.end()) {
                wrong += "SYN-ACK for a SYN that never came; ";
                return;
            }
            if (!c.synchronized) {
                learn_peer(c, syn->second);
                c.send_limit = *c.isn + 1 + *syn->second.window;
            }
            if (c.ours.scaling && !c.peers.scaling) wrong += "window scale was not offered; ";
            if (c.ours.timestamps && !c.peers.timestamps) wrong += "timestamps were not offered; ";
            if (s.option(option::sack_permitted) && !syn->second.option(option::sack_permitted))
                wrong += "SACK-permitted was not offered; ";
        } else if (stamps && stamps->echo != 0) {
            wrong += "timestamp echo in a SYN; ";
        }
    } else if (c.synchronized) {
        const bool negotiated = c.ours.timestamps && c.peers.timestamps;
        if (negotiated && !stamps) wrong += "timestamps were negotiated, and are missing; ";
        if (!negotiated && stamps) wrong += "timestamps were not negotiated; ";
    }
    if (!c.synchronized) return;

    const std::uint32_t end = *s.sequence + s.sequence_length();
    if (precedes(c.end, end)) c.end = end;
    if (s.has(flag::ack)) {
        const bool scaled = c.ours.scaling && c.peers.scaling && !s.has(flag::syn);
        const std::uint32_t edge =
            *s.acknowledgement + (std::uint32_t{*s.window} << (scaled ? c.ours.shift : 0));
        if (c.last_ack && precedes(*s.acknowledgement, *c.last_ack))
            wrong += fmt::format("ACK moved back by {}; ", *c.last_ack - *s.acknowledgement);
        if (c.right_edge && precedes(edge, *c.right_edge))
            wrong += fmt::format("right edge of the window moved back by {}; ", *c.right_edge - edge);
        c.last_ack = *s.acknowledgement;
        c.right_edge = edge;
    }
    wrong += check_sack(s, c);
    if (!s.text->empty()) {
        const std::size_t size = s.text->size() + s.options.size();
        if (size > c.peer_mss)
            wrong += fmt::format("{} octets with options, the peer's MSS is {}; ", size, c.peer_mss);
        const auto last = *s.sequence + static_cast<std::uint32_t>(s.text->size());
        const std::uint32_t probe = s.text->size() == 1 ? 1 : 0;
        if (c.send_limit && precedes(*c.send_limit + probe, last))
            wrong += fmt::format("{} octets beyond the window offered; ", last - *c.send_limit);
    }
}

std::string Invariants::sent(const Frame& frame) {
    std::string wrong = frame.problems + frame.sender_faults;
    if (frame.ethernet_from != mac_) wrong += "not from our Ethernet address; ";
    if (frame.kind == FrameKind::arp || frame.kind == FrameKind::other) return wrong;
    if (frame.source.is_loopback() || frame.destination.is_loopback()) wrong += "127/8 on the wire; ";
    if (frame.source.is_multicast() || frame.source.is_reserved() || frame.source.is_unspecified())
        wrong += "not a source address; ";
    if (frame.kind != FrameKind::tcp || !frame.problems.empty()) return wrong;
    if (frame.ethernet_to.is_group() || frame.destination.is_multicast() || frame.destination.is_reserved())
        wrong += "TCP to a group; ";
    const Segment& s = frame.segment;
    if (s.text->size() + s.options.size() + 40 > mtu_) wrong += "larger than the MTU; ";
    Conversation& c = conversations_[{*s.source, *s.destination}];
    if (speaks_ipv6()) {
        if (frame.flow_label == 0) wrong += "no flow label; ";
        if (c.flow_label.value_or(frame.flow_label) != frame.flow_label) wrong += "another flow label; ";
        c.flow_label = frame.flow_label;
    }
    check_segment(s, c, wrong);
    return wrong;
}

}  // namespace runnel::test
