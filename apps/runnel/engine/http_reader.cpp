// See http_reader.hpp.
#include "engine/http_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace runnel::load {

HttpCounts& HttpCounts::operator+=(const HttpCounts& other) noexcept {
    for (std::size_t i = 0; i < statuses.size(); ++i) statuses[i] += other.statuses[i];
    for (std::size_t i = 0; i < errors.size(); ++i) errors[i] += other.errors[i];
    surplus += other.surplus;
    body_octets += other.body_octets;
    return *this;
}

std::uint64_t HttpCounts::failures() const noexcept {
    std::uint64_t sum = statuses[0];
    for (std::size_t status = 400; status < statuses.size(); ++status) sum += statuses[status];
    return sum;
}

std::vector<std::string> HttpCounts::errors_in_words() const {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < errors.size(); ++i)
        if (errors[i] > 0)
            words.push_back(
                fmt::format("{}: {}", http_errno_description(static_cast<http_errno>(i)), errors[i]));
    if (surplus > 0) words.push_back(fmt::format("octets that were not asked for: {}", surplus));
    return words;
}

// What one call of the parser finds.
struct HttpReader::Reading {
    HttpReader& reader;
    HttpCounts& counts;
};

const http_parser_settings& HttpReader::settings() noexcept {
    static const http_parser_settings callbacks = [] {
        http_parser_settings s;
        http_parser_settings_init(&s);
        s.on_headers_complete = [](http_parser* parser) {
            // Whatever the fields say, these have no body (RFC 9112 section 6.3).
            const unsigned status = parser->status_code;
            const bool none = status / 100 == 1 || status == 204 || status == 304;
            return none || static_cast<const Reading*>(parser->data)->reader.head_ ? 1 : 0;
        };
        s.on_body = [](http_parser* parser, const char*, std::size_t length) {
            static_cast<Reading*>(parser->data)->counts.body_octets += length;
            return 0;
        };
        s.on_message_complete = [](http_parser* parser) {
            auto& reading = *static_cast<Reading*>(parser->data);
            const unsigned status = parser->status_code;
            ++reading.counts.statuses[status < HttpCounts::most_status ? status : 0];
            if (status / 100 == 1) return 0;  // another follows (RFC 9110 section 15.2)
            reading.reader.complete_ = true;
            reading.reader.keeps_ = http_should_keep_alive(parser) != 0;
            http_parser_pause(parser, 1);
            return 0;
        };
        return s;
    }();
    return callbacks;
}

void HttpReader::begin(bool head) noexcept {
    http_parser_init(&parser_, HTTP_RESPONSE);
    head_ = head;
    complete_ = keeps_ = false;
}

HttpReader::Event HttpReader::outcome(std::size_t used, std::size_t given, const Reading&,
                                      HttpCounts& counts) noexcept {
    if (complete_) {
        if (used >= given) return Event::response;
        ++counts.surplus;
        return Event::bad;
    }
    const http_errno error = HTTP_PARSER_ERRNO(&parser_);
    if (error != HPE_OK || used < given) {
        ++counts.errors[std::min<std::size_t>(error, counts.errors.size() - 1)];
        return Event::bad;
    }
    return Event::need_more;
}

HttpReader::Event HttpReader::read(std::span<const char> octets, HttpCounts& counts) noexcept {
    if (octets.empty()) return Event::need_more;  // to the parser that would be the end
    if (complete_) {
        ++counts.surplus;
        return Event::bad;
    }
    Reading reading{*this, counts};
    parser_.data = &reading;
    const std::size_t used = http_parser_execute(&parser_, &settings(), octets.data(), octets.size());
    return outcome(used, octets.size(), reading, counts);
}

HttpReader::Event HttpReader::end(HttpCounts& counts) noexcept {
    if (complete_) return Event::response;
    Reading reading{*this, counts};
    parser_.data = &reading;
    http_parser_execute(&parser_, &settings(), nullptr, 0);
    return outcome(0, 0, reading, counts);
}

}  // namespace runnel::load
