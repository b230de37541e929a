// A DPDK port: found by name or made from its device arguments, configured, started, its offloads detected.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <rte_ethdev.h>

#include "runnel/base/ip_address.hpp"
#include "runnel/ip/config.hpp"
#include "runnel/ip/flow_owners.hpp"
#include "runnel/port/wire.hpp"

namespace runnel::port {

class CapturedLog;

struct PortConfig {
    /// A port that exists ("net_null0"), or what makes one: "net_tap0,iface=run0",
    /// "net_af_packet0,iface=eth1", "0000:03:00.0" (the PCI device must be bound to vfio-pci or uio, and
    /// allowed to EAL).
    std::string device;
    std::uint16_t queues = 1;              ///< receive and transmit queues, a pair for each core
    bool fewer_queues = false;             ///< where the device has fewer, take what it has
    std::uint16_t receive_frames = 1024;   ///< descriptors of a receive queue; the driver may round
    std::uint16_t transmit_frames = 1024;  ///< descriptors of a transmit queue; the driver may round
    std::uint16_t mtu = 1500;              ///< octets of an IP packet
    /// The driver's word for the largest frame does not count: memif and af_packet name Ethernet's classic
    /// 1518 octets, however large the buffers that they were given.
    bool any_mtu = false;
    /// 802.1Q VLAN of all frames: the port strips, filters and inserts its tag where it can
    /// (`Offloads::tx_vlan`); 0: it leaves tags alone.
    std::uint16_t vlan = 0;
    bool promiscuous = false;
    bool checksum_offloads = true;  ///< false: leave every checksum to software
    bool chains = true;             ///< false: each frame in one mbuf, as some drivers' fastest paths want it
    bool segmentation = true;       ///< false: leave no segment to the port to cut (TSO)
};

/// How the port spreads what it receives over its queues.
struct Rss {
    std::vector<std::uint8_t> key;  ///< Toeplitz key; empty where the driver does not tell
    std::vector<std::uint16_t>
        redirection;           ///< RETA: hash modulo its size gives the queue; empty where not told
    std::uint64_t hashed = 0;  ///< RTE_ETH_RSS_*: of what, with which fields; 0 where not told
};

/// A started port. Made and destroyed by a control thread; each queue belongs to one thread at a time.
class Port {
  public:
    /// One pair of queues.
    class Queue final : public Wire {
      public:
        Queue(std::uint16_t port, std::uint16_t queue, bool prepare) noexcept
            : port_(port), queue_(queue), prepare_(prepare) {}

        [[nodiscard]] std::size_t receive(std::span<rte_mbuf*> out) noexcept override {
            return rte_eth_rx_burst(port_, queue_, out.data(), static_cast<std::uint16_t>(out.size()));
        }
        [[nodiscard]] std::size_t send(std::span<rte_mbuf*> frames) noexcept override;
        /// Frames that the driver called malformed in its preparation: freed, and counted as sent to the
        /// caller.
        [[nodiscard]] std::uint64_t unsendable() const noexcept { return unsendable_; }

      private:
        std::uint16_t port_;
        std::uint16_t queue_;
        bool prepare_;
        std::uint64_t unsendable_ = 0;
    };

    /// Finds or makes the device, configures and starts it. `mbufs` fills its receive queues, is not owned
    /// and outlives the port. Throws `std::invalid_argument` for a setting that the device cannot meet and
    /// `std::runtime_error` where the device cannot be had; each message names the setting, its value and the
    /// mend.
    Port(const PortConfig& config, rte_mempool* mbufs);
    /// Stops and closes the port; removes the device where the constructor made it.
    ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
    [[nodiscard]] std::uint16_t queue_count() const noexcept {
        return static_cast<std::uint16_t>(queues_.size());
    }
    [[nodiscard]] Queue& queue(std::uint16_t index) noexcept { return *queues_[index]; }
    [[nodiscard]] const ip::Offloads& offloads() const noexcept { return offloads_; }
    [[nodiscard]] MacAddress mac() const noexcept { return mac_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::string& driver() const noexcept { return driver_; }
    /// -1 where the device belongs to no NUMA node.
    [[nodiscard]] int numa_socket() const noexcept { return numa_socket_; }
    [[nodiscard]] std::uint16_t mtu() const noexcept { return mtu_; }
    /// Where the port has one queue, or does not spread: nothing.
    [[nodiscard]] const std::optional<Rss>& rss() const noexcept { return rss_; }
    /// Lets frames to these Ethernet groups in and to no others, where the device can tell so many apart:
    /// else to all. Before the first call it is to all. One caller at a time, from any thread.
    void accept_groups(std::span<const MacAddress> groups) noexcept;
    void accept_all_groups() noexcept;
    /// Whether the device has taken the last list of groups.
    [[nodiscard]] bool filters_groups() const noexcept { return filters_groups_; }
    [[nodiscard]] bool link_up() const noexcept;
    /// The device's own counters: `imissed` are frames that found no free descriptor. Zero where the driver
    /// keeps none.
    [[nodiscard]] rte_eth_stats device_statistics() const noexcept;

  private:
    /// Undoes, in reverse, what of the construction succeeded: a constructor that throws leaves no port
    /// behind.
    struct Lease {
        std::uint16_t id = RTE_MAX_ETHPORTS;
        bool made = false, started = false;
        Lease() = default;
        ~Lease();
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
    };

    void find_or_make(const PortConfig& config, CapturedLog& log);
    void configure(const PortConfig& config, rte_mempool* mbufs, CapturedLog& log);
    void start(const PortConfig& config, CapturedLog& log);
    void read_rss();

    Lease lease_;
    std::uint16_t id_ = RTE_MAX_ETHPORTS;
    std::uint16_t mtu_ = 0;
    int numa_socket_ = -1;
    MacAddress mac_{};
    ip::Offloads offloads_{};
    bool any_tx_offload_ = false;
    bool filters_vlan_ = false;
    bool filters_groups_ = false;
    std::string name_, driver_;
    std::optional<Rss> rss_;
    std::vector<std::unique_ptr<Queue>> queues_;
};

/// What the port's RSS says of which core owns a connection; or why it says nothing that cores could rest on.
struct RssRule {
    std::shared_ptr<const ip::FlowOwners> owners;  ///< queue i is core i's; null where there is a lack
    std::string lack;                              ///< for a person: "the port has no RSS"
};
/// From a control thread.
[[nodiscard]] RssRule rss_rule(const Port& port);

}  // namespace runnel::port
