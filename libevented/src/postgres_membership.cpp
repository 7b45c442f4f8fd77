#include "detail/arrays.hpp"
#include "detail/schema.hpp"
#include "postgres_store.hpp"

#include <evented/entity_id.hpp>

#include <algorithm>

namespace evented::detail {

namespace {

std::string interval(std::chrono::milliseconds time) {
  return std::to_string(time.count()) + " milliseconds";
}

node_state state_of(std::string_view text) {
  for (auto x : {node_state::joining, node_state::up})
    if (text == to_string(x))
      return x;
  return node_state::leaving;
}

/// Names are written into log lines as they are.
void check_name(std::string_view what, std::string_view name) {
  auto fine = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':'
           || c == '-';
  };
  if (name.empty() || name.size() > 200
      || !std::all_of(name.begin(), name.end(), fine))
    throw error(errc::invalid_options,
                "the name of a " + std::string{what}
                  + " has 1 to 200 characters of A-Z, a-z, 0-9, '_', '.', ':' "
                    "and '-'");
}

void check(const node_description& x) {
  check_name("cluster", x.cluster);
  check_name("node", x.name);
  if (x.shards == 0 || x.shards > slice_count
      || (x.shards & (x.shards - 1)) != 0)
    throw error(errc::invalid_options,
                "the number of shards is a power of two, 1 to 1024");
  if (x.lease.count() <= 0)
    throw error(errc::invalid_options, "a lease is longer than nothing");
}

class postgres_membership : public membership_session {
public:
  postgres_membership(const journal_options& options, const pq::settings& how,
                      std::shared_ptr<watchdog> dog)
    : dog_(std::move(dog)), db_(how, *dog_) {
    auto name = [&](const char* key, const std::string& sql) {
      db_.prepare(key, fill_in(sql, options));
    };
    name("evented_join", "select {schema}.join_cluster($1, $2::integer, $3, "
                         "$4::uuid, $5, $6::integer, $7, $8, $9::interval)");
    // Signs of life are not worth an fsync: what a crash of the server takes back,
    // nobody is there to miss. Shards that change hands are. Set in the same
    // statement, so that it holds behind a pooler, too.
    name("evented_sync",
         "select s.* from (select set_config('synchronous_commit', case when "
         "cardinality($5::smallint[]) + cardinality($7::smallint[]) > 0 then "
         "'on' else 'off' end, true)) as c, {schema}.sync_node($1, $2::uuid, "
         "$3, $4::interval, $5::smallint[], $6::uuid[], $7::smallint[], "
         "$8::bigint) as s");
    name("evented_leave", "select {schema}.leave_cluster($1, $2::uuid)");
  }

  void join(const node_description& self) override {
    check(self);
    auto obstacle = db_.call(
      "evented_join", self.cluster, std::to_string(self.shards), self.name,
      to_string(self.incarnation), self.address, std::to_string(self.port),
      self.protocol, self.program, interval(self.lease));
    if (!obstacle[0][0].is_null())
      throw error(errc::incompatible, std::string{pq::text(obstacle[0][0])});
  }

  bool sync(const node_description& self, const membership_change& change,
            cluster_picture& known) override {
    array_builder give{int2_oid};
    array_builder heirs{uuid_oid};
    for (auto& [shard, heir] : change.give) {
      give.add_int16(static_cast<std::int16_t>(shard));
      if (heir == uuid{})
        heirs.add_null();
      else
        heirs.add_uuid(heir);
    }
    array_builder take{int2_oid};
    for (auto shard : change.take)
      take.add_int16(static_cast<std::int16_t>(shard));
    auto found = db_.call(
      "evented_sync", self.cluster, to_string(self.incarnation),
      std::string{to_string(change.state)}, interval(self.lease),
      pq::binary{std::move(give).finish()},
      pq::binary{std::move(heirs).finish()},
      pq::binary{std::move(take).finish()}, std::to_string(known.revision));
    if (found.empty())
      return false;
    known.revision = pq::number(found[0][0]);
    known.members.clear();
    auto shards_told = false;
    for (const auto& row : found) {
      if (row[7].is_null()) {
        known.members.push_back(member(row));
        continue;
      }
      if (!shards_told)
        known.leases.assign(self.shards, {});
      shards_told = true;
      auto shard = static_cast<std::size_t>(pq::number(row[7]));
      if (shard < known.leases.size())
        known.leases[shard] = {id(row[2]), pq::number(row[8])};
    }
    return true;
  }

  void leave(const node_description& self) override {
    db_.call("evented_leave", self.cluster, to_string(self.incarnation));
  }

private:
  static uuid id(const pqxx::field& x) {
    return x.is_null() ? uuid{} : uuid::parse(pq::text(x)).value_or(uuid{});
  }

  static cluster_member member(const pqxx::row& row) {
    cluster_member result;
    result.name = pq::text(row[1]);
    result.incarnation = id(row[2]);
    result.address = pq::text(row[3]);
    result.port = static_cast<std::uint16_t>(pq::number(row[4]));
    result.program = pq::text(row[5]);
    result.state = state_of(pq::text(row[6]));
    return result;
  }

  std::shared_ptr<watchdog> dog_;
  pq::connection db_;
};

} // namespace

std::unique_ptr<membership_session>
make_membership_session(const journal_options& options, const pq::settings& how,
                        std::shared_ptr<watchdog> dog) {
  return std::make_unique<postgres_membership>(options, how, std::move(dog));
}

} // namespace evented::detail
