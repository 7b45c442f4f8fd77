#include "removal.hpp"

#include "event_pages.hpp"
#include "line_file.hpp"
#include "operation.hpp"
#include "progress.hpp"
#include "saved.hpp"
#include "tables.hpp"
#include "text.hpp"

#include <evented/sql_error.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::cli {

namespace {

using nlohmann::json;

struct tally {
  std::uint64_t entities = 0;
  std::uint64_t events = 0;
  std::uint64_t refused = 0;
};

const char* verb_of(const removal_options& how) {
  return how.kind == removal_kind::archive ? "archive" : "trim";
}

/// With all entities of a type, no more of them are named: they have the same
/// reasons.
constexpr std::uint64_t most_told = 20;

/// Counts an entity that stays, and says why.
void refuse(const removal_options& how, tally& sum, const std::string& id,
            const std::string& why) {
  ++sum.refused;
  if (how.all && sum.refused > most_told) {
    if (sum.refused == most_told + 1)
      std::fputs("evented: and more, which are only counted\n", stderr);
    return;
  }
  std::fprintf(stderr, "evented: %s/%s: %s\n", visible(how.type).c_str(),
               visible(id).c_str(), visible(why).c_str());
}

/// Copies what is to leave the journal: the events of each entity, its
/// snapshots, then a line that says that these are all.
void copy(journal& x, const removal_options& how, const candidate& whom,
          line_writer& to, tally& sum) {
  std::uint64_t events = 0;
  event_pages{x, {{how.type}, x.id(whom.id), {}, {}, {}}, 0, INT64_MAX}
    .for_each([&](const event_view& e) {
      if (e.version > whom.version)
        return;
      append_event(to.buffer(), e, x.options);
      to.buffer() += '\n';
      to.flush_some();
      ++events;
    });
  x.db.stream(
    x.sql("select jsonb_build_object('snapshot', to_jsonb(s))::text from "
          "{schema}.snapshot as s where s.type_name = $1 and s.entity_id = "
          "$2::{id_type} order by s.version"),
    {how.type, whom.id}, [&](const result& row) {
      to.buffer() += row.bytes(0, 0);
      to.buffer() += '\n';
    });
  to.buffer() += json{{"entity",
                       {{"type", how.type},
                        {"id", whom.id},
                        {"version", whom.version},
                        {"events", events}}}}
                   .dump()
                 + '\n';
  sum.events += events;
}

/// Finds out what there is to do, and writes the copy.
tally prepare(journal& x, const removal_options& how) {
  std::unique_ptr<line_writer> to;
  if (!how.file.empty() && !how.dry_run) {
    to = std::make_unique<line_writer>(how.file);
    to->buffer() += export_header(x, x.frontier());
  }
  tally result;
  progress bar{"entities", 0};
  for_each_candidate(x, how, [&](const candidate& whom) {
    if (interrupted()) {
      if (to != nullptr)
        to->discard();
      throw failure(exit_code::interrupted, "nothing was removed");
    }
    if (!whom.obstacle.empty()) {
      refuse(how, result, whom.id, whom.obstacle);
      return;
    }
    ++result.entities;
    if (to != nullptr)
      copy(x, how, whom, *to, result);
    else
      result.events += static_cast<std::uint64_t>(
        x.run("select count(*) from {schema}.event where type_name = $1 and "
              "entity_id = $2::{id_type} and version <= $3::bigint",
              {how.type, whom.id, whom.version})
          .number(0, 0));
    bar.add();
  });
  if (to != nullptr && result.entities > 0)
    to->finish();
  else if (to != nullptr)
    to->discard();
  return result;
}

/// Calls `f` for each entity that a copy holds.
void for_each_copied(const removal_options& how,
                     const std::function<void(const candidate&)>& f) {
  line_reader from{how.file};
  std::string_view line;
  while (from.next(line)) {
    auto x = read_copied(line);
    if (!x)
      continue;
    if (x->type != how.type)
      throw failure(exit_code::usage,
                    how.file + " holds entities of another type");
    f({x->id, static_cast<std::int64_t>(x->version), {}});
  }
}

/// Removes what was counted and copied.
tally carry_out(journal& x, const removal_options& how) {
  tally result;
  progress bar{"entities", 0};
  auto remove = [&](const candidate& whom) {
    if (!whom.obstacle.empty() || interrupted())
      return;
    try {
      result.events += remove_events(x, how, whom);
      ++result.entities;
    } catch (const failure& e) {
      if (e.code() != exit_code::refused)
        throw;
      refuse(how, result, whom.id, e.what());
    } catch (const sql_error& e) {
      if (e.sqlstate() != "EV007")
        throw;
      refuse(how, result, whom.id, e.what());
    }
    bar.add();
  };
  if (how.file.empty())
    for_each_candidate(x, how, remove);
  else
    for_each_copied(how, remove);
  return result;
}

json arguments_of(const removal_options& how) {
  return {{"type", how.type},      {"ids", how.ids},     {"all", how.all},
          {"before", how.before},  {"up_to", how.up_to}, {"file", how.file},
          {"ignored", how.ignored}};
}

json counts(const tally& x) {
  return {
    {"entities", x.entities}, {"events", x.events}, {"refused", x.refused}};
}

exit_code report(const globals& how, const removal_options& options,
                 const tally& x, std::uint64_t refused) {
  auto sum = x;
  sum.refused += refused;
  if (how.json)
    std::printf("%s\n", counts(sum).dump().c_str());
  else
    std::printf("%s%s events of %s entities, %s refused\n",
                options.dry_run ? "would remove " : "removed ",
                grouped(sum.events).c_str(), grouped(sum.entities).c_str(),
                grouped(sum.refused).c_str());
  return sum.refused == 0 ? exit_code::done : exit_code::refused;
}

} // namespace

exit_code run_removal(const globals& how, const removal_options& options) {
  check_type_name(options.type);
  if (options.all != options.ids.empty())
    throw failure(exit_code::usage, "say which: --id, or --all");
  auto x = open_journal(how);
  for (auto& name : options.ignored)
    if (x.run("select from {schema}.projection where name = $1", {name})
          .empty())
      throw failure(exit_code::not_found,
                    "there is no projection \"" + visible(name) + "\"");
  // Also where there is no entity to compare it with.
  if (!options.before.empty())
    x.run("select $1::timestamptz", {options.before});
  watch_interrupts();
  read_by_index(x.db);
  tally found;
  if (!options.resume)
    found = prepare(x, options);
  if (options.dry_run || (!options.resume && found.entities == 0))
    return report(how, options, found, 0);
  confirm(how,
          options.resume
            ? "Remove from the journal what " + visible(options.file) + " holds"
            : "Remove " + grouped(found.events) + " events of "
                + grouped(found.entities) + " entities from the journal");
  tally done;
  logged(x, verb_of(options), arguments_of(options), [&] {
    done = carry_out(x, options);
    if (interrupted())
      throw failure(exit_code::interrupted,
                    "after " + std::to_string(done.entities) + " entities");
    return counts(done).dump();
  });
  return report(how, options, done, found.refused);
}

} // namespace evented::cli
