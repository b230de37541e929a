// TCP options: reading any octets as RFC 9293 section 3.2 asks, and writing them where Linux puts them.
#include "runnel/wire/tcp_options.hpp"

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace tcp_options_test {

using test::bytes_of;
using test::from_hex;

TcpOptions parse_hex(std::string_view text) {
    return parse_tcp_options(test::ExactCopy{from_hex(text)}.span());
}

FastOpenCookie cookie_of(std::string_view text) {
    const test::Bytes octets = from_hex(text);
    FastOpenCookie cookie{.size = static_cast<std::uint8_t>(octets.size())};
    std::copy(octets.begin(), octets.end(), cookie.octets.begin());
    return cookie;
}

// As a Linux SYN carries them.
constexpr auto linux_syn =
    bytes_of(2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0, 1, 3, 3, 7);

static_assert([] {
    const TcpOptions options = parse_tcp_options(linux_syn);
    return options.mss == 1460 && options.sack_permitted && options.has_timestamps &&
           options.ts_value == 0x11223344 && options.ts_echo == 0 && options.window_scale == 7 &&
           options.sack_count == 0 && !options.malformed;
}());
static_assert(parse_tcp_options({}) == TcpOptions{});
static_assert([] {
    std::array<std::byte, 20> octets{};
    const SynOptions options{
        .mss = 1460, .sack_permitted = true, .timestamps = true, .ts_value = 0x11223344, .window_scale = 7};
    return syn_options_size(options) == 20 && write_syn_options(octets, options) == 20 && octets == linux_syn;
}());
static_assert([] {
    std::array<std::byte, 12> octets{};
    write_timestamps(octets.data(), 0x01020304, 0x05060708);
    return octets == bytes_of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);
}());

TEST(Rfc7323, TimestampsInTheRecommendedLayoutReadTheSameAsInAnyOther) {
    const TcpOptions fast = parse_hex("01 01 08 0a 01020304 a0b0c0d0");
    EXPECT_TRUE(fast.has_timestamps);
    EXPECT_EQ(fast.ts_value, 0x01020304U);
    EXPECT_EQ(fast.ts_echo, 0xa0b0c0d0U);
    EXPECT_EQ(parse_hex("08 0a 01020304 a0b0c0d0 01 01"), fast);
    EXPECT_EQ(parse_hex("08 0a 01020304 a0b0c0d0 00 00"), fast);
    EXPECT_EQ(parse_hex("01 08 0a 01020304 a0b0c0d0 01"), fast);
    EXPECT_EQ(parse_hex("01 01 08 0a 01020304 a0b0c0d0 01 01 01 01"), fast);
}

TEST(Rfc9293, EndOfListStopsWhateverFollows) {
    EXPECT_EQ(parse_hex("00 02 04 05b4"), TcpOptions{});
    const TcpOptions options = parse_hex("02 04 05b4 00 ff 00 ff");
    EXPECT_EQ(options.mss, 1460);
    EXPECT_FALSE(options.malformed);
}

TEST(Rfc9293, UnknownOptionsAreSkippedByTheirLength) {
    const TcpOptions options = parse_hex("fd 06 0102 0304 02 04 05b4 4d 02 03 03 0e 01");
    EXPECT_EQ(options.mss, 1460);
    EXPECT_EQ(options.window_scale, 14);
    EXPECT_FALSE(options.malformed);
}

TEST(Rfc9293, IllegalLengthStopsTheReadingAndKeepsWhatStoodBefore) {
    for (const std::string_view bad : {
             "02 04 05b4 08 00 0000",   // length 0: would never end
             "02 04 05b4 08 01 0000",   // length 1: shorter than kind and length
             "02 04 05b4 08 0a 0000",   // beyond the header
             "02 04 05b4 4d ff 0304",   // unknown kind, beyond the header
             "02 04 05b4 01 01 01 03",  // no length at all
         }) {
        const TcpOptions options = parse_hex(bad);
        EXPECT_TRUE(options.malformed) << bad;
        EXPECT_EQ(options.mss, 1460) << bad;
        EXPECT_FALSE(options.has_timestamps) << bad;
        EXPECT_FALSE(options.window_scale) << bad;
    }
}

TEST(Rfc9293, KnownOptionOfWrongLengthIsSkippedAlone) {
    for (const std::string_view bad :
         {"02 03 05", "02 05 05b400", "03 02", "03 04 0700", "04 03 00", "05 02", "05 09 01020304050607",
          "05 0b 010203040506070809", "08 09 01020304050607", "08 0b 010203040506070809"}) {
        const TcpOptions options = parse_hex(std::string{bad} + " 01 03 03 05");
        TcpOptions expected;
        expected.window_scale = 5;
        EXPECT_EQ(options, expected) << bad;
    }
}

TEST(Rfc7323, WindowScaleIsGivenAsReceivedBeItAboveFourteen) {
    EXPECT_EQ(parse_hex("03 03 00").window_scale, 0);
    EXPECT_EQ(parse_hex("03 03 0e").window_scale, 14);
    EXPECT_EQ(parse_hex("03 03 ff").window_scale, 255);
}

