#include "runnel/port/port.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mempool.h>

#include "runnel/port/captured_log.hpp"

namespace runnel::port {

namespace {

/// Octets of a frame around the IP packet: Ethernet, two VLAN tags, FCS.
constexpr std::uint32_t frame_overhead = RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN + RTE_ETHER_CRC_LEN;
constexpr std::uint16_t least_mtu = 68;  // RFC 791 section 3.2

std::string_view first_word(std::string_view devargs) {
    return devargs.substr(0, devargs.find(','));
}

/// Whether the offload UDP_TSO of a driver makes datagrams with a header each. By the same word others mean
/// fragments of one datagram (virtio's UFO, rte_gso), which the mbuf's flag is described as. Those named here
/// work from a pseudo-header's sum without the length, which `rte_eth_tx_prepare` makes of it in newer DPDK.
bool cuts_datagrams(std::string_view driver) {
    constexpr std::array<std::string_view, 3> drivers{"net_i40e", "net_iavf", "net_ice"};
    if (std::ranges::find(drivers, driver) == drivers.end()) return false;
    rte_ipv4_hdr header{};
    header.version_ihl = 0x45;
    header.next_proto_id = 17;
    const auto sum_of = [&header](std::uint16_t length) {
        header.total_length = rte_cpu_to_be_16(length);
        return rte_ipv4_phdr_cksum(&header, RTE_MBUF_F_TX_UDP_SEG);
    };
    return sum_of(100) == sum_of(200);
}

/// The port that the device arguments name, if it is there.
std::optional<std::uint16_t> find(const std::string& devargs) {
    std::uint16_t id = RTE_MAX_ETHPORTS;
    if (rte_eth_dev_get_port_by_name(std::string{first_word(devargs)}.c_str(), &id) == 0) return id;
    rte_dev_iterator iterator;
    std::memset(&iterator, 0, sizeof iterator);
    if (rte_eth_iterator_init(&iterator, devargs.c_str()) != 0) return {};
    id = rte_eth_iterator_next(&iterator);
    if (id >= RTE_MAX_ETHPORTS) return {};
    rte_eth_iterator_cleanup(&iterator);
    return id;
}

/// What a person can do where the device could not be made.
std::string mend(std::string_view name) {
    if (name.starts_with("net_tap")) {
        return "net_tap needs /dev/net/tun and CAP_NET_ADMIN (run as root, or in a network namespace of your "
               "own: unshare "
               "--user --map-root-user --net) and an interface name that no other process holds";
    }
    if (name.starts_with("net_af_packet") || name.starts_with("net_af_xdp")) {
        return fmt::format("{} needs CAP_NET_RAW and an interface that exists (iface=...; see `ip link`)",
                           name.substr(0, name.find_first_of("0123456789")));
    }
    if (name.starts_with("net_")) {
        return "check the name (driver and number, such as net_ring0) and the arguments against the driver's "
               "guide, and "
               "that the driver is installed";
    }
    if (name.find(':') != std::string_view::npos) {
        return "check that the PCI device exists (lspci -D), is bound to vfio-pci (dpdk-devbind.py "
               "--status), and that this "
               "user may open it";
    }
    return "give a virtual device (net_tap0,iface=NAME) or a PCI address (0000:03:00.0)";
}

/// `log` is empty where DPDK said nothing: then the error number speaks.
[[noreturn]] void fail(const PortConfig& config, std::string_view what, int error, const std::string& log,
                       std::string_view advice) {
    const int number = error < 0 ? -error : error;
    throw std::runtime_error(fmt::format("port {}: {} ({}); {}", config.device, what,
                                         log.empty() ? std::strerror(number) : log, advice));
}

[[noreturn]] void refuse(const PortConfig& config, std::string_view setting, std::uint64_t value,
                         std::string_view advice) {
    throw std::invalid_argument(fmt::format("port {}: {} is {}; {}", config.device, setting, value, advice));
}

std::vector<std::uint8_t> random_key(std::size_t octets) {
    std::vector<std::uint8_t> key(octets);
    std::random_device entropy;
    for (std::uint8_t& octet : key) octet = static_cast<std::uint8_t>(entropy());
    return key;
}

}  // namespace

std::size_t Port::Queue::send(std::span<rte_mbuf*> frames) noexcept {
    const auto count = static_cast<std::uint16_t>(frames.size());
    if (!prepare_) return rte_eth_tx_burst(port_, queue_, frames.data(), count);

    std::uint16_t sent = 0;
    while (sent < count) {
        const std::uint16_t good =
            rte_eth_tx_prepare(port_, queue_, frames.data() + sent, static_cast<std::uint16_t>(count - sent));
        const std::uint16_t taken = rte_eth_tx_burst(port_, queue_, frames.data() + sent, good);
        sent = static_cast<std::uint16_t>(sent + taken);
        if (taken < good || sent == count) break;
        // The frame that preparation stopped at can never be sent: waiting for it would block the queue for
        // good.
        rte_pktmbuf_free(frames[sent]);
        ++sent;
        ++unsendable_;
    }
    return sent;
}

Port::Lease::~Lease() {
    if (id >= RTE_MAX_ETHPORTS) return;
    if (started) rte_eth_dev_stop(id);
    rte_eth_dev_info info{};
    rte_device* const device = rte_eth_dev_info_get(id, &info) == 0 ? info.device : nullptr;
    rte_eth_dev_close(id);
    if (made && device != nullptr) rte_dev_remove(device);
}

Port::Port(const PortConfig& config, rte_mempool* mbufs) {
    if (config.device.empty())
        throw std::invalid_argument("port: no device named; give a virtual device or a PCI address");
    CapturedLog log;
    find_or_make(config, log);
    configure(config, mbufs, log);
    start(config, log);
}

Port::~Port() = default;

void Port::find_or_make(const PortConfig& config, CapturedLog& log) {
    auto found = find(config.device);
    const bool make = !found;
    if (make) {
        const int error = rte_dev_probe(config.device.c_str());
        if (error != 0)
            fail(config, "the device cannot be made", error, log.text(), mend(first_word(config.device)));
        found = find(config.device);
        if (!found)
            fail(config, "the device has no port", ENODEV, log.text(), mend(first_word(config.device)));
    }
    lease_.id = id_ = *found;
    lease_.made = make;
    std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
    if (rte_eth_dev_get_name_by_port(id_, name.data()) == 0) name_ = name.data();
    numa_socket_ = rte_eth_dev_socket_id(id_);
}

void Port::configure(const PortConfig& config, rte_mempool* mbufs, CapturedLog& log) {
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(id_, &info); error != 0)
        fail(config, "the device does not describe itself", error, log.text(), "see the driver\'s guide");
    driver_ = info.driver_name;

