// What the clients of `udp-rr` and `udp-oneway` share: flows, the phases of a run, and the server's account.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/stack/stack.hpp"

#include "engine/client.hpp"
#include "engine/datagram.hpp"
#include "engine/generator.hpp"
#include "engine/paced_source.hpp"

namespace runnel::load {

/// `Phase::ramp` begins with a greeting on each flow, which is answered by a server of ours and by an echo;
/// its time runs when all are answered, or none more comes. In `Phase::held` the traffic goes on, so that
/// whoever looks at both sides then sees a rate and no tail. When released it ends, what is under way comes
/// to its end, and servers of ours are asked what they have counted.
///
/// Where nobody answers for `ClientOptions::give_up` the run ends with nothing sent, unless it is blind.
class DatagramClient : public Generator {
  public:
    bool poll(Instant now) noexcept final {
        behind_ = false;
        return poll(now, options_.batch);
    }
    bool poll_behind(Instant now) noexcept final {
        behind_ = true;
        return poll(now, options_.rate ? 1 : options_.batch);
    }
    /// Not where a server sends: that keeps to the pace it was given.
    [[nodiscard]] bool has_rate() const noexcept final { return sends_alone(); }
    void change_rate(std::optional<double> rate, Instant now) noexcept final;
    [[nodiscard]] bool can_pause() const noexcept final { return sends_alone(); }
    tcp::Ownership data(tcp::Connection, rte_mbuf&) noexcept final { return tcp::Ownership::returned; }

    /// Octets of the heap that it takes, with the sockets of its flows.
    [[nodiscard]] static std::size_t heap_octets(std::uint64_t flows) noexcept {
        constexpr std::size_t tracker = sizeof(SequenceTracker), socket = 64, address = 96;
        return flows * (sizeof(Flow) + tracker + socket + address);
    }

    static constexpr Duration retry = 200ms;  ///< of what is asked of a server and not answered
    static constexpr Duration opening_limit =
        2s;  ///< from the first answer to a greeting until no more are waited for
    static constexpr Duration settling = 200ms;  ///< from the last datagram until no late one is waited for

  protected:
    struct Flow final : udp::Handler {
        DatagramClient* client = nullptr;
        std::uint32_t index = 0;
        IpAddress local, remote;
        std::uint16_t local_port = 0, remote_port = 0;
        bool answered = false;  // the greeting
        bool ours = false;      // by a server of ours
        bool started = false;   // it will send, or has refused to
        bool reported = false;
        Instant next_try{};  // of what is asked
        std::uint64_t token = 0;
        std::uint64_t sent = 0;                    // the number of the next
        std::unique_ptr<SequenceTracker> tracker;  // where the server sends data
        Jitter jitter;

        udp::Ownership datagram(const udp::Datagram& about, rte_mbuf& payload) noexcept override {
            return client->receive(*this, about, payload);
        }
        void error(const udp::IcmpReport& report) noexcept override {
            ++client->measurement_.datagrams.undelivered[static_cast<std::size_t>(undelivered_of(report))];
        }
    };

    /// `stack` is not owned and outlives the client. Throws as `udp::Sockets::bind` does.
    DatagramClient(Stack& stack, const ClientOptions& options);

    /// A datagram of this run that is not about the flow itself.
    virtual void take(Flow& flow, const DatagramHeader& header, std::uint32_t octets) noexcept = 0;
    /// The traffic has its time: sends at most so many. Returns whether there was anything to do.
    virtual bool send_some(Instant now, std::uint32_t most) noexcept = 0;
    /// Nothing is under way any more that an answer is waited for.
    [[nodiscard]] virtual bool all_answered(Instant now) noexcept = 0;
    virtual void account() noexcept = 0;
    /// The traffic ends, and so many that were due will not be sent.
    virtual void given_up(std::uint64_t /*datagrams*/) noexcept {}
    /// How a flow is to be sent data; empty: it is not.
    [[nodiscard]] virtual std::string wanted_data(std::uint32_t /*flow*/) const { return {}; }

    bool send(Flow& flow, const DatagramHeader& header, std::size_t octets) noexcept;
    /// Whether the stack's queue has room for a datagram and for what others send.
    [[nodiscard]] bool has_room() const noexcept { return stack_.transmit_room() >= spare_frames_; }
    /// More has arrived than could be looked at: what is late is this core's fault.
    [[nodiscard]] bool behind() const noexcept { return behind_; }
    [[nodiscard]] std::uint32_t most_octets() const noexcept {
        return flows_.front().remote.is_v4() ? most_datagram_v4 : most_datagram_v6;
    }

    Stack& stack_;
    ClientOptions options_;
    std::vector<Flow> flows_;
    std::optional<PacedSource> source_;  // what is sent to the server, once the ramp has begun
    bool measuring_ = false;
    bool sends_ = true;  // to the server

  private:
    [[nodiscard]] bool sends_alone() const noexcept {
        return sends_ && (options_.recipe != Recipe::udp_oneway || !sends_to_client(options_.direction));
    }
    bool poll(Instant now, std::uint32_t most) noexcept;
    void begin_pause(Instant now) noexcept final {
        if (source_) source_->pause(now);
    }
    void end_pause(Instant now) noexcept final {
        if (source_) source_->resume(now);
    }
    bool step_phase(Instant now) noexcept;
    udp::Ownership receive(Flow& flow, const udp::Datagram& about, rte_mbuf& payload) noexcept;
    void begin_traffic(Instant now) noexcept;
    void end_window(Instant now) noexcept;
    void finish() noexcept;
    std::uint32_t greet(Instant now, std::uint32_t most) noexcept;
    std::uint32_t keep_going(Instant now, std::uint32_t most) noexcept;
    std::uint32_t ask_for_reports(Instant now, std::uint32_t most) noexcept;
    template <class Visit>
    std::uint32_t go_round(std::uint32_t most, Visit&& visit) noexcept;

    enum class Step : std::uint8_t { falling, waiting, settling, reporting, trailing };

    std::vector<std::byte> scratch_;   // the datagram that is being made: its head, and what fills it up
    std::vector<std::string> wanted_;  // by flow, where data is wanted
    std::size_t spare_frames_ = 64;
    std::uint16_t run_ = 0;
    std::size_t next_flow_ = 0;  // that is looked after
    std::uint64_t open_flows_ = 0, reports_ = 0;
    Instant next_greeting_{};  // while nobody has answered one
    Instant opening_begin_{}, opening_end_ = never, window_begin_{}, window_end_{}, phase_end_{}, quiet_at_{};
    Step step_ = Step::falling;  // of the closing
    bool heard_ = false, sending_ = false, behind_ = false;
    Totals at_window_begin_;
};

}  // namespace runnel::load
