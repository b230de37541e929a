// What a run prints: a line a second, segments as tcpdump shows them, the result in text and as a document.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "runnel/port/trace.hpp"
#include "runnel/tcp/config.hpp"

#include "engine/measurement.hpp"
#include "engine/result.hpp"
#include "options.hpp"

namespace runnel::app {

using load::ExitStatus;

/// An observer that prints the first `limit` frames to `out`, each with the seconds since the start. Any
/// thread.
[[nodiscard]] port::TracedWire::Observer make_trace(std::FILE* out, std::uint32_t limit);

/// Prints a line for each interval, with the rate that the recipe is about.
[[nodiscard]] load::Progress make_progress(std::FILE* out, load::Recipe recipe);

/// The load in words: "rate 50 k/s", "2000 connections kept".
[[nodiscard]] std::string what_is_asked(const load::Traffic& traffic, unsigned cores);

/// "2026-01-31T12:00:00Z".
[[nodiscard]] std::string utc_now();

/// Settings as they go into the document.
void describe_traffic(const load::Traffic& traffic, const load::CorePlan& plan,
                      nlohmann::ordered_json& config);
void describe_attacks(const load::Traffic& traffic, nlohmann::ordered_json& config);
void describe_behaviour(const load::ServerBehaviour& behaviour, nlohmann::ordered_json& config);
void describe_tcp(const tcp::Config& tcp, nlohmann::ordered_json& config);

/// Prints the summary, says which goals are met, and writes the document where one is asked for. Returns what
/// the process ends with. Throws `std::runtime_error` where the file cannot be written.
[[nodiscard]] ExitStatus report(const load::Result& result, const Output& output);

}  // namespace runnel::app
