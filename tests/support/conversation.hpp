// A conversation with one stack, written down: inject this segment, expect that one, at this virtual time.
//
//     Conversation c;
//     c.listen();
//     c.inject(syn().mss(1460));
//     c.expect(syn_ack().ack(1));
//     c.expect_after(1s, syn_ack().ack(1));  // it was lost
//
// The stack is 10.0.0.1; the script plays 10.0.0.2, a static neighbour. A failed expectation prints the whole
// conversation as tcpdump would and ends the test.
#pragma once

#include <deque>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runnel/stack/stack.hpp"

#include "family.hpp"
#include "invariants.hpp"

namespace runnel::test {

inline constexpr MacAddress stack_mac{{0x02, 0, 0, 0, 0, 0x01}};
inline constexpr MacAddress peer_mac{{0x02, 0, 0, 0, 0, 0x02}};
inline constexpr Ipv4Address stack_address{10, 0, 0, 1};
inline constexpr Ipv4Address peer_address{10, 0, 0, 2};
inline constexpr std::uint16_t service_port = 80;
inline constexpr std::uint16_t peer_port = 40000;
/// Timers fire in the tick of the wheel in which they fall due.
inline constexpr Duration timer_tolerance = 2 * Duration{1 << 17};

/// A small stack for one conversation: the address above, the neighbour, a default route through the
/// neighbour.
[[nodiscard]] StackConfig small_stack();

/// What the application heard.
struct Event {
    enum class Kind : std::uint8_t {
        established,
        data,
        writable,
        peer_closed,
        urgent,
        soft_error,
        unanswered,
        closed
    };
    Kind kind{};
    Duration time{};  ///< since the conversation began
    tcp::Connection connection{};
    std::string data;
    std::uint32_t number = 0;  ///< urgent: octets; soft error: type * 256 + code; unanswered: retransmissions
    tcp::CloseReason reason{};
};
[[nodiscard]] std::string to_string(const Event& event);

class Conversation;

/// One connection as the script sees it: the two ends, and the numbers that make sequence numbers relative.
class Flow {
  public:
    using Where = std::source_location;

    Flow(Conversation& conversation, SocketAddress local_end, SocketAddress remote_end)
        : local(local_end), remote(remote_end), conversation_(&conversation) {}

    void inject(const Segment& segment);
    /// Sent already, at this very time.
    Segment expect(const Segment& expected, Where where = Where::current());
    /// Sent `delay` from now, no earlier, and later by no more than the tolerance. Time moves on to it.
    Segment expect_after(Duration delay, const Segment& expected, Where where = Where::current());
    Segment expect_between(Duration earliest, Duration latest, const Segment& expected,
                           Where where = Where::current());
    Segment expect_within(Duration latest, const Segment& expected, Where where = Where::current());
    /// Something was sent to this flow that has not been expected yet.
    [[nodiscard]] bool has_sent_anything() const;

    /// The segment with absolute numbers and what the script did not say filled in.
    [[nodiscard]] Segment complete(const Segment& segment);
    [[nodiscard]] Segment relative(const Segment& absolute) const;

    SocketAddress local, remote;  ///< the stack's end; the script's
    std::uint32_t peer_isn = 0x10000000;
    std::uint32_t stack_isn = 0;   ///< learnt from the stack's SYN
    std::uint32_t peer_next = 0;   ///< relative: SND.NXT of the script
    std::uint32_t stack_next = 0;  ///< relative: the end of what the stack has sent
    std::uint16_t window = 65535;  ///< of segments injected, as in the header

  private:
    friend class Conversation;
    Conversation* conversation_;
};

class Conversation : private tcp::Handler {
  public:
    using Where = std::source_location;

    /// `config` is scripted in IPv4, and spoken as family.hpp says.
    explicit Conversation(const StackConfig& config = small_stack());
    /// Destroys the stack and fails the test where an mbuf has been lost.
    ~Conversation() override;
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    // -- the application
    void listen(std::uint16_t port = service_port);
    /// Opens the script's connection: to 10.0.0.2, port 40000. The SYN is sent, and not yet expected.
    tcp::Connection connect(tcp::ConnectOptions options = {});
    /// The connection heard of last.
    [[nodiscard]] tcp::Connection connection() const { return connection_; }
    tcp::SendResult send(std::string_view octets);
    void shutdown();
    void close();
    void abort();
    void consume(std::size_t octets);
    /// Notes that R1 was reached; off by default.
    bool notes_unanswered = false;
    /// Consumes data as it comes; on by default.
    bool auto_consume = true;
    /// Frames that the port has read and not given back yet, as a NIC has them; their octets must not change.
    std::size_t port_holds = 0;
    /// Gives all of them back.
    void port_lets_go() { let_go(0); }
    [[nodiscard]] tcp::ConnectionInfo info() const { return connection_.info(); }

