// TCP headers: what the view accepts and refuses, and that what is written is read back (RFC 9293
// section 3.1).
#include "runnel/wire/tcp.hpp"

#include <gtest/gtest.h>

#include "octets.hpp"
#include "seed.hpp"

namespace runnel::wire {
namespace tcp_test {

// Ports 1234 and 80, seq 0x01020304, ack 0xa0b0c0d0, 24 octets of header, S., window 65535, MSS 1460, "hi".
constexpr auto sample =
    test::bytes_of(0x04, 0xd2, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0xa0, 0xb0, 0xc0, 0xd0, 0x60, 0x12, 0xff,
                   0xff, 0xbe, 0xef, 0x00, 0x09, 0x02, 0x04, 0x05, 0xb4, 'h', 'i');

static_assert([] {
    const auto view = TcpView::parse(sample);
    return view && view->source_port() == 1234 && view->destination_port() == 80 &&
           view->ports() == 0x04d20050 && view->sequence() == SeqNum{0x01020304} &&
           view->acknowledgement() == SeqNum{0xa0b0c0d0} && view->header_size() == 24 &&
           view->flags() == (tcp_flags::syn | tcp_flags::ack) && view->window() == 65535 &&
           view->checksum() == 0xbeef && view->urgent_pointer() == 9 && view->options().size() == 4 &&
           view->options()[0] == std::byte{2} && view->payload().size() == 2 &&
           view->payload()[0] == std::byte{'h'} && view->segment().size() == sample.size() &&
           view->sequence_length() == 3;
}());

static_assert([] {
    std::array<std::byte, 26> octets = sample;
    for (std::size_t i = 0; i < 20; ++i) octets[i] = std::byte{0xee};
    write(header_of(*TcpView::parse(sample)), octets.data());
    std::array<std::byte, 26> expected = sample;
    expected[16] = expected[17] = std::byte{0};
    return octets == expected;
}());

TEST(Rfc9293, SegmentShorterThanTheFixedHeaderIsRefused) {
    for (std::size_t size = 0; size < 20; ++size) {
        const test::ExactCopy copy{std::span{sample}.first(size)};
        EXPECT_EQ(TcpView::check(copy.span()), TcpError::truncated_header);
        EXPECT_FALSE(TcpView::parse(copy.span()));
    }
}

TEST(Rfc9293, DataOffsetMustLieBetweenFiveWordsAndTheEndOfTheSegment) {
    for (std::size_t size = 20; size <= 64; ++size) {
        for (std::size_t words = 0; words < 16; ++words) {
            test::ExactCopy copy{test::Bytes(size)};
            copy[12] = static_cast<std::byte>(words << 4 | 0xf);  // the reserved bits must not count
            const TcpError expected = words < 5          ? TcpError::data_offset_small
                                      : words * 4 > size ? TcpError::data_offset_beyond
                                                         : TcpError::none;
            ASSERT_EQ(TcpView::check(copy.span()), expected) << size << " octets, offset " << words;
            const auto view = TcpView::parse(copy.span());
            ASSERT_EQ(view.has_value(), expected == TcpError::none);
            if (!view) continue;
            EXPECT_EQ(view->header_size(), words * 4);
            EXPECT_EQ(view->options().size() + 20, words * 4);
            EXPECT_EQ(view->payload().size(), size - words * 4);
            EXPECT_EQ(view->payload().data() + view->payload().size(), copy.span().data() + size);
        }
    }
}

TEST(Rfc9293, SegLenCountsDataSynAndFin) {
    test::ExactCopy copy{test::Bytes(27)};
    copy[12] = std::byte{0x50};
    for (unsigned flags = 0; flags < 256; ++flags) {
        copy[13] = static_cast<std::byte>(flags);
        const auto view = TcpView::parse(copy.span());
        ASSERT_TRUE(view);
        EXPECT_EQ(view->sequence_length(),
                  7U + ((flags & tcp_flags::syn) != 0) + ((flags & tcp_flags::fin) != 0));
        EXPECT_EQ(view->flags(), flags);
        for (unsigned bit = 0; bit < 8; ++bit)
            EXPECT_EQ(view->has(static_cast<std::uint8_t>(1U << bit)), (flags >> bit & 1) != 0);
    }
}

TEST(Rfc9293, HeaderWrittenIsTheHeaderReadWithChecksumZero) {
    std::mt19937_64 random{test::seed()};
    for (int round = 0; round < 5000; ++round) {
        const TcpHeader header{.source_port = static_cast<std::uint16_t>(random()),
                               .destination_port = static_cast<std::uint16_t>(random()),
                               .sequence = SeqNum{static_cast<std::uint32_t>(random())},
                               .acknowledgement = SeqNum{static_cast<std::uint32_t>(random())},
                               .flags = static_cast<std::uint8_t>(random()),
                               .window = static_cast<std::uint16_t>(random()),
                               .urgent_pointer = static_cast<std::uint16_t>(random()),
                               .header_size = static_cast<std::uint8_t>(20 + 4 * (random() % 11))};
        test::Bytes octets = test::random_bytes(random, 60);
        const test::Bytes before = octets;
        write(header, octets.data());
        EXPECT_TRUE(std::equal(octets.begin() + 20, octets.end(), before.begin() + 20))
            << "options are not touched";
        const auto view = TcpView::parse(octets);
        ASSERT_TRUE(view);
        EXPECT_EQ(header_of(*view), header);
        EXPECT_EQ(view->checksum(), 0);
        EXPECT_EQ(octets[12] & std::byte{0x0f}, std::byte{0}) << "reserved bits are sent as 0";
    }
}

TEST(Rfc9293, NoDamageToASegmentLeadsAReadBeyondIt) {
    std::size_t accepted = 0;
    test::with_every_damage(sample, [&](std::span<const std::byte> segment) {
        const auto view = TcpView::parse(segment);
        if (!view) return;
        ++accepted;
        ASSERT_EQ(view->header_size() + view->payload().size(), segment.size());
        ASSERT_GE(view->header_size(), 20U);
        unsigned sum =
            view->flags() + view->checksum() + view->urgent_pointer() + view->window() + view->ports();
        for (const std::byte each : view->options()) sum += std::to_integer<unsigned>(each);
        for (const std::byte each : view->payload()) sum += std::to_integer<unsigned>(each);
        ASSERT_NE(sum, 0U);
    });
    // The sample and its two beginnings that hold the options; each turned bit but the four of the data
    // offset.
    EXPECT_EQ(accepted, 3 + sample.size() * 8 - 4);
}

}  // namespace tcp_test
}  // namespace runnel::wire
