// What a core of a measurement holds: the client, the server, or both, each with its stack and the wires in
// front.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runnel/port/trace.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/runtime/clock.hpp"
#include "runnel/runtime/poll_loop.hpp"
#include "runnel/runtime/runtime.hpp"
#include "runnel/runtime/shared_port.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/after_probing.hpp"
#include "engine/attacker.hpp"
#include "engine/client.hpp"
#include "engine/datagram_responder.hpp"
#include "engine/generator.hpp"
#include "engine/hears_arrivals.hpp"
#include "engine/server.hpp"

namespace runnel::load {

/// The client of the recipe. `stack` is not owned and outlives it.
[[nodiscard]] std::unique_ptr<Generator> make_client(Stack& stack, const ClientOptions& options);

/// A wire that tells a client, or a server, when a burst arrives: latencies end there, and not at the turn
/// before.
class StampedWire final : public port::Wire {
  public:
    /// Nothing is owned.
    StampedWire(port::Wire& wire, const runtime::Clock& clock, HearsArrivals& hearer) noexcept
        : wire_(wire), clock_(clock), hearer_(hearer) {}

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
        const std::size_t n = wire_.receive(out);
        if (n > 0) hearer_.arrived(clock_.now());
        return n;
    }
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override {
        return wire_.send(frames);
    }

  private:
    port::Wire& wire_;
    runtime::Clock clock_;
    HearsArrivals& hearer_;
};

/// The client side of a core: stack, client, and the wires in front. Made on its core; added to the loop by
/// `attach`.
struct ClientSide {
    /// `wire` and `mbufs` are not owned. `trace`, where there is one, sees each frame.
    ClientSide(const StackConfig& config, const ClientOptions& options, port::Wire& wire, rte_mempool* mbufs,
               const runtime::Clock& clock, const port::TracedWire::Observer& trace);
    void attach(runtime::PollLoop& loop) {
        loop.add(stack, measures ? static_cast<port::Wire&>(stamped) : under);
        if (stack.probes_addresses())
            loop.add(after_probing);
        else
            loop.add(*client);
        if (attacker) loop.add(*attacker);
    }

    Stack stack;
    std::unique_ptr<Generator> client;  // as the recipe wants it
    AfterProbing after_probing{stack, *client};
    std::unique_ptr<port::TracedWire> traced;  // between the wire and `stamped`
    std::unique_ptr<Attacker> attacker;        // in front of that, where there are attacks
    port::Wire& under;                         // what `stamped` decorates
    StampedWire stamped;
    bool measures;
};

/// The server side of a core.
struct ServerSide {
    /// Listens with `answers` on all addresses and `port`. `mbufs` is not owned.
    ServerSide(const StackConfig& config, std::uint16_t port, std::unique_ptr<Responder> answers,
               rte_mempool* mbufs);
    /// Answers `udp-rr` and `udp-oneway` on the port too.
    void serve_datagrams(std::uint16_t port, const DatagramResponder::Options& options,
                         const ServerBehaviour& behaviour, std::uint64_t seed);
    /// `wire` is not owned and outlives the loop's last turn.
    void attach(runtime::PollLoop& loop, port::Wire& wire);

    Stack stack;
    std::unique_ptr<Responder> responder;
    std::unique_ptr<DatagramResponder> datagrams;
    std::unique_ptr<StampedWire> stamped;  // where there are datagrams
};

/// The responder of a recipe's server, for the client that `options` make. `response` stays valid until the
/// process ends; `slots`: tcp::Config::connections of the server's stack.
[[nodiscard]] std::unique_ptr<Responder> make_responder(const ClientOptions& options,
                                                        std::span<const std::byte> response,
                                                        std::uint32_t slots);

/// What a core of a measurement holds: a client, a server, or both. Destroyed stacks first hand back their
/// mbufs, so the wires and pools outlive it.
struct TrafficCore final : runtime::CoreInstance {
    std::unique_ptr<ServerSide> server;
    std::unique_ptr<ClientSide> client;
    std::vector<std::unique_ptr<port::Wire>> taps;   ///< between these and their wires, where there are any
    std::vector<const runtime::SharedPort*> shared;  ///< whose counters belong to the result too; not owned
};

}  // namespace runnel::load
