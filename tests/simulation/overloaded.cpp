#include "overloaded.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/http.hpp"

namespace runnel::test {

namespace {

// Residents and witnesses at once, at most.
constexpr std::uint32_t beside = 4096;

const std::string request = load::http_request(Overloaded::server_address);
const load::HttpResponse response{64, false};
const load::HttpResponse kept_response{64, true};

std::span<const std::byte> question() {
    return std::as_bytes(std::span{request});
}

load::CorePlan plan_of(const Scene& scene, double best) {
    load::Traffic traffic;
    traffic.recipe = load::Recipe::crr;
    if (scene.offered) traffic.rate = static_cast<std::uint64_t>(*scene.offered * best);
    traffic.window = scene.window;
    traffic.duration = scene.duration;
    traffic.ramp = 0s;
    traffic.drain = 60s;
    load::CorePlan plan = load::plan_core(traffic, 1, 0);
    for (tcp::Config* const tcp : {&plan.client_tcp, &plan.server_tcp}) {
        tcp->connections += beside;
        tcp->cold_blocks += beside;
        tcp->time_wait = std::max(tcp->time_wait, beside);
    }
    if (scene.half_open != 0) plan.server_tcp.half_open = scene.half_open;
    plan.client.slots = plan.client_tcp.connections;
    plan.client.first_local_address = Overloaded::client_address;
    plan.client.remote_address = Overloaded::server_address;
    plan.client.request = question();
    return plan;
}

StackConfig config_of(bool server, const tcp::Config& tcp) {
    StackConfig config;
    const Ipv4Address own = server ? Overloaded::server_address : Overloaded::client_address;
    const Ipv4Address other = server ? Overloaded::client_address : Overloaded::server_address;
    config.ip.interfaces.push_back(
        {.mac = server ? Overloaded::server_mac : Overloaded::client_mac, .address = own});
    config.ip.neighbours.push_back(
        {.address = other, .mac = server ? Overloaded::client_mac : Overloaded::server_mac});
    // All else lies behind a router.
    const Ipv4Address router{198, 18, 0, 254};
    config.ip.neighbours.push_back({.address = router, .mac = {{2, 0, 0, 0, 0, 9}}});
    config.ip.routes.push_back({.network = {}, .prefix_length = 0, .gateway = router});
    config.tcp = tcp;
    config.secret = std::array<std::uint64_t, 2>{server ? 1U : 2U, 3U};
    return config;
}

}  // namespace

// -- residents

bool Residents::poll(Instant now) noexcept {
    now_ = now;
    if (!begun_) {
        begun_ = true;
        for (unsigned i = 0; i < count; ++i)
            all_[i].connection = stack_
                                     .connect({.remote_address = Overloaded::server_address,
                                               .remote_port = port,
                                               .handler = this,
                                               .context = i})
                                     .connection;
        return true;
    }
    bool worked = false;
    for (One& one : all_) {
        if (one.waiting || one.next > now) continue;
        if (closing_) {
            one.next = never;
            (void)one.connection.close();
        } else if (one.connection.send_static(question()).accepted > 0) {
            one.waiting = true;
            one.asked = now;
        }
        worked = true;
    }
    return worked;
}

void Residents::established(tcp::Connection connection) noexcept {
    // Spread over the pause.
    all_[connection.context()].next = now_ + pause * static_cast<int>(connection.context()) / count;
}

tcp::Ownership Residents::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    One& one = all_[connection.context()];
    (void)connection.consume(payload.pkt_len);
    slowest = std::max(slowest, now_ - one.asked);
    answer_times.record(static_cast<std::uint64_t>((now_ - one.asked).count()));
    one.waiting = false;
    one.next = one.asked + std::max<Duration>(pause, now_ - one.asked);
    ++answers;
    return tcp::Ownership::returned;
}

void Residents::closed(tcp::Connection, tcp::CloseReason reason) noexcept {
    ++(closing_ && reason == tcp::CloseReason::orderly ? ended : lost);
}

// -- witnesses

bool Witnesses::poll(Instant now) noexcept {
    now_ = now;
    if (stopped_ || now < next_) return false;
    next_ = now + pause;
    const auto result = stack_.connect({.remote_address = Overloaded::server_address,
                                        .remote_port = 80,
                                        .handler = this,
                                        .context = all_.size()});
    if (result.error != tcp::Error::none) {
        ++refused;
        return true;
    }
    all_.push_back({.begin = now});
    return true;
}

void Witnesses::established(tcp::Connection connection) noexcept {
    (void)connection.send_static(request_);
}

// A request that was refused for want of memory.
void Witnesses::writable(tcp::Connection connection) noexcept {
    (void)connection.send_static(request_);
}

tcp::Ownership Witnesses::data(tcp::Connection connection, rte_mbuf& payload) noexcept {
    (void)connection.consume(payload.pkt_len);
    return tcp::Ownership::returned;
}

void Witnesses::closed(tcp::Connection connection, tcp::CloseReason reason) noexcept {
    all_[connection.context()].end = now_;
    ++(reason == tcp::CloseReason::orderly ? ended : failed);
}

Duration Witnesses::overtaken() const {
    Duration most{};
    Instant earliest_end = never;  // of those begun later than the one looked at
    for (std::size_t i = all_.size(); i-- > 0;) {
        if (all_[i].end > earliest_end) {
            const auto last = std::find_if(all_.rbegin(), all_.rend(),
                                           [&](const One& one) { return one.end < all_[i].end; });
            most = std::max(most, last->begin - all_[i].begin);
        }
        earliest_end = std::min(earliest_end, all_[i].end);
    }
    return most;
}

