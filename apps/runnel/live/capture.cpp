// See capture.hpp.
#include "live/capture.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <rte_ring.h>
#include <rte_version.h>

#include "runnel/port/captured_log.hpp"
#include "runnel/port/mbuf_pool.hpp"

#include "live/settings.hpp"

namespace runnel::app::live {
namespace {

// Longer frames are copied into chains.
constexpr std::uint32_t usual_frame = 1536;
constexpr std::uint32_t longest_frame = 65535;
constexpr std::size_t write_burst = 64;
constexpr std::size_t most_sent = 512;  // frames of one call, the greatest burst of a poll loop

port::MbufPoolOptions pool_options(const CaptureOptions& options) noexcept {
    return {.mbufs = options.frames,
            .data_room = static_cast<std::uint16_t>(rte_pcapng_mbuf_size(usual_frame)),
            .lcore_cache = 64,
            .lcores = options.lcores};
}

struct PcapngClose {
    void operator()(rte_pcapng_t* file) const noexcept { rte_pcapng_close(file); }
};
struct RingFree {
    void operator()(rte_ring* ring) const noexcept { rte_ring_free(ring); }
};

// libpcap's program, run by libpcap: DPDK 22.11 crashes over what its rte_bpf_convert makes of "tcp[13] & 1
// != 0". Any threads at once.
class Filter {
  public:
    explicit Filter(const std::string& filter) : pcap_(pcap_open_dead(DLT_EN10MB, longest_frame)) {
        if (pcap_ == nullptr) throw std::runtime_error("--pcap-filter: no memory");
        if (pcap_compile(pcap_, &program_, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
            const std::string why = pcap_geterr(pcap_);
            pcap_close(pcap_);
            throw std::invalid_argument(
                fmt::format("--pcap-filter: \"{}\" is no filter ({}); write one as tcpdump takes it: host "
                            "192.0.2.1 and port 80",
                            filter, why));
        }
    }
    ~Filter() {
        pcap_freecode(&program_);
        pcap_close(pcap_);
    }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    [[nodiscard]] bool matches(const rte_mbuf& frame) const noexcept {
        // Headers that a filter asks for lie at the beginning; of a chain that much is put together.
        std::array<unsigned char, 2048> together;
        const bool whole = frame.nb_segs == 1;
        const std::uint32_t size =
            whole ? frame.data_len : std::min<std::uint32_t>(frame.pkt_len, together.size());
        const void* const octets = rte_pktmbuf_read(&frame, 0, size, together.data());
        if (octets == nullptr) return false;
        pcap_pkthdr header{};
        header.caplen = size;
        header.len = frame.pkt_len;
        return pcap_offline_filter(&program_, &header, static_cast<const unsigned char*>(octets)) != 0;
    }

  private:
    pcap_t* pcap_;
    bpf_program program_{};
};

}  // namespace

struct Capture::Parts {
    std::string file;
    port::MbufPool pool;
    std::unique_ptr<const Filter> filter;
    std::unique_ptr<rte_ring, RingFree> ring;
    std::unique_ptr<rte_pcapng_t, PcapngClose> out;
    std::atomic<std::uint64_t> lost{0};
    std::uint64_t written = 0;
    std::string failure;
    std::atomic<bool> over{false};
    std::thread writer;

