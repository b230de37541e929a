// The HTTP/1.1-shaped parser and response (RFC 9112).
#include "engine/http.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "seed.hpp"

namespace runnel::load {
namespace http_test {

using Event = HttpRequestParser::Event;

// Feeds a text in pieces of the given sizes (the last repeats) and gives what came of it.
struct Outcome {
    std::vector<std::pair<bool, bool>> requests;  // head, keep-alive
    bool bad = false;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

template <class Size>
Outcome read(std::string_view text, Size next_size) {
    Outcome outcome;
    HttpRequestParser parser;
    while (!text.empty()) {
        std::string_view piece = text.substr(0, next_size());
        text.remove_prefix(piece.size());
        while (!piece.empty()) {
            const auto result = parser.read(piece);
            piece.remove_prefix(result.used);
            if (result.event == Event::bad) {
                outcome.bad = true;
                return outcome;
            }
            if (result.event == Event::need_more) {
                EXPECT_TRUE(piece.empty());
                break;
            }
            outcome.requests.emplace_back(result.head, result.keep_alive);
        }
    }
    return outcome;
}

Outcome read(std::string_view text) {
    return read(text, [&] { return text.size(); });
}

TEST(Rfc9112, Http11ConnectionPersistsUnlessItSaysClose) {
    EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (Outcome{{{false, true}}}));
    EXPECT_EQ(read("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), (Outcome{{{false, false}}}));
    EXPECT_EQ(read("GET / HTTP/1.1\r\nconnection: foo, CLOSE\r\n\r\n"), (Outcome{{{false, false}}}));
    EXPECT_EQ(read("GET / HTTP/1.1\r\nConnection: closed\r\n\r\n"), (Outcome{{{false, true}}}));
    EXPECT_EQ(read("GET / HTTP/1.1\r\nX-Connection: close\r\n\r\n"), (Outcome{{{false, true}}}));
}

TEST(Rfc9112, Http10ConnectionClosesUnlessItSaysKeepAlive) {
    EXPECT_EQ(read("GET / HTTP/1.0\r\n\r\n"), (Outcome{{{false, false}}}));
    EXPECT_EQ(read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), (Outcome{{{false, true}}}));
}

TEST(Rfc9112, OnlyHeadIsHead) {
    EXPECT_EQ(read("HEAD / HTTP/1.1\r\n\r\n"), (Outcome{{{true, true}}}));
    EXPECT_EQ(read("HEADS / HTTP/1.1\r\n\r\n"), (Outcome{{{false, true}}}));
    EXPECT_EQ(read("HEA / HTTP/1.1\r\n\r\n"), (Outcome{{{false, true}}}));
    EXPECT_EQ(read("XHEAD / HTTP/1.1\r\n\r\n"), (Outcome{{{false, true}}}));
}

TEST(Rfc9112, BodyBelongsToItsRequest) {
    EXPECT_EQ(read("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
              (Outcome{{{false, true}, {false, false}}}));
}

TEST(Rfc9112, WhatIsNotARequestIsBad) {
    for (const char* text :
         {"\x16\x03\x01", "get / HTTP/1.1\r\n\r\n", "GET /\r\n", "GET / HTTP/2.0\r\n", "GET / HTTP/1.x\r\n",
          "GET / HTTP/1.1\r\nA : b\r\n", "GET / HTTP/1.1\r\n folded\r\n",
          "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n",
          "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n",
          "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n"})
        EXPECT_TRUE(read(text).bad) << text;
}

TEST(Rfc9112, HoweverItIsCutTheRequestsAreTheSame) {
    const std::string text =
        "GET /a HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/7.88\r\nAccept: */*\r\n\r\n"
        "\r\nHEAD / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"
        "POST /p HTTP/1.1\r\ncontent-length: 11\r\n\r\nhello\r\n\r\nyo"
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    const Outcome whole = read(text);
    ASSERT_EQ(whole.requests.size(), 4U);
    ASSERT_FALSE(whole.bad);
    std::mt19937_64 random(test::seed());
    for (int i = 0; i < 500; ++i) EXPECT_EQ(read(text, [&] { return 1 + random() % 20; }), whole);
}

TEST(Rfc9112, RandomOctetsNeverCountAsMoreThanTheyAre) {
    std::mt19937_64 random(test::seed());
    for (int i = 0; i < 2000; ++i) {
        std::string text = "GET / HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde";
        for (int flips = 0; flips < 3; ++flips) text[random() % text.size()] = static_cast<char>(random());
        const auto outcome = read(text);
        EXPECT_LE(outcome.requests.size(), 2U);
    }
}

TEST(HttpResponse, SaysTheLengthThatItHas) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}}) {
        const HttpResponse response(size, true);
        const std::string_view text(reinterpret_cast<const char*>(response.all().data()),
                                    response.all().size());
        const std::size_t end_of_head = text.find("\r\n\r\n") + 4;
        EXPECT_EQ(end_of_head, response.head().size());
        EXPECT_EQ(text.size() - end_of_head, size);
        EXPECT_NE(text.find("Content-Length: " + std::to_string(size) + "\r\n"), std::string_view::npos);
        EXPECT_NE(text.find("Connection: keep-alive\r\n"), std::string_view::npos);
    }
    EXPECT_THROW(HttpResponse(HttpResponse::max_size + 1, false), std::invalid_argument);
}

TEST(HttpRequest, IsOneThatTheParserTakesAndThatCloses) {
    EXPECT_EQ(read(http_request(Ipv4Address{192, 0, 2, 1})), (Outcome{{{false, false}}}));
}

}  // namespace http_test
}  // namespace runnel::load
