#include "segment.hpp"

#include <fmt/format.h>

namespace runnel::test {

namespace {

constexpr std::string_view flag_letters = "FSRP.UEW";

std::string letters(std::uint8_t bits) {
    std::string text;
    for (const char letter : std::string_view{"SFRPUEW."})
        if (bits >> flag_letters.find(letter) & 1) text += letter;
    return text.empty() ? "none" : text;
}

void append(std::vector<std::uint8_t>& octets, std::uint32_t value) {
    for (const int shift : {24, 16, 8, 0}) octets.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::uint32_t number(const std::uint8_t* octets) {
    return std::uint32_t{octets[0]} << 24 | std::uint32_t{octets[1]} << 16 | std::uint32_t{octets[2]} << 8 |
           octets[3];
}

std::string edges(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& blocks) {
    std::string text;
    for (const auto& [left, right] : blocks) text += fmt::format(" {}:{}", left, right);
    return text;
}

Segment with_flags(std::uint8_t bits) {
    Segment segment;
    segment.flag_bits = bits;
    return segment;
}

}  // namespace

Segment& Segment::urgent(std::uint16_t pointer) {
    urgent_pointer = pointer;
    flag_bits = static_cast<std::uint8_t>(flag_bits.value_or(0) | flag::urg);
    return *this;
}

Segment& Segment::mss(std::uint16_t n) {
    options.insert(options.end(),
                   {option::mss, 4, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)});
    return *this;
}

Segment& Segment::wscale(std::uint8_t shift) {
    options.insert(options.end(), {option::wscale, 3, shift});
    return *this;
}

Segment& Segment::sack_permitted() {
    options.insert(options.end(), {option::sack_permitted, 2});
    return *this;
}

Segment& Segment::ts(std::uint32_t value, std::uint32_t echo) {
    options.insert(options.end(), {option::timestamps, 10});
    append(options, value);
    append(options, echo);
    return *this;
}

Segment& Segment::raw_options(std::initializer_list<std::uint8_t> octets) {
    options.insert(options.end(), octets);
    return *this;
}

Segment& Segment::fast_open(const std::vector<std::uint8_t>& cookie) {
    options.insert(options.end(), {option::fast_open, static_cast<std::uint8_t>(2 + cookie.size())});
    options.insert(options.end(), cookie.begin(), cookie.end());
    return *this;
}

Segment& Segment::nop(unsigned count) {
    options.insert(options.end(), count, option::nop);
    return *this;
}

Segment& Segment::flags(std::string_view text_of_flags) {
    unsigned bits = 0;
    for (const char letter : text_of_flags) bits |= 1U << flag_letters.find(letter);
    flag_bits = static_cast<std::uint8_t>(bits);
    flag_mask = 0xff;
    return *this;
}

std::uint32_t Segment::sequence_length() const {
    return static_cast<std::uint32_t>(text ? text->size() : 0) + (has(flag::syn) ? 1U : 0U) +
           (has(flag::fin) ? 1U : 0U);
}

std::vector<std::vector<std::uint8_t>> Segment::all_options(std::uint8_t kind) const {
    std::vector<std::vector<std::uint8_t>> found;
    for (std::size_t i = 0; i < options.size();) {
        if (options[i] == option::end) break;
        if (options[i] == option::nop) {
            ++i;
            continue;
        }
        if (i + 1 >= options.size() || options[i + 1] < 2 || i + options[i + 1] > options.size()) break;
        const auto begin = options.begin() + static_cast<std::ptrdiff_t>(i);
        if (options[i] == kind) found.emplace_back(begin + 2, begin + options[i + 1]);
        i += options[i + 1];
    }
    return found;
}

std::optional<std::vector<std::uint8_t>> Segment::option(std::uint8_t kind) const {
    auto found = all_options(kind);
    if (found.empty()) return std::nullopt;
    return std::move(found.front());
}

// Of several the last counts, and one of a wrong length for none: no RFC says so, but Linux does.
std::optional<std::uint32_t> Segment::option_number(std::uint8_t kind) const {
    std::optional<std::uint32_t> number;
    for (const auto& octets : all_options(kind)) {
        if (octets.size() != (kind == option::mss ? 2U : 1U)) continue;
        number = 0;
        for (const std::uint8_t octet : octets) number = *number << 8 | octet;
    }
    return number;
}

std::optional<Segment::Timestamps> Segment::timestamps() const {
    const auto octets = option(option::timestamps);
    if (!octets || octets->size() != 8) return std::nullopt;
    return Timestamps{number(octets->data()), number(octets->data() + 4)};
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> Segment::sack_option() const {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> blocks;
    const auto octets = option(option::sack);
    for (std::size_t i = 0; octets && i + 8 <= octets->size(); i += 8)
        blocks.emplace_back(number(octets->data() + i), number(octets->data() + i + 4));
    return blocks;
}

void Segment::add_sack_option(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& blocks) {
    options.insert(options.end(), {option::nop, option::nop, option::sack,
                                   static_cast<std::uint8_t>(2 + 8 * blocks.size())});
    for (const auto& [left, right] : blocks) {
        append(options, left);
        append(options, right);
    }
}

Segment syn() {
    return with_flags(flag::syn);
}
Segment syn_ack() {
    return with_flags(flag::syn | flag::ack);
}
Segment ack() {
    return with_flags(flag::ack).payload("");
}
Segment data(std::string_view payload) {
    return with_flags(flag::ack).payload(payload);
}
Segment fin() {
    return with_flags(flag::fin | flag::ack);
}
Segment rst() {
    return with_flags(flag::rst);
}
Segment rst_ack() {
    return with_flags(flag::rst | flag::ack);
}

std::string stream(std::size_t offset, std::size_t length) {
    std::string octets(length, '\0');
    for (std::size_t i = 0; i < length; ++i) {
        // A cheap mix of the position: neighbours differ, and so do octets that are powers of two apart.
        const std::uint64_t mixed = (offset + i) * 0x9e3779b97f4a7c15ULL;
        octets[i] = static_cast<char>(mixed >> 40);
    }
    return octets;
}

std::string difference(const Segment& expected, const Segment& got) {
    std::string text;
    const auto differs = [&](const char* field, const auto& want, const auto& have) {
        text += fmt::format("  {}: expected {}, got {}\n", field, want, have);
    };
    if (expected.flag_bits) {
        const auto want = static_cast<std::uint8_t>(*expected.flag_bits & expected.flag_mask);
        if (want != (got.flag_bits.value_or(0) & expected.flag_mask))
            differs("flags", letters(want), letters(got.flag_bits.value_or(0)));
    }
    if (expected.sequence && expected.sequence != got.sequence)
        differs("seq", *expected.sequence, *got.sequence);
    if (expected.acknowledgement && expected.acknowledgement != got.acknowledgement)
        differs("ack", *expected.acknowledgement, *got.acknowledgement);
    if (expected.window && expected.window != got.window) differs("win", *expected.window, *got.window);
    if (expected.urgent_pointer && expected.urgent_pointer != got.urgent_pointer)
        differs("urg", *expected.urgent_pointer, *got.urgent_pointer);
    for (const std::uint8_t kind :
         {option::mss, option::wscale, option::sack_permitted, option::timestamps, option::fast_open}) {
        const auto want = expected.option(kind);
        const auto have = got.option(kind);
        if (want && want != have) text += fmt::format("  option {} differs\n", kind);
    }
    for (const std::uint8_t kind : expected.absent)
        if (got.option(kind)) text += fmt::format("  option {}: expected none\n", kind);
    if (expected.timestamp_echo) {
        const auto have = got.timestamps();
        if (!have)
            text += "  timestamps: expected, but there are none\n";
        else if (have->echo != *expected.timestamp_echo)
            differs("timestamp echo", *expected.timestamp_echo, have->echo);
    }
    if (expected.sack_blocks &&
        *expected.sack_blocks != got.sack_blocks.value_or(decltype(got.sack_option()){}))
        text += fmt::format("  sack: expected{}, got{}\n", edges(*expected.sack_blocks),
                            edges(got.sack_blocks.value_or(decltype(got.sack_option()){})));
    if (expected.time_to_live && expected.time_to_live != got.time_to_live)
        differs("ttl", *expected.time_to_live, got.time_to_live.value_or(0));
    if (expected.type_of_service && expected.type_of_service != got.type_of_service)
        differs("tos", *expected.type_of_service, got.type_of_service.value_or(0));
    if (expected.payload_length && *expected.payload_length != got.text->size())
        differs("length", *expected.payload_length, got.text->size());
    if (expected.text && expected.text != got.text) {
        if (expected.text->size() != got.text->size())
            differs("length", expected.text->size(), got.text->size());
        else
            text += "  payload differs\n";
    }
    return text;
}

std::string to_string(const Segment& segment) {
    std::string line = fmt::format("Flags [{}]", segment.flag_bits ? letters(*segment.flag_bits) : "?");
    if (segment.sequence) line += fmt::format(", seq {}", *segment.sequence);
    if (segment.acknowledgement) line += fmt::format(", ack {}", *segment.acknowledgement);
    if (segment.window) line += fmt::format(", win {}", *segment.window);
    if (segment.has(flag::urg)) line += fmt::format(", urg {}", segment.urgent_pointer.value_or(0));
    std::string options;
    if (const auto mss = segment.option_number(option::mss)) options += fmt::format("mss {},", *mss);
    if (const auto shift = segment.option_number(option::wscale))
        options += fmt::format("wscale {},", *shift);
    if (segment.option(option::sack_permitted)) options += "sackOK,";
    if (const auto blocks = segment.sack_blocks.value_or(segment.sack_option()); !blocks.empty())
        options += fmt::format("sack{},", edges(blocks));
    if (const auto stamps = segment.timestamps())
        options += fmt::format("TS val {} ecr {},", stamps->value, stamps->echo);
    if (segment.timestamp_echo) options += fmt::format("TS ecr {},", *segment.timestamp_echo);
    if (!options.empty()) {
        options.pop_back();
        line += fmt::format(", options [{}]", options);
    }
    if (segment.type_of_service.value_or(0) != 0)
        line += fmt::format(", tos {:#x}", *segment.type_of_service);
    if (segment.text || segment.payload_length)
        line += fmt::format(", length {}", segment.text ? segment.text->size() : *segment.payload_length);
    return line;
}

}  // namespace runnel::test
