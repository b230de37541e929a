#include "runnel/tcp/static_octets.hpp"

#include "runnel/base/eal_memory.hpp"

namespace runnel::tcp {

// The octets stay; it is the count itself that nobody needs any more.
StaticOctets::StaticOctets()
    : shared_(static_cast<rte_mbuf_ext_shared_info*>(
          detail::allocate_eal_memory("count of packets with static octets", 1, sizeof *shared_))) {
    shared_->free_cb = [](void*, void* count) {
        detail::free_eal_memory(count, sizeof(rte_mbuf_ext_shared_info));
    };
    shared_->fcb_opaque = shared_;
    rte_mbuf_ext_refcnt_set(shared_, 1);
}

StaticOctets::~StaticOctets() {
    if (rte_mbuf_ext_refcnt_update(shared_, -1) == 0) shared_->free_cb(nullptr, shared_->fcb_opaque);
}

void StaticOctets::attach(rte_mbuf* mbuf, std::span<const std::byte> octets) noexcept {
    rte_mbuf_ext_refcnt_update(shared_, 1);
    // A packet's octets are only read; DPDK has no word for that. That devices reach them says that their
    // addresses are the ones that devices use.
    void* const start = const_cast<std::byte*>(octets.data());
    rte_pktmbuf_attach_extbuf(mbuf, start, reinterpret_cast<rte_iova_t>(start),
                              static_cast<std::uint16_t>(octets.size()), shared_);
    mbuf->data_off = 0;
    mbuf->data_len = static_cast<std::uint16_t>(octets.size());
    mbuf->pkt_len = mbuf->data_len;
}

}  // namespace runnel::tcp
