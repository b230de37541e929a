// See datagram_client.hpp.
#include "engine/datagram_client.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runnel/ip/home_ports.hpp"

namespace runnel::load {

DatagramClient::DatagramClient(Stack& stack, const ClientOptions& options)
    : stack_(stack),
      options_(options),
      flows_(options.connections),
      scratch_(most_datagram_v6, std::byte{0x55}) {
    AddressPicker addresses = make_picker(options);
    std::set<std::pair<IpAddress, std::uint16_t>> taken;
    const std::uint32_t ports = std::uint32_t{options.last_port} - options.first_port + 1;
    std::uint32_t next_port = 0;
    // Whether what is sent to that port comes to this core.
    const auto comes_home = [&](const Flow& flow) {
        return options.home_ports == nullptr ||
               options.home_ports->contains(flow.remote, flow.remote_port, flow.local, flow.local_port);
    };
    for (Flow& flow : flows_) {
        const AddressPicker::Pick pick = addresses.next();
        flow.client = this;
        flow.index = static_cast<std::uint32_t>(&flow - flows_.data());
        flow.local = pick.client;
        flow.remote = pick.server;
        flow.remote_port = pick.server_port;
        if (options.home_ports && !flow.remote.is_v4() && !options.home_ports->knows_ipv6())
            throw std::invalid_argument(
                "--cores: the RSS key of the port is too short for IPv6, so what answers a datagram may come "
                "to another core; take one core");
        std::uint32_t tries = 0;
        do {
            if (tries++ == ports)
                throw std::invalid_argument(
                    fmt::format("--connections {}: no port of {} is left for another flow of this core; take "
                                "fewer, or more client addresses",
                                flows_.size(), to_string(flow.local)));
            flow.local_port = static_cast<std::uint16_t>(options.first_port + next_port++ % ports);
        } while (!comes_home(flow) || !taken.emplace(flow.local, flow.local_port).second);
        stack.udp().bind(flow.local, flow.local_port, flow);
    }
    measurement_.datagrams.flows = flows_.size();
    // A datagram may leave in as many frames as the least MTU of its family makes of it.
    const double largest = std::max({options.sizes.request.most(), options.datagram_octets.most(), 1280.0});
    spare_frames_ += static_cast<std::size_t>(std::min(largest, 65535.0) / 512);
}

bool DatagramClient::send(Flow& flow, const DatagramHeader& header, std::size_t octets) noexcept {
    DatagramHeader whole = header;
    whole.run = run_;
    whole.encode(scratch_.data());
    return stack_.udp().send_to({.remote_address = flow.remote,
                                 .remote_port = flow.remote_port,
                                 .local_address = flow.local,
                                 .local_port = flow.local_port,
                                 .dont_fragment = false},
                                std::span{scratch_}.first(octets), now_) == udp::SendResult::sent;
}

bool DatagramClient::poll(Instant now, std::uint32_t most) noexcept {
    now_ = now;
    bool worked = step_phase(now);
    switch (present_phase()) {
        case Phase::ramp:
            if (!sending_) return (greet(now, most) > 0) | worked;
            [[fallthrough]];
        case Phase::measured:
        case Phase::held:
            worked |= keep_going(now, most) > 0;
            return send_some(now, most) | worked;
        case Phase::closing:
            worked |= send_some(now, most);
            if (step_ == Step::falling) worked |= keep_going(now, most) > 0;
            if (step_ == Step::reporting) worked |= ask_for_reports(now, most) > 0;
            return worked;
        default:
            return worked;
    }
}

// Returns whether a phase ended.
bool DatagramClient::step_phase(Instant now) noexcept {
    switch (present_phase()) {
        case Phase::waiting:
            opening_begin_ = now;
            run_ = static_cast<std::uint16_t>(
                mixed(options_.seed ^ static_cast<std::uint64_t>(now.time_since_epoch().count())));
            for (std::uint32_t i = 0; i < flows_.size(); ++i)
                if (std::string text = wanted_data(i); !text.empty()) wanted_.push_back(std::move(text));
            enter(Phase::ramp);
            return true;
        case Phase::ramp:
            if (!sending_) {
                const bool open = options_.blind || open_flows_ == flows_.size();
                if (!open && !heard_ && told_to_stop()) {
                    finish();  // nothing goes to who has not answered
                    return true;
                }
                if (!open && now < opening_end_ && !told_to_stop()) {
                    // What says that nobody is there need not be waited for as long as silence.
                    const bool told = measurement_.datagrams.errors() > 0 && now - opening_begin_ > 1s;
                    const bool silent = now - opening_begin_ > options_.give_up && options_.give_up > 0s;
                    if (heard_ || !(told || silent)) return false;
                    measurement_.nobody_answered = true;
                    finish();
                    return true;
                }
                begin_traffic(now);
            }
            if (now < window_begin_ && !told_to_stop()) return false;
            window_begin_ = std::min(window_begin_, now);
            at_window_begin_ = measurement_.all;
            measuring_ = true;
            enter(Phase::measured);
            return true;
        case Phase::measured:
            if (now < window_end_ && !told_to_stop()) [[likely]]
                return false;
            end_window(now);
            return true;
        case Phase::held:
            if (!released()) return false;
            phase_end_ = std::max(now, window_end_ + options_.ramp_down);
            enter(Phase::closing);
            return true;
        case Phase::closing:
            switch (step_) {
                case Step::falling:
                    if (now < phase_end_ && !told_to_stop()) return false;
                    if (source_) {
                        const std::uint64_t before = source_->unsent();
                        source_->end(now);
                        given_up(source_->unsent() - before);
                    }
                    phase_end_ = now + std::max(options_.drain, options_.reply_timeout);
                    step_ = Step::waiting;
                    return true;
                case Step::waiting:
                    if (!all_answered(now) && now < phase_end_ && ending() == Ending::drain) return false;
                    quiet_at_ = now + settling;
                    step_ = Step::settling;
                    return true;
                case Step::settling:
                    if (now < quiet_at_) return false;
                    for (Flow& flow : flows_) flow.next_try = now;
                    phase_end_ = now + options_.drain;
                    step_ = Step::reporting;
                    return true;
                case Step::reporting:
                    if (reports_ < measurement_.datagrams.flows_ours && now < phase_end_) return false;
                    // What a server has sent before its report may come behind it.
                    quiet_at_ = now + (wanted_.empty() ? 0s : settling);
                    step_ = Step::trailing;
                    return true;
                case Step::trailing:
                    if (now < quiet_at_) return false;
                    finish();
                    return true;
            }
            return false;
        case Phase::draining:
        case Phase::finished:
            return false;
    }
    return false;
}

void DatagramClient::begin_traffic(Instant now) noexcept {
    sending_ = true;
    window_begin_ = now + options_.ramp_up + options_.ramp;
    window_end_ = window_begin_ + options_.duration;
    for (Flow& flow : flows_) flow.next_try = now;
    if (!sends_) return;
    source_.emplace(Pace{.rate = options_.rate,
                         .profile = options_.profile,
                         .arrivals = options_.arrivals,
                         .seed = options_.seed,
                         .max_lag = options_.max_lag,
                         .ramp_up = options_.ramp_up,
                         .ramp = options_.ramp,
                         .duration = options_.duration,
                         .ramp_down = options_.ramp_down},
                    now);
    if (paused()) source_->pause(now);
}

void DatagramClient::change_rate(std::optional<double> rate, Instant now) noexcept {
    options_.rate = rate;
    options_.profile.reset();
    if (source_) source_->change_rate(rate, now);
}

void DatagramClient::end_window(Instant now) noexcept {
    Measurement& m = measurement_;
    measuring_ = false;
    m.window_length = now - window_begin_;
    m.window.octets_received = m.all.octets_received - at_window_begin_.octets_received;
    m.window.octets_sent = m.all.octets_sent - at_window_begin_.octets_sent;
    m.window.datagrams_received = m.all.datagrams_received - at_window_begin_.datagrams_received;
    m.window.datagrams_sent = m.all.datagrams_sent - at_window_begin_.datagrams_sent;
    m.window.transactions = m.all.transactions - at_window_begin_.transactions;
    enter(Phase::held);
}

void DatagramClient::finish() noexcept {
    DatagramAccounting& d = measurement_.datagrams;
    d.flows_reported = reports_;
    if (source_) {
        source_->end(now_);
        d.to_server.planned = source_->planned();
        d.to_server.unsent = source_->unsent();
    }
    for (const Flow& flow : flows_) {
        d.to_server.sent += flow.sent;
        if (flow.tracker == nullptr) continue;
        if (flow.reported) d.to_client.counts += flow.tracker->counts();
        if (flow.jitter.begun()) d.to_client.jitter.add(flow.jitter.nanoseconds());
    }
    account();
    enter(Phase::finished);
}

// -- what is asked of servers

// Looks at each flow in turn, a bounded number of them a poll; `visit` says whether it has sent.
template <class Visit>
std::uint32_t DatagramClient::go_round(std::uint32_t most, Visit&& visit) noexcept {
    std::uint32_t n = 0;
    for (std::size_t looked_at = 0; looked_at < std::min<std::size_t>(flows_.size(), 4 * most) && n < most;
         ++looked_at) {
        if (!has_room()) break;
        Flow& flow = flows_[next_flow_];
        if (++next_flow_ == flows_.size()) next_flow_ = 0;
        if (visit(flow)) ++n;
    }
    return n;
}

std::uint32_t DatagramClient::greet(Instant now, std::uint32_t most) noexcept {
    // Behind a neighbour whose link address is not known yet few packets may wait.
    if (!heard_) {
        if (now < next_greeting_) return 0;
        next_greeting_ = now + retry;
        most = 4;
    }
    return go_round(most, [&](Flow& flow) {
        if (now < flow.next_try || (flow.answered && (wanted_.empty() || flow.started))) return false;
        flow.next_try = now + retry;
        if (!flow.answered) {
            (void)send(flow, {.kind = DatagramKind::hello}, DatagramHeader::octets);
            return true;
        }
        const std::string& text = wanted_[flow.index];
        std::memcpy(scratch_.data() + DatagramHeader::octets, text.data(), text.size());
        (void)send(flow, {.kind = DatagramKind::start, .word = flow.token},
                   DatagramHeader::octets + text.size());
        return true;
    });
}

std::uint32_t DatagramClient::keep_going(Instant now, std::uint32_t most) noexcept {
    if (wanted_.empty()) return 0;
    return go_round(most, [&](Flow& flow) {
        if (now < flow.next_try || !flow.ours) return false;
        flow.next_try = now + retry;
        return send(flow, {.kind = DatagramKind::proceed}, DatagramHeader::octets);
    });
}

std::uint32_t DatagramClient::ask_for_reports(Instant now, std::uint32_t most) noexcept {
    return go_round(most, [&](Flow& flow) {
        if (!flow.ours || flow.reported || now < flow.next_try) return false;
        flow.next_try = now + retry;
        return send(flow, {.kind = DatagramKind::report_wanted, .word = flow.sent},
                    DatagramHeader::octets + FlowReport::octets);
    });
}

udp::Ownership DatagramClient::receive(Flow& flow, const udp::Datagram& about, rte_mbuf& payload) noexcept {
    constexpr std::size_t most = DatagramHeader::octets + FlowReport::octets;
    std::array<std::byte, most> copy;
    DatagramAccounting& d = measurement_.datagrams;
    if (about.source_address != flow.remote || about.source_port != flow.remote_port) [[unlikely]] {
        ++d.strange;
        return udp::Ownership::returned;
    }
    const bool first = !heard_;
    heard_ = true;
    if (first && opening_end_ == never) opening_end_ = now_ + opening_limit;
    const std::uint32_t octets = payload.pkt_len;
    const auto size = std::min<std::uint32_t>(octets, DatagramHeader::octets);
    const auto* const head = static_cast<const std::byte*>(rte_pktmbuf_read(&payload, 0, size, copy.data()));
    const auto header = head == nullptr ? std::nullopt : DatagramHeader::decode({head, size});
    if (!header || header->run != run_) [[unlikely]] {
        ++d.strange;
        return udp::Ownership::returned;
    }
    switch (header->kind) {
        case DatagramKind::request:  // of an echo
        case DatagramKind::response:
        case DatagramKind::data:
            take(flow, *header, octets);
            break;
        case DatagramKind::hello:
        case DatagramKind::welcome:
            if (flow.answered) break;
            flow.answered = true;
            flow.ours = header->kind == DatagramKind::welcome;
            flow.token = header->word;
            flow.next_try = now_;
            ++d.flows_answered;
            if (flow.ours) ++d.flows_ours;
            if (wanted_.empty() || !flow.ours) {
                flow.started = true;
                if (!flow.ours && !wanted_.empty()) ++d.refused;
                ++open_flows_;
            }
            break;
        case DatagramKind::started:
            if (flow.started) break;
            flow.started = true;
            ++open_flows_;
            if (header->word != 0) ++d.refused;
            break;
        case DatagramKind::report: {
            if (flow.reported || octets < most) break;
            const void* const text =
                rte_pktmbuf_read(&payload, DatagramHeader::octets, FlowReport::octets, copy.data());
            if (text == nullptr) break;
            const FlowReport report = FlowReport::decode(std::span<const std::byte, FlowReport::octets>{
                static_cast<const std::byte*>(text), FlowReport::octets});
            flow.reported = true;
            ++reports_;
            d.to_server.sent_known += flow.sent;
            d.to_server.counts += report.counts;
            d.to_server.octets_received += report.octets_received;
            if (report.jitter > 0) d.to_server.jitter.add(static_cast<double>(report.jitter));
            d.answered_by_server += report.answered;
            d.unanswered_by_server += report.unanswered;
            if (flow.tracker == nullptr) break;
            d.to_client.planned += report.planned;
            d.to_client.unsent += report.unsent;
            d.to_client.sent += report.sent;
            d.to_client.sent_known += report.sent;
            d.to_client.octets_sent += report.octets_sent;
            flow.tracker->end(report.sent);
            break;
        }
        case DatagramKind::start:
        case DatagramKind::proceed:
        case DatagramKind::report_wanted:
            break;  // an echo's
    }
    return udp::Ownership::returned;
}

}  // namespace runnel::load
