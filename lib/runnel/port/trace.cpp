#include "runnel/port/trace.hpp"

#include <utility>

namespace runnel::port {

TracedWire::TracedWire(Wire& wire, Now now, Observer observer)
    : wire_(wire), now_(std::move(now)), observer_(std::move(observer)) {}

std::size_t TracedWire::receive(std::span<rte_mbuf*> out) noexcept {
    const std::size_t n = wire_.receive(out);
    if (n == 0) return 0;
    const Instant when = now_();
    for (const rte_mbuf* frame : out.first(n)) observer_(Direction::received, *frame, when);
    return n;
}

std::size_t TracedWire::send(std::span<rte_mbuf*> frames) noexcept {
    // A frame that the wire has taken may already be changing in the receiver's hands, so each is shown
    // first, and then offered alone; the one that is refused comes again, and has been shown.
    std::size_t taken = 0;
    for (rte_mbuf*& frame : frames) {
        if (frame != refused_) observer_(Direction::sent, *frame, now_());
        refused_ = nullptr;
        if (wire_.send({&frame, 1}) == 0) {
            refused_ = frame;
            break;
        }
        ++taken;
    }
    return taken;
}

}  // namespace runnel::port
