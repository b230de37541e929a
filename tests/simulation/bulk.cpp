#include "bulk.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace runnel::test {

namespace {

// Octets that repeat after a prime: no shift by a segment or a power of two goes unseen. Twice over, so that
// what begins within the first period is there in one piece.
constexpr std::size_t period = 65521;

const std::vector<std::byte>& pattern() {
    static const std::vector<std::byte> octets = [] {
        std::vector<std::byte> made(2 * period);
        std::mt19937_64 random{period};
        for (std::size_t i = 0; i < period; ++i)
            made[i] = made[i + period] = static_cast<std::byte>(random());
        return made;
    }();
    return octets;
}

}  // namespace

Bulk::Bulk(World& world, std::uint32_t flows, Duration stagger, std::uint64_t limit)
    : world_(world), limit_(limit), flows_(flows) {
    tcp::ListenOptions options;
    options.port = port;
    options.handler = this;
    world_.stack(1).listen(options);
    for (std::uint32_t i = 0; i < flows; ++i) world_.at(world_.now() + i * stagger, [this, i] { open(i); });
}

void Bulk::open(std::uint32_t flow) {
    if (stopped_) return;
    tcp::ConnectOptions options;
    options.remote_address = spoken(World::address(1));
    options.remote_port = port;
    options.handler = this;
    options.context = 2 * flow + 1;
    const tcp::ConnectResult result = world_.stack(0).connect(options);
    if (result.error != tcp::Error::none) {
        complain(flows_[flow], fmt::format("connect: {}", tcp::to_string(result.error)));
        return;
    }
    flows_[flow].sender = result.connection;
    flows_[flow].opened = true;
    by_port_[result.connection.info().local_port] = flow;
}

void Bulk::established(tcp::Connection connection) noexcept {
    if (connection.context() == 0) {
        const std::uint32_t flow = by_port_.at(connection.info().remote_port);
        connection.set_context(2 * flow + 2);
        flows_[flow].receiver = connection;
        flows_[flow].accepted = true;
    } else {
        write(flow_of(connection));
    }
}

void Bulk::write(Flow& flow) {
    while (!stopped_ && flow.written < limit_) {
        const std::size_t n = std::min<std::uint64_t>(period, limit_ - flow.written);
        const std::size_t accepted =
            flow.sender.send_static(std::span{pattern()}.subspan(flow.written % period, n)).accepted;
        flow.written += accepted;
        if (accepted < n) return;  // `writable` goes on
    }
    if (flow.shut) return;
    flow.shut = true;
    const tcp::Error error = flow.sender.shutdown();
    if (error != tcp::Error::none) complain(flow, fmt::format("shutdown: {}", tcp::to_string(error)));
}

void Bulk::stop() {
    stopped_ = true;
    for (Flow& flow : flows_)
        if (flow.opened && flow.closed == 0) write(flow);
}

tcp::Ownership Bulk::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    Flow& flow = flow_of(connection);
    if (sends(connection)) complain(flow, "data to the sender");
    for (const rte_mbuf* part = &payload; part != nullptr; part = part->next) {
        if (std::memcmp(rte_pktmbuf_mtod(part, const std::byte*), pattern().data() + flow.received % period,
                        part->data_len) != 0)
            complain(flow, fmt::format("wrong octets at {}", flow.received));
        flow.received += part->data_len;
    }
    connection.consume(rte_pktmbuf_pkt_len(&payload));
    return tcp::Ownership::returned;
}

void Bulk::writable(tcp::Connection connection) noexcept {
    write(flow_of(connection));
}

void Bulk::peer_closed(tcp::Connection connection) noexcept {
    if (sends(connection)) return;
    flow_of(connection).ended = true;
    connection.close();
}

void Bulk::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    Flow& flow = flow_of(connection);
    ++flow.closed;
    if (reason != tcp::CloseReason::orderly)
        complain(flow, fmt::format("the {} ended: {}", sends(connection) ? "sender" : "receiver",
                                   tcp::to_string(reason)));
}

void Bulk::complain(const Flow& flow, const std::string& what) {
    if (complaints_.size() < 2000)
        complaints_ +=
            fmt::format("{:.6f} s, flow {}: {}\n", std::chrono::duration<double>(world_.now()).count(),
                        &flow - flows_.data(), what);
}

std::uint64_t Bulk::received() const {
    std::uint64_t sum = 0;
    for (const Flow& flow : flows_) sum += flow.received;
    return sum;
}

bool Bulk::done() const {
    return std::all_of(flows_.begin(), flows_.end(), [this](const Flow& flow) {
        return flow.opened ? flow.closed == 2 || (flow.closed == 1 && !flow.accepted) : stopped_;
    });
}

std::string Bulk::verdict() const {
    std::string text = complaints_;
    for (std::size_t i = 0; i < flows_.size(); ++i) {
        const Flow& flow = flows_[i];
        if (!flow.opened || flow.closed != 2 || !flow.ended || flow.received != flow.written)
            text += fmt::format("flow {}: {} of {} octets received, {} sides over\n", i, flow.received,
                                flow.written, flow.closed);
    }
    return text;
}

}  // namespace runnel::test
