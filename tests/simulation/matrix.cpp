// Each congestion control over a table of paths: every octet arrives, the flow ends, nothing is left behind,
// and goodput lies within what theory allows.
//
// Where a bound of goodput comes from:
//
//  - Without loss the bottleneck is the limit. A window that falls to beta times when the buffer is full and
//    grows back uses theory::sawtooth_use() of it (RFC 5681: beta 0.5; RFC 9438: 0.7). 85 % of that are
//    asked for: the rest is for the drops that end each cycle and their repair.
//  - Random loss limits NewReno and CUBIC by their response functions. To 5 % of loss 55 % of these are asked
//    for: they are averages of a model without time-outs, measured over a few dozen losses. Beyond that
//    windows are too small to repair all losses without time-outs, and the lower bound takes the model of
//    Padhye et al. with the least RTO; a lost acknowledgement of a single segment costs what its loss does.
//    No more than 1.7 times the response function is believed: who takes more is no neighbour to others. Of
//    CUBIC it is 2.5 times: the function is that of losses at even intervals, and in the long gaps between
//    losses at random the window grows with the cube of time.
//  - A burst of losses is one event to SACK: the lower bound takes the share of frames lost, the upper one
//    the rate of bursts.
//  - Late frames within a quarter of the round trip must not count as lost (RFC 8985 section 6.2): the bound
//    is that of a clean path, less a tenth. Later ones may, so the lower bound takes them as lost.
//  - BBR does not reduce for loss below its thresholds: 80 % of the rate to 1 % of loss, half of it to 5 %.
//  - `none` keeps its window: half of the rate to 5 % of loss. It is fair to nobody.
//  - Nobody carries more than the bottleneck. What chance loses is lost before it, and takes none of its
//    time.
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aftermath.hpp"
#include "bulk.hpp"
#include "path.hpp"
#include "seed.hpp"
#include "theory.hpp"

