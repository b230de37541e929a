// The fixed window of the algorithm `none`.
#include "runnel/tcp/congestion/fixed_window.hpp"

#include <gtest/gtest.h>

#include "congestion_path.hpp"
#include "seed.hpp"

namespace runnel::tcp {
namespace fixed_window_test {

using test::Path;

TEST(FixedWindow, StaysWhateverIsLost) {
    for (const double loss : {0.0, 0.05, 0.3}) {
        Path<FixedWindow> path({.loss = loss, .seed = test::seed()});
        path.observe = [&](const AckSample&) { ASSERT_EQ(path.cwnd, 10 * path.mss); };
        path.run(5s);
        EXPECT_GT(path.delivered, 100'000U);
        EXPECT_EQ(path.reductions > 0, loss > 0);
        EXPECT_EQ(path.ssthresh, 0x7fffffffU);
    }
}

TEST(FixedWindow, ComesBackWithTheFirstAckAfterATimeout) {
    Path<FixedWindow> path({});
    path.run(1s);
    path.black_hole = true;
    path.run(1s);
    EXPECT_GT(path.timeouts, 0U);
    EXPECT_EQ(path.cwnd, path.mss) << "one segment asks whether the path is there again";
    path.black_hole = false;
    path.run(1s);
    EXPECT_EQ(path.cwnd, 10 * path.mss);
}

}  // namespace fixed_window_test
}  // namespace runnel::tcp
