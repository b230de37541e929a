// Frames that cores receive and send, in a pcapng file: --pcap. By DPDK's rte_pcapng, and libpcap for the
// filter.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/port/wire.hpp"

namespace runnel::app::live {

struct CaptureOptions {
    std::string file;
    std::string filter;            ///< of libpcap (pcap-filter(7)); empty: every frame
    std::uint32_t frames = 16384;  ///< copies that may wait for the writer, in all
    unsigned lcores = 1;           ///< how many take frames
};

/// A file, the thread that writes it, and a bounded ring to it. A core never waits for it: what finds no
/// memory or no room is lost to the file, and counted.
class Capture {
  public:
    /// Copies what passes a wire into the capture, and changes nothing: a sent frame once the wire has taken
    /// it. One thread uses it; it is made and read by another.
    class Tap;

    /// Octets of EAL memory that it takes.
    [[nodiscard]] static std::size_t memory_needed(const CaptureOptions& options) noexcept;
    /// Throws where the filter is none: to be called before anything is taken.
    static void check_filter(const std::string& filter);

    /// EAL runs, and the ports of the taps are there: the file names them. Throws `std::runtime_error` where
    /// the file cannot be written or memory does not suffice, `std::invalid_argument` where the filter is
    /// none. From a control thread.
    explicit Capture(const CaptureOptions& options);
    /// As `finish`.
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    /// A tap on `wire`, which is not owned, for the core of this number; `port` is DPDK's number of the port
    /// it belongs to. The capture outlives it.
    [[nodiscard]] std::unique_ptr<Tap> tap(port::Wire& wire, std::uint16_t port, std::uint32_t core);

    struct Totals {
        std::uint64_t written = 0;
        std::uint64_t lost = 0;  ///< wanted, and not written
        std::string failure;     ///< why nothing more was written; empty where all went well
    };
    /// When no tap is used any more: writes what waits, and closes the file.
    Totals finish();

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

class Capture::Tap final : public port::Wire {
  public:
    Tap(Parts& capture, port::Wire& wire, std::uint16_t port, std::uint32_t core) noexcept
        : capture_(capture), wire_(wire), port_(port), core_(core) {}

    [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override;
    [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override;

  private:
    [[nodiscard]] rte_mbuf* copied(const rte_mbuf& frame, bool received, std::uint64_t cycles) noexcept;

    Parts& capture_;
    port::Wire& wire_;
    std::uint16_t port_;
    std::uint32_t core_;
};

/// A port of DPDK that carries nothing, for wires within the process, which have none: its number. Throws
/// `std::runtime_error` where it cannot be made. The name begins with net_null.
[[nodiscard]] std::uint16_t make_nominal_port(const std::string& name);

struct Settings;
/// What the options ask for; nothing where they ask for none. Throws `std::invalid_argument` where they make
/// no sense.
[[nodiscard]] std::optional<CaptureOptions> capture_options(const Settings& settings, unsigned lcores);

/// "12 k frames in FILE, 3 lost": what is told at the end.
void note(const Capture::Totals& totals, const std::string& file, std::vector<std::string>& notes);
[[nodiscard]] std::string describe(const Capture::Totals& totals, const std::string& file);

}  // namespace runnel::app::live