    const std::uint16_t most_queues = std::min(info.max_rx_queues, info.max_tx_queues);
    const std::uint16_t queues = config.fewer_queues ? std::min(config.queues, most_queues) : config.queues;
    if (queues == 0 || queues > most_queues)
        refuse(config, "queues", config.queues,
               fmt::format("the device has {}: use at most so many cores", most_queues));
    const std::uint16_t most_mtu = info.max_mtu == 0 ? std::uint16_t{RTE_ETHER_MTU} : info.max_mtu;
    if (config.mtu < least_mtu || config.mtu > most_mtu)
        refuse(config, "mtu", config.mtu, fmt::format("the device takes {} to {}", least_mtu, most_mtu));
    const std::uint32_t room = rte_pktmbuf_data_room_size(mbufs) - RTE_PKTMBUF_HEADROOM;
    if (config.mtu + frame_overhead > room)
        refuse(config, "mtu", config.mtu,
               fmt::format("a frame takes up to {} octets and an mbuf of the pool holds {}: give the pool a "
                           "larger data room",
                           config.mtu + frame_overhead, room));

    rte_eth_conf conf{};
    conf.rxmode.mtu = config.any_mtu ? std::min<std::uint16_t>(config.mtu, RTE_ETHER_MTU) : config.mtu;
    const auto offer = [](std::uint64_t capabilities, std::uint64_t wanted, std::uint64_t& chosen) {
        const bool has = (capabilities & wanted) == wanted;
        if (has) chosen |= wanted;
        return has;
    };
    if (config.checksum_offloads) {
        std::uint64_t& rx = conf.rxmode.offloads;
        std::uint64_t& tx = conf.txmode.offloads;
        offloads_.rx_ip_checksum = offer(info.rx_offload_capa, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, rx);
        offloads_.rx_l4_checksum =
            offer(info.rx_offload_capa, RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM, rx);
        // net_tap sums in software, and writes 0xffff for 0 in TCP too, where that stands for UDP alone (RFC
        // 768; DPDK 22.11, tap_tx_l4_cksum). So it cuts no segments either, which is well: it leaves one for
        // ever that fills its MTU, as it counts Ethernet's header (pmd_tx_burst).
        if (driver_ != "net_tap") {
            offloads_.tx_ip_checksum = offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, tx);
            offloads_.tx_tcp_checksum = offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_TCP_CKSUM, tx);
            offloads_.tx_udp_checksum = offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_UDP_CKSUM, tx);
        }
    }
    if (config.vlan != 0) {
        offer(info.rx_offload_capa, RTE_ETH_RX_OFFLOAD_VLAN_STRIP, conf.rxmode.offloads);
        filters_vlan_ = offer(info.rx_offload_capa, RTE_ETH_RX_OFFLOAD_VLAN_FILTER, conf.rxmode.offloads);
        offloads_.tx_vlan = offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_VLAN_INSERT, conf.txmode.offloads);
    }
    // A driver that names no limit takes as many as its queue has room for: more than any packet needs.
    const auto most_of = [](std::uint16_t limit) {
        return static_cast<std::uint8_t>(limit == 0 ? UINT8_MAX : std::min<std::uint16_t>(limit, UINT8_MAX));
    };
    any_tx_offload_ = conf.txmode.offloads != 0;
    if (config.chains && offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_MULTI_SEGS, conf.txmode.offloads)) {
        const std::uint8_t most = std::min(most_of(info.tx_desc_lim.nb_seg_max),
                                           most_of(std::min<std::uint16_t>(config.transmit_frames / 4, 255)));
        offloads_.tx_chain = std::min(most, most_of(info.tx_desc_lim.nb_mtu_seg_max));
        if (config.segmentation && offloads_.tx_tcp_checksum &&
            offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_TCP_TSO, conf.txmode.offloads)) {
            offloads_.tx_tcp_segmentation = true;
            offloads_.tx_large_chain = most;
        }
        if (config.segmentation && offloads_.tx_udp_checksum && cuts_datagrams(driver_) &&
            offer(info.tx_offload_capa, RTE_ETH_TX_OFFLOAD_UDP_TSO, conf.txmode.offloads)) {
            offloads_.tx_udp_segmentation = true;
            offloads_.tx_large_chain = most;
        }
    }

    // Both directions of a connection must reach one core, and fragments too: the driver that hashes ports
    // hashes addresses alone for a fragment.
    const std::uint64_t hashes =
        info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
    std::vector<std::uint8_t> key;
    if (queues > 1 && hashes != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = hashes;
        key = random_key(info.hash_key_size);
        if (!key.empty()) {
            conf.rx_adv_conf.rss_conf.rss_key = key.data();
            conf.rx_adv_conf.rss_conf.rss_key_len = static_cast<std::uint8_t>(key.size());
        }
        rss_.emplace();
    }

    int error = rte_eth_dev_configure(id_, queues, queues, &conf);
    if (error != 0 && !key.empty()) {
        // Not every driver lets its key be set: then it is asked for the one it has.
        conf.rx_adv_conf.rss_conf.rss_key = nullptr;
        conf.rx_adv_conf.rss_conf.rss_key_len = 0;
        error = rte_eth_dev_configure(id_, queues, queues, &conf);
    }
    if (error != 0)
        fail(config, "the device refuses its configuration", error, log.text(), "see the driver\'s guide");

    std::uint16_t receive_frames = config.receive_frames;
    std::uint16_t transmit_frames = config.transmit_frames;
    error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &receive_frames, &transmit_frames);
    if (error != 0)
        fail(config,
             fmt::format("queues of {} and {} frames are refused", config.receive_frames,
                         config.transmit_frames),
             error, log.text(), "choose other queue sizes");

    const auto socket = static_cast<unsigned>(numa_socket_);
    rte_eth_rxconf receive = info.default_rxconf;
    receive.offloads = conf.rxmode.offloads;
    rte_eth_txconf transmit = info.default_txconf;
    transmit.offloads = conf.txmode.offloads;
    for (std::uint16_t i = 0; i < queues; ++i) {
        error = rte_eth_rx_queue_setup(id_, i, receive_frames, socket, &receive, mbufs);
        if (error != 0)
            fail(config, fmt::format("receive queue {} of {} frames cannot be set up", i, receive_frames),
                 error, log.text(), "give the mbuf pool more mbufs, or the queue fewer frames");
        error = rte_eth_tx_queue_setup(id_, i, transmit_frames, socket, &transmit);
        if (error != 0)
            fail(config, fmt::format("transmit queue {} of {} frames cannot be set up", i, transmit_frames),
                 error, log.text(), "give EAL more memory, or the queue fewer frames");
    }
    for (std::uint16_t i = 0; i < queues; ++i)
        queues_.push_back(std::make_unique<Queue>(id_, i, any_tx_offload_));
}

