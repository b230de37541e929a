// What `runnel serve` has on each core: a stack, and a responder for each service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "runnel/port/trace.hpp"
#include "runnel/port/wire.hpp"
#include "runnel/runtime/exception_task.hpp"
#include "runnel/runtime/runtime.hpp"
#include "runnel/stack/stack.hpp"

#include "engine/datagram_responder.hpp"
#include "engine/http.hpp"
#include "engine/plan.hpp"
#include "engine/server.hpp"
#include "engine/traffic_core.hpp"
#include "engine/transfer_responders.hpp"
#include "exception_options.hpp"
#include "live/front_ends.hpp"
#include "options.hpp"
#include "port_options.hpp"

namespace runnel::app {

enum class Service : std::uint8_t { http, echo, discard, crr, rr, sized, stream, udp };

struct Listen {
    std::uint16_t port = 0;
    Service service = Service::http;
};

[[nodiscard]] std::string_view to_string(Service service);

struct ServeSettings {
    PortSettings port;
    ExceptionSettings exception;
    std::vector<Listen> listen;
    std::uint32_t size = 1024;
    std::uint32_t connections = 65536;
    std::uint32_t half_open = 16384;
    std::uint32_t time_wait_table = 1U << 16;
    Duration duration{};  // 0: until a signal
    bool digest = false;
    std::uint32_t udp_flows = 16384;
    std::uint32_t request_octets = transfer_octets, response_octets = transfer_octets;
    load::Traffic traffic;  // settings of the protocol, and of stream
    Output output;
    live::Settings live{.ending = load::Ending::leave};
};

/// The server on its core. Its stack hands its mbufs back first, so the wires and pools outlive it.
struct ServeCore final : runtime::CoreInstance {
    /// `block`: what rr and stream send, at least as long as either asks; valid until the process ends.
    ServeCore(const StackConfig& config, const ServeSettings& settings, const load::HttpResponse& keep_alive,
              const load::HttpResponse& closing, std::span<const std::byte> block, rte_mempool* mbufs);

    /// Of all its responders.
    [[nodiscard]] load::ServerTotals totals() const noexcept;
    /// Of connections to `discard` that have ended since the last call.
    [[nodiscard]] std::vector<load::Received> take_reports();

    /// Connections to `discard` at once of which a digest is made.
    static constexpr std::uint32_t most_digests = 64;

    Stack stack;
    std::vector<std::unique_ptr<load::Responder>> responders;
    std::vector<load::DiscardResponder*> discards;
    std::unique_ptr<port::Wire> tap;  // of a capture
    std::unique_ptr<load::DatagramResponder> datagrams;
    std::unique_ptr<port::TracedWire> traced;
    std::unique_ptr<load::StampedWire> stamped;
    std::unique_ptr<runtime::ExceptionTask> exception;
};

/// Ends what is open as the server was told, some connections at a time, so that the cores go on meanwhile;
/// with FIN there are some seconds for the peers to answer.
void end_connections(runtime::Runtime& runtime, const std::function<ServeCore&(unsigned)>& server,
                     const ServeSettings& settings, std::uint32_t slots, load::Ending ending);

}  // namespace runnel::app
