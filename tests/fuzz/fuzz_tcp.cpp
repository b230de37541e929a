// TCP segments: header and options.
#include <algorithm>
#include <array>

#include "runnel/wire/tcp.hpp"
#include "runnel/wire/tcp_options.hpp"

#include "require.hpp"

namespace {

using namespace runnel::wire;
using runnel::fuzz::require;

// What was read of options can be written, and is read again the same.
void write_and_read_options(const TcpOptions& options) {
    const SynOptions syn{.mss = options.mss,
                         .sack_permitted = options.sack_permitted,
                         .timestamps = options.has_timestamps,
                         .ts_value = options.ts_value,
                         .ts_echo = options.ts_echo,
                         .window_scale = options.window_scale,
                         .fast_open = options.fast_open};
    std::array<std::byte, tcp_max_syn_options_size> octets{};
    TcpOptions again = parse_tcp_options(std::span{octets}.first(write_syn_options(octets, syn)));
    std::array<std::byte, 40> sack{};
    const std::size_t sack_size = write_sack(sack, std::span{options.sack}.first(options.sack_count));
    const TcpOptions blocks = parse_tcp_options(std::span{sack}.first(sack_size));
    again.sack = blocks.sack;
    again.sack_count = blocks.sack_count;
    again.malformed = options.malformed;
    require(again == options, "options written are the options read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto octets = runnel::fuzz::octets_of(data, size);
    write_and_read_options(parse_tcp_options(octets));

    const auto view = TcpView::parse(octets);
    require(view.has_value() == (TcpView::check(octets) == TcpError::none), "parse and check agree");
    if (!view) return 0;
    require(view->header_size() + view->payload().size() == size, "header and payload are the segment");
    runnel::fuzz::touch(view->payload());
    write_and_read_options(parse_tcp_options(view->options()));

    std::array<std::byte, tcp_header_size> written{};
    write(header_of(*view), written.data());
    std::array<std::byte, tcp_header_size> expected{};
    std::copy_n(octets.begin(), tcp_header_size, expected.begin());
    expected[12] &= std::byte{0xf0};
    store_be16(expected, tcp_checksum_offset, 0);
    require(written == expected, "the header written is the header read");
    return 0;
}
