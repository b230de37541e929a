// The exception path: what nobody here has a use for goes to another TCP/IP endpoint of the same addresses,
// the kernel of this machine, and what that sends leaves by our port. Rules give it TCP and UDP ports too.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <rte_mbuf.h>

#include "runnel/base/transmit_queue.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/interface.hpp"
#include "runnel/ip/internet_layer.hpp"
#include "runnel/ip/link_output.hpp"
#include "runnel/wire/ethernet.hpp"

namespace runnel::ip {

/// Frames on their way to the kernel, and those from it. It has no device: who owns the stack carries the
/// frames to and fro. One owner thread; where the configuration has no exception path it does nothing.
class ExceptionPath {
  public:
    /// `config` has been validated. References are not owned and outlive this.
    ExceptionPath(const Config& config, const Interfaces& interfaces, LinkOutput& link);

    [[nodiscard]] bool open() const noexcept { return ports_ != nullptr; }
    /// Until it is told otherwise, does as if it were not open.
    void suspend(bool suspended) noexcept {
        if (suspended ? open() : suspended_ != nullptr) std::swap(ports_, suspended_);
    }
    /// Whether a rule gives a port of ours, of TCP or UDP, to the kernel; of other protocols never.
    [[nodiscard]] bool owns(std::uint8_t protocol, std::uint16_t port) const noexcept;
    /// The same, whether it is suspended or not.
    [[nodiscard]] bool has_rule(std::uint8_t protocol, std::uint16_t port) const noexcept;
    /// Whether a rule gives the kernel the port that a received segment or datagram is for.
    [[nodiscard]] bool owns(const Ingress& in) const noexcept;

    /// Before a frame is looked at: notes its link addresses, which the packet goes on with, whatever becomes
    /// of the frame meanwhile.
    void begin(const std::byte* frame) noexcept {
        if (!open()) [[likely]]
            return;
        std::copy_n(frame, link_addresses_.size(), link_addresses_.begin());
        whole_id_.reset();
    }
    /// That frame was a fragment, and what goes on is the packet that it has made whole: for the kernel it is
    /// cut again, under this identification, where it is larger than a frame to it.
    void note_whole(std::uint32_t id) noexcept { whole_id_ = id; }
    /// Gives the kernel a received packet that has been parsed. Takes the mbuf.
    void take(Ingress& in) noexcept;
    /// Gives it a frame as it was received, whose link header is of `link_size` octets: a VLAN tag stays
    /// behind, as the kernel sees the VLAN alone. Takes the mbuf.
    void take_frame(rte_mbuf* frame, const Interface& interface, std::size_t link_size) noexcept;
    /// Nobody here has a use for the packet: it is the kernel's, or without an exception path a drop, which
    /// is counted. Takes the mbuf.
    void decline(Ingress& in, DropReason reason) noexcept {
        if (open())
            take(in);
        else
            link_.drop(in.mbuf, reason);
    }
    void decline_frame(rte_mbuf* frame, const Interface& interface, std::size_t link_size,
                       DropReason reason) noexcept {
        if (open())
            take_frame(frame, interface, link_size);
        else
            link_.drop(frame, reason);
    }

    /// Moves up to `out.size()` frames for the kernel to the caller; returns how many. The `port` of each is
    /// the index of the interface by which it came.
    [[nodiscard]] std::size_t pop(std::span<rte_mbuf*> out) noexcept { return open() ? queue_->pop(out) : 0; }
    /// Queues a frame of the kernel's to be sent by an interface, with its VLAN tag. Takes the mbuf; false
    /// where it was dropped, which is counted.
    bool send(rte_mbuf* frame, std::uint8_t interface) noexcept;

  private:
    struct Ports {
        std::bitset<65536> tcp, udp;
    };
    void push(rte_mbuf* frame, std::uint8_t interface) noexcept;
    void push_cut(rte_mbuf* frame, std::uint8_t interface) noexcept;

    const Interfaces& interfaces_;
    LinkOutput& link_;
    std::unique_ptr<Ports> ports_;  // null: no exception path
    std::unique_ptr<Ports> suspended_;
    std::unique_ptr<TransmitQueue> queue_;
    std::array<std::byte, 12> link_addresses_{};  // of the frame that is being looked at
    std::optional<std::uint32_t> whole_id_;       // where it has made a packet whole
};

}  // namespace runnel::ip