void Port::start(const PortConfig& config, CapturedLog& log) {
    if (const int error = rte_eth_dev_start(id_); error != 0)
        fail(config, "the device does not start", error, log.text(), "see the driver\'s guide");
    lease_.started = true;

    // Neighbour Discovery is sent to groups. A device that knows no filter for them lets all pass.
    accept_all_groups();

    if (filters_vlan_) {
        if (const int error = rte_eth_dev_vlan_filter(id_, config.vlan, 1); error != 0)
            fail(config, fmt::format("the device does not let VLAN {} in", config.vlan), error, log.text(),
                 "see the driver\'s guide");
    }

    // Not every driver knows these two; a link that is what was asked for already needs neither.
    if (!config.any_mtu) rte_eth_dev_set_mtu(id_, config.mtu);
    if (config.any_mtu || rte_eth_dev_get_mtu(id_, &mtu_) != 0) mtu_ = config.mtu;
    if (mtu_ < config.mtu)
        refuse(config, "mtu", config.mtu,
               fmt::format("the device stays at {}: ask for that, or raise it on the device", mtu_));
    mtu_ = config.mtu;
    if (config.promiscuous) {
        if (const int error = rte_eth_promiscuous_enable(id_); error != 0)
            fail(config, "the device does not go promiscuous", error, log.text(), "leave promiscuous off");
    }

    rte_ether_addr address{};
    if (const int error = rte_eth_macaddr_get(id_, &address); error != 0)
        fail(config, "the device has no address", error, log.text(), "see the driver\'s guide");
    std::ranges::copy(address.addr_bytes, mac_.octets.begin());
    if (rss_) read_rss();
}

