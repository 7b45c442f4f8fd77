#pragma once

#include "cli/program.hpp"
#include "support/journals.hpp"

#include <evented/projection_store.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::test {

using nlohmann::json;

/// What the program has left behind.
struct outcome {
  int code = 0;
  std::string out;
  std::string err;

  /// Returns what it has printed, as JSON.
  [[nodiscard]] json parsed() const { return json::parse(out); }

  /// Returns each of the lines that it has printed, as JSON.
  [[nodiscard]] std::vector<json> lines() const {
    std::vector<json> result;
    for (std::size_t at = 0; at < out.size();) {
      auto end = out.find('\n', at);
      result.push_back(json::parse(out.substr(at, end - at)));
      at = end == std::string::npos ? out.size() : end + 1;
    }
    return result;
  }
};

/// Somebody at a terminal, with a journal of text IDs.
class cli : public testing::Test {
protected:
  cli() { options.ids = id_kind::text; }

  /// Returns the arguments with those that say where the journal is.
  std::vector<std::string> here(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--database", server().url(),
                                         "--schema", options.schema});
    return arguments;
  }

  /// Runs the program until its end.
  static outcome run_plain(const std::vector<std::string>& arguments,
                           const std::map<std::string, std::string>& env = {}) {
    program x{arguments, env};
    auto code = x.finish();
    return {code, x.out(), x.err()};
  }

  /// Runs a verb on the journal.
  outcome run(std::vector<std::string> arguments) const {
    return run_plain(here(std::move(arguments)));
  }

  /// The same with --json.
  outcome run_json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return run(std::move(arguments));
  }

  /// Makes the journal.
  std::shared_ptr<store> open() {
    if (store_ == nullptr)
      store_ = open_store(options);
    return store_;
  }

  /// Goes over to another journal.
  void move_to(const std::string& schema) {
    options.schema = schema;
    store_.reset();
  }

  /// Stores `count` events of one entity, with the payloads {"n": 1}, ..
  void append(const std::string& type, const entity_id& id, unsigned count = 1,
              std::uint64_t after = 0, std::vector<std::string> tags = {}) {
    auto step = try_append(*open(), type, id, count, after, std::move(tags));
    ASSERT_EQ(step.status, append_status::stored) << step.message;
  }

  /// Tries to, and returns what came of it.
  static append_step try_append(store& where, const std::string& type,
                                const entity_id& id, unsigned count,
                                std::uint64_t after,
                                std::vector<std::string> tags = {}) {
    append_request request{type, id, {}, nullptr};
    append_step step;
    step.append_id = uuid::v4();
    step.after = after;
    for (unsigned i = 1; i <= count; ++i) {
      new_event event;
      event.name = "happened";
      event.payload = R"({"n": )" + std::to_string(after + i) + "}";
      event.metadata = R"({"by": "a test"})";
      event.tags = tags;
      step.events.push_back(event);
    }
    request.steps.push_back(step);
    append_all(*where.connect(), {&request});
    return request.steps[0];
  }

  /// Makes an entity with the versions 1 to `count`, faster than it could be
  /// stored.
  void append_many(const std::string& id, unsigned count) {
    append("account", id, 1);
    sql("insert into SCHEMA.event (type_name, entity_id, version, slice, "
        "event_name, schema_version, append_id, event) select 'account', '"
        + id + "', i, " + std::to_string(slice_of(id))
        + ", 'happened', 1, gen_random_uuid(), jsonb_build_object('n', i) from "
          "generate_series(2, "
        + std::to_string(count) + ") as i");
  }

  /// Runs a statement in which SCHEMA stands for the journal's schema.
  std::string sql(std::string text) {
    for (auto at = text.find("SCHEMA"); at != std::string::npos;
         at = text.find("SCHEMA"))
      text.replace(at, 6, options.schema);
    return db.exec(text);
  }

  journal_options options = fresh_journal();
  raw_connection db;

private:
  std::shared_ptr<store> store_;
};

} // namespace evented::test
