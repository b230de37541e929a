#include "runnel/port/steering.hpp"

#include <bit>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <rte_mbuf.h>

namespace runnel::port {

namespace {

std::size_t ring_count(unsigned cores, unsigned queues) noexcept {
    return std::size_t{cores} * cores + (cores - queues);
}

std::size_t octets_of_ring(std::uint32_t frames) noexcept {
    return static_cast<std::size_t>(rte_ring_get_memsize(frames));
}

const Steering::Options& checked(const Steering::Options& options) {
    const auto require = [](bool holds, std::string_view setting, std::uint64_t value,
                            std::string_view range) {
        if (!holds)
            throw std::invalid_argument(fmt::format("steering: {} is {}, must be {}", setting, value, range));
    };
    require(options.cores >= 1 && options.cores <= Bell::most_cores, "cores", options.cores, "1 to 128");
    require(options.queues >= 1 && options.queues <= options.cores, "queues", options.queues,
            "1 to the number of cores");
    require(std::has_single_bit(options.frames) && options.frames >= 64 && options.frames <= 65536, "frames",
            options.frames, "a power of two, 64 to 65536");
    return options;
}

}  // namespace

std::string_view to_string(Distrust distrust) noexcept {
    switch (distrust) {
        case Distrust::none:
            return "it has shown nothing wrong";
        case Distrust::asked:
            return "it was not asked to";
        case Distrust::hash:
            return "it gives with a frame another hash than its RSS key makes";
        case Distrust::queue:
            return "a frame came by another queue than its RSS table says";
    }
    return "?";
}

Steering::Steering(std::shared_ptr<const ip::FlowOwners> owners, const Options& options)
    : owners_(std::move(owners)),
      cores_(checked(options).cores),
      queues_(options.queues),
      datagrams_(options.datagrams),
      ring_octets_(octets_of_ring(options.frames)),
      memory_("mailboxes of frames between cores", ring_count(cores_, queues_) * ring_octets_),
      bells_(cores_),
      distrust_(options.port_steers && queues_ == cores_ ? Distrust::none : Distrust::asked) {
    for (std::size_t i = 0; i < ring_count(cores_, queues_); ++i)
        rte_ring_init(ring(i), "frames", options.frames, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

Steering::~Steering() {
    std::array<void*, 64> frames;
    for (std::size_t i = 0; i < ring_count(cores_, queues_); ++i)
        while (const unsigned n = rte_ring_sc_dequeue_burst(ring(i), frames.data(), frames.size(), nullptr))
            for (unsigned j = 0; j < n; ++j) rte_pktmbuf_free(static_cast<rte_mbuf*>(frames[j]));
}

std::size_t Steering::memory_needed(const Options& options) noexcept {
    return ring_count(options.cores, options.queues) * octets_of_ring(options.frames);
}

Steerer Steering::steerer() const noexcept {
    if (distrust() != Distrust::none) return Steerer::software;
    return proven_.load(std::memory_order_relaxed) == queues_ ? Steerer::port : Steerer::unproven;
}

void Steering::lose_trust(Distrust why) noexcept {
    Distrust none = Distrust::none;
    distrust_.compare_exchange_strong(none, why, std::memory_order_relaxed);
}

}  // namespace runnel::port
