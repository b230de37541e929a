// What a core counts: events and the reasons for which packets are dropped, described once, in one table that
// telemetry, JSON and the manual all read (DESIGN.md, rule 9).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace runnel {

/// What a core counts besides drops. The order is that of `counter_descriptions()`.
enum class Counter : std::uint8_t {
    frames_in,
    frames_out,
    frames_linearized,
    bytes_in,
    bytes_out,
    frames_handed_over,
    core_news_out,
    frames_to_kernel,
    frames_from_kernel,
    arp_in,
    arp_out,
    nd_in,
    nd_out,
    icmp_in,
    icmp_out,
    echo_requests_out,
    echo_replies_in,
    membership_queries_in,
    membership_reports_out,
    ip_fragments_in,
    ip_reassembled,
    ip_fragmented_out,
    ip_fragments_out,
    path_mtu_lowered,
    path_mtu_displaced,
    raw_in,
    raw_out,
    udp_in,
    udp_out,
    udp_segmented_out,
    udp_group_copies,
    tcp_in,
    tcp_out,
    tcp_large_out,
    tcp_referred_out,
    tcp_merged_in,
    tcp_active_opens,
    tcp_passive_opens,
    tcp_established,
    tcp_connect_failed,
    tcp_closed,
    tcp_syns_in,
    tcp_syns_out,
    tcp_syn_acks_in,
    tcp_syn_acks_out,
    tcp_fins_in,
    tcp_fins_out,
    tcp_resets_in,
    tcp_resets_out,
    tcp_challenge_acks,
    tcp_syn_retransmits,
    tcp_synack_retransmits,
    tcp_half_open_expired,
    tcp_rto_expirations,
    tcp_path_mtu_lowered,
    tcp_black_holes,
    tcp_data_retransmits,
    tcp_fin_retransmits,
    tcp_fast_retransmits,
    tcp_fast_recoveries,
    tcp_spurious_recoveries,
    tcp_loss_probes,
    tcp_duplicate_acks_in,
    tcp_dsacks_in,
    tcp_bad_sack_blocks,
    tcp_sack_reneged,
    tcp_zero_window_probes,
    tcp_closed_windows_given_up,
    tcp_keep_alives,
    tcp_congestion_marks_in,
    tcp_congestion_echoes_in,
    tcp_delayed_acks,
    tcp_out_of_order_in,
    tcp_time_wait_entered,
    tcp_time_wait_reopened,
    tcp_time_wait_recycled,
    tcp_timed_out,
    tcp_syn_cookies_sent,
    tcp_syn_cookies_accepted,
    tcp_syn_cookies_refused,
    tcp_fast_opens_in,
    tcp_fast_opens_out,
    tcp_fast_opens_failed,
    tcp_fast_open_bad_cookies,
    tcp_fast_open_overflows,
    tcp_syn_floods,
    tcp_syn_scans,
    tcp_fin_scans,
    tcp_null_scans,
    tcp_xmas_scans,
    tcp_ack_scans,
    count_
};

/// Why a packet, or a request, was not carried out. The order is that of `drop_descriptions()`.
enum class DropReason : std::uint8_t {
    // Ethernet and ARP
    ethernet_truncated,
    ethernet_not_for_us,
    ethernet_unknown_type,
    vlan_not_for_us,
    arp_malformed,
    arp_not_for_us,
    arp_unsolicited,
    arp_address_conflict,
    nd_malformed,
    nd_not_for_us,
    nd_unsolicited,
    nd_address_conflict,
    neighbour_queue_full,
    neighbour_unreachable,
    neighbour_table_full,
    // IP
    ip_truncated,
    ip_bad_version,
    ip_bad_header_length,
    ip_bad_total_length,
    ip_bad_checksum,
    ip_bad_source,
    ip_not_for_us,
    ip_fragment_malformed,
    ip_fragment_duplicate,
    ip_fragment_overlap,
    ip_fragment_timeout,
    ip_fragment_displaced,
    ip_fragment_too_many,
    ip_fragment_marks,
    ip_source_route,
    ip_bad_option,
    ip_option_refused,
    ip_routing_header,
    ip_incomplete_chain,
    ip_no_next_header,
    ip_unknown_protocol,
    ip_no_route,
    ip_family_unsupported,
    ip_too_big,
    // ICMP
    icmp_truncated,
    icmp_bad_checksum,
    icmp_unknown_type,
    icmp_ignored,
    icmp_group_destination,
    icmp_error_without_owner,
    icmp_mtu_not_lower,
    icmp_rate_limited,
    membership_malformed,
    membership_rate_limited,
    membership_table_full,
    ping_table_full,
    // UDP
    udp_truncated,
    udp_bad_length,
    udp_bad_checksum,
    udp_no_socket,
    udp_loop_full,
    udp_not_connected,
    udp_connected_full,
    // TCP
    tcp_truncated,
    tcp_bad_data_offset,
    tcp_bad_checksum,
    tcp_bad_option_length,
    tcp_group_destination,
    tcp_no_connection,
    tcp_listen_unexpected,
    tcp_syn_sent_bad_ack,
    tcp_syn_sent_unexpected,
    tcp_out_of_window,
    tcp_paws,
    tcp_missing_timestamp,
    tcp_reset_out_of_window,
    tcp_reset_challenged,
    tcp_syn_challenged,
    tcp_no_ack_flag,
    tcp_bad_ack,
    tcp_duplicate_data,
    tcp_data_after_close,
    tcp_receive_buffer_full,
    tcp_out_of_order_full,
    tcp_half_open_full,
    tcp_syn_while_behind,
    tcp_connections_full,
    tcp_cold_blocks_full,
    tcp_time_wait_ignored,
    // between cores
    core_mailbox_full,
    core_news_full,
    // the exception path
    exception_queue_full,
    // memory and queues
    no_mbuf,
    transmit_queue_full,
    frame_too_long,
    frame_scattered,
    count_
};

inline constexpr std::size_t counter_count = static_cast<std::size_t>(Counter::count_);
inline constexpr std::size_t drop_count = static_cast<std::size_t>(DropReason::count_);

struct CounterDescription {
    std::string_view name;      ///< as in JSON and telemetry, snake case
    std::string_view sentence;  ///< for a person
};

/// One entry a `Counter`, in its order.
[[nodiscard]] std::span<const CounterDescription, counter_count> counter_descriptions() noexcept;
/// One entry a `DropReason`, in its order.
[[nodiscard]] std::span<const CounterDescription, drop_count> drop_descriptions() noexcept;

/// The counters of one core. Only that core writes; any thread may read at any time and sees each counter
/// whole. A counter is written with a plain load, add and store: no locked instruction.
class Counters {
  public:
    void add(Counter counter, std::uint64_t n = 1) noexcept {
        bump(counters_[static_cast<std::size_t>(counter)], n);
    }
    void drop(DropReason reason, std::uint64_t n = 1) noexcept {
        bump(drops_[static_cast<std::size_t>(reason)], n);
    }

    [[nodiscard]] std::uint64_t get(Counter counter) const noexcept {
        return counters_[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get(DropReason reason) const noexcept {
        return drops_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
    }

  private:
    static void bump(std::atomic<std::uint64_t>& cell, std::uint64_t n) noexcept {
        cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }

    std::array<std::atomic<std::uint64_t>, counter_count> counters_{};
    std::array<std::atomic<std::uint64_t>, drop_count> drops_{};
};

}  // namespace runnel
