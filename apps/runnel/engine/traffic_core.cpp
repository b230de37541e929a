// See traffic_core.hpp.
#include "engine/traffic_core.hpp"

#include <utility>

#include "engine/datagram_one_way_client.hpp"
#include "engine/datagram_request_client.hpp"
#include "engine/hold_client.hpp"
#include "engine/idle_client.hpp"
#include "engine/transaction_client.hpp"
#include "engine/transfer_client.hpp"
#include "engine/transfer_responders.hpp"

namespace runnel::load {

std::unique_ptr<Generator> make_client(Stack& stack, const ClientOptions& options) {
    if (options.recipe == Recipe::none) return std::make_unique<IdleClient>(options);
    if (options.recipe == Recipe::udp_rr) return std::make_unique<DatagramRequestClient>(stack, options);
    if (options.recipe == Recipe::udp_oneway) return std::make_unique<DatagramOneWayClient>(stack, options);
    // The plain loop of `rr` has a client of its own, which is the quicker one.
    const bool plain =
        !options.sizes.drawn() && options.sizes.think.is_zero() && !options.rate && !options.comes_and_goes;
    if (options.recipe == Recipe::http || (options.recipe == Recipe::rr && !plain))
        return std::make_unique<TransactionClient>(stack, options);
    if (transfers(options.recipe)) return std::make_unique<TransferClient>(stack, options);
    if (options.recipe == Recipe::hold) return std::make_unique<HoldClient>(stack, options);
    return std::make_unique<Client>(stack, options);
}

namespace {

std::unique_ptr<Attacker> make_attacker(const ClientOptions& options, port::Wire& wire, rte_mempool* mbufs) {
    if (options.attacks.empty()) return nullptr;
    Attacker::Options attacker{.attacks = options.attacks,
                               .clients = options.clients,
                               .servers = options.servers,
                               .seed = mixed(options.seed)};
    if (attacker.clients.empty())
        attacker.clients.push_back({options.first_local_address, options.local_addresses});
    if (attacker.servers.empty())
        attacker.servers.push_back({{options.remote_address, 1}, {options.remote_port, options.remote_port}});
    return std::make_unique<Attacker>(wire, mbufs, attacker);
}

}  // namespace

ClientSide::ClientSide(const StackConfig& config, const ClientOptions& options, port::Wire& wire,
                       rte_mempool* mbufs, const runtime::Clock& clock,
                       const port::TracedWire::Observer& trace)
    : stack(config, mbufs),
      client(make_client(stack, options)),
      traced(trace ? std::make_unique<port::TracedWire>(
                         wire, [clock] { return clock.now(); }, trace)
                   : nullptr),
      attacker(make_attacker(options, traced ? static_cast<port::Wire&>(*traced) : wire, mbufs)),
      under(attacker ? static_cast<port::Wire&>(*attacker)
            : traced ? static_cast<port::Wire&>(*traced)
                     : wire),
      stamped(under, clock, *client),
      measures(options.measures) {
    if (attacker) attacker->attach(stack, *client);
}

ServerSide::ServerSide(const StackConfig& config, std::uint16_t port, std::unique_ptr<Responder> answers,
                       rte_mempool* mbufs)
    : stack(config, mbufs), responder(std::move(answers)) {
    stack.listen({.port = port, .handler = responder.get()});
}

void ServerSide::serve_datagrams(std::uint16_t port, const DatagramResponder::Options& options,
                                 const ServerBehaviour& behaviour, std::uint64_t seed) {
    datagrams = std::make_unique<DatagramResponder>(stack, options);
    if (!behaviour.answers_at_once()) datagrams->behave(behaviour, seed);
    stack.udp().bind({}, port, *datagrams);
}

void ServerSide::attach(runtime::PollLoop& loop, port::Wire& wire) {
    if (datagrams) {
        stamped = std::make_unique<StampedWire>(wire, loop.clock(), *datagrams);
        loop.add(stack, *stamped);
        loop.add(*datagrams);
        return;
    }
    loop.add(stack, wire);
    if (responder->answers_late()) loop.add(*responder);
}

std::unique_ptr<Responder> make_responder(const ClientOptions& options, std::span<const std::byte> response,
                                          std::uint32_t slots) {
    const auto request_octets = static_cast<std::uint32_t>(options.request.size());
    switch (options.recipe) {
        case Recipe::rr:
            if (options.sizes.drawn()) return std::make_unique<SizedResponder>(options.block, slots);
            return std::make_unique<RequestResponder>(response, request_octets, slots);
        case Recipe::http:
            break;
        case Recipe::stream:
            return std::make_unique<StreamResponder>(StreamSource(options.block, options.copies),
                                                     options.direction);
        case Recipe::hold:
        case Recipe::rst:
        case Recipe::fin:
        case Recipe::crr:
        case Recipe::udp_rr:
        case Recipe::udp_oneway:
        case Recipe::none:
            break;
    }
    return std::make_unique<OneShotResponder>(response, request_octets, options.recipe == Recipe::hold);
}

}  // namespace runnel::load
