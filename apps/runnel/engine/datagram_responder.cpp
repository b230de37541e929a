// See datagram_responder.hpp.
#include "engine/datagram_responder.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace runnel::load {
namespace {

constexpr std::uint32_t datagram_burst = 64;  // datagrams of data sent in one poll
// Frames that are left free in the queue, for those of others and the fragments of the largest datagram.
constexpr std::size_t spare_datagram_frames = 256;

std::uint64_t address_word(const IpAddress& address) noexcept {
    const Ipv6Address v6 = address.v6();
    return v6.words()[0] * 0x9e3779b97f4a7c15U + v6.words()[1];
}

}  // namespace

DatagramTotals& DatagramTotals::operator+=(const DatagramTotals& other) noexcept {
    datagrams_in += other.datagrams_in;
    octets_in += other.octets_in;
    datagrams_out += other.datagrams_out;
    octets_out += other.octets_out;
    answered += other.answered;
    lost += other.lost;
    duplicated += other.duplicated;
    reordered += other.reordered;
    unsent += other.unsent;
    strange += other.strange;
    untracked += other.untracked;
    refused += other.refused;
    return *this;
}

DatagramResponder::DatagramResponder(Stack& stack, const Options& options)
    : stack_(stack),
      options_(options),
      table_("flows of datagrams", options.flows),
      flows_(options.flows),
      senders_(options.senders),
      asked_(options.senders),
      due_(options.senders + 1),
      scratch_(most_datagram_v6, std::byte{0x55}) {
    free_senders_.reserve(options.senders);
    for (std::uint32_t i = options.senders; i > 0; --i) free_senders_.push_back(i - 1);
}

std::uint32_t DatagramResponder::hash_of(const Peer& peer) const noexcept {
    const std::uint64_t ports = std::uint64_t{peer.remote_port} << 16 | peer.local_port;
    return static_cast<std::uint32_t>(
        siphash_1_3(options_.key, address_word(peer.remote) ^ ports, address_word(peer.local)));
}

// Only who receives what is sent to that address knows it.
std::uint64_t DatagramResponder::token_of(const Peer& peer, std::uint16_t run) const noexcept {
    const std::uint64_t ports = std::uint64_t{peer.remote_port} << 16 | peer.local_port;
    const std::uint64_t half = siphash_2_4(options_.key, peer.remote.v6().high(), peer.remote.v6().low());
    return siphash_2_4(options_.key, half ^ peer.local.v6().low(), ports << 16 | run) | 1;
}

std::uint32_t DatagramResponder::find(const Peer& peer, std::uint16_t run) noexcept {
    const std::uint32_t found =
        table_.find(hash_of(peer), [&](std::uint32_t i) { return flows_[i].peer == peer; });
    return found != none && flows_[found].run == run ? found : none;
}

std::uint32_t DatagramResponder::find_or_add(const Peer& peer, std::uint16_t run) noexcept {
    const std::uint32_t hash = hash_of(peer);
    std::uint32_t index = table_.find(hash, [&](std::uint32_t i) { return flows_[i].peer == peer; });
    if (index != none) {
        if (flows_[index].run != run) begin(flows_[index], peer, run);
        return index;
    }
    if (used_ < flows_.size()) {
        index = used_;
    } else {
        // One a datagram is looked at: whoever fills the table has no more of the time for it.
        if (++hand_ >= flows_.size()) hand_ = 0;
        Flow& oldest = flows_[hand_];
        if (now_ - oldest.heard < idle) return none;
        stop(oldest);
        (void)table_.erase(oldest.hash, hand_);
        index = hand_;
    }
    if (!table_.insert(hash, index)) return none;
    if (index == used_) ++used_;
    flows_[index].hash = hash;
    begin(flows_[index], peer, run);
    return index;
}

void DatagramResponder::begin(Flow& flow, const Peer& peer, std::uint16_t run) noexcept {
    stop(flow);
    const std::uint32_t hash = flow.hash;
    flow = Flow{};
    flow.peer = peer;
    flow.run = run;
    flow.hash = hash;
    flow.heard = now_;
}