Duration Witnesses::oldest(Instant from, Instant until) const {
    Duration most{};
    for (const One& one : all_)
        if (one.begin >= from && one.begin < until) most = std::max(most, one.end - one.begin);
    return most;
}

// -- the run

Overloaded::Overloaded(const Scene& scene, double best)
    : plan(plan_of(scene, best)),
      pool(port::make_mbuf_pool({.mbufs = 48'000, .lcore_cache = 0})),
      wire(std::in_place, scene.wire),
      client_core(scene.client),
      server_core(scene.server),
      client_stack_(std::make_unique<Stack>(config_of(false, plan.client_tcp), pool.get())),
      server_stack_(std::make_unique<Stack>(config_of(true, plan.server_tcp), pool.get())) {
    client = std::make_unique<load::Client>(*client_stack_, plan.client);
    residents = std::make_unique<Residents>(*client_stack_);
    witnesses = std::make_unique<Witnesses>(*client_stack_, question());
    const auto request_octets = static_cast<std::uint32_t>(request.size());
    shop_ = std::make_unique<load::OneShotResponder>(response.all(), request_octets);
    desk_ = std::make_unique<load::RequestResponder>(kept_response.all(), request_octets,
                                                     plan.server_tcp.connections);
    server_stack_->listen({.port = 80, .handler = shop_.get()});
    server_stack_->listen({.port = Residents::port, .handler = desk_.get()});
    wire->a().set_peer(server_mac);
    wire->b().set_peer(client_mac);
    client_core.add(*client_stack_, wire->a());
    client_core.add(*residents);
    client_core.add(*witnesses);
    client_core.add(*client);
    client_core.before_turn([this](Instant now) { client->arrived(now); });
    server_core.add(*server_stack_, wire->b());
    cores.add(client_core);
    cores.add(server_core);
}

Overloaded::~Overloaded() {
    client_core.drop_held();
    server_core.drop_held();
    client_stack_.reset();
    server_stack_.reset();
    wire.reset();
    EXPECT_EQ(rte_mempool_in_use_count(pool.get()), 0U) << "mbufs were lost";
}

void Overloaded::run(unsigned seconds) {
    for (; seconds > 0; --seconds) {
        const std::uint64_t before = client->measurement().all.completed;
        cores.run_until(start + 1s * (static_cast<int>(completions.size()) + 1));
        completions.push_back(client->measurement().all.completed - before);
    }
}

void Overloaded::finish() {
    client->stop_early();
    witnesses->stop();
    const auto done = [&] {
        return client->phase() == load::Generator::Phase::finished &&
               witnesses->ended + witnesses->failed == witnesses->begun();
    };
    EXPECT_TRUE(cores.run_until(cores.now() + 90s, done)) << counters();
    residents->close();
    cores.run_until(cores.now() + 90s,
                    [&] { return residents->ended + residents->lost == Residents::count; });
    const load::Accounting& a = client->measurement().accounting;
    EXPECT_EQ(a.residual(), 0);
    EXPECT_EQ(a.failed(), 0U) << counters();
    EXPECT_EQ(a.in_flight, 0U) << "what was on its way has ended";
    EXPECT_EQ(client->open(), 0U);
    EXPECT_EQ(residents->lost, 0U) << "established before, and gone";
    EXPECT_EQ(residents->ended, Residents::count);
    EXPECT_EQ(witnesses->failed + witnesses->refused, 0U);
    cores.run_until(cores.now() + 100ms);  // the last ACK leaves
    // TIME-WAIT and the like; nobody hears what still goes out.
    for (Stack* const stack : {client_stack_.get(), server_stack_.get()}) {
        for (int i = 1; i <= 400; ++i) {
            stack->advance(cores.now() + i * 1s);
            std::array<rte_mbuf*, 64> out;
            while (const std::size_t n = stack->transmit(out))
                rte_pktmbuf_free_bulk(out.data(), static_cast<unsigned>(n));
        }
        EXPECT_EQ(stack->next_deadline(), never) << "something still happens long after the end";
    }
}

std::uint64_t Overloaded::retransmissions() const noexcept {
    std::uint64_t sum = 0;
    for (const Stack* const stack : {client_stack_.get(), server_stack_.get()})
        for (const Counter counter : {Counter::tcp_syn_retransmits, Counter::tcp_synack_retransmits,
                                      Counter::tcp_data_retransmits, Counter::tcp_fin_retransmits})
            sum += stack->counters().get(counter);
    return sum;
}

std::string Overloaded::counters() const {
    std::string text;
    for (const Stack* const stack : {client_stack_.get(), server_stack_.get()}) {
        text += stack == client_stack_.get() ? "client:" : "\nserver:";
        const Counters& c = stack->counters();
        for (std::size_t i = 0; i < static_cast<std::size_t>(Counter::count_); ++i)
            if (const auto n = c.get(static_cast<Counter>(i)); n != 0)
                text += fmt::format(" {} {}", counter_descriptions()[i].name, n);
        for (std::size_t i = 0; i < static_cast<std::size_t>(DropReason::count_); ++i)
            if (const auto n = c.get(static_cast<DropReason>(i)); n != 0)
                text += fmt::format(" drop:{} {}", drop_descriptions()[i].name, n);
    }
    return text;
}

double best_of(Scene scene) {
    scene.offered.reset();
    scene.window = 0;
    scene.duration = 10s;
    Overloaded closed{scene};
    closed.run(4);
    return static_cast<double>(closed.completions[1] + closed.completions[2] + closed.completions[3]) / 3;
}

}  // namespace runnel::test
