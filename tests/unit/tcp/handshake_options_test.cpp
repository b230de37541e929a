// What the options of the two SYNs settle (RFC 9293 section 3.7.1, RFC 7323).
#include "runnel/tcp/handshake_options.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace handshake_options_test {

TEST(HandshakeOptions, PeerThatOffersNothingGetsTheDefaultsOfRfc9293) {
    const PeerOffer offer = peer_offer({}, {}, false);
    EXPECT_EQ(offer.mss, 536U);  // MUST-15
    EXPECT_FALSE(offer.window_scaling);
    EXPECT_EQ(offer.snd_wscale, 0U);
    EXPECT_FALSE(offer.timestamps);
}

TEST(HandshakeOptions, WhatBothOfferIsOn) {
    for (const bool we : {false, true})
        for (const bool they : {false, true}) {
            Config config;
            config.window_scaling = config.timestamps = we;
            wire::TcpOptions options;
            if (they) options.window_scale = 7;
            options.has_timestamps = they;
            const PeerOffer offer = peer_offer(config, options, false);
            EXPECT_EQ(offer.window_scaling, we && they);
            EXPECT_EQ(offer.snd_wscale, we && they ? 7U : 0U);
            EXPECT_EQ(offer.timestamps, we && they);
        }
}

TEST(HandshakeOptions, ShiftOfZeroIsAnOfferToScale) {
    wire::TcpOptions options;
    options.window_scale = 0;
    EXPECT_TRUE(peer_offer({}, options, false).window_scaling);
}

TEST(HandshakeOptions, ShiftAboveFourteenIsTakenAsFourteen) {
    wire::TcpOptions options;
    for (unsigned shift = 0; shift <= 255; ++shift) {
        options.window_scale = static_cast<std::uint8_t>(shift);
        EXPECT_EQ(peer_offer({}, options, false).snd_wscale, shift < 14 ? shift : 14U);
    }
}

TEST(HandshakeOptions, TinyMssIsRaisedToTheConfiguredLeast) {
    const Config config;
    wire::TcpOptions options;
    for (const std::uint16_t mss : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{63}}) {
        options.mss = mss;
        EXPECT_EQ(peer_offer(config, options, false).mss, config.min_peer_mss);
    }
    options.mss = config.min_peer_mss;
    EXPECT_EQ(peer_offer(config, options, false).mss, config.min_peer_mss);
    options.mss = 65535;
    EXPECT_EQ(peer_offer(config, options, false).mss, 65535U);
}

TEST(HandshakeOptions, ReceiveShiftIsTheSmallestThatNamesTheWholeBuffer) {
    Config config;
    const auto shift = [&](std::uint32_t buffer) {
        config.receive_buffer = buffer;
        return receive_window_shift(config);
    };
    EXPECT_EQ(shift(1024), 0);
    EXPECT_EQ(shift(65535), 0);
    EXPECT_EQ(shift(65536), 1);
    EXPECT_EQ(shift(131071), 1);
    EXPECT_EQ(shift(131072), 2);
    EXPECT_EQ(shift(65535U << 14), 14);
    EXPECT_EQ(shift(1U << 30), 14) << "no shift above 14 may be offered (RFC 7323 section 2.3)";
    for (std::uint32_t buffer = 1024; buffer < 1U << 29; buffer += buffer / 5) {
        const std::uint8_t n = shift(buffer);
        EXPECT_LE(buffer >> n, 65535U);
        EXPECT_TRUE(n == 0 || buffer >> (n - 1) > 65535U) << buffer;
    }
}

TEST(HandshakeOptions, WindowOfASynIsTheBufferOrAllThatTheFieldHolds) {
    Config config;
    config.receive_buffer = 30'000;
    EXPECT_EQ(syn_window(config), 30'000U);
    config.receive_buffer = 65536;
    EXPECT_EQ(syn_window(config), 65535U);
}

TEST(HandshakeOptions, SegmentsFitPeerPathAndOptions) {
    EXPECT_EQ(segment_data_size(1460, 1500, false, false), 1460U);
    EXPECT_EQ(segment_data_size(1460, 1500, false, true), 1448U);
    EXPECT_EQ(segment_data_size(1400, 1500, false, true), 1388U)
        << "the peer's MSS does not count options (MUST-16)";
    EXPECT_EQ(segment_data_size(8960, 1500, false, false), 1460U) << "the path binds";
    EXPECT_EQ(segment_data_size(65535, 9216, false, false), 9176U);
    EXPECT_EQ(segment_data_size(536, 576, false, true), 524U);
    EXPECT_EQ(segment_data_size(48, 1500, false, true), 36U)
        << "the least that may be configured leaves room for data";
}

}  // namespace handshake_options_test
}  // namespace runnel::tcp