    [[nodiscard]] bool wants(const rte_mbuf& frame) const noexcept {
        return filter == nullptr || filter->matches(frame);
    }
    void lose(std::uint64_t n) noexcept { lost.fetch_add(n, std::memory_order_relaxed); }
    void hand_over(rte_mbuf** copies, unsigned count) noexcept {
        if (count == 0) return;
        const unsigned taken =
            rte_ring_enqueue_burst(ring.get(), reinterpret_cast<void**>(copies), count, nullptr);
        if (taken == count) return;
        rte_pktmbuf_free_bulk(copies + taken, count - taken);
        lose(count - taken);
    }
    void write() {
        std::array<rte_mbuf*, write_burst> burst;
        for (;;) {
            const bool last = over.load(std::memory_order_acquire);
            const unsigned n = rte_ring_dequeue_burst(ring.get(), reinterpret_cast<void**>(burst.data()),
                                                      burst.size(), nullptr);
            if (n == 0) {
                if (last) return;
                std::this_thread::sleep_for(std::chrono::milliseconds{1});
                continue;
            }
            if (failure.empty() &&
                rte_pcapng_write_packets(out.get(), burst.data(), static_cast<std::uint16_t>(n)) < 0)
                failure = std::strerror(errno);
            if (failure.empty())
                written += n;
            else
                lose(n);
            rte_pktmbuf_free_bulk(burst.data(), n);
        }
    }
};

std::size_t Capture::memory_needed(const CaptureOptions& options) noexcept {
    return port::memory_needed(pool_options(options)) + 2 * options.frames * sizeof(void*) + 65536;
}

void Capture::check_filter(const std::string& filter) {
    if (!filter.empty()) const Filter compiled(filter);
}

Capture::Capture(const CaptureOptions& options) : parts_(std::make_unique<Parts>()) {
    Parts& parts = *parts_;
    parts.file = options.file;
    if (!options.filter.empty()) parts.filter = std::make_unique<const Filter>(options.filter);
    parts.pool = port::make_mbuf_pool(pool_options(options));
    parts.ring.reset(rte_ring_create("runnel_capture", rte_align32pow2(options.frames), SOCKET_ID_ANY,
                                     RING_F_MP_RTS_ENQ | RING_F_SC_DEQ));
    if (parts.ring == nullptr)
        throw std::runtime_error(fmt::format("--pcap: no memory for its ring ({})", rte_strerror(rte_errno)));
    const int file = open(options.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        throw std::runtime_error(fmt::format("--pcap {}: the file cannot be written ({}); name one that can",
                                             options.file, std::strerror(errno)));
    parts.out.reset(rte_pcapng_fdopen(file, nullptr, nullptr, "runnel", nullptr));
    if (parts.out == nullptr) {
        const int error = errno;
        close(file);
        throw std::runtime_error(fmt::format("--pcap {}: its beginning cannot be written ({})", options.file,
                                             std::strerror(error)));
    }
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
    std::uint16_t port = 0;
    RTE_ETH_FOREACH_DEV(port) {
        if (rte_pcapng_add_interface(parts.out.get(), port, nullptr, nullptr,
                                     options.filter.empty() ? nullptr : options.filter.c_str()) < 0)
            throw std::runtime_error(
                fmt::format("--pcap {}: port {} cannot be described in it", options.file, port));
    }
#endif
    parts.writer = std::thread([&parts] { parts.write(); });
}

Capture::~Capture() {
    finish();
}

std::unique_ptr<Capture::Tap> Capture::tap(port::Wire& wire, std::uint16_t port, std::uint32_t core) {
    return std::make_unique<Tap>(*parts_, wire, port, core);
}

Capture::Totals Capture::finish() {
    Parts& parts = *parts_;
    if (parts.writer.joinable()) {
        parts.over.store(true, std::memory_order_release);
        parts.writer.join();
        parts.out.reset();
    }
    return {parts.written, parts.lost.load(std::memory_order_relaxed), parts.failure};
}

rte_mbuf* Capture::Tap::copied(const rte_mbuf& frame, bool received, std::uint64_t cycles) noexcept {
    if (!capture_.wants(frame)) return nullptr;
    const rte_pcapng_direction direction = received ? RTE_PCAPNG_DIRECTION_IN : RTE_PCAPNG_DIRECTION_OUT;
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
    static_cast<void>(cycles);
    rte_mbuf* const copy =
        rte_pcapng_copy(port_, core_, &frame, capture_.pool.get(), longest_frame, direction, nullptr);
#else
    rte_mbuf* const copy =
        rte_pcapng_copy(port_, core_, &frame, capture_.pool.get(), longest_frame, cycles, direction);
#endif
    if (copy == nullptr) [[unlikely]]
        capture_.lose(1);
    return copy;
}

std::size_t Capture::Tap::receive(std::span<rte_mbuf*> out) noexcept {
    const std::size_t n = wire_.receive(out);
    if (n == 0) return 0;
    const std::uint64_t cycles = rte_get_tsc_cycles();
    std::array<rte_mbuf*, write_burst> copies;
    unsigned count = 0;
    for (const rte_mbuf* frame : out.first(n)) {
        if (rte_mbuf* const copy = copied(*frame, true, cycles); copy != nullptr) copies[count++] = copy;
        if (count == copies.size()) {
            capture_.hand_over(copies.data(), count);
            count = 0;
        }
    }
    capture_.hand_over(copies.data(), count);
    return n;
}

std::size_t Capture::Tap::send(std::span<rte_mbuf*> frames) noexcept {
    // A frame that the wire has taken may already be changing in other hands: it is copied before, and the
    // copies of those that are refused go away.
    const std::uint64_t cycles = rte_get_tsc_cycles();
    const std::size_t offered = std::min(frames.size(), most_sent);
    std::array<rte_mbuf*, most_sent> copies;
    for (std::size_t i = 0; i < offered; ++i) copies[i] = copied(*frames[i], false, cycles);
    const std::size_t taken = wire_.send(frames.first(offered));
    for (std::size_t i = taken; i < offered; ++i) rte_pktmbuf_free(copies[i]);
    const auto end =
        std::remove(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(taken), nullptr);
    capture_.hand_over(copies.data(), static_cast<unsigned>(end - copies.begin()));
    return taken;
}

std::uint16_t make_nominal_port(const std::string& name) {
    const port::CapturedLog quiet;
    std::uint16_t port = 0;
    if (rte_eal_hotplug_add("vdev", name.c_str(), "") != 0 ||
        rte_eth_dev_get_port_by_name(name.c_str(), &port) != 0)
        throw std::runtime_error(
            fmt::format("--pcap: the port {} that stands for the wire in the file cannot be made ({})", name,
                        rte_strerror(rte_errno)));
    return port;
}

std::optional<CaptureOptions> capture_options(const Settings& settings, unsigned lcores) {
    if (settings.pcap.empty()) {
        if (!settings.pcap_filter.empty())
            throw std::invalid_argument(
                "--pcap-filter: says which frames, and nothing where to; give --pcap FILE");
        return std::nullopt;
    }
    Capture::check_filter(settings.pcap_filter);
    return CaptureOptions{.file = settings.pcap, .filter = settings.pcap_filter, .lcores = lcores};
}

std::string describe(const Capture::Totals& totals, const std::string& file) {
    std::string text = fmt::format("{} frames in {}", totals.written, file);
    if (totals.lost > 0) text += fmt::format(", {} lost: the writer was too slow", totals.lost);
    if (!totals.failure.empty()) text = fmt::format("{} ({})", text, totals.failure);
    return text;
}

void note(const Capture::Totals& totals, const std::string& file, std::vector<std::string>& notes) {
    notes.push_back("capture: " + describe(totals, file));
}

}  // namespace runnel::app::live
