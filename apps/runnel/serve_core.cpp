#include "serve_core.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace runnel::app {

std::string_view to_string(Service service) {
    switch (service) {
        case Service::http:
            return "http";
        case Service::echo:
            return "echo";
        case Service::discard:
            return "discard";
        case Service::crr:
            return "crr";
        case Service::rr:
            return "rr";
        case Service::sized:
            return "sized";
        case Service::stream:
            return "stream";
        case Service::udp:
            return "udp";
    }
    return "?";
}

ServeCore::ServeCore(const StackConfig& config, const ServeSettings& settings,
                     const load::HttpResponse& keep_alive, const load::HttpResponse& closing,
                     std::span<const std::byte> block, rte_mempool* mbufs)
    : stack(config, mbufs) {
    for (const Listen& listen : settings.listen) {
        if (listen.service == Service::udp && datagrams != nullptr) continue;  // one for all its ports
        std::unique_ptr<load::Responder> responder;
        switch (listen.service) {
            case Service::http:
                responder =
                    std::make_unique<load::HttpResponder>(keep_alive, closing, config.tcp.connections);
                break;
            case Service::echo:
                responder = std::make_unique<load::EchoResponder>(config.tcp.connections);
                break;
            case Service::discard: {
                auto discard = std::make_unique<load::DiscardResponder>(config.tcp.connections,
                                                                        settings.digest ? most_digests : 0);
                discards.push_back(discard.get());
                responder = std::move(discard);
                break;
            }
            case Service::crr:
                responder = std::make_unique<load::OneShotResponder>(closing.all(), 1);
                break;
            case Service::rr:
                responder = std::make_unique<load::RequestResponder>(
                    block.first(settings.response_octets), settings.request_octets, config.tcp.connections);
                break;
            case Service::sized:
                responder = std::make_unique<load::SizedResponder>(block, config.tcp.connections);
                break;
            case Service::udp:
                datagrams = std::make_unique<load::DatagramResponder>(
                    stack, load::DatagramResponder::Options{
                               .flows = settings.udp_flows,
                               .senders = std::min(settings.udp_flows, load::DatagramResponder::most_senders),
                               .response_octets = settings.response_octets,
                               .key = {(*config.secret)[1], (*config.secret)[0]}});
                if (!settings.traffic.server.answers_at_once())
                    datagrams->behave(settings.traffic.server, settings.traffic.seed);
                for (const Listen& one : settings.listen)
                    if (one.service == Service::udp) stack.udp().bind({}, one.port, *datagrams);
                continue;
            case Service::stream:
                responder = std::make_unique<load::StreamResponder>(
                    load::StreamSource(block.first(block_octets), settings.traffic.copies),
                    settings.traffic.direction);
                break;
        }
        if (!settings.traffic.server.answers_at_once())
            responder->behave(settings.traffic.server, config.tcp.connections, settings.traffic.seed);
        stack.listen({.port = listen.port,
                      .handler = responder.get(),
                      .nagle = false,
                      .fast_open = config.tcp.fast_open_pending > 0});
        responders.push_back(std::move(responder));
    }
}

load::ServerTotals ServeCore::totals() const noexcept {
    load::ServerTotals sum;
    for (const auto& responder : responders) {
        sum += responder->totals();
    }
    if (datagrams) {
        sum.requests += datagrams->totals().answered;
        sum.octets_in += datagrams->totals().octets_in;
        sum.octets_out += datagrams->totals().octets_out;
    }
    return sum;
}

std::vector<load::Received> ServeCore::take_reports() {
    std::vector<load::Received> all;
    for (load::DiscardResponder* discard : discards)
        for (load::Received& one : discard->take_reports()) all.push_back(one);
    return all;
}

void end_connections(runtime::Runtime& runtime, const std::function<ServeCore&(unsigned)>& server,
                     const ServeSettings& settings, std::uint32_t slots, load::Ending ending) {
    if (ending == load::Ending::leave) return;
    constexpr std::uint32_t at_once = 1024;
    for (unsigned core = 0; core < runtime.core_count(); ++core) {
        runtime.call(core, [&] {
            for (const Listen& listen : settings.listen) server(core).stack.unlisten({}, listen.port);
        });
        for (std::uint32_t first = 0; first < slots; first += at_once)
            runtime.call(core, [&] {
                for (std::uint32_t slot = first; slot < std::min(slots, first + at_once); ++slot) {
                    tcp::Connection connection = server(core).stack.tcp().connection_in(slot);
                    if (!connection.alive()) continue;
                    if (ending == load::Ending::reset)
                        (void)connection.abort();
                    else
                        (void)connection.close();
                }
            });
    }
    const auto open = [&] {
        std::uint64_t sum = 0;
        for (unsigned core = 0; core < runtime.core_count(); ++core)
            runtime.call(core, [&] { sum += server(core).stack.tcp().connections(); });
        return sum;
    };
    // RST leaves within a turn or two.
    const std::chrono::milliseconds patience{ending == load::Ending::reset ? 20 : 3000};
    const auto until = std::chrono::steady_clock::now() + patience;
    do std::this_thread::sleep_for(std::chrono::milliseconds{5});
    while (std::chrono::steady_clock::now() < until && (ending == load::Ending::reset || open() > 0));
}

}  // namespace runnel::app
