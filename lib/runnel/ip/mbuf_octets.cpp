#include "runnel/ip/mbuf_octets.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace runnel::ip {

rte_mbuf* copy_octets(std::span<const std::byte> octets, MbufStash& stash, std::size_t most) noexcept {
    rte_mbuf* const head = stash.take_data();
    rte_mbuf* last = head;
    while (last != nullptr) {
        const auto size = std::min({octets.size(), most, std::size_t{rte_pktmbuf_tailroom(last)}});
        if (size > 0) std::memcpy(rte_pktmbuf_mtod(last, std::byte*), octets.data(), size);
        last->data_len = static_cast<std::uint16_t>(size);
        head->pkt_len += last->data_len;
        octets = octets.subspan(size);
        if (octets.empty()) return head;
        rte_mbuf* const next = stash.take_data();
        if (next != nullptr) ++head->nb_segs;
        last->next = next;
        last = next;
    }
    if (head != nullptr) stash.put(head);
    return nullptr;
}

}  // namespace runnel::ip
