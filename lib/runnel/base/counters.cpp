#include "runnel/base/counters.hpp"

#include <string_view>

namespace runnel {

namespace {

/// An enumerator beside its description, so that the compiler can hold the table to the order of the enum.
template <class Enum>
struct Row {
    Enum value;
    CounterDescription description;
};

// A line a row.
// clang-format off
constexpr Row<Counter> counter_rows[] = {
    {Counter::frames_in, {"frames_in", "Frames that the stack was given."}},
    {Counter::frames_out, {"frames_out", "Frames that the stack gave out to be sent."}},
    {Counter::frames_linearized, {"frames_linearized", "Frames copied into one mbuf because the port takes no chain of so many."}},
    {Counter::bytes_in, {"bytes_in", "Octets of the frames that the stack was given, without preamble and frame check sequence."}},
    {Counter::bytes_out, {"bytes_out", "Octets of the frames that the stack gave out, without preamble and frame check sequence."}},
    {Counter::frames_handed_over, {"frames_handed_over", "Frames that a core received and handed over to the core that owns their connection."}},
    {Counter::core_news_out, {"core_news_out", "Neighbours' link addresses, ICMP errors and fragments that a core passed on to another."}},
    {Counter::frames_to_kernel, {"frames_to_kernel", "Frames that nobody here had a use for, or that a rule gives to the kernel, on the exception path."}},
    {Counter::frames_from_kernel, {"frames_from_kernel", "Frames of the kernel's that left by our port."}},
    {Counter::arp_in, {"arp_in", "ARP packets received that were well formed."}},
    {Counter::arp_out, {"arp_out", "ARP requests and replies sent."}},
    {Counter::nd_in, {"nd_in", "Neighbour solicitations and advertisements received (RFC 4861)."}},
    {Counter::nd_out, {"nd_out", "Neighbour solicitations and advertisements sent."}},
    {Counter::icmp_in, {"icmp_in", "ICMP messages received that were well formed."}},
    {Counter::icmp_out, {"icmp_out", "ICMP messages sent."}},
    {Counter::echo_requests_out, {"echo_requests_out", "Echo requests that the application had sent."}},
    {Counter::echo_replies_in, {"echo_replies_in", "Echo replies received that answer one of them."}},
    {Counter::membership_queries_in, {"membership_queries_in", "Queries for members of groups received (IGMP, MLD)."}},
    {Counter::membership_reports_out, {"membership_reports_out", "Reports of memberships in groups sent, and leaves."}},
    {Counter::ip_fragments_in, {"ip_fragments_in", "Fragments of packets received, from a sender that may be one."}},
    {Counter::ip_reassembled, {"ip_reassembled", "Packets received in fragments and put together."}},
    {Counter::ip_fragmented_out, {"ip_fragmented_out", "Packets larger than the MTU that were sent in fragments."}},
    {Counter::ip_fragments_out, {"ip_fragments_out", "Fragments that they were sent in."}},
    {Counter::path_mtu_lowered, {"path_mtu_lowered", "Destinations whose path MTU was lowered because a router said so (RFC 1191)."}},
    {Counter::path_mtu_displaced, {"path_mtu_displaced", "Lowered path MTUs forgotten before their time to make room for another."}},
    {Counter::raw_in, {"raw_in", "Packets of protocols that the application has claimed, received."}},
    {Counter::raw_out, {"raw_out", "Packets of protocols that the application has claimed, sent."}},
    {Counter::udp_in, {"udp_in", "UDP datagrams received that were well formed."}},
    {Counter::udp_out, {"udp_out", "UDP datagrams sent."}},
    {Counter::udp_segmented_out, {"udp_segmented_out", "Sends that left as several UDP datagrams, cut by the port or here."}},
    {Counter::udp_group_copies, {"udp_group_copies", "Copies made of datagrams to a group for further listeners to it."}},
    {Counter::tcp_in, {"tcp_in", "TCP segments received that were well formed."}},
    {Counter::tcp_out, {"tcp_out", "TCP segments sent, retransmissions included."}},
    {Counter::tcp_large_out, {"tcp_large_out", "Segments of several times the MSS left to the port to cut (TSO); tcp_out counts what they are cut into."}},
    {Counter::tcp_referred_out, {"tcp_referred_out", "Segments sent, large ones counted once, whose data was not copied but referred to."}},
    {Counter::tcp_merged_in, {"tcp_merged_in", "Segments received that were joined with the one before them (GRO); tcp_in counts them too."}},
    {Counter::tcp_active_opens, {"tcp_active_opens", "Connections that this side began with a SYN."}},
    {Counter::tcp_passive_opens, {"tcp_passive_opens", "Connections that a SYN from a peer began here."}},
    {Counter::tcp_established, {"tcp_established", "Connections that reached ESTABLISHED."}},
    {Counter::tcp_connect_failed, {"tcp_connect_failed", "Connections that this side began and that never reached ESTABLISHED."}},
    {Counter::tcp_closed, {"tcp_closed", "Connections that ended after they had been established, however they ended."}},
    {Counter::tcp_syns_in, {"tcp_syns_in", "SYNs received that ask for a connection here, also those that were not answered."}},
    {Counter::tcp_syns_out, {"tcp_syns_out", "SYNs sent, retransmissions included."}},
    {Counter::tcp_syn_acks_in, {"tcp_syn_acks_in", "SYN-ACKs received that answer a SYN of ours."}},
    {Counter::tcp_syn_acks_out, {"tcp_syn_acks_out", "SYN-ACKs sent, retransmissions and cookies included."}},
    {Counter::tcp_fins_in, {"tcp_fins_in", "FINs received in order, one a connection."}},
    {Counter::tcp_fins_out, {"tcp_fins_out", "FINs sent, retransmissions not included."}},
    {Counter::tcp_resets_in, {"tcp_resets_in", "Segments with RST received and accepted."}},
    {Counter::tcp_resets_out, {"tcp_resets_out", "Segments with RST sent."}},
    {Counter::tcp_challenge_acks, {"tcp_challenge_acks", "ACKs sent to challenge a doubtful segment (RFC 5961)."}},
    {Counter::tcp_syn_retransmits, {"tcp_syn_retransmits", "SYNs sent again because no answer came in time."}},
    {Counter::tcp_synack_retransmits, {"tcp_synack_retransmits", "SYN-ACKs sent again because no ACK came in time."}},
    {Counter::tcp_half_open_expired, {"tcp_half_open_expired", "Half-open connections given up after the last SYN-ACK stayed unanswered."}},
    {Counter::tcp_rto_expirations, {"tcp_rto_expirations", "Times that a retransmission time-out of an established connection ran out (RFC 6298)."}},
    {Counter::tcp_path_mtu_lowered, {"tcp_path_mtu_lowered", "Connections that send smaller segments since a router said what the path takes (RFC 1191)."}},
    {Counter::tcp_black_holes, {"tcp_black_holes", "Times that a connection went over to smaller segments because large ones seem to vanish (RFC 4821)."}},
    {Counter::tcp_data_retransmits, {"tcp_data_retransmits", "Segments with data sent again, for whatever reason."}},
    {Counter::tcp_fin_retransmits, {"tcp_fin_retransmits", "Segments with FIN sent again."}},
    {Counter::tcp_fast_retransmits, {"tcp_fast_retransmits", "Segments sent again on duplicate ACKs, before a time-out (RFC 5681)."}},
    {Counter::tcp_fast_recoveries, {"tcp_fast_recoveries", "Fast recoveries: losses found before a time-out, by RACK (RFC 8985)."}},
    {Counter::tcp_spurious_recoveries, {"tcp_spurious_recoveries", "Recoveries that turned out to be mistaken and were undone (RFC 3522, RFC 3708)."}},
    {Counter::tcp_loss_probes, {"tcp_loss_probes", "Tail loss probes sent (RFC 8985)."}},
    {Counter::tcp_duplicate_acks_in, {"tcp_duplicate_acks_in", "Duplicate ACKs received (RFC 5681)."}},
    {Counter::tcp_dsacks_in, {"tcp_dsacks_in", "Duplicates of what we sent that the peer reported (D-SACK, RFC 2883)."}},
    {Counter::tcp_bad_sack_blocks, {"tcp_bad_sack_blocks", "SACK blocks that report what was never sent, or make no sense: ignored."}},
    {Counter::tcp_sack_reneged, {"tcp_sack_reneged", "Time-outs at which a peer had dropped data that it had reported by SACK (RFC 2018)."}},
    {Counter::tcp_zero_window_probes, {"tcp_zero_window_probes", "Probes sent into a window that the peer had closed."}},
    {Counter::tcp_closed_windows_given_up, {"tcp_closed_windows_given_up", "Connections given up to make room because their peer had kept its window closed for long."}},
    {Counter::tcp_keep_alives, {"tcp_keep_alives", "Keep-alive probes sent on idle connections."}},
    {Counter::tcp_congestion_marks_in, {"tcp_congestion_marks_in", "Segments with data received that a router had marked (CE, RFC 3168)."}},
    {Counter::tcp_congestion_echoes_in, {"tcp_congestion_echoes_in", "Round trips in which a peer echoed congestion marks, and the window was reduced (RFC 3168)."}},
    {Counter::tcp_delayed_acks, {"tcp_delayed_acks", "ACKs sent because the delayed-ACK timer ran out."}},
    {Counter::tcp_out_of_order_in, {"tcp_out_of_order_in", "Segments with data received ahead of what was expected, and kept."}},
    {Counter::tcp_time_wait_entered, {"tcp_time_wait_entered", "Connections that entered TIME-WAIT."}},
    {Counter::tcp_time_wait_reopened, {"tcp_time_wait_reopened", "Connections in TIME-WAIT that a new SYN replaced (RFC 6191)."}},
    {Counter::tcp_time_wait_recycled, {"tcp_time_wait_recycled", "Connections in TIME-WAIT given up early because their table was full."}},
    {Counter::tcp_timed_out, {"tcp_timed_out", "Established connections given up because the peer had stopped answering."}},
    {Counter::tcp_syn_cookies_sent, {"tcp_syn_cookies_sent", "SYN-ACKs sent with a cookie, without a half-open connection (RFC 4987)."}},
    {Counter::tcp_syn_cookies_accepted, {"tcp_syn_cookies_accepted", "Connections that a cookie's ACK brought about."}},
    {Counter::tcp_syn_cookies_refused, {"tcp_syn_cookies_refused", "ACKs to a listener, while cookies were out, that carried none: forged, too old, or of another connection."}},
    {Counter::tcp_fast_opens_in, {"tcp_fast_opens_in", "Connections served before their handshake was complete, on a Fast Open cookie (RFC 7413)."}},
    {Counter::tcp_fast_opens_out, {"tcp_fast_opens_out", "Connections of ours whose SYN carried data that the SYN-ACK acknowledged (RFC 7413)."}},
    {Counter::tcp_fast_opens_failed, {"tcp_fast_opens_failed", "SYNs with Fast Open that stayed unanswered: the next goes without."}},
    {Counter::tcp_fast_open_bad_cookies, {"tcp_fast_open_bad_cookies", "SYNs with a Fast Open cookie that is wrong or too old; a plain handshake follows."}},
    {Counter::tcp_fast_open_overflows, {"tcp_fast_open_overflows", "SYNs with a good Fast Open cookie that found too many pending; a plain handshake follows."}},
    {Counter::tcp_syn_floods, {"tcp_syn_floods", "SYN floods that began."}},
    {Counter::tcp_syn_scans, {"tcp_syn_scans", "Port scans with SYNs that began."}},
    {Counter::tcp_fin_scans, {"tcp_fin_scans", "Port scans with FINs that began."}},
    {Counter::tcp_null_scans, {"tcp_null_scans", "Port scans with no flag that began."}},
    {Counter::tcp_xmas_scans, {"tcp_xmas_scans", "Port scans with FIN and URG or PSH that began."}},
    {Counter::tcp_ack_scans, {"tcp_ack_scans", "Port scans with bare ACKs that began."}},
};

constexpr Row<DropReason> drop_rows[] = {
    {DropReason::ethernet_truncated, {"ethernet_truncated", "The frame is shorter than an Ethernet header, or its VLAN tag is cut off."}},
    {DropReason::ethernet_not_for_us, {"ethernet_not_for_us", "The destination address is neither ours nor broadcast."}},
    {DropReason::ethernet_unknown_type, {"ethernet_unknown_type", "The EtherType is none that the stack speaks."}},
    {DropReason::vlan_not_for_us, {"vlan_not_for_us", "The VLAN tag is not that of our interface."}},
    {DropReason::arp_malformed, {"arp_malformed", "The ARP packet is cut off, or not of IPv4 over Ethernet."}},
    {DropReason::arp_not_for_us, {"arp_not_for_us", "The ARP request asks for an address that is not ours."}},
    {DropReason::arp_unsolicited, {"arp_unsolicited", "The ARP reply answers nothing that we asked."}},
    {DropReason::arp_address_conflict, {"arp_address_conflict", "Another host claims an IPv4 address of ours."}},
    {DropReason::nd_malformed, {"nd_malformed", "The Neighbour Discovery message is not valid: cut off, from beyond the link, or against the rules of RFC 4861."}},
    {DropReason::nd_not_for_us, {"nd_not_for_us", "The neighbour solicitation asks for an address that is not ours."}},
    {DropReason::nd_unsolicited, {"nd_unsolicited", "The neighbour advertisement answers nothing that we asked."}},
    {DropReason::nd_address_conflict, {"nd_address_conflict", "Another host advertises an IPv6 address of ours."}},
    {DropReason::neighbour_queue_full, {"neighbour_queue_full", "Too many packets already wait for this neighbour's link address."}},
    {DropReason::neighbour_unreachable, {"neighbour_unreachable", "The neighbour did not answer with its link address."}},
    {DropReason::neighbour_table_full, {"neighbour_table_full", "The table of neighbours has no room for another."}},
    {DropReason::ip_truncated, {"ip_truncated", "The packet is shorter than an IP header."}},
    {DropReason::ip_bad_version, {"ip_bad_version", "The version in the header is not the one that the EtherType says."}},
    {DropReason::ip_bad_header_length, {"ip_bad_header_length", "The header length is below the minimum or beyond the packet."}},
    {DropReason::ip_bad_total_length, {"ip_bad_total_length", "The total length is below the header's or beyond the frame."}},
    {DropReason::ip_bad_checksum, {"ip_bad_checksum", "The checksum of the IPv4 header is wrong."}},
    {DropReason::ip_bad_source, {"ip_bad_source", "The source is an address that no host may send from."}},
    {DropReason::ip_not_for_us, {"ip_not_for_us", "The destination is not an address of ours."}},
    {DropReason::ip_fragment_malformed, {"ip_fragment_malformed", "The fragment is empty, ends at no multiple of eight octets though more follow, or reaches beyond the largest packet."}},
    {DropReason::ip_fragment_duplicate, {"ip_fragment_duplicate", "The same fragment had been received before."}},
    {DropReason::ip_fragment_overlap, {"ip_fragment_overlap", "A fragment overlaps another of its packet, or contradicts it: all of the packet is dropped (RFC 5722)."}},
    {DropReason::ip_fragment_timeout, {"ip_fragment_timeout", "The fragment waited for the rest of its packet until the time was up."}},
    {DropReason::ip_fragment_displaced, {"ip_fragment_displaced", "The fragment made room for those of another packet before its own was whole."}},
    {DropReason::ip_fragment_too_many, {"ip_fragment_too_many", "The packet comes in more fragments than are kept of one."}},
    {DropReason::ip_fragment_marks, {"ip_fragment_marks", "Of the packet's fragments one bears a congestion mark and another says that it can bear none (RFC 3168)."}},
    {DropReason::ip_source_route, {"ip_source_route", "The packet carries a source route, and source routes are not followed."}},
    {DropReason::ip_bad_option, {"ip_bad_option", "An IP option or extension header is malformed."}},
    {DropReason::ip_option_refused, {"ip_option_refused", "An IPv6 option that the stack does not know asks that the packet be dropped."}},
    {DropReason::ip_routing_header, {"ip_routing_header", "The IPv6 packet carries a routing header that is not at its end (RFC 5095)."}},
    {DropReason::ip_incomplete_chain, {"ip_incomplete_chain", "The first fragment does not hold all headers of its packet (RFC 7112)."}},
    {DropReason::ip_no_next_header, {"ip_no_next_header", "The IPv6 packet carries nothing behind its headers."}},
    {DropReason::ip_unknown_protocol, {"ip_unknown_protocol", "The protocol is none that the stack speaks."}},
    {DropReason::ip_no_route, {"ip_no_route", "There is no route to the destination."}},
    {DropReason::ip_family_unsupported, {"ip_family_unsupported", "The packet is of a family that the interface does not speak."}},
    {DropReason::ip_too_big, {"ip_too_big", "The packet to send is larger than the MTU and may not be fragmented."}},
    {DropReason::icmp_truncated, {"icmp_truncated", "The ICMP message is shorter than its header or than what it must quote."}},
    {DropReason::icmp_bad_checksum, {"icmp_bad_checksum", "The checksum of the ICMP message is wrong."}},
    {DropReason::icmp_unknown_type, {"icmp_unknown_type", "The type of the ICMP message is none that the stack knows."}},
    {DropReason::icmp_ignored, {"icmp_ignored", "The ICMP message is of a kind that hosts ignore: redirect, source quench, address mask, a reply to nothing that was asked."}},
    {DropReason::icmp_group_destination, {"icmp_group_destination", "The ICMP request was sent to a broadcast or multicast address, and is not answered."}},
    {DropReason::icmp_error_without_owner, {"icmp_error_without_owner", "The ICMP error quotes a packet of no connection or socket here."}},
    {DropReason::icmp_mtu_not_lower, {"icmp_mtu_not_lower", "The ICMP message names a path MTU that is not below what is in use."}},
    {DropReason::icmp_rate_limited, {"icmp_rate_limited", "The ICMP message was not sent because its rate limit is reached."}},
    {DropReason::membership_malformed, {"membership_malformed", "The IGMP or MLD message is cut off, damaged, or not from a router of this link."}},
    {DropReason::membership_rate_limited, {"membership_rate_limited", "Queries for members of groups come faster than they are answered; the query is ignored."}},
    {DropReason::membership_table_full, {"membership_table_full", "As many groups are heard as multicast_groups allows: one that an address of ours belongs to is heard and not reported."}},
    {DropReason::ping_table_full, {"ping_table_full", "As many echo requests of ours as are kept wait for their replies."}},
    {DropReason::udp_truncated, {"udp_truncated", "The datagram is shorter than a UDP header."}},
    {DropReason::udp_bad_length, {"udp_bad_length", "The UDP length is below the header's or beyond the packet."}},
    {DropReason::udp_bad_checksum, {"udp_bad_checksum", "The checksum of the datagram is wrong."}},
    {DropReason::udp_no_socket, {"udp_no_socket", "No UDP socket is bound to the destination port."}},
    {DropReason::udp_loop_full, {"udp_loop_full", "Too many datagrams of our own to groups wait for sockets of ours that hear them."}},
    {DropReason::udp_not_connected, {"udp_not_connected", "A datagram was to be sent by a connected socket that is over."}},
    {DropReason::udp_connected_full, {"udp_connected_full", "No connected socket is free."}},
    {DropReason::tcp_truncated, {"tcp_truncated", "The segment is shorter than a TCP header."}},
    {DropReason::tcp_bad_data_offset, {"tcp_bad_data_offset", "The data offset is below the minimum or beyond the segment."}},
    {DropReason::tcp_bad_checksum, {"tcp_bad_checksum", "The checksum of the segment is wrong."}},
    {DropReason::tcp_bad_option_length, {"tcp_bad_option_length", "The length of a TCP option is wrong."}},
    {DropReason::tcp_group_destination, {"tcp_group_destination", "The segment was sent from or to a broadcast or multicast address."}},
    {DropReason::tcp_no_connection, {"tcp_no_connection", "No connection and no listener owns the segment."}},
    {DropReason::tcp_listen_unexpected, {"tcp_listen_unexpected", "A listener received a segment that opens no connection."}},
    {DropReason::tcp_syn_sent_bad_ack, {"tcp_syn_sent_bad_ack", "In SYN-SENT, the segment acknowledges what was never sent."}},
    {DropReason::tcp_syn_sent_unexpected, {"tcp_syn_sent_unexpected", "In SYN-SENT, the segment carries neither SYN nor RST."}},
    {DropReason::tcp_out_of_window, {"tcp_out_of_window", "The segment lies outside the receive window."}},
    {DropReason::tcp_paws, {"tcp_paws", "The timestamp is older than one already seen (PAWS, RFC 7323)."}},
    {DropReason::tcp_missing_timestamp, {"tcp_missing_timestamp", "The segment lacks the timestamp that was agreed on (RFC 7323)."}},
    {DropReason::tcp_reset_out_of_window, {"tcp_reset_out_of_window", "The RST lies outside the receive window (RFC 5961)."}},
    {DropReason::tcp_reset_challenged, {"tcp_reset_challenged", "The RST lies in the window but not at its start, and was challenged (RFC 5961)."}},
    {DropReason::tcp_syn_challenged, {"tcp_syn_challenged", "The SYN arrived on a synchronized connection, and was challenged (RFC 5961)."}},
    {DropReason::tcp_no_ack_flag, {"tcp_no_ack_flag", "The segment carries no ACK where each must."}},
    {DropReason::tcp_bad_ack, {"tcp_bad_ack", "The segment acknowledges what was never sent, or what is long past."}},
    {DropReason::tcp_duplicate_data, {"tcp_duplicate_data", "All the segment's data had been received before."}},
    {DropReason::tcp_data_after_close, {"tcp_data_after_close", "The data came after the application had closed, or after the peer's FIN."}},
    {DropReason::tcp_receive_buffer_full, {"tcp_receive_buffer_full", "The data does not fit in the receive buffer."}},
    {DropReason::tcp_out_of_order_full, {"tcp_out_of_order_full", "The data came ahead of what was expected, and its budget is spent."}},
    {DropReason::tcp_half_open_full, {"tcp_half_open_full", "The SYN found the table of half-open connections full."}},
    {DropReason::tcp_syn_while_behind, {"tcp_syn_while_behind", "The SYN came where SYNs alone kept the core from what is established."}},
    {DropReason::tcp_connections_full, {"tcp_connections_full", "All connections are in use."}},
    {DropReason::tcp_cold_blocks_full, {"tcp_cold_blocks_full", "All blocks for connections with work in hand are in use."}},
    {DropReason::tcp_time_wait_ignored, {"tcp_time_wait_ignored", "The segment reached a connection in TIME-WAIT and calls for no answer."}},
    {DropReason::core_mailbox_full, {"core_mailbox_full", "The frame belongs to another core, whose mailbox for frames is full."}},
    {DropReason::core_news_full, {"core_news_full", "A neighbour's link address, an ICMP error or a fragment is for another core, whose mailbox for these is full."}},
    {DropReason::exception_queue_full, {"exception_queue_full", "More frames are for the kernel than it takes."}},
    {DropReason::no_mbuf, {"no_mbuf", "No mbuf was left to build a packet in."}},
    {DropReason::transmit_queue_full, {"transmit_queue_full", "The queue of frames to send is full."}},
    {DropReason::frame_too_long, {"frame_too_long", "The frame is longer than the port can send."}},
    {DropReason::frame_scattered, {"frame_scattered", "The headers of the frame lie in several pieces that cannot be made one."}},
};
// clang-format on

/// Whether the table has each enumerator in its place, named and described.
template <class Enum, std::size_t n>
constexpr bool in_order(const Row<Enum> (&rows)[n]) {
    if (n != static_cast<std::size_t>(Enum::count_)) return false;
    for (std::size_t i = 0; i < n; ++i)
        if (static_cast<std::size_t>(rows[i].value) != i || rows[i].description.name.empty() ||
            !rows[i].description.sentence.ends_with('.'))
            return false;
    return true;
}
static_assert(in_order(counter_rows), "counter_rows follows the order of Counter");
static_assert(in_order(drop_rows), "drop_rows follows the order of DropReason");

template <class Enum, std::size_t n>
constexpr std::array<CounterDescription, n> descriptions_of(const Row<Enum> (&rows)[n]) {
    std::array<CounterDescription, n> descriptions;
    for (std::size_t i = 0; i < n; ++i) descriptions[i] = rows[i].description;
    return descriptions;
}
constexpr auto counter_table = descriptions_of(counter_rows);
constexpr auto drop_table = descriptions_of(drop_rows);

}  // namespace

std::span<const CounterDescription, counter_count> counter_descriptions() noexcept {
    return counter_table;
}

std::span<const CounterDescription, drop_count> drop_descriptions() noexcept {
    return drop_table;
}

}  // namespace runnel
