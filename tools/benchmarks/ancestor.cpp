#include "ancestor.hpp"

#include "database.hpp"

#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>

namespace bench {

namespace {

// Entities have numbers of 12 digits, which are the end of a UUID, spread like
// random ones.
constexpr const char* tables = R"(
create schema SCHEMA;
create table SCHEMA.event (
  seq_no    bigserial primary key,
  entity_id uuid,
  version   bigint,
  type_name text,
  event     jsonb,
  metadata  jsonb,
  unique (entity_id, type_name, version)
);
create table SCHEMA.view (entity_id uuid primary key, value bigint not null);
insert into SCHEMA.event
  (entity_id, version, type_name, event, metadata)
select ('00000000-0000-4000-8000-'
        || (entity::bigint * 40353607 % 900000000000 + 100000000000))::uuid,
       version, 'tally', '{"inc": 1}', '{"unix_ms": 1700000000000}'
  from generate_series(1, 10) as version,
       generate_series(0, LAST) as entity;
)";

// The entities are divided among the clients, so that no two race for a version.
constexpr const char* pick
  = "\\set entity :client_id + :clients * random(0, 10000 / :clients - 1)\n";

constexpr const char* transaction = R"(
\set id :entity * 40353607 % 900000000000 + 100000000000
begin;
select coalesce(max(version), 0) + 1 as version from SCHEMA.event where type_name = 'tally' and entity_id = ('00000000-0000-4000-8000-' || :id)::uuid \gset
insert into SCHEMA.event (entity_id, version, type_name, event, metadata) values (('00000000-0000-4000-8000-' || :id)::uuid, :version, 'tally', '{"inc": 1}', '{"unix_ms": 1700000000000}');
)";

constexpr const char* upsert
  = "insert into SCHEMA.view values (('00000000-0000-4000-8000-' || "
    ":id)::uuid, 1) on conflict (entity_id) do update set value = view.value + "
    "1;\n";

std::string replace(std::string text, const std::string& what,
                    const std::string& with) {
  for (auto i = text.find(what); i != std::string::npos;
       i = text.find(what, i + with.size()))
    text.replace(i, what.size(), with);
  return text;
}

} // namespace

ancestor::~ancestor() {
  try {
    if (!url_.empty())
      connection{url_}.run("drop schema if exists " + schema_ + " cascade");
  } catch (const std::exception&) {
    // The next run does it.
  }
}

void ancestor::prepare(const std::string& url, sequence what) {
  url_ = url;
  connection db{url};
  db.run("drop schema if exists " + schema_ + " cascade");
  db.run(replace(replace(tables, "SCHEMA", schema_), "LAST",
                 what.one_entity ? "0" : "9999"));
  db.run("vacuum analyze " + schema_ + ".event");
  auto script = what.one_entity ? std::string{"\\set entity 0\n"} : pick;
  script += transaction;
  if (what.view)
    script += upsert;
  script_ = std::make_unique<pgbench>(url, replace(script, "SCHEMA", schema_)
                                             + "commit;\n");
  checkpoint(url);
}

void ancestor::calibrate(const environment& env) {
  // What has been the best wherever it was looked for.
  if (env.quick) {
    clients_ = env.smoke ? 1 : 32;
    return;
  }
  // Twice, since a busy moment must not decide.
  std::map<unsigned, double> found;
  for (auto pass = 0; pass < 2; ++pass)
    for (auto clients : {1u, 2u, 4u, 8u, 16u, 32u})
      found[clients] = std::max(
        found[clients], script_->run(clients, env.calibration).per_second);
  for (auto& [clients, x] : found) {
    std::printf("  pgbench, the ancestor's sequence, %2u clients: %8.0f/s\n",
                clients, x);
    if (x > found[clients_])
      clients_ = clients;
  }
}

double ancestor::run(const environment& env) const {
  checkpoint(url_);
  connection db{url_};
  auto count = "select count(*) from " + schema_ + ".event";
  auto before = db.number(count);
  auto x = script_->run(clients_, env.duration);
  if (db.number(count) - before != x.transactions)
    throw std::runtime_error("pgbench has not stored what it counts");
  return x.per_second;
}

} // namespace bench
