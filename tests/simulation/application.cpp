#include "application.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::test {

namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t x = (a + 0x9e3779b97f4a7c15ULL) * (b | 1);
    x ^= x >> 29;
    return x * 0xbf58476d1ce4e5b9ULL ^ x >> 32;
}

}  // namespace

Application::Application(World& world, std::uint64_t seed, const Behaviour& behaviour)
    : world_(world), seed_(seed), behaviour_(behaviour), random_(mix(seed, 1)) {
    tcp::ListenOptions options;
    options.port = port;
    options.handler = this;
    world_.stack(1).listen(options);
    for (std::uint32_t i = 0; i < behaviour.connections; ++i)
        world_.at(Duration{static_cast<std::int64_t>(random_() %
                                                     static_cast<std::uint64_t>(behaviour.spread.count()))},
                  [this] { open(); });
}

std::size_t Application::size_for(std::uint64_t identity) const {
    const std::uint64_t drawn = mix(seed_, identity);
    switch (drawn % 5) {
        case 0:
            return 0;
        case 1:
            return 1;
        case 2:
            return drawn / 5 % 3000;
        default:
            return drawn / 5 % (behaviour_.largest + 1);
    }
}

void Application::open() {
    auto side = std::make_unique<Side>();
    tcp::ConnectOptions options;
    options.remote_address = spoken(World::address(1));
    options.remote_port = port;
    options.handler = this;
    options.context = sides_.size() + 1;
    options.nagle = !chance(3);
    const tcp::ConnectResult result = world_.stack(0).connect(options);
    if (result.error != tcp::Error::none) {
        complaints_ += fmt::format("connect: {}\n", tcp::to_string(result.error));
        return;
    }
    ++opened_;
    side->connection = result.connection;
    const std::uint64_t identity = result.connection.info().local_port;
    side->send_base = identity << 24;
    side->receive_base = identity << 24 | 1U << 23;
    side->to_send = size_for(identity * 2);
    side->to_receive = size_for(identity * 2 + 1);
    sides_.push_back(std::move(side));
    if (chance(4)) write(*sides_.back());  // before the handshake is complete
}

void Application::established(tcp::Connection connection) noexcept {
    if (connection.context() == 0) {
        auto side = std::make_unique<Side>();
        const std::uint64_t identity = connection.info().remote_port;
        side->which = 1;
        side->connection = connection;
        side->send_base = identity << 24 | 1U << 23;
        side->receive_base = identity << 24;
        side->to_send = size_for(identity * 2 + 1);
        side->to_receive = size_for(identity * 2);
        sides_.push_back(std::move(side));
        connection.set_context(sides_.size());
    }
    write(side_of(connection));
}

void Application::write(Side& side) {
    while (side.sent < side.to_send) {
        const std::size_t n =
            std::min<std::size_t>(side.to_send - side.sent, 1 + random_() % (chance(3) ? 100 : 5000));
        const std::string octets = stream(side.send_base + side.sent, n);
        std::size_t accepted = 0;
        if (n <= 1500 && chance(3)) {
            rte_mbuf* mbuf = to_mbuf({reinterpret_cast<const std::uint8_t*>(octets.data()), n});
            if (side.connection.send(mbuf).error == tcp::Error::none) {
                accepted = n;
            } else {
                rte_pktmbuf_free(mbuf);
                accepted = side.connection.send(std::as_bytes(std::span{octets}))
                               .accepted;  // as much as there is room
            }
        } else {
            accepted = side.connection.send(std::as_bytes(std::span{octets})).accepted;
        }
        side.sent += accepted;
        if (accepted < n) return;  // `writable` goes on
        if (behaviour_.pauses && chance(6)) {
            world_.at(world_.now() + pause(), [this, &side] { write(side); });
            return;
        }
    }
    if (side.finished_sending || side.closed) return;
    if (behaviour_.pauses && chance(3)) {
        world_.at(world_.now() + pause(), [this, &side] { write(side); });
        return;
    }
    side.finished_sending = true;
    const tcp::Error error = side.connection.shutdown();
    if (error != tcp::Error::none) complain(side, fmt::format("shutdown: {}", tcp::to_string(error)));
}

tcp::Ownership Application::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    Side& side = side_of(connection);
    const std::string octets = text_of(payload);
    if (side.peer_closed) complain(side, "data after the peer's FIN");
    if (octets.empty()) complain(side, "empty data");
    if (octets != stream(side.receive_base + side.received, octets.size()))
        complain(side, fmt::format("wrong octets at {} of {}", side.received, side.to_receive));
    side.received += octets.size();
    if (!behaviour_.pauses || chance(2)) {
        connection.consume(octets.size());
        return tcp::Ownership::returned;
    }
    const bool take = chance(3);
    rte_mbuf* const taken = take ? &payload : nullptr;
    world_.at(world_.now() + pause(), [&side, taken, n = octets.size()] {
        side.connection.consume(n);
        if (taken != nullptr) rte_pktmbuf_free(taken);
    });
    return take ? tcp::Ownership::taken : tcp::Ownership::returned;
}

void Application::writable(tcp::Connection connection) noexcept {
    write(side_of(connection));
}

void Application::peer_closed(tcp::Connection connection) noexcept {
    Side& side = side_of(connection);
    if (side.peer_closed) complain(side, "peer_closed twice");
    side.peer_closed = true;
}

void Application::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    Side& side = side_of(connection);
    if (side.closed) complain(side, "closed twice");
    side.closed = true;
    side.reason = reason;
}

void Application::complain(const Side& side, const std::string& what) {
    if (complaints_.size() < 2000)
        complaints_ += fmt::format("{:.6f} s, side {}: {}\n",
                                   std::chrono::duration<double>(world_.now()).count(), side.which, what);
}

bool Application::done() const {
    if (opened_ < behaviour_.connections || sides_.size() < 2 * opened_) return false;
    return std::all_of(sides_.begin(), sides_.end(), [](const auto& side) { return side->closed; });
}

std::size_t Application::octets_received() const {
    std::size_t sum = 0;
    for (const auto& side : sides_) sum += side->received;
    return sum;
}

std::string Application::verdict() const {
    std::string text = complaints_;
    if (sides_.size() != 2 * behaviour_.connections)
        text += fmt::format("{} sides of {} connections\n", sides_.size(), behaviour_.connections);
    for (const auto& side : sides_) {
        if (!side->closed)
            text += fmt::format("side {} is not closed: sent {} of {}, received {} of {}, state {}\n",
                                side->which, side->sent, side->to_send, side->received, side->to_receive,
                                tcp::to_string(side->connection.info().state));
        else if (side->reason != tcp::CloseReason::orderly)
            text += fmt::format("side {} ended: {}, received {} of {}\n", side->which,
                                tcp::to_string(side->reason), side->received, side->to_receive);
        else if (side->received != side->to_receive || !side->peer_closed)
            text += fmt::format("side {} received {} of {}\n", side->which, side->received, side->to_receive);
    }
    return text;
}

}  // namespace runnel::test