    // -- the wire; of the default flow, port 40000 of 10.0.0.2 to port 80 of 10.0.0.1
    void inject(const Segment& segment) { flow().inject(segment); }
    /// Several segments in one burst.
    void inject_burst(const std::vector<Segment>& segments);
    void inject_frame(const Octets& frame) { inject_frames({frame}); }
    void inject_frames(const std::vector<Octets>& frames) { receive(frames); }
    /// An ICMP error of the peer about a segment of the stack's that began at relative `sequence`, in an IP
    /// packet of `quoted_size` octets.
    void inject_icmp(std::uint8_t type, std::uint8_t code, std::uint32_t sequence, std::uint16_t mtu = 0,
                     std::uint16_t quoted_size = 40);
    Segment expect(const Segment& expected, Where where = Where::current()) {
        return flow().expect(expected, where);
    }
    Segment expect_after(Duration delay, const Segment& expected, Where where = Where::current()) {
        return flow().expect_after(delay, expected, where);
    }
    Segment expect_between(Duration earliest, Duration latest, const Segment& expected,
                           Where where = Where::current()) {
        return flow().expect_between(earliest, latest, expected, where);
    }
    Segment expect_within(Duration latest, const Segment& expected, Where where = Where::current()) {
        return flow().expect_within(latest, expected, where);
    }
    /// Nothing has been sent that was not expected; no frame of any kind.
    void expect_nothing(Where where = Where::current());
    /// Nothing is sent for so long. Time moves on.
    void expect_silence(Duration span, Where where = Where::current());
    /// Takes what has been sent and not been expected.
    std::vector<Segment> take_all();

    [[nodiscard]] Flow& flow() { return flows_.front(); }
    /// Another connection: this port of the peer, or another address.
    Flow& add_flow(std::uint16_t remote_port, std::uint16_t local_port = service_port,
                   Ipv4Address remote = peer_address);

    // -- time
    [[nodiscard]] Duration now() const { return now_ - start_; }
    [[nodiscard]] Instant instant() const { return now_; }
    /// Lets time pass, timers running as they fall due. What is sent waits to be expected.
    void elapse(Duration span) { elapse_until(now() + span); }
    void elapse_until(Duration time);
    /// Moves time to the next deadline, at most to `limit`; false where there is none before.
    bool step(Duration limit);

    // -- what the application heard, in order; each call takes what it names
    Event expect_event(Event::Kind kind, Where where = Where::current());
    void expect_established(Where where = Where::current()) { expect_event(Event::Kind::established, where); }
    /// Octets delivered, in as many pieces as may be.
    void expect_data(std::string_view octets, Where where = Where::current());
    void expect_peer_closed(Where where = Where::current()) { expect_event(Event::Kind::peer_closed, where); }
    void expect_closed(tcp::CloseReason reason, Where where = Where::current());
    void expect_no_event(Where where = Where::current());
    void expect_state(tcp::State state, Where where = Where::current());
    std::deque<Event> events;

    // -- common beginnings
    /// Listens and shakes hands; the options of `offered` are in the script's SYN. Returns the SYN-ACK.
    Segment open_passive(const Segment& offered, Where where = Where::current());
    Segment open_passive(Where where = Where::current()) { return open_passive(syn().mss(1460), where); }
    /// Connects and shakes hands. Returns the SYN.
    Segment open_active(const Segment& answer, Where where = Where::current());
    Segment open_active(Where where = Where::current()) { return open_active(syn_ack().mss(1460), where); }

    [[nodiscard]] std::uint64_t count(Counter counter) const { return stack_->counters().get(counter); }
    [[nodiscard]] std::uint64_t dropped(DropReason reason) const { return stack_->counters().get(reason); }
    [[nodiscard]] std::uint64_t all_drops() const;
    [[nodiscard]] Stack& stack() { return *stack_; }
    [[nodiscard]] tcp::Handler& handler() { return *this; }
    /// Fetches what the stack has to send. Called after everything above.
    void pump();
    /// Records the failure with the conversation so far, and ends the test.
    [[noreturn]] void fail(const std::string& message, const Where& where);
    /// ICMP and ARP frames sent are kept here.
    std::vector<Frame> other_frames;
    /// The link address to which the last segment was sent.
    MacAddress last_destination{};

  private:
    friend class Flow;
    struct Sent {
        Instant time{};
        Segment segment;  // absolute
    };

    void established(tcp::Connection connection) noexcept override;
    tcp::Ownership data(tcp::Connection connection, rte_mbuf& payload) noexcept override;
    void writable(tcp::Connection connection) noexcept override;
    void peer_closed(tcp::Connection connection) noexcept override;
    void urgent(tcp::Connection connection, std::uint32_t octets) noexcept override;
    void soft_error(tcp::Connection connection, std::uint8_t type, std::uint8_t code) noexcept override;
    void unanswered(tcp::Connection connection, std::uint32_t retransmissions) noexcept override;
    void closed(tcp::Connection connection, tcp::CloseReason reason) noexcept override;
    void note(Event event);

    void let_go(std::size_t keep);
    void inject_icmpv6(std::uint8_t type, std::uint8_t code, std::uint16_t mtu, const Octets& quoted);
    void receive(std::span<const Octets> frames);
    void take(const Octets& frame);
    Flow* flow_of(const Segment& sent);
    void log(std::string line);

    Instant start_, now_;
    Invariants invariants_;
    std::deque<Flow> flows_;
    std::deque<Sent> sent_;
    std::deque<std::pair<rte_mbuf*, Octets>> held_by_port_;
    std::vector<std::string> transcript_;
    tcp::Connection connection_;
    std::unique_ptr<Stack> stack_;
};

}  // namespace runnel::test
