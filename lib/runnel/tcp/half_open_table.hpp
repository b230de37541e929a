// Half-open connections: a SYN has come, the SYN-ACK is on its way, the third segment is awaited. They cost
// 64 octets, live in a pool of their own and cannot crowd out what is established (RFC 4987 section 3).
#pragma once

#include <cstdint>

#include "runnel/base/seq_num.hpp"
#include "runnel/base/slot_pool.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/tcp/challenge_acks.hpp"
#include "runnel/tcp/flow.hpp"

namespace runnel::tcp {

/// A passive connection in SYN-RECEIVED.
struct alignas(64) HalfOpen {
    Flow flow;
    std::uint32_t flow_hash;
    SeqNum iss;  // SND.UNA; SND.NXT is iss + 1
    SeqNum irs;  // RCV.NXT is irs + 1
    std::uint32_t ts_recent;
    std::uint32_t ts_offset;
    TimerLink timer;
    std::uint32_t sent_at;   // microseconds, of the first SYN-ACK
    std::uint16_t peer_mss;  // as offered, or the default
    std::uint16_t snd_wnd;   // of the SYN: never scaled (RFC 7323 section 2.2)
    std::uint16_t rcv_wnd;   // of the SYN-ACK
    std::uint16_t listener;
    std::uint8_t snd_wscale : 4;
    std::uint8_t rcv_wscale : 4;
    bool window_scaling : 1;
    bool timestamps : 1;
    bool sack_permitted : 1;
    bool ecn : 1;        // the SYN asked for ECN (RFC 3168 section 6.1.1)
    bool fast_open : 1;  // the SYN-ACK brings a cookie (RFC 7413)
    std::uint8_t retransmissions;
    ChallengeThrottle challenges;

    [[nodiscard]] SeqNum rcv_nxt() const noexcept { return irs + 1; }
};
static_assert(sizeof(HalfOpen) <= 64, "a half-open connection costs one cache line");

using HalfOpenPool = SlotPool<HalfOpen>;

}  // namespace runnel::tcp