void Port::read_rss() {
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(id_, &info) != 0) return;
    std::vector<std::uint8_t> key(info.hash_key_size);
    rte_eth_rss_conf conf{};
    conf.rss_key = key.empty() ? nullptr : key.data();
    conf.rss_key_len = static_cast<std::uint8_t>(key.size());
    if (!key.empty() && rte_eth_dev_rss_hash_conf_get(id_, &conf) == 0) {
        rss_->key = std::move(key);
        rss_->hashed = conf.rss_hf;
    }

    if (info.reta_size == 0) return;
    std::vector<rte_eth_rss_reta_entry64> groups((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) /
                                                 RTE_ETH_RETA_GROUP_SIZE);
    for (auto& group : groups) group.mask = UINT64_MAX;
    if (rte_eth_dev_rss_reta_query(id_, groups.data(), info.reta_size) != 0) return;
    for (std::uint16_t i = 0; i < info.reta_size; ++i)
        rss_->redirection.push_back(groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE]);
}

void Port::accept_all_groups() noexcept {
    rte_eth_allmulticast_enable(id_);
    if (filters_groups_) rte_eth_dev_set_mc_addr_list(id_, nullptr, 0);
    filters_groups_ = false;
}

void Port::accept_groups(std::span<const MacAddress> groups) noexcept {
    static_assert(sizeof(MacAddress) == sizeof(rte_ether_addr));
    std::vector<rte_ether_addr> list(groups.size());
    if (!groups.empty()) std::memcpy(list.data(), groups.data(), groups.size_bytes());
    if (groups.empty() ||
        rte_eth_dev_set_mc_addr_list(id_, list.data(), static_cast<std::uint32_t>(list.size())) != 0)
        return accept_all_groups();
    filters_groups_ = true;
    rte_eth_allmulticast_disable(id_);
}

bool Port::link_up() const noexcept {
    rte_eth_link link{};
    return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

rte_eth_stats Port::device_statistics() const noexcept {
    rte_eth_stats statistics{};
    if (rte_eth_stats_get(id_, &statistics) != 0) return {};
    return statistics;
}

RssRule rss_rule(const Port& port) {
    const std::optional<Rss>& rss = port.rss();
    if (!rss) return {nullptr, "the port has no RSS"};
    if (rss->key.size() < wire::Toeplitz::least_key)
        return {nullptr, "the driver does not tell the port's RSS key"};
    if ((rss->hashed & RTE_ETH_RSS_NONFRAG_IPV4_TCP) == 0)
        return {nullptr, "the port's RSS does not hash TCP ports"};
    const std::vector<std::uint16_t>& table = rss->redirection;
    if (table.empty()) return {nullptr, "the driver does not tell the port's RSS table"};
    if (!std::has_single_bit(table.size()) || table.size() > ip::FlowOwners::most_entries)
        return {nullptr, fmt::format("the port's RSS table has {} entries, which is no power of two up to {}",
                                     table.size(), ip::FlowOwners::most_entries)};
    for (std::uint16_t queue = 0; queue < port.queue_count(); ++queue)
        if (std::ranges::find(table, queue) == table.end())
            return {nullptr, fmt::format("the port's RSS table leads nothing to queue {}", queue)};
    const auto foreign =
        std::ranges::find_if(table, [&](std::uint16_t queue) { return queue >= port.queue_count(); });
    if (foreign != table.end())
        return {nullptr, fmt::format("the port's RSS table leads to queue {}, which is not ours", *foreign)};
    return {std::make_shared<const ip::FlowOwners>(rss->key, table), {}};
}

}  // namespace runnel::port