udp::Ownership DatagramResponder::datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept {
    std::array<std::byte, DatagramHeader::octets> copy;
    const std::uint32_t octets = payload.pkt_len;
    const auto size = std::min<std::uint32_t>(octets, copy.size());
    const auto* const first = static_cast<const std::byte*>(rte_pktmbuf_read(&payload, 0, size, copy.data()));
    const auto header = first == nullptr ? std::nullopt : DatagramHeader::decode({first, size});
    if (!header || about.group || about.source_port == 0) [[unlikely]] {
        ++totals_.strange;
        return udp::Ownership::returned;
    }
    const Peer peer{about.source_address, about.destination_address, about.source_port,
                    about.destination_port};
    switch (header->kind) {
        case DatagramKind::request: {
            const std::uint32_t index = find_or_add(peer, header->run);
            if (index != none)
                count(flows_[index], *header, octets);
            else
                ++totals_.untracked;
            ++totals_.datagrams_in;
            totals_.octets_in += octets;
            const std::uint32_t most =
                std::max(3 * std::min(octets, most_datagram_v6), options_.response_octets);
            Answer made{peer, header->run, header->number,
                        static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
                            header->word, DatagramHeader::octets,
                            std::min(most, peer.remote.is_v4() ? most_datagram_v4 : most_datagram_v6)))};
            if (!held_) [[likely]] {
                (void)answer(made);
            } else if (held_count_ < most_held) {
                ++held_count_;
                held_->hold(made);
            } else {
                ++totals_.unsent;
                if (index != none) ++flows_[index].unanswered;
            }
            break;
        }
        case DatagramKind::data: {
            const std::uint32_t index = find_or_add(peer, header->run);
            ++totals_.datagrams_in;
            totals_.octets_in += octets;
            if (index == none) {
                ++totals_.untracked;
                break;
            }
            count(flows_[index], *header, octets);
            flows_[index].jitter.add(header->word, now_);
            break;
        }
        case DatagramKind::hello:
            if (const std::uint32_t index = find_or_add(peer, header->run); index != none)
                flows_[index].heard = now_;
            (void)send(
                peer,
                {.kind = DatagramKind::welcome, .run = header->run, .word = token_of(peer, header->run)},
                DatagramHeader::octets);
            break;
        case DatagramKind::start:
            if (const std::uint32_t index = find(peer, header->run); index != none)
                start(flows_[index], *header, payload);
            break;
        case DatagramKind::proceed:
            if (const std::uint32_t index = find(peer, header->run); index != none)
                proceed(flows_[index], index);
            break;
        case DatagramKind::report_wanted:
            // As long as the answer: who forges it gains nothing.
            if (octets < DatagramHeader::octets + FlowReport::octets) break;
            if (const std::uint32_t index = find(peer, header->run); index != none)
                report(flows_[index], header->word);
            break;
        case DatagramKind::welcome:
        case DatagramKind::response:
        case DatagramKind::started:
        case DatagramKind::report:
            ++totals_.strange;  // of a server, to a server: never answered
            break;
    }
    return udp::Ownership::returned;
}

