#include "machine.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "runnel/wire/ethernet.hpp"

#include "settings.hpp"

namespace runnel::packetdrill {

namespace {

// A script of the longest wait: 25 idle days (RFC 7323 section 5.5).
constexpr Duration longest_wait = 24h * 60;
constexpr auto patience_with_the_script = 20ms;  // of real time, see `script_thread_waits`

// What a thread read last, and has not been told yet: when its call was carried out.
thread_local std::optional<Instant> carried_out;

void start_eal() {
    // One processor is one lcore. All of them afterwards, or the scripts that run at once would sit on one.
    cpu_set_t all;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    const bool bound =
        sched_getaffinity(0, sizeof all, &all) == 0 && sched_setaffinity(0, sizeof one, &one) == 0;
    std::array<const char*, 7> options{"packetdrill", "--no-huge",     "--no-pci", "--no-telemetry",
                                       "--no-shconf", "--log-level=4", nullptr};
    const int started =
        rte_eal_init(static_cast<int>(options.size()) - 1, const_cast<char**>(options.data()));
    if (bound) sched_setaffinity(0, sizeof all, &all);
    if (started < 0) throw std::runtime_error("EAL did not start; the lines above say why");
}

// EAL is one a process, and so is this pool.
rte_mempool* mbuf_pool() {
    static rte_mempool* const pool = [] {
        start_eal();
        rte_mempool* const made =
            rte_pktmbuf_pool_create("packetdrill", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
        if (made == nullptr)
            throw std::runtime_error(std::string{"no memory for mbufs: "} + rte_strerror(rte_errno));
        return made;
    }();
    return pool;
}

bool on_the_script_thread() {
    return gettid() == getpid();
}

// True where the thread that runs the script sleeps on a futex: it waits for the very call that waits for
// time to pass, and nobody else will let it.
bool script_thread_waits() {
    std::ifstream file{"/proc/self/task/" + std::to_string(getpid()) + "/syscall"};
    long number = -1;
    return file >> number && number == SYS_futex;
}

rte_mbuf* frame_of(std::span<const std::byte> packet, rte_mempool* pool) {
    std::array<std::byte, wire::ethernet_header_size> header;
    const auto version = packet.empty() ? 0U : std::to_integer<unsigned>(packet[0]) >> 4;
    wire::write({stack_mac, script_mac, version == 6 ? wire::EtherType::ipv6 : wire::EtherType::ipv4},
                header);
    rte_mbuf* const head = rte_pktmbuf_alloc(pool);
    if (head == nullptr) return nullptr;
    std::copy(header.begin(), header.end(),
              reinterpret_cast<std::byte*>(rte_pktmbuf_append(head, header.size())));
    for (rte_mbuf* part = head;;) {
        const std::size_t n = std::min<std::size_t>(packet.size(), rte_pktmbuf_tailroom(part));
        std::copy_n(packet.begin(), n,
                    reinterpret_cast<std::byte*>(rte_pktmbuf_append(part, static_cast<std::uint16_t>(n))));
        if (part != head) rte_pktmbuf_chain(head, part);
        packet = packet.subspan(n);
        if (packet.empty()) return head;
        part = rte_pktmbuf_alloc(pool);
        if (part == nullptr) {
            rte_pktmbuf_free(head);
            return nullptr;
        }
    }
}

}  // namespace

Machine::Machine() : pool_(mbuf_pool()), now_(1s) {}

Machine::~Machine() = default;

void Machine::start(const StackConfig& config) {
    stack_ = std::make_unique<Stack>(config, pool_);
    stack_->advance(now_);
}

Instant Machine::look() {
    if (carried_out) return *std::exchange(carried_out, std::nullopt);
    advance_to(now_ + 1us);
    return now_;
}

// ------------------------------------------------------------------------------------------------ calls

Outcome Machine::call_now(const Attempt& attempt, Outcome late) {
    const std::optional<Outcome> outcome = attempt();
    settle();
    return outcome.value_or(late);
}

Outcome Machine::call(Lock& lock, const Attempt& attempt, const Patience& patience) {
    Waiting mine{.attempt = &attempt, .patience = patience, .outcome = attempt(), .finished = now_};
    if (!mine.outcome) waiting_.push_back(&mine);
    settle();
    if (mine.outcome) return *mine.outcome;
    std::uint64_t moves = moves_;
    while (!mine.outcome) {
        if (!on_the_script_thread()) {
            finished_.wait_for(lock, patience_with_the_script);
            if (mine.outcome) break;
            if (std::exchange(moves, moves_) != moves_) continue;
            lock.unlock();  // or the script's thread may be waiting for it
            const bool alone = script_thread_waits();
            lock.lock();
            if (mine.outcome || moves != moves_ || !alone) continue;
        }
        if (!step(now_ + longest_wait)) {
            std::erase(waiting_, &mine);
            return failure(EDEADLK);
        }
        moves = moves_;
    }
    carried_out = mine.finished;
    return *mine.outcome;
}

bool Machine::try_again() {
    bool any = false;
    for (std::size_t i = 0; i < waiting_.size();) {
        Waiting& waiting = *waiting_[i];
        waiting.outcome = (*waiting.attempt)();
        if (!waiting.outcome && waiting.patience.until <= now_) waiting.outcome = waiting.patience.late;
        if (!waiting.outcome) {
            ++i;
            continue;
        }
        waiting.finished = now_;
        waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
        any = true;
    }
    if (any) finished_.notify_all();
    return any;
}

void Machine::settle() {
    bool again = true;
    while (again) {
        const bool finished = try_again();
        again = pump() > 0 || finished;
    }
}

// ------------------------------------------------------------------------------------------------- time

bool Machine::step(Instant limit) {
    Instant next = stack_ ? stack_->next_deadline() : never;
    for (const Waiting* waiting : waiting_) next = std::min(next, waiting->patience.until);
    if (next > limit) return false;
    stuck_ = next > now_ ? 0 : stuck_ + 1;
    if (stuck_ > 10000) throw std::runtime_error("the stack's next_deadline() stays in the past");
    now_ = std::max(now_, next);
    ++moves_;
    if (stack_) stack_->advance(now_);
    settle();
    return true;
}

void Machine::advance_to(Instant time) {
    while (step(time)) {
    }
    now_ = std::max(now_, time);
    ++moves_;
    if (stack_) stack_->advance(now_);
    settle();
}

// ---------------------------------------------------------------------------------------------- packets

std::size_t Machine::pump() {
    std::size_t sum = 0;
    if (!stack_) return 0;
    std::array<rte_mbuf*, 64> burst{};
    for (;;) {
        const std::size_t n = stack_->transmit(burst);
        sum += n;
        for (rte_mbuf* const frame : std::span{burst}.first(n)) {
            std::vector<std::byte> octets(rte_pktmbuf_pkt_len(frame));
            const void* const begin =
                rte_pktmbuf_read(frame, 0, static_cast<std::uint32_t>(octets.size()), octets.data());
            if (begin != octets.data())
                std::copy_n(static_cast<const std::byte*>(begin), octets.size(), octets.begin());
            rte_pktmbuf_free(frame);
            const auto ethernet = wire::EthernetView::parse(octets);
            if (!ethernet || ethernet->type() != wire::EtherType::ipv4) continue;
            sent_.push_back({now_, {ethernet->payload().begin(), ethernet->payload().end()}});
        }
        if (n < burst.size()) return sum;
    }
}

void Machine::send(std::span<const std::byte> packet) {
    rte_mbuf* const frame = frame_of(packet, pool_);
    if (frame == nullptr) throw std::runtime_error("no mbuf is left for a packet of the script");
    stack_->receive(std::span{&frame, 1}, now_);
    settle();
}

std::optional<Machine::Packet> Machine::receive() {
    const Instant limit = now_ + longest_wait;
    while (sent_.empty())
        if (!step(limit)) return std::nullopt;
    Packet packet = std::move(sent_.front());
    sent_.pop_front();
    return packet;
}

}  // namespace runnel::packetdrill
