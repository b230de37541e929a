// What a stack tells its embedder of attacks: episodes, each with a beginning and an end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runnel/base/ip_address.hpp"
#include "runnel/base/time.hpp"

namespace runnel::tcp {

enum class AttackKind : std::uint8_t {
    syn_flood,  ///< SYNs that nobody completes crowd the half-open connections (RFC 4987 section 2)
    syn_scan,   ///< one source tries many ports with SYNs, and completes nothing there
    fin_scan,   ///< with FIN alone
    null_scan,  ///< with no flag at all
    xmas_scan,  ///< with FIN and URG or PSH
    ack_scan,   ///< with bare ACKs of nothing
};

/// "SYN flood", "XMAS scan".
[[nodiscard]] std::string_view to_string(AttackKind kind) noexcept;

/// The figures of an episode, at its beginning and at its end.
struct AttackEpisode {
    AttackKind kind{};
    bool ended = false;   ///< false: it begins
    Instant began{};      ///< of the first segment, or second, that belongs to it
    Duration duration{};  ///< from there to the last, so far
    std::uint64_t segments = 0;
    std::uint64_t completed = 0;  ///< of a flood: handshakes that peers did complete meanwhile
    std::uint32_t sources = 0;    ///< distinct; of a flood an estimate, within some 10 %
    std::uint32_t ports = 0;      ///< of a scan: distinct ports of ours
    IpAddress source{};           ///< of a scan
};

/// A line for a log: "SYN flood begins: 40012 SYNs in 1.0 s from about 39000 sources, 0.1 % completed".
/// Allocates: not for the packet path.
[[nodiscard]] std::string to_string(const AttackEpisode& episode);

/// What an embedder overrides to hear of them.
class Observer {
  public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;

    /// Called on the stack's thread, from within `receive`, `advance`, or the stack's destructor, which ends
    /// what has not ended. Must not call the stack. At most one flood and sixteen scans stand at once, so
    /// calls are rare.
    virtual void attack(const AttackEpisode& episode) noexcept = 0;
};

}  // namespace runnel::tcp
