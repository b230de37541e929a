// Names of the congestion controls, and which function the switch chooses.
#include <memory>

#include <gtest/gtest.h>

#include "runnel/tcp/congestion/control.hpp"
#include "runnel/tcp/congestion/names.hpp"

namespace runnel::tcp {
namespace congestion_names_test {

TEST(CongestionNames, EachNameLeadsBackToItsAlgorithm) {
    for (const auto algorithm : {CongestionAlgorithm::cubic, CongestionAlgorithm::newreno,
                                 CongestionAlgorithm::bbr, CongestionAlgorithm::none})
        EXPECT_EQ(parse_congestion_algorithm(to_string(algorithm)), algorithm);
    EXPECT_EQ(parse_congestion_algorithm("reno"), CongestionAlgorithm::newreno);
    for (const char* wrong : {"", "Cubic", "cubi", "cubicc", "vegas", "?"})
        EXPECT_EQ(parse_congestion_algorithm(wrong), std::nullopt) << wrong;
}

TEST(CongestionNames, CubicIsTheDefault) {
    EXPECT_EQ(Config{}.congestion, CongestionAlgorithm::cubic);
}

// A loss of twenty segments tells the controls apart.
TEST(CongestionControl, SwitchChoosesTheControlThatIsNamed) {
    const auto ssthresh = [](CongestionAlgorithm algorithm) {
        std::uint32_t cwnd = 20'000, threshold = 77'777;
        CongestionState state;
        return with_congestion_control(algorithm, state, [&](auto control, auto& part) noexcept {
            std::construct_at(&part);
            return control.ssthresh_after_loss(part, {.cwnd = cwnd, .ssthresh = threshold, .mss = 1000},
                                               20'000, Instant{}, Reduction::loss);
        });
    };
    EXPECT_EQ(ssthresh(CongestionAlgorithm::cubic), 14'000U);
    EXPECT_EQ(ssthresh(CongestionAlgorithm::newreno), 10'000U);
    EXPECT_EQ(ssthresh(CongestionAlgorithm::bbr), 77'777U);
    EXPECT_EQ(ssthresh(CongestionAlgorithm::none), 77'777U);
    EXPECT_FALSE(owns_window(CongestionAlgorithm::cubic));
    EXPECT_FALSE(owns_window(CongestionAlgorithm::newreno));
    EXPECT_TRUE(owns_window(CongestionAlgorithm::bbr));
    EXPECT_TRUE(owns_window(CongestionAlgorithm::none));
    EXPECT_TRUE(keeps_state(CongestionAlgorithm::bbr));
    EXPECT_FALSE(keeps_state(CongestionAlgorithm::cubic));
}

}  // namespace congestion_names_test
}  // namespace runnel::tcp