TEST(Rfc9293, OptionThatComesTwiceCountsAsItCameLast) {
    EXPECT_EQ(parse_hex("02 04 05b4 02 04 0218").mss, 536);
    EXPECT_EQ(parse_hex("03 03 01 03 03 02").window_scale, 2);
    EXPECT_EQ(parse_hex("05 12 0000000a00000014 0000001e00000028 05 0a 0000003200000046"),
              parse_hex("05 0a 0000003200000046"));
}

TEST(Rfc2018, FromOneToFourBlocksAreRead) {
    for (std::size_t count = 1; count <= 4; ++count) {
        test::Bytes list = from_hex("01 01 05");
        list.push_back(static_cast<std::byte>(2 + 8 * count));
        for (std::size_t i = 0; i < count; ++i) {
            const auto block = bytes_of(0xff, 0xff, 0xff, i, 0, 0, 1, i);
            for (const std::byte each : block) list.push_back(each);
        }
        const TcpOptions options = parse_tcp_options(list);
        ASSERT_EQ(options.sack_count, count);
        for (std::uint32_t i = 0; i < count; ++i)
            EXPECT_EQ(options.sack[i], (SackBlock{SeqNum{0xffffff00 + i}, SeqNum{0x100 + i}}));
    }
    // Five blocks fit no header, but the octets given may be anything.
    test::Bytes five(42);
    five[0] = std::byte{5};
    five[1] = std::byte{42};
    EXPECT_EQ(parse_tcp_options(five), TcpOptions{});
}

TEST(Rfc7413, CookiesOfFourToSixteenOctetsAndRequestsAreRead) {
    EXPECT_EQ(parse_hex("2202 0000").fast_open, FastOpenCookie{});
    EXPECT_EQ(parse_hex("0101 2206 01020304").fast_open, cookie_of("01020304"));
    EXPECT_EQ(parse_hex("220a 0102030405060708").fast_open, cookie_of("0102030405060708"));
    EXPECT_EQ(parse_hex("2212 000102030405060708090a0b0c0d0e0f").fast_open,
              cookie_of("000102030405060708090a0b0c0d0e0f"));
    EXPECT_EQ(parse_hex("020405b4 0103 0307").fast_open, std::nullopt);
}

TEST(Rfc7413, CookiesOfOtherLengthsAreIgnored) {
    for (const std::size_t size : {1U, 2U, 3U, 5U, 7U, 15U, 17U, 18U, 38U}) {
        test::Bytes octets(size + 2);
        octets[0] = std::byte{34};
        octets[1] = static_cast<std::byte>(size + 2);
        EXPECT_EQ(parse_tcp_options(octets), TcpOptions{}) << size;
    }
}

TEST(Linux, SynOptionsStandWhereLinuxPutsThemWhateverIsAbsent) {
    struct Case {
        SynOptions options;
        std::string_view layout;
    };
    const Case cases[]{
        {{}, ""},
        {{.mss = 536}, "02040218"},
        {{.sack_permitted = true}, "01010402"},
        {{.window_scale = 14}, "0103030e"},
        {{.timestamps = true, .ts_value = 1, .ts_echo = 2}, "0101080a 00000001 00000002"},
        {{.mss = 1460, .sack_permitted = true}, "020405b4 01010402"},
        {{.mss = 1460, .window_scale = 0}, "020405b4 01030300"},
        {{.mss = 1460, .sack_permitted = true, .window_scale = 7}, "020405b4 01010402 01030307"},
        {{.mss = 1460, .timestamps = true, .ts_value = 1, .ts_echo = 2, .window_scale = 7},
         "020405b4 0101080a 00000001 00000002 01030307"},
        {{.mss = 1460,
          .sack_permitted = true,
          .timestamps = true,
          .ts_value = 1,
          .ts_echo = 2,
          .window_scale = 7},
         "020405b4 0402080a 00000001 00000002 01030307"},
        {{.fast_open = FastOpenCookie{}}, "2202 0101"},
        {{.mss = 1460, .fast_open = cookie_of("a1a2a3a4a5a6a7a8")}, "020405b4 220a a1a2a3a4a5a6a7a8 0101"},
        {{.fast_open = cookie_of("a1a2a3a4a5a6")}, "2208 a1a2a3a4a5a6"},
        {{.mss = 1460,
          .sack_permitted = true,
          .timestamps = true,
          .ts_value = 1,
          .ts_echo = 2,
          .window_scale = 7,
          .fast_open = cookie_of("00112233445566778899aabbccddeeff")},
         "020405b4 0402080a 00000001 00000002 01030307 2212 00112233445566778899aabbccddeeff 0101"},
    };
    for (const Case& each : cases) {
        test::Bytes octets(tcp_max_syn_options_size);
        const std::size_t size = write_syn_options(octets, each.options);
        EXPECT_EQ(size, syn_options_size(each.options));
        octets.resize(size);
        EXPECT_EQ(octets, from_hex(each.layout)) << each.layout;
    }
}

