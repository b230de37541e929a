// The TCP header (RFC 9293 section 3.1): a checked view of a received segment, and the plain header that we
// send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "runnel/base/seq_num.hpp"
#include "runnel/wire/byte_order.hpp"

namespace runnel::wire {

/// Control bits (RFC 9293 section 3.1, RFC 3168 section 6.1 for ECE and CWR).
namespace tcp_flags {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
inline constexpr std::uint8_t ece = 0x40;
inline constexpr std::uint8_t cwr = 0x80;
}  // namespace tcp_flags

/// Octets of a TCP header without options.
inline constexpr std::size_t tcp_header_size = 20;
/// Octets of the longest header: a data offset of 15 words.
inline constexpr std::size_t tcp_max_header_size = 60;
/// Where the checksum field lies in the header.
inline constexpr std::size_t tcp_checksum_offset = 16;

/// What is wrong with the octets of a segment.
enum class TcpError : std::uint8_t {
    none,
    truncated_header,    ///< fewer than 20 octets
    data_offset_small,   ///< a data offset below 5 words
    data_offset_beyond,  ///< a data offset beyond the end of the segment
};

/// A segment whose header and options lie within its buffer. Does not own the octets, which must outlive it.
/// Neither the checksum nor the options are checked here.
class TcpView {
  public:
    /// The first thing wrong with `segment`, `none` where `parse` gives a view.
    [[nodiscard]] static constexpr TcpError check(std::span<const std::byte> segment) noexcept {
        if (segment.size() < tcp_header_size) return TcpError::truncated_header;
        const std::size_t header = header_size_at(segment.data());
        if (header < tcp_header_size) return TcpError::data_offset_small;
        if (header > segment.size()) return TcpError::data_offset_beyond;
        return TcpError::none;
    }

    /// `segment` is the payload of the internet layer: TCP header, options and data, without padding of the
    /// link.
    [[nodiscard]] static constexpr std::optional<TcpView> parse(std::span<const std::byte> segment) noexcept {
        if (check(segment) != TcpError::none) return std::nullopt;
        return TcpView{segment};
    }

    [[nodiscard]] constexpr std::uint16_t source_port() const noexcept { return load_be16(data_); }
    [[nodiscard]] constexpr std::uint16_t destination_port() const noexcept { return load_be16(data_ + 2); }
    /// Both ports in one word: the source in the upper half.
    [[nodiscard]] constexpr std::uint32_t ports() const noexcept { return load_be32(data_); }
    [[nodiscard]] constexpr SeqNum sequence() const noexcept { return SeqNum{load_be32(data_ + 4)}; }
    [[nodiscard]] constexpr SeqNum acknowledgement() const noexcept { return SeqNum{load_be32(data_ + 8)}; }
    /// Octets of header and options: 20 to 60.
    [[nodiscard]] constexpr std::size_t header_size() const noexcept { return header_size_at(data_); }
    /// The bits of `tcp_flags`.
    [[nodiscard]] constexpr std::uint8_t flags() const noexcept {
        return std::to_integer<std::uint8_t>(data_[13]);
    }
    /// True where any of `flags` is set.
    [[nodiscard]] constexpr bool has(std::uint8_t flags_wanted) const noexcept {
        return (flags() & flags_wanted) != 0;
    }
    /// As it stands in the segment, not scaled.
    [[nodiscard]] constexpr std::uint16_t window() const noexcept { return load_be16(data_ + 14); }
    [[nodiscard]] constexpr std::uint16_t checksum() const noexcept {
        return load_be16(data_ + tcp_checksum_offset);
    }
    [[nodiscard]] constexpr std::uint16_t urgent_pointer() const noexcept { return load_be16(data_ + 18); }

    [[nodiscard]] constexpr std::span<const std::byte> options() const noexcept {
        return {data_ + tcp_header_size, header_size() - tcp_header_size};
    }
    [[nodiscard]] constexpr std::span<const std::byte> payload() const noexcept {
        return {data_ + header_size(), size_ - header_size()};
    }
    /// The whole segment, as given to `parse`.
    [[nodiscard]] constexpr std::span<const std::byte> segment() const noexcept { return {data_, size_}; }
    /// SEG.LEN: octets of data, and one each for SYN and FIN.
    [[nodiscard]] constexpr std::uint32_t sequence_length() const noexcept {
        const std::uint8_t bits = flags();
        return static_cast<std::uint32_t>(size_ - header_size()) + (bits & tcp_flags::fin) +
               (bits >> 1 & std::uint32_t{1});
    }

  private:
    constexpr explicit TcpView(std::span<const std::byte> segment) noexcept
        : data_(segment.data()), size_(segment.size()) {}

    static constexpr std::size_t header_size_at(const std::byte* header) noexcept {
        return std::to_integer<std::size_t>(header[12] >> 4) * 4;
    }

    const std::byte* data_;
    std::size_t size_;
};

/// The fixed part of a header to send.
struct TcpHeader {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    SeqNum sequence;
    SeqNum acknowledgement;
    std::uint8_t flags = 0;  ///< bits of `tcp_flags`
    std::uint16_t window = 0;
    std::uint16_t urgent_pointer = 0;
    std::uint8_t header_size = tcp_header_size;  ///< octets, options included: a multiple of 4 from 20 to 60

    friend constexpr bool operator==(const TcpHeader&, const TcpHeader&) noexcept = default;
};

/// Writes the 20 octets of the fixed header at `to`, the checksum 0. The options are the caller's to write
/// behind it.
constexpr void write(const TcpHeader& header, std::byte* to) noexcept {
    // Stores of eight octets: the checksum reads the header in such words a moment later, and a load that
    // needs two stores waits for both.
    store_be64(to, std::uint64_t{header.source_port} << 48 | std::uint64_t{header.destination_port} << 32 |
                       header.sequence.value());
    store_be64(to + 8, std::uint64_t{header.acknowledgement.value()} << 32 |
                           (std::uint32_t{header.header_size} << 26 | std::uint32_t{header.flags} << 16 |
                            header.window));
    store_be32(to + 16, header.urgent_pointer);
}

/// The header of a received segment as a plain struct.
[[nodiscard]] constexpr TcpHeader header_of(const TcpView& view) noexcept {
    return {.source_port = view.source_port(),
            .destination_port = view.destination_port(),
            .sequence = view.sequence(),
            .acknowledgement = view.acknowledgement(),
            .flags = view.flags(),
            .window = view.window(),
            .urgent_pointer = view.urgent_pointer(),
            .header_size = static_cast<std::uint8_t>(view.header_size())};
}

}  // namespace runnel::wire