namespace runnel::test {
namespace {

/// A congestion control. Those that this build has are run.
struct Control {
    const char* name;
    double beta;        ///< the share of the window that a loss leaves
    double most = 1.7;  ///< times the response function
    /// Goodput is judged. Integrity, termination and what is left behind are judged always.
    bool judged = true;
    friend void PrintTo(const Control& control, std::ostream* out) { *out << control.name; }
};
constexpr Control controls[] = {{"newreno", 0.5}, {"cubic", 0.7, 2.5}, {"bbr", 0.9}, {"none", 1}};

struct Cell {
    const char* name;
    Path path;
    bool judged = true;  ///< its goodput
    friend void PrintTo(const Cell& cell, std::ostream* out) { *out << cell.name; }
};

constexpr std::uint64_t mega = 1'000'000, giga = 1'000 * mega;

const Cell cells[] = {
    // -- bandwidth
    {"Rate1Mbit", {.bits_a_second = mega, .rtt = 50ms}},
    {"Rate10Mbit", {.bits_a_second = 10 * mega, .rtt = 40ms}},
    {"Rate100Mbit", {.bits_a_second = 100 * mega, .rtt = 20ms}},
    {"Rate1Gbit", {.bits_a_second = giga, .rtt = 10ms}},
    // -- round-trip time
    {"Rtt100us", {.bits_a_second = giga, .rtt = 100us, .buffer = 4}},
    {"Rtt1ms", {.bits_a_second = 100 * mega, .rtt = 1ms}},
    {"Rtt50ms", {.bits_a_second = 100 * mega, .rtt = 50ms}},
    {"Rtt300ms", {.bits_a_second = 10 * mega, .rtt = 300ms}},
    // -- buffer
    {"BufferQuarter", {.bits_a_second = 10 * mega, .rtt = 40ms, .buffer = 0.25}},
    {"BufferHalf", {.bits_a_second = 10 * mega, .rtt = 40ms, .buffer = 0.5}},
    {"BufferTwice", {.bits_a_second = 10 * mega, .rtt = 40ms, .buffer = 2}},
    {"BufferFourTimes", {.bits_a_second = 10 * mega, .rtt = 40ms, .buffer = 4}},
    {"BufferQuarter100Mbit", {.bits_a_second = 100 * mega, .rtt = 10ms, .buffer = 0.25}},
    // -- loss
    {"Loss0_1Percent", {.rtt = 20ms, .loss = 0.001}},
    {"Loss1Percent", {.rtt = 20ms, .loss = 0.01}},
    {"Loss5Percent", {.rtt = 20ms, .loss = 0.05}},
    {"Loss20Percent", {.rtt = 20ms, .loss = 0.2}},
    {"Loss0_1PercentRtt100ms", {.bits_a_second = 20 * mega, .rtt = 100ms, .loss = 0.001}},
    {"Loss0_1PercentRtt300ms", {.bits_a_second = 10 * mega, .rtt = 300ms, .loss = 0.001}},
    {"Loss1PercentRtt100ms", {.bits_a_second = 20 * mega, .rtt = 100ms, .loss = 0.01}},
    {"Loss1PercentRtt1ms", {.bits_a_second = giga, .rtt = 1ms, .loss = 0.01}},
    {"Loss1PercentRtt100us", {.bits_a_second = giga, .rtt = 100us, .buffer = 4, .loss = 0.01}},
    {"Loss1PercentBothWays", {.rtt = 20ms, .loss = 0.01, .loss_back = 0.01}},
    {"Loss5PercentBothWays", {.rtt = 20ms, .loss = 0.05, .loss_back = 0.05}},
    // A few time-outs at the start, 3 s after a lost SYN and doubling, decide over the goodput.
    {"Loss20PercentBothWays", {.rtt = 20ms, .loss = 0.2, .loss_back = 0.2}, false},
    {"LossOfAcksAlone", {.rtt = 20ms, .loss_back = 0.1}},
    {"BurstsOfFour", {.rtt = 20ms, .bursts = {.begin = 0.001, .end = 0.25}}},
    {"BurstsOfTen", {.rtt = 20ms, .bursts = {.begin = 0.0005, .end = 0.1}}},
    {"BurstsOfHalf", {.rtt = 20ms, .bursts = {.begin = 0.002, .end = 0.1, .loss = 0.5}}},
    // -- order, copies, damage
    {"LateWithinQuarterRtt", {.rtt = 20ms, .reordering = 0.01, .reorder_delay = 0.2}},
    {"ManyLateWithinQuarterRtt", {.rtt = 20ms, .reordering = 0.1, .reorder_delay = 0.1}},
    {"LateByHalfRtt", {.rtt = 20ms, .reordering = 0.01, .reorder_delay = 0.5}},
    {"LateByMoreThanRtt", {.rtt = 20ms, .reordering = 0.01, .reorder_delay = 1.5}},
    {"Copies1Percent", {.rtt = 20ms, .duplication = 0.01}},
    {"Copies20Percent", {.rtt = 20ms, .duplication = 0.2}},
    {"Damage0_1Percent", {.rtt = 20ms, .corruption = 0.001}},
    {"Damage1Percent", {.rtt = 20ms, .corruption = 0.01}},
    {"EveryHarm",
     {.rtt = 20ms,
      .loss = 0.005,
      .loss_back = 0.005,
      .bursts = {.begin = 0.0005, .end = 0.25},
      .reordering = 0.01,
      .reorder_delay = 0.2,
      .duplication = 0.01,
      .corruption = 0.001}},
    // -- ways that differ, and marks
    {"SlowWayBack", {.bits_a_second = 10 * mega, .rtt = 40ms, .back_rate = 0.04}},
    {"MarksAtHalf", {.bits_a_second = 10 * mega, .rtt = 40ms, .buffer = 2, .mark_above = 0.5}},
};

/// For what is buffered when the measurement ends: only a flow that never ends takes so long.
constexpr Duration for_the_rest = 24h * 7;

Duration duration_of(double s) {
    return Duration{static_cast<std::int64_t>(s * 1e9)};
}

/// Goodput in octets a second.
struct Bounds {
    double least, expected, most;
};

/// Octets a second at which a loss of `p` holds the control; without end where it does not.
double response(const Control& control, double p, double rtt) {
    const std::string_view name = control.name;
    if (p == 0 || name == "bbr" || name == "none") return std::numeric_limits<double>::infinity();
    const double window = name == "cubic" ? theory::cubic_window(p, rtt) : theory::reno_window(p);
    return window / rtt * full_segment;
}

Bounds bounds_of(const Control& control, const Path& path) {
    const double rtt = seconds(path.rtt);
    const double most = path.capacity() * (1 - path.corruption);
    const double buffer = path.mark_above > 0
                              ? path.mark_above
                              : static_cast<double>(path.buffer_octets()) / path.bandwidth_delay();
    const double use = most * theory::sawtooth_use(buffer, control.beta);
    const bool late_counts = path.reordering > 0 && path.reorder_delay > 0.25;

    // Of loss: what SACK sees as one event, and what counts as lost at worst.
    const double events = 1 - (1 - path.loss) * (1 - path.bursts.begin) * (1 - path.corruption);
    const double worst = late_counts ? 1 - (1 - path.lost()) * (1 - path.reordering) : path.lost();
    // Where frames come late, losses are found a quarter of a round trip later, and slow start goes on for so
    // long: what overflows meanwhile costs the few seconds measured more where more frames are late.
    const double in_order = path.reordering >= 0.1 ? 0.65 : path.reordering > 0 ? 0.9 : 1;
    if (worst == 0) return {0.85 * in_order * use, use, most};

    const double expected = std::min(use, response(control, worst, rtt));
    const double unanswered = 1 - (1 - worst) * (1 - path.loss_back);
    const double with_timeouts = theory::reno_rate_with_timeouts(unanswered, rtt, 0.2 + rtt) * full_segment;
    // Where ACKs are lost as well, a few time-outs more or less in the time measured decide.
    const double spread = path.loss_back > 0.02 ? 0.4 : 0.55;
    double least = spread * (worst <= 0.055 ? expected : std::min(use, with_timeouts));
    const std::string_view name = control.name;
    if (worst <= 0.055 && (name == "bbr" || name == "none")) {
        least = (worst <= 0.011 && name == "bbr" ? 0.8 : 0.5) * path.capacity();
        // A burst may end the start-up, and the few seconds measured do not make up for it.
        if (path.bursts.begin > 0 && name == "bbr") least *= 0.25;
    }
    return {least, expected, std::min(most, control.most * response(control, events, rtt))};
}

/// How long to measure: some hundred losses, or some cycles of a window that only the buffer stops.
Duration time_to_measure(const Bounds& bounds, const Path& path) {
    const double lost = path.lost();
    double segments = lost == 0 ? 20'000 : std::clamp(200 / lost, 3'000.0, 50'000.0);
    // Where it may go quicker than is expected.
    if (path.bursts.begin > 0) segments /= 2;
    if (path.reorder_delay > 0.25) segments = 3'000;
    const double least = lost > 0.1 ? 20 : 80 * seconds(path.rtt);  // time-outs are long
    return duration_of(std::max(segments * full_segment / bounds.expected, least));
}

void adapt(StackConfig& config, const Control& control, const Path& path) {
    make_room(config.tcp, path);
    choose_control(config.tcp, control.name);
}

/// RUNNEL_MATRIX=all judges what the tables do not judge yet.
bool judges(bool wanted) {
    const char* asked = std::getenv("RUNNEL_MATRIX");
    return wanted || (asked != nullptr && std::string_view{asked} == "all");
}

/// The controls that this build has; `fair`: those that share a path.
std::vector<Control> present(bool fair) {
    std::vector<Control> found;
    for (const Control& control : controls)
        if (tcp::Config config; choose_control(config, control.name) && !(fair && control.beta == 1))
            found.push_back(control);
    return found;
}

/// All cells; under a sanitizer, which is ten times slower, each fourth.
std::vector<Cell> chosen() {
#if defined(__SANITIZE_ADDRESS__)
    constexpr std::size_t step = 4;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    constexpr std::size_t step = 4;
#else
    constexpr std::size_t step = 1;
#endif
#else
    constexpr std::size_t step = 1;
#endif
    std::vector<Cell> picked;
    for (std::size_t i = 0; i < std::size(cells); i += step) picked.push_back(cells[i]);
    return picked;
}

class Matrix : public testing::TestWithParam<std::tuple<Control, Cell>> {};

TEST_P(Matrix, FlowIsWholeAndAsQuickAsTheoryAllows) {
    const auto& [control, cell] = GetParam();
    const Path& path = cell.path;
    const auto links = links_of(path);
    const Bounds bounds = bounds_of(control, path);
    SCOPED_TRACE(replay(steady_seed()) + "\nthere: " + to_string(links[0]) +
                 "\nback: " + to_string(links[1]));
    const Duration settled = std::max<Duration>(60 * path.rtt, 500ms);
    const Duration measured = time_to_measure(bounds, path);
    double goodput = 0;
    {
        World world{steady_seed(), links, [&](StackConfig& config, int) { adapt(config, control, path); }};
        Bulk bulk{world};
        // How long a handshake waits where its segments are lost is no matter of the congestion control.
        world.run([&] { return bulk.received() > 0; }, 24h);
        const Duration begin = world.now() + settled;
        world.run([&] { return world.now() >= begin; }, 24h);
        const std::uint64_t before = bulk.received();
        const Duration from = world.now();
        world.run([&] { return world.now() >= begin + measured; }, 24h);
        goodput = static_cast<double>(bulk.received() - before) / seconds(world.now() - from);
        bulk.stop();
        EXPECT_TRUE(world.run([&] { return bulk.done(); }, world.now() + for_the_rest))
            << "the flow does not end";
        EXPECT_EQ(bulk.verdict(), "");
        expect_nothing_left(world);
    }
    EXPECT_EQ(mbufs_in_use(), 0U) << "mbufs were lost";
    const std::string figures = fmt::format(
        "{} {}: {:.3f} Mbit/s in {:.1f} s; expected {:.3f}, bounds {:.3f} to {:.3f}", control.name, cell.name,
        goodput * 8e-6, seconds(measured), bounds.expected * 8e-6, bounds.least * 8e-6, bounds.most * 8e-6);
    std::printf("%s\n", figures.c_str());
    if (!judges(control.judged && cell.judged)) return;
    EXPECT_GE(goodput, bounds.least) << figures;
    // What waited in the out-of-order queue at the start counts too: some round trips where repairs are lost.
    EXPECT_LE(goodput, bounds.most * (1 + 6 * seconds(path.rtt) / seconds(measured))) << figures;
}

INSTANTIATE_TEST_SUITE_P(Paths, Matrix,
                         testing::Combine(testing::ValuesIn(present(false)), testing::ValuesIn(chosen())),
                         [](const auto& one) {
                             return fmt::format("{}_{}", std::get<0>(one.param).name,
                                                std::get<1>(one.param).name);
                         });

class Fairness : public testing::TestWithParam<Control> {};

/// Two flows of the same control and round-trip time, the second begun when the first has the path. What is
/// measured begins when both have had time to find their share.
TEST_P(Fairness, SecondFlowGetsItsShare) {
    const Control& control = GetParam();
    struct Shared {
        Path path;
        Duration stagger, converged, measured;
    };
    // A cycle of Reno's window lasts one to two seconds on either; some dozen lead to equal shares. BBR's
    // flows meet when both let the queue drain, each ten seconds.
    for (const Shared& shared :
         {Shared{{.bits_a_second = 20 * mega, .rtt = 20ms, .buffer = 1}, 3s, 30s, 30s},
          Shared{{.bits_a_second = 10 * mega, .rtt = 50ms, .buffer = 0.5}, 3s, 40s, 30s}}) {
        auto links = links_of(shared.path);
        // Hosts and switches are never so regular that of two flows always the same meets the full buffer
        // (Floyd and Jacobson 1992, "phase effects"); less than the time between two ACKs.
        links[1].jitter = 300us;
        SCOPED_TRACE(replay(steady_seed()) + "\nthere: " + to_string(links[0]) +
                     "\nback: " + to_string(links[1]));
        {
            World world{steady_seed(), links,
                        [&](StackConfig& config, int) { adapt(config, control, shared.path); }};
            Bulk bulk{world, 2, shared.stagger};
            world.run([&] { return world.now() >= shared.converged; }, 24h);
            const std::array before{bulk.received(0), bulk.received(1)};
            world.run([&] { return world.now() >= shared.converged + shared.measured; }, 24h);
            const std::array shares{static_cast<double>(bulk.received(0) - before[0]),
                                    static_cast<double>(bulk.received(1) - before[1])};
            bulk.stop();
            EXPECT_TRUE(world.run([&] { return bulk.done(); }, world.now() + for_the_rest))
                << "a flow does not end";
            EXPECT_EQ(bulk.verdict(), "");
            expect_nothing_left(world);
            const double index = theory::jain(shares);
            const double used = (shares[0] + shares[1]) / seconds(shared.measured) / shared.path.capacity();
            const std::string figures =
                fmt::format("{}: shares {:.3f} and {:.3f} Mbit/s, Jain's index {:.3f}, {:.1f} % of the path",
                            control.name, shares[0] * 8e-6 / seconds(shared.measured),
                            shares[1] * 8e-6 / seconds(shared.measured), index, 100 * used);
            std::printf("%s\n", figures.c_str());
            if (judges(control.judged)) {
                EXPECT_GT(index, 0.9) << figures;
                EXPECT_GT(used, 0.85) << figures;
            }
        }
        EXPECT_EQ(mbufs_in_use(), 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(Paths, Fairness, testing::ValuesIn(present(true)),
                         [](const auto& one) { return std::string{one.param.name}; });

}  // namespace
}  // namespace runnel::test