TEST(Rfc9293, SynOptionsWrittenAreTheOptionsRead) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 5000; ++round) {
        SynOptions written;
        TcpOptions expected;
        if (random() % 2 != 0) expected.mss = written.mss = static_cast<std::uint16_t>(random());
        if (random() % 2 != 0)
            expected.window_scale = written.window_scale = static_cast<std::uint8_t>(random());
        expected.sack_permitted = written.sack_permitted = random() % 2 != 0;
        expected.has_timestamps = written.timestamps = random() % 2 != 0;
        if (written.timestamps) {
            expected.ts_value = written.ts_value = static_cast<std::uint32_t>(random());
            expected.ts_echo = written.ts_echo = static_cast<std::uint32_t>(random());
        }
        if (random() % 2 != 0) {
            written.fast_open.emplace();
            if (const auto half = random() % 9; half >= 2)
                written.fast_open->size = static_cast<std::uint8_t>(2 * half);
            for (std::size_t i = 0; i < written.fast_open->size; ++i)
                written.fast_open->octets[i] = static_cast<std::byte>(random());
            expected.fast_open = written.fast_open;
        }
        test::Bytes octets(syn_options_size(written));
        ASSERT_LE(octets.size(), tcp_max_syn_options_size);
        ASSERT_EQ(write_syn_options(octets, written), octets.size());
        ASSERT_EQ(octets.size() % 4, 0U);
        ASSERT_EQ(parse_tcp_options(octets), expected);
    }
}

TEST(Rfc2018, AsManyBlocksAreWrittenAsTheRoomHoldsTheFirstFirst) {
    const std::array<SackBlock, 5> blocks{{{SeqNum{10}, SeqNum{20}},
                                           {SeqNum{30}, SeqNum{40}},
                                           {SeqNum{50}, SeqNum{60}},
                                           {SeqNum{70}, SeqNum{80}},
                                           {SeqNum{90}, SeqNum{100}}}};
    for (std::size_t room = 0; room <= 50; ++room) {
        for (std::size_t given = 0; given <= blocks.size(); ++given) {
            const std::size_t fit = std::min({given, room < 12 ? 0 : (room - 4) / 8, std::size_t{4}});
            test::Bytes octets(room, std::byte{0xee});
            const std::size_t size = write_sack(octets, std::span{blocks}.first(given));
            ASSERT_EQ(size, fit == 0 ? 0 : 4 + 8 * fit);
            for (std::size_t i = size; i < room; ++i) ASSERT_EQ(octets[i], std::byte{0xee});
            const TcpOptions read = parse_tcp_options(std::span{octets}.first(size));
            ASSERT_EQ(read.sack_count, fit);
            ASSERT_TRUE(std::equal(read.sack.begin(), read.sack.begin() + read.sack_count, blocks.begin()));
        }
    }
}

TEST(Rfc9293, NoDamageToAnOptionListLeadsAReadBeyondIt) {
    const test::Bytes sack = from_hex("0101080a 0000000100000002 01010512 0000000a000000140000001e00000028");
    std::size_t read = 0;
    for (const std::span<const std::byte> sample :
         {std::span<const std::byte>{linux_syn}, std::span<const std::byte>{sack}})
        test::with_every_damage(sample, [&](std::span<const std::byte> list) {
            const TcpOptions options = parse_tcp_options(list);
            ASSERT_LE(options.sack_count, tcp_max_sack_blocks);
            ++read;
        });
    EXPECT_EQ(read, linux_syn.size() * 9 + sack.size() * 9 + 2);
}

TEST(Rfc9293, RandomOptionListsAgreeWithAModelThatWalksThem) {
    // The model only says which options are whole and where the list goes wrong.
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 20000; ++round) {
        test::Bytes list(random() % 41);
        for (std::byte& each : list) each = static_cast<std::byte>(random() % (random() % 8 == 0 ? 256 : 12));
        bool malformed = false;
        bool timestamps = false;
        std::optional<std::uint16_t> mss;
        for (std::size_t at = 0; at < list.size() && list[at] != std::byte{0};) {
            if (list[at] == std::byte{1}) {
                ++at;
                continue;
            }
            const std::size_t length = at + 1 < list.size() ? std::to_integer<std::size_t>(list[at + 1]) : 0;
            if (length < 2 || at + length > list.size()) {
                malformed = true;
                break;
            }
            if (list[at] == std::byte{2} && length == 4) mss = load_be16(list, at + 2);
            if (list[at] == std::byte{8} && length == 10) timestamps = true;
            at += length;
        }
        const TcpOptions options = parse_tcp_options(test::ExactCopy{list}.span());
        ASSERT_EQ(options.malformed, malformed);
        ASSERT_EQ(options.mss, mss);
        ASSERT_EQ(options.has_timestamps, timestamps);
    }
}

}  // namespace tcp_options_test
}  // namespace runnel::wire
