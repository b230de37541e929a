// How many SYNs a core that is behind answers.
#include "runnel/tcp/syn_credit.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace syn_credit_test {

// A burst of SYNs and others; returns how many SYNs were answered.
unsigned burst(SynCredit& credit, bool full, unsigned syns, unsigned others) {
    credit.set_behind(full);
    unsigned answered = 0;
    for (unsigned i = 0; i < syns; ++i) answered += credit.take() ? 1 : 0;
    credit.received(syns + others);
    return answered;
}

TEST(SynCredit, AnswersEachWhereTheCoreKeepsUp) {
    SynCredit credit;
    for (int i = 0; i < 10'000; ++i) ASSERT_EQ(burst(credit, false, 63, 0), 63U);
}

TEST(SynCredit, AnswersEachOfThoseWhoOpenInEarnestHoweverFarTheCoreIsBehind) {
    // A SYN and an ACK a connection: no recipe brings fewer.
    SynCredit credit;
    for (int i = 0; i < 100'000; ++i) ASSERT_EQ(burst(credit, true, 32, 32), 32U);
}

TEST(SynCredit, AnswersNoMoreSynsThanOthersComeOnceTheBeginningIsOver) {
    SynCredit credit;
    unsigned begun = 0;
    for (int i = 0; i < 1000; ++i) begun += burst(credit, true, 64, 0);
    EXPECT_EQ(begun, SynCredit::most);
    unsigned answered = 0;
    for (int i = 0; i < 1000; ++i) answered += burst(credit, true, 54, 10);
    EXPECT_LE(answered, 10'000U);
    EXPECT_GE(answered, 9'900U);
}

TEST(SynCredit, MomentInWhichTheCoreKeepsUpForgivesLittle) {
    SynCredit credit;
    for (int i = 0; i < 1000; ++i) burst(credit, true, 64, 0);
    (void)burst(credit, false, 1, 0);
    unsigned answered = 0;
    for (int i = 0; i < 100; ++i) answered += burst(credit, true, 64, 0);
    EXPECT_LT(answered, 64U);
    // Some seconds of it forgive all.
    for (int i = 0; i < 10'000; ++i) (void)burst(credit, false, 1, 0);
    answered = 0;
    for (int i = 0; i < 1000; ++i) answered += burst(credit, true, 64, 0);
    EXPECT_EQ(answered, SynCredit::most);
}

}  // namespace syn_credit_test
}  // namespace runnel::tcp
