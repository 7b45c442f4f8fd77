#pragma once

#include "failure.hpp"
#include "journal.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace evented::cli {

/// What the command line has asked for: set by the parser, run afterwards.
using action = std::function<exit_code(const globals&)>;

/// Adds a verb to `app`.
/// @param examples shown below the options, one a line
inline CLI::App* add_verb(CLI::App& app, const std::string& name,
                          const std::string& what,
                          const std::string& examples) {
  auto* result = app.add_subcommand(name, what);
  result->fallthrough();
  result->footer("Examples:\n" + examples);
  return result;
}

/// Accepts a number in digits, from `least` to `most`: CLI11 by itself takes -1
/// for a very large one, and more digits than fit for the largest.
CLI::Validator whole_number(std::int64_t least = 0,
                            std::int64_t most = INT64_MAX);

/// Lets `verb` run `f(how, options)`, where `options` is what the parser fills
/// in.
template <class Options, class F>
void on(CLI::App* verb, action& chosen, std::shared_ptr<Options> options, F f) {
  verb->callback([&chosen, options, f] {
    chosen = [options, f](const globals& how) { return f(how, *options); };
  });
}

/// Adds all verbs to `app`, and the options that each of them has.
void add_everything(CLI::App& app, globals& how, action& chosen);

// One file each, of the same name.

void add_archive(CLI::App& app, action& chosen);
void add_bench(CLI::App& app, action& chosen);
void add_completion(CLI::App& app, action& chosen);
void add_dead_letters(CLI::App& app, action& chosen);
void add_entity(CLI::App& app, action& chosen);
void add_events(CLI::App& app, action& chosen);
void add_export(CLI::App& app, action& chosen);
void add_import(CLI::App& app, action& chosen);
void add_migrate(CLI::App& app, action& chosen);
void add_nodes(CLI::App& app, action& chosen);
void add_projection(CLI::App& app, action& chosen);
void add_projection_wait(CLI::App& group, action& chosen);
void add_serve(CLI::App& app, action& chosen);
void add_status(CLI::App& app, action& chosen);
void add_trim(CLI::App& app, action& chosen);
void add_verify(CLI::App& app, action& chosen);

} // namespace evented::cli
