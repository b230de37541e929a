// What must hold for every frame that a stack sends, whatever the test is about: it is checked for each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "frame.hpp"

namespace runnel::test {

/// Watches one stack's frames, both ways, and says what is wrong with those that it sends:
///  - lengths, checksums, options that can be walked, padding of zeroes (RFC 9293 MUST-2, 68, 69);
///  - 127/8 and group addresses never on the wire as source (RFC 1122 section 3.2.1.3);
///  - impossible flags; MSS, window scale and SACK-permitted only on SYN (MUST-65, RFC 7323 section 2.2, RFC
///  2018), and
///    answered only where offered;
///  - timestamps on every segment but RST once negotiated, else on none (RFC 7323 section 3.2);
///  - ACK and the right edge of the offered window never move back (SHLD-14, RFC 7323 section 2.4);
///  - SACK blocks only where negotiated, above the ACK but for a first one that reports a duplicate, and only
///  of
///    data that has come (RFC 2018 sections 3 and 4, RFC 2883);
///  - over IPv6 one flow label for all segments of a flow, and not 0 (RFC 6437 section 3);
///  - no segment larger than the peer's MSS less the options (MUST-16), nothing beyond the window that the
///  peer has
///    offered but for a probe of one octet (MUST-34).
class Invariants {
  public:
    Invariants(MacAddress mac, std::uint16_t mtu) : mac_(mac), mtu_(mtu) {}

    /// A frame that the stack is about to receive.
    void received(const Frame& frame);
    /// A frame that it sent. Returns what is wrong with it; empty where nothing is.
    [[nodiscard]] std::string sent(const Frame& frame);

  private:
    struct Direction {
        bool scaling = false;  // window scale was offered
        std::uint8_t shift = 0;
        bool timestamps = false;
        bool sack = false;
    };
    struct Conversation {
        std::optional<std::uint32_t> isn;  // of the stack's last SYN
        std::uint32_t end = 0;             // of what it has sent
        bool synchronized = false;         // options of both sides are known
        Direction ours, peers;
        std::uint32_t peer_mss = 536;
        std::optional<std::uint32_t> flow_label;
        std::optional<std::uint32_t> last_ack, right_edge;  // as the stack has sent them
        std::optional<std::uint32_t> send_limit;         // the farthest right edge that the peer has offered
        std::map<std::uint32_t, Segment> syns;           // of the peer, by sequence number
        std::map<std::uint32_t, std::uint32_t> arrived;  // stretches of the peer's data, by their first octet
    };
    static Direction offered(const Segment& syn);
    static void learn_peer(Conversation& c, const Segment& syn);
    static void learn_window(Conversation& c, const Segment& s);
    static void learn_arrival(Conversation& c, std::uint32_t first, std::uint32_t end);
    static std::string check_sack(const Segment& s, const Conversation& c);
    void check_segment(const Segment& s, Conversation& c, std::string& wrong) const;

    MacAddress mac_;
    std::uint16_t mtu_;
    std::map<std::pair<SocketAddress, SocketAddress>, Conversation> conversations_;  // stack's address first
};

}  // namespace runnel::test
