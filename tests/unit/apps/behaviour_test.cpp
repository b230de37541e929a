// What happens on a connection beyond its recipe, as a person writes it.
#include "engine/behaviour.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quantity.hpp"

namespace runnel::load {
namespace behaviour_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(HttpAsk, IsAPathWithItsMethodBefore) {
    EXPECT_EQ(parse_http_ask("/index.html"), (HttpAsk{"GET", "/index.html"}));
    EXPECT_EQ(parse_http_ask("POST /form?a=b"), (HttpAsk{"POST", "/form?a=b"}));
    for (const char* wrong : {"index.html", "BREW /pot", "GET  /x", "GET /a b", ""})
        EXPECT_THAT([&] { (void)parse_http_ask(wrong); },
                    ThrowsMessage<app::BadQuantity>(HasSubstr("begins with /")))
            << wrong;
}

TEST(HttpHeader, ThatIsMadeHereOrIsNoneIsRefused) {
    EXPECT_NO_THROW(check_http_header("Accept: */*"));
    EXPECT_NO_THROW(check_http_header("X-Empty:"));
    EXPECT_THAT([] { check_http_header("hOST: other"); },
                ThrowsMessage<app::BadQuantity>(HasSubstr("leave it out")));
    EXPECT_THROW(check_http_header("Accept */*"), app::BadQuantity);
    EXPECT_THROW(check_http_header("Bad name: x"), app::BadQuantity);
    EXPECT_THROW(check_http_header("X: a\r\nY: b"), app::BadQuantity);
}

TEST(Stall, IsItsLengthAndHowOften) {
    EXPECT_EQ(parse_stall("200ms/5s").length, 200ms);
    EXPECT_EQ(parse_stall("200ms/5s").every, 5s);
    EXPECT_THAT([] { (void)parse_stall("200ms"); }, ThrowsMessage<app::BadQuantity>(HasSubstr("200ms/5s")));
    EXPECT_THROW((void)parse_stall("5s/200ms"), app::BadQuantity);
    EXPECT_THROW((void)parse_stall("0/5s"), app::BadQuantity);
    EXPECT_TRUE(ServerBehaviour{}.answers_at_once());
    EXPECT_FALSE((ServerBehaviour{.delay = Distribution::fixed(1), .stall = {}}.answers_at_once()));
}

}  // namespace behaviour_test
}  // namespace runnel::load
