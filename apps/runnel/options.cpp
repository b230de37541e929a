// See options.hpp.
#include "options.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include "runnel/tcp/congestion/names.hpp"

#include "engine/result.hpp"

namespace runnel::app {
namespace {

constexpr std::uint32_t default_trace = 100;

// An option whose text is read by `read`, which throws BadQuantity with the mend.
template <class Read>
CLI::Option* add_read(CLI::App& app, const std::string& name, const char* type, const std::string& shown,
                      const std::string& description, Read read) {
    CLI::Option* option = app.add_option_function<std::string>(
        name,
        [name, read](const std::string& text) {
            try {
                read(text);
            } catch (const BadQuantity& wrong) {
                throw CLI::ValidationError(name, wrong.what());
            }
        },
        description);
    option->type_name(type);
    if (!shown.empty()) option->default_str(shown);
    return option;
}

}  // namespace

CLI::Option* add_count(CLI::App& app, const std::string& name, std::uint32_t& target, std::uint32_t least,
                       std::uint32_t most, const std::string& description) {
    return add_read(app, name, "N", fmt::format("{}", target), description,
                    [&target, least, most](const std::string& text) {
                        const std::uint64_t value = parse_count(text);
                        if (value < least || value > most)
                            throw BadQuantity(fmt::format(
                                "\"{}\" is out of range; write a number from {} to {}", text, least, most));
                        target = static_cast<std::uint32_t>(value);
                    });
}

CLI::Option* add_duration(CLI::App& app, const std::string& name, Duration& target, Duration least,
                          const std::string& description) {
    return add_read(
        app, name, "TIME", human_duration(target), description, [&target, least](const std::string& text) {
            const Duration value = parse_duration(text);
            if (value < least)
                throw BadQuantity(
                    fmt::format("\"{}\" is too short; write at least {}", text, human_duration(least)));
            target = value;
        });
}

CLI::Option* add_address(CLI::App& app, const std::string& name, std::optional<InterfaceAddress>& target,
                         const std::string& description) {
    return add_read(app, name, "ADDRESS/LEN", "", description,
                    [&target](const std::string& text) { target = parse_interface_address(text); });
}

CLI::Option* add_host(CLI::App& app, const std::string& name, std::optional<IpAddress>& target,
                      const std::string& description) {
    return add_read(app, name, "ADDRESS", "", description,
                    [&target](const std::string& text) { target = parse_address(text); });
}

CLI::Option* add_percent(CLI::App& app, const std::string& name, double& target, double least, double most,
                         const std::string& description) {
    return add_read(
        app, name, "PERCENT", fmt::format("{:g}", target * 100), description,
        [&target, least, most](const std::string& text) {
            const double value = parse_percent(text);
            if (value < least || value > most)
                throw BadQuantity(fmt::format("\"{}\" is out of range; write a percentage from {:g} to {:g}",
                                              text, least, most));
            target = value / 100;
        });
}

CLI::Option* add_words(CLI::App& app, const std::string& name, const char* type,
                       const std::vector<std::string>& words, const std::string& shown,
                       const std::string& description, std::function<void(std::size_t)> chosen) {
    return add_read(app, name, type, shown, description, [words, chosen](const std::string& text) {
        const auto found = std::ranges::find(words, text);
        if (found == words.end()) {
            std::string list;
            for (std::size_t i = 0; i < words.size(); ++i)
                list += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
            throw BadQuantity(fmt::format("\"{}\" is no choice; write {}", text, list));
        }
        chosen(static_cast<std::size_t>(found - words.begin()));
    });
}

void add_traffic_options(CLI::App& app, load::Traffic& traffic) {
    const OptionGroup group(app, "Traffic");
    add_read(
        app, "--recipe", "RECIPE", std::string{to_string(traffic.recipe)},
        "What each connection does:\n"
        "hold   SYN, SYN-ACK, ACK; stays open until the end (needs --connections)\n"
        "rst    SYN, SYN-ACK, ACK, RST\n"
        "fin    SYN, SYN-ACK, ACK, FIN, FIN-ACK, ACK\n"
        "crr    SYN, SYN-ACK, ACK with request, response with FIN, FIN-ACK, ACK\n"
        "rr     request and response again and again, one under way on each of --connections that are kept; "
        "or so many --transactions on each of connections that come and go\n"
        "http   the same as HTTP/1.1 has it\n"
        "stream bulk data on --connections that are kept\n"
        "udp-rr requests and responses in datagrams, on --connections flows: --rate of them, or "
        "--concurrency "
        "under way\n"
        "udp-oneway datagrams by --direction, counted by their numbers: lost, copied, out of order\n"
        "none   no connection: --attack alone",
        [&traffic](const std::string& text) {
            const auto recipe = load::parse_recipe(text);
            if (!recipe)
                throw BadQuantity(
                    fmt::format("\"{}\" is no recipe; choose hold, rst, fin, crr, rr, http, stream, udp-rr, "
                                "udp-oneway or none",
                                text));
            traffic.recipe = *recipe;
        });
    add_read(
        app, "--rate", "RATE", "max",
        "Connections a second to open, whether or not earlier ones have ended: as 50k or 1.2M; over the "
        "measured "
        "time as ramp:1k-50k/10s, steps:10k,20k,30k/5s (5 s each), schedule:0s=1k,10s=50k,20s=5k or "
        "burst:100/10ms (so many at once, so often); or max: as fast as they end. Of rr and http without "
        "--transactions, and of udp-rr: transactions a second; of udp-oneway: datagrams a second, each way",
        [&traffic](const std::string& text) {
            traffic.rate.reset();
            traffic.profile.reset();
            if (text.find(':') == std::string::npos)
                traffic.rate = parse_rate(text);
            else
                traffic.profile = load::LoadProfile::parse(text);
        });
    add_choice<load::ArrivalProcess>(
        app, "--arrivals", "PROCESS",
        {{"even", load::ArrivalProcess::even}, {"poisson", load::ArrivalProcess::poisson}}, traffic.arrivals,
        "How connections lie about the rate: even, or poisson, as of many users who know nothing of one "
        "another");
    add_read(app, "--concurrency", "N", "",
             "Connections that stay open: rst and fin with a --rate end the oldest when there are more; at "
             "--rate max the next is opened when there are fewer. Requests of udp-rr under way at --rate max",
             [&traffic](const std::string& text) {
                 traffic.concurrency = parse_count(text);
                 if (*traffic.concurrency == 0)
                     throw BadQuantity("\"" + text + "\" is none; write at least 1");
             });
    add_read(app, "--connections", "N", "",
             "Connections in all; the run ends when they have ended. rr keeps 2000 if not told, stream 1. Of "
             "udp-rr (64 if not told) and udp-oneway (1) flows, each from an address and port of its own",
             [&traffic](const std::string& text) {
                 traffic.connections = parse_count(text);
                 if (*traffic.connections == 0)
                     throw BadQuantity("\"" + text + "\" is none; write at least 1");
             });
    add_duration(app, "--duration", traffic.duration, 10ms, "How long is measured");
    add_count(
        app, "--window", traffic.window, 0, 1U << 20,
        "Connections on their way at once for each client core, at most; 0: 512 at --rate max, else 8192");
    add_duration(app, "--ramp", traffic.ramp, 0s, "Time before the measured window, with the same traffic");
    add_duration(app, "--ramp-up", traffic.ramp_up, 0s,
                 "Time before --ramp in which the rate climbs evenly from 0");
    add_duration(app, "--ramp-down", traffic.ramp_down, 0s,
                 "Time after the measured window in which the rate falls evenly to 0");
    add_duration(app, "--drain", traffic.drain, 0s,
                 "How long connections in flight at the end may take to end");
    add_read(
        app, "--max-lag", "TIME", "100ms, of transactions 10s",
        "A connection, or transaction, that is later than this on the schedule of --rate is given up and "
        "counted as unsent",
        [&traffic](const std::string& text) {
            const Duration lag = parse_duration(text);
            if (lag < 1ms) throw BadQuantity(fmt::format("\"{}\" is too short; write at least 1ms", text));
            traffic.max_lag = lag;
        });
    add_count(app, "--time-wait-table", traffic.time_wait_table, 1024, 1U << 28,
              "Connections in TIME-WAIT kept for each core; beyond it the oldest is recycled, and counted");
}

void add_transfer_options(CLI::App& app, load::Traffic& traffic) {
    const OptionGroup group(app, "Traffic");
    add_count(app, "--transactions", traffic.transactions, 0, 1U << 30,
              "hold: once all connections are open each carries so many requests and responses, in an order "
              "drawn at "
              "random. rr, http: each connection carries so many, one after the other, and ends; others are "
              "opened at --rate, or so that --concurrency are open");
    add_read(app, "--direction", "WAY", std::string{to_string(traffic.direction)},
             "Which way the data of stream and udp-oneway goes: to-server, to-client or both",
             [&traffic](const std::string& text) {
                 const auto direction = load::parse_direction(text);
                 if (!direction)
                     throw BadQuantity(
                         fmt::format("\"{}\" is no direction; choose to-server, to-client or both", text));
                 traffic.direction = *direction;
             });
    app.add_flag(
        "--copy", traffic.copies,
        "stream copies each octet into the send buffer; without it TCP refers to one block of memory, "
        "and copies into the segments alone");
    add_read(app, "--buffer", "OCTETS", fmt::format("{}", traffic.tcp.send_buffer),
             "Send buffer of a connection, and as much to receive", [&traffic](const std::string& text) {
                 const std::uint64_t octets = parse_count(text);
                 if (octets < 16'384 || octets > 1U << 30)
                     throw BadQuantity(fmt::format(
                         "\"{}\" is out of range; write a number from 16384 to 1073741824", text));
                 traffic.tcp.send_buffer = traffic.tcp.receive_buffer = traffic.tcp.out_of_order_limit =
                     static_cast<std::uint32_t>(octets);
             });
}

void add_request_options(CLI::App& app, load::Traffic& traffic) {
    const OptionGroup group(app, "Requests");
    load::Transactions& sizes = traffic.sizes;
    add_read(app, "--think", "TIMES", "0s",
             "rr, http, udp-rr: time from a response to the next request on its connection: 10ms, "
             "uniform:1ms-5ms, "
             "exponential:MEAN, lognormal:MEDIAN,SIGMA, pareto:LEAST,SHAPE, or a list 1ms,5ms*2 with weights",
             [&sizes](const std::string& text) { sizes.think = load::parse_times(text); });
    add_read(app, "--request-octets", "SIZES", "",
             "Octets of a request of rr and udp-rr, or of the body of one of http: 64, or as --think: "
             "64,576*4,1500, "
             "uniform:64-1500. Where sizes of rr differ each request says them: the server is serve --listen "
             "PORT:sized",
             [&sizes](const std::string& text) { sizes.request = load::parse_sizes(text); });
    add_read(
        app, "--response-octets", "SIZES", "",
        "Octets that answer a request of rr and udp-rr; of http the path asks for them, /bytes/N, as serve "
        "understands it",
        [&sizes](const std::string& text) { sizes.response = load::parse_sizes(text); });
    add_each(
        app, "--request", "[METHOD ]PATH",
        "http: what is asked for, GET if no method is named. May be given several times: one after the other "
        "on each connection",
        [&traffic] { traffic.http.asks.clear(); },
        [&traffic](const std::string& text) { traffic.http.asks.push_back(load::parse_http_ask(text)); });
    add_each(
        app, "--header", "\"NAME: VALUE\"", "http: a header besides Host, Connection and Content-Length",
        [&traffic] { traffic.http.headers.clear(); },
        [&traffic](const std::string& text) {
            load::check_http_header(text);
            traffic.http.headers.push_back(text);
        });
    add_read(app, "--host", "NAME", "", "http: the Host header; without it the server's address",
             [&traffic](const std::string& text) {
                 load::check_http_header("Name: " + text);
                 traffic.http.host = text;
             });
    app.add_flag_callback(
        "--no-keep-alive", [&traffic] { traffic.http.keep_alive = false; },
        "http: each request asks for Connection: close");
}

CLI::Option* add_each(CLI::App& app, const std::string& name, const char* type,
                      const std::string& description, std::function<void()> clear,
                      std::function<void(const std::string&)> read) {
    return app
        .add_option_function<std::vector<std::string>>(
            name,
            [name, clear = std::move(clear), read = std::move(read)](const std::vector<std::string>& texts) {
                clear();
                for (const std::string& text : texts) {
                    try {
                        read(text);
                    } catch (const BadQuantity& wrong) {
                        throw CLI::ValidationError(name, wrong.what());
                    }
                }
            },
            description)
        ->type_name(type);
}

void add_datagram_options(CLI::App& app, load::Traffic& traffic) {
    const OptionGroup group(app, "Datagrams");
    add_read(app, "--datagram-octets", "SIZES", load::sizes_to_string(traffic.datagram_octets),
             "udp-oneway: octets of data of a datagram, 16 at least: 64, or as --request-octets. What is "
             "larger than "
             "the MTU goes in fragments",
             [&traffic](const std::string& text) { traffic.datagram_octets = load::parse_sizes(text); });
    add_duration(app, "--reply-timeout", traffic.reply_timeout, 1ms,
                 "udp-rr: after this a request counts as lost, and its response as late");
}

void add_attack_options(CLI::App& app, load::Traffic& traffic) {
    const OptionGroup group(app, "Attacks");
    struct Shared {
        std::vector<load::AddressRange> sources;
        std::uint32_t octets = 0;
    };
    const auto shared = std::make_shared<Shared>();
    const auto share = [shared, &traffic] {
        for (load::AttackTraffic& attack : traffic.attacks) {
            if (attack.kind != load::AttackKind::half_open) attack.sources = shared->sources;
            attack.payload = shared->octets;
        }
    };
    add_each(
        app, "--attack", "KIND:RATE",
        "Frames of attackers at the target in the measured window, besides the load, so many a second: "
        "syn-flood, half-open (SYNs of our own addresses whose SYN-ACKs are not answered), rst, fin, "
        "ack-flood, "
        "udp-flood. May be given several times; with --recipe none there is nothing else",
        [&traffic] { traffic.attacks.clear(); },
        [&traffic, share](const std::string& text) {
            traffic.attacks.push_back(load::parse_attack(text));
            share();
        });
    add_each(
        app, "--attack-sources", "ADDRESSES",
        "Where attackers seem to be, but for half-open: 10.0.0.0/16 or 10.0.0.5-10.0.0.9; without it "
        "198.18.0.0/16 or 2001:2:0:1::/64",
        [shared] { shared->sources.clear(); },
        [shared, share](const std::string& text) {
            shared->sources.push_back(load::parse_address_range(text));
            share();
        });
    add_read(
        app, "--attack-octets", "N", "0", "Octets of data in a frame of ack-flood and udp-flood",
        [shared, share](const std::string& text) {
            const std::uint64_t octets = parse_count(text);
            if (octets > 1400)
                throw BadQuantity(fmt::format("\"{}\" is out of range; write a number from 0 to 1400", text));
            shared->octets = static_cast<std::uint32_t>(octets);
            share();
        });
}

void add_behaviour_options(CLI::App& app, load::ServerBehaviour& behaviour) {
    const OptionGroup group(app, "Server");
    add_read(app, "--delay", "TIMES", "0s",
             "Time from a request to its response: 10ms, uniform:1ms-5ms, exponential:MEAN, "
             "lognormal:MEDIAN,SIGMA, pareto:LEAST,SHAPE, or a list 1ms,5ms*2 with weights",
             [&behaviour](const std::string& text) { behaviour.delay = load::parse_times(text); });
    add_read(app, "--stall", "TIME/TIME", "",
             "Answer nothing for a while, again and again: 200ms/5s, so long and so often",
             [&behaviour](const std::string& text) { behaviour.stall = load::parse_stall(text); });
}

void add_transaction_options(CLI::App& app, std::uint32_t& request, std::uint32_t& response) {
    const OptionGroup group(app, "Traffic");
    constexpr std::uint32_t most = 1U << 20;
    add_count(app, "--request-octets", request, 1, most, "Octets of a request of rr; of both sides the same");
    add_count(app, "--response-octets", response, 1, most,
              "Octets that answer a request of rr; of both sides the same. To udp a request says how many it "
              "wants: it "
              "gets as many as this, or three times its own, at most");
}

std::string_view to_string(tcp::SynCookieUse use) noexcept {
    switch (use) {
        case tcp::SynCookieUse::never:
            return "never";
        case tcp::SynCookieUse::when_full:
            return "when-full";
        case tcp::SynCookieUse::always:
            break;
    }
    return "always";
}

void add_tcp_options(CLI::App& app, tcp::Config& tcp) {
    const OptionGroup group(app, "TCP");
    const auto add_retries = [&app](const std::string& name, std::uint8_t& target,
                                    const std::string& description) {
        add_read(app, name, "N", fmt::format("{}", target), description, [&target](const std::string& text) {
            const std::uint64_t value = parse_count(text);
            if (value > 15)
                throw BadQuantity(fmt::format("\"{}\" is out of range; write a number from 0 to 15", text));
            target = static_cast<std::uint8_t>(value);
        });
    };
    add_duration(app, "--syn-timeout", tcp.syn_timeout, 1ms,
                 "First retransmission of a SYN; doubles each time");
    add_retries("--syn-retries", tcp.syn_retries,
                "Retransmissions of a SYN before the connection counts as timed out");
    add_duration(app, "--synack-timeout", tcp.synack_timeout, 1ms,
                 "First retransmission of a SYN-ACK; doubles each time (3s gives the classic 3, 6, 12 s)");
    add_retries("--synack-retries", tcp.synack_retries,
                "Retransmissions of a SYN-ACK before the half-open connection is dropped");
    add_read(app, "--syn-cookies", "WHEN", std::string{to_string(tcp.syn_cookies)},
             "When a SYN is answered with a cookie and not kept: never, when-full (the table of half-open "
             "connections has no room), always",
             [&tcp](const std::string& text) {
                 for (const auto use :
                      {tcp::SynCookieUse::never, tcp::SynCookieUse::when_full, tcp::SynCookieUse::always}) {
                     if (text != to_string(use)) continue;
                     tcp.syn_cookies = use;
                     return;
                 }
                 throw BadQuantity("\"" + text + "\" is no choice; write never, when-full or always");
             });
    add_read(
        app, "--msl", "TIME", human_duration(tcp.time_wait_duration / 2),
        "Maximum segment lifetime: TIME-WAIT lasts twice as long", [&tcp](const std::string& text) {
            const Duration msl = parse_duration(text);
            if (msl < 1ms || msl > 10min)
                throw BadQuantity(fmt::format("\"{}\" is out of range; write a time from 1ms to 10m", text));
            tcp.time_wait_duration = 2 * msl;
        });
    app.add_flag_callback(
        "--no-sack", [&tcp] { tcp.sack = false; },
        "Neither offer nor accept SACK (RFC 2018), and with it RACK-TLP");
    app.add_flag_callback(
        "--ecn", [&tcp] { tcp.ecn = tcp::Ecn::request; },
        "Ask for ECN too (RFC 3168); without it ECN is agreed to where the peer asks");
    add_read(app, "--congestion", "NAME", std::string{to_string(tcp.congestion)},
             "Congestion control: cubic (RFC 9438), newreno (RFC 5681), bbr (version 1), or none: a fixed "
             "window, for a path of your own",
             [&tcp](const std::string& text) {
                 const auto algorithm = tcp::parse_congestion_algorithm(text);
                 if (!algorithm)
                     throw BadQuantity(fmt::format(
                         "\"{}\" is no congestion control; choose cubic, newreno, bbr or none", text));
                 tcp.congestion = *algorithm;
             });
    add_count(app, "--fixed-window", tcp.fixed_window, 1460, 1U << 30,
              "Octets in flight at most where --congestion is none");
    app.add_flag_callback(
        "--no-timestamps", [&tcp] { tcp.timestamps = false; },
        "Neither offer nor accept TCP timestamps (RFC 7323)");
}

void add_json_option(CLI::App& app, Output& output, const std::string& schema) {
    const OptionGroup group(app, "Output");
    app.add_option(
           "--json", output.json,
           fmt::format("Write the result document (schema {}) to FILE; - is standard output, and then "
                       "nothing else goes there",
                       schema))
        ->type_name("FILE");
}

void add_goal_option(CLI::App& app, Output& output) {
    const OptionGroup group(app, "Goals");
    app.add_option_function<std::vector<std::string>>(
           "--goal",
           [&output](const std::vector<std::string>& texts) {
               output.goals.clear();
               for (const std::string& text : texts) {
                   try {
                       output.goals.push_back(results::parse_goal(text));
                   } catch (const BadQuantity& wrong) {
                       throw CLI::ValidationError("--goal", wrong.what());
                   }
               }
           },
           "What the result has to reach, or the exit status is 2: \"handshake_p99 < 1ms\", \"failures < 0.1 "
           "%\", "
           "\"cps >= 200k\". A metric is cps, tps, dps (datagrams a second), goodput, failures, unsent, "
           "loss, "
           "duplicates, reordered, retransmissions, drops, or handshake, "
           "ttfb, ttlb, close or transaction with _p50, _p90, _p99, _p999, _max. May be given several times")
        ->type_name("GOAL");
}

void write_document(const nlohmann::ordered_json& json, const Output& output) {
    if (output.json.empty()) return;
    const std::string document = load::document_text(json);
    if (output.json == "-") {
        std::fwrite(document.data(), 1, document.size(), stdout);
        std::fflush(stdout);
        return;
    }
    write_file("--json", output.json, document);
}

void write_file(std::string_view option, const std::string& name, std::string_view text) {
    std::FILE* file = std::fopen(name.c_str(), "w");
    const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const int error = errno;
    if ((file != nullptr && std::fclose(file) != 0) || !written)
        throw std::runtime_error(fmt::format("{} {}: the file cannot be written ({}); name one that can",
                                             option, name, std::strerror(error)));
}

void add_page_option(CLI::App& app, Output& output) {
    const OptionGroup group(app, "Output");
    app.add_option("--html", output.page,
                   "Write the result as a page to FILE, as runnel report does of a document")
        ->type_name("FILE");
}

void add_trace_option(CLI::App& app, Output& output) {
    const OptionGroup group(app, "Output");
    add_read(
        app, "--trace", "[N]", "",
        fmt::format(
            "Print the first N segments at the client's port, {} if N is not given, as tcpdump does; slow",
            default_trace),
        [&output](const std::string& text) {
            // Without a value CLI11 hands over the word of a flag.
            output.trace =
                text.empty() || text == "true"
                    ? default_trace
                    : static_cast<std::uint32_t>(std::min<std::uint64_t>(parse_count(text), UINT32_MAX));
        })
        ->expected(0, 1);
}

void add_huge_option(CLI::App& app, runtime::Choice& choice) {
    add_read(app, "--huge", "auto|yes|no", "auto", "Hugepages: where enough are free, always, or never",
             [&choice](const std::string& text) {
                 if (text == "auto") {
                     choice = runtime::Choice::automatic;
                 } else if (text == "yes") {
                     choice = runtime::Choice::yes;
                 } else if (text == "no") {
                     choice = runtime::Choice::no;
                 } else {
                     throw BadQuantity(fmt::format("\"{}\" is no choice; write auto, yes or no", text));
                 }
             });
}

}  // namespace runnel::app