void DatagramResponder::count(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept {
    const SequenceCounts before = flow.tracker.counts();
    flow.tracker.add(header.number);
    const SequenceCounts& after = flow.tracker.counts();
    totals_.lost += after.missing - before.missing;
    totals_.duplicated += after.duplicated - before.duplicated;
    totals_.reordered += after.reordered - before.reordered;
    flow.octets_in += octets;
    flow.heard = now_;
}

bool DatagramResponder::answer(const Answer& answer) noexcept {
    const bool sent = send(
        answer.peer,
        {.kind = DatagramKind::response, .run = answer.run, .number = answer.number, .word = answer.octets},
        answer.octets);
    const std::uint32_t index = find(answer.peer, answer.run);
    if (sent) {
        ++totals_.answered;
        ++totals_.datagrams_out;
        totals_.octets_out += answer.octets;
    } else {
        ++totals_.unsent;
    }
    if (index != none) ++(sent ? flows_[index].answered : flows_[index].unanswered);
    return sent;
}

bool DatagramResponder::send(const Peer& peer, const DatagramHeader& header, std::size_t octets) noexcept {
    header.encode(scratch_.data());
    return stack_.udp().send_to({.remote_address = peer.remote,
                                 .remote_port = peer.remote_port,
                                 .local_address = peer.local,
                                 .local_port = peer.local_port,
                                 .dont_fragment = false},
                                std::span{scratch_}.first(octets), now_) == udp::SendResult::sent;
}

// -- data for a client

void DatagramResponder::start(Flow& flow, const DatagramHeader& header, rte_mbuf& payload) noexcept {
    flow.heard = now_;
    bool understood = header.word == token_of(flow.peer, flow.run);
    if (understood && flow.sender == none && !flow.ended) {
        understood = false;
        std::array<char, most_pace_text> text;
        const auto size = static_cast<std::uint32_t>(payload.pkt_len - DatagramHeader::octets);
        if (size <= text.size() && !free_senders_.empty()) {
            const void* const from = rte_pktmbuf_read(&payload, DatagramHeader::octets, size, text.data());
            if (from != nullptr) {
                try {
                    auto pace = std::make_unique<Pace>(parse_pace({static_cast<const char*>(from), size}));
                    const double rate = pace->rate.value_or(0);
                    if (promised_ + rate > most_paced_rate)
                        throw std::length_error("so much is promised already");
                    promised_ += flow.promised = rate;
                    flow.sender = free_senders_.back();
                    free_senders_.pop_back();
                    asked_[flow.sender] = std::move(pace);
                    understood = true;
                } catch (const std::exception&) {
                    // No schedule, or no memory for it: refused.
                }
            }
        }
    }
    if (!understood) ++totals_.refused;
    (void)send(flow.peer, {.kind = DatagramKind::started, .run = flow.run, .word = understood ? 0U : 1U},
               DatagramHeader::octets);
}

void DatagramResponder::proceed(Flow& flow, std::uint32_t index) noexcept {
    flow.heard = now_;
    if (flow.sender == none || asked_[flow.sender] == nullptr) return;
    try {
        senders_[flow.sender] = std::make_unique<Sender>(*asked_[flow.sender], index, now_);
        senders_[flow.sender]->random = mixed(asked_[flow.sender]->seed + index);
        asked_[flow.sender].reset();
        due_.push(now_, flow.sender);
    } catch (const std::exception&) {
        ++totals_.refused;
    }
}

// What it was sent is kept for its report.
void DatagramResponder::stop(Flow& flow) noexcept {
    if (flow.sender == none) return;
    promised_ -= std::exchange(flow.promised, 0.0);
    if (Sender* const sender = senders_[flow.sender].get()) {
        sender->source.end(now_);
        flow.planned = sender->source.planned();
        flow.unsent = sender->source.unsent();
        flow.sent = sender->sent;
        flow.octets_out = sender->octets;
        totals_.unsent += flow.unsent;
        // Its entry in the queue of those due is what frees its place.
        sender->flow = none;
    } else {
        asked_[flow.sender].reset();
        free_senders_.push_back(flow.sender);
    }
    flow.sender = none;
    flow.ended = true;
}

void DatagramResponder::report(Flow& flow, std::uint64_t sent) noexcept {
    flow.heard = now_;
    stop(flow);
    flow.ended = true;
    const std::uint64_t before = flow.tracker.counts().missing;
    constexpr std::uint64_t believable = std::uint64_t{1} << 48;
    if (sent <= believable) flow.tracker.end(sent);
    totals_.lost += flow.tracker.counts().missing - before;
    const FlowReport made{.counts = flow.tracker.counts(),
                          .jitter = static_cast<std::uint64_t>(flow.jitter.nanoseconds()),
                          .octets_received = flow.octets_in,
                          .planned = flow.planned,
                          .unsent = flow.unsent,
                          .sent = flow.sent,
                          .octets_sent = flow.octets_out,
                          .answered = flow.answered,
                          .unanswered = flow.unanswered};
    made.encode(scratch_.data() + DatagramHeader::octets);
    (void)send(flow.peer, {.kind = DatagramKind::report, .run = flow.run},
               DatagramHeader::octets + FlowReport::octets);
    std::fill_n(scratch_.begin() + DatagramHeader::octets, FlowReport::octets, std::byte{0x55});
}

std::uint32_t DatagramResponder::send_data(Instant now) noexcept {
    std::uint32_t n = 0;
    for (std::uint32_t looked_at = 0; looked_at < 2 * datagram_burst && n < datagram_burst && due_.due(now);
         ++looked_at) {
        const std::uint32_t index = due_.pop().item;
        Sender& sender = *senders_[index];
        if (sender.flow == none) {
            senders_[index].reset();
            free_senders_.push_back(index);
            continue;
        }
        Flow& flow = flows_[sender.flow];
        if (now - flow.heard > silence) {
            stop(flow);
            due_.push(now, index);
            continue;
        }
        // At a schedule those that are due together go together; else a few in turn.
        for (std::uint32_t i = 0; i < datagram_burst / 4 && n < datagram_burst && sender.source.due(now);
             ++i) {
            if (room() < spare_datagram_frames) {
                due_.push(now, index);
                return n;
            }
            sender.random += 0x9e3779b97f4a7c15U;
            const double share = (static_cast<double>(mixed(sender.random) >> 11) + 0.5) * 0x1p-53;
            const double drawn = sender.sizes.is_fixed() ? sender.sizes.most() : sender.sizes.quantile(share);
            const auto octets = static_cast<std::uint32_t>(
                std::clamp<double>(drawn, DatagramHeader::octets,
                                   flow.peer.remote.is_v4() ? most_datagram_v4 : most_datagram_v6));
            if (!send(flow.peer,
                      {.kind = DatagramKind::data,
                       .run = flow.run,
                       .number = static_cast<std::uint32_t>(sender.sent),
                       .word = static_cast<std::uint64_t>(now.time_since_epoch().count())},
                      octets)) {
                // It stays due, and is given up when it is too late.
                due_.push(now, index);
                return n;
            }
            sender.source.sent();
            ++sender.sent;
            sender.octets += octets;
            ++totals_.datagrams_out;
            totals_.octets_out += octets;
            ++n;
        }
        // Beyond its schedule it is looked at to see whether its client is still there.
        due_.push(std::clamp(sender.source.next(now), now, now + silence / 4), index);
    }
    return n;
}

bool DatagramResponder::poll(Instant now) noexcept {
    now_ = now;
    bool worked = held_ && held_->poll(now, [this](const Answer& made) {
        --held_count_;
        (void)answer(made);
    });
    worked |= send_data(now) > 0;
    return worked;
}

}  // namespace runnel::load
