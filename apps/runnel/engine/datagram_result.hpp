// What a result says of datagrams.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/result.hpp"

namespace runnel::load {

/// Of `udp-rr` and `udp-oneway`: an account that does not close, a request without an answer, and where a
/// rate was asked for a datagram that was lost, is a failure; more than 0.1 % of what came due that was not
/// sent says who was the limit.
[[nodiscard]] Judgement judge_datagrams(const Result& result);

/// "datagrams" of the document.
[[nodiscard]] nlohmann::ordered_json datagrams_to_json(const Result& result);

/// For a person: `line(name, text)` for each.
void describe_datagrams(const Result& result,
                        const std::function<void(std::string_view, const std::string&)>& line);

}  // namespace runnel::load
