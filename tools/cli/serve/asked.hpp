#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <httplib.h>
#include <string>

namespace evented::cli {

// What a request to the dashboard asks for. Everything here comes from a browser,
// or from whoever says to be one. All of it throws failure(usage), unless it says
// otherwise.

// -- queries ------------------------------------------------------------------

/// One page of anything.
inline constexpr std::uint64_t most_rows = 200;

/// Returns a parameter, empty where there is none.
std::string text(const httplib::Request& from, const char* name);

/// Returns a parameter that PostgreSQL can take for a bigint, or `otherwise`.
std::uint64_t number(const httplib::Request& from, const char* name,
                     std::uint64_t otherwise);

/// Returns how many rows to show, 1 to `most_rows`.
std::uint64_t limit(const httplib::Request& from);

/// Returns the parameter "type", which is needed.
std::string type_name(const httplib::Request& from);

// -- bodies -------------------------------------------------------------------

/// Returns the object that a body holds.
nlohmann::json read_body(const std::string& body);

/// Returns the token that a body holds, empty where it holds none.
std::string token_of(const std::string& body);

/// Returns the member "projection".
std::string projection_name(const nlohmann::json& from);

/// Returns the member "seq_no", which PostgreSQL can take for a bigint.
std::uint64_t event_number(const nlohmann::json& from);

/// For what cannot be taken back: checks that the member "confirm" is the name of
/// the projection once more.
/// @throws failure(refused)
void check_confirmed(const nlohmann::json& from);

} // namespace evented::cli
