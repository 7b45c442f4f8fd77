#include "detail/arrays.hpp"
#include "detail/event_query.hpp"
#include "detail/event_reader.hpp"
#include "detail/event_rows.hpp"
#include "detail/listener_transaction.hpp"
#include "detail/schema.hpp"
#include "postgres_store.hpp"

#include <evented/utf8.hpp>

#include <algorithm>
#include <limits>

namespace evented {

std::string_view to_string(letter_kind kind) noexcept {
  switch (kind) {
  case letter_kind::parked:
    return "parked";
  case letter_kind::behind:
    return "behind";
  case letter_kind::skipped:
    return "skipped";
  }
  return "unknown";
}

namespace detail {

namespace {

constexpr auto no_limit = std::chrono::hours{24};

letter_kind kind_of(std::string_view text) {
  for (auto x : {letter_kind::parked, letter_kind::behind})
    if (text == to_string(x))
      return x;
  return letter_kind::skipped;
}

std::int32_t integer(const pqxx::field& x) {
  return static_cast<std::int32_t>(pq::number(x));
}

std::uint16_t slice(const pqxx::field& x) {
  return static_cast<std::uint16_t>(pq::number(x));
}

std::chrono::microseconds seconds(const pqxx::field& x) {
  auto found = std::strtod(x.c_str(), nullptr);
  return std::chrono::microseconds{
    static_cast<std::int64_t>(std::max(0.0, found) * 1e6)};
}

std::optional<long long> micros(const std::optional<timestamp>& at) {
  if (!at)
    return std::nullopt;
  return at->time_since_epoch().count();
}

/// Names are written into statements and log lines as they are.
void check_name(std::string_view name) {
  auto fine = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':'
           || c == '-';
  };
  if (name.empty() || name.size() > 200
      || !std::all_of(name.begin(), name.end(), fine))
    throw error(errc::invalid_options,
                "the name of a projection has 1 to 200 characters of A-Z, a-z, "
                "0-9, '_', '.', ':' and '-'");
}

class postgres_projections : public projection_session {
public:
  postgres_projections(const journal_options& options, const pq::settings& how,
                       std::shared_ptr<watchdog> dog)
    : options_(options), how_(how), dog_(std::move(dog)), db_(how, *dog_) {
    auto name = [this](const char* key, const std::string& sql) {
      db_.prepare(key, fill_in(sql, options_));
    };
    name("evented_letters",
         "insert into {schema}.dead_letter (name, version, seq_no, type_name, "
         "entity_id, slice, kind, error) select $1::text, $2::integer, seq_no, "
         "type_name, entity_id, slice, kind, error from unnest($3::bigint[], "
         "$4::text[], $5::{id_type}[], $6::smallint[], $7::text[], "
         "$8::text[]) as r (seq_no, type_name, entity_id, slice, kind, error)");
    name("evented_behind",
         "select r.place from unnest($3::text[], $4::{id_type}[]) with "
         "ordinality as r (type_name, entity_id, place) where exists (select "
         "from {schema}.dead_letter as d where d.name = $1::text and "
         "d.version = $2::integer and d.type_name = r.type_name and "
         "d.entity_id = r.entity_id and d.kind <> 'skipped')");
  }

  // -- life -------------------------------------------------------------------

  void declare(std::string_view name, std::int32_t revision,
               std::uint16_t ranges, const start_position& start) override {
    check_name(name);
    if (ranges == 0 || ranges > slice_count || revision < 1)
      throw error(errc::invalid_options,
                  "a projection has 1 to 1024 ranges, and its revision is at "
                  "least 1");
    // Most find it there.
    if (!run("select from {schema}.projection where name = $1", {name}).empty())
      return;
    in_transaction([&] {
      auto begin = resolve(start);
      auto made = run("insert into {schema}.projection (name, begins_at, "
                      "since) values ($1, $2::bigint, 'epoch'::timestamptz + "
                      "$3::bigint * interval '1 microsecond') on conflict "
                      "(name) do nothing",
                      {name, begin.after, micros(begin.since)});
      if (made.affected_rows() == 1)
        run("select {schema}.make_ranges($1, 1, $2::integer, $3::integer, "
            "$4::bigint, 0)",
            {name, revision, unsigned{ranges}, begin.after});
    });
  }

  event_position resolve(const start_position& start) override {
    event_position result;
    if (std::holds_alternative<from_now>(start)) {
      result.after = pq::number(run("select {schema}.frontier()")[0][0]);
    } else if (auto* time = std::get_if<from_time>(&start)) {
      result.since = time->at;
    } else if (auto* number = std::get_if<from_seq_no>(&start)) {
      auto last = run("select {schema}.last_number()");
      if (number->after > pq::number(last[0][0]))
        throw error(errc::invalid_options,
                    "a projection cannot begin after "
                      + std::to_string(number->after)
                      + ": the journal has not come that far");
      result.after = number->after;
    }
    return result;
  }

  projection_status status(std::string_view name) override {
    auto found = run(
      "select p.version, p.building, p.paused, p.rescale_to, r.version, "
      "r.slice_from, r.slice_to, r.revision, r.seq_no, r.epoch, r.barrier, "
      "o.id, o.host, r.error, r.failed_seq_no, r.halted, "
      "(date_part('epoch', p.since) * 1e6)::bigint, "
      "r.mark, exists (select from {schema}.projection_request as q where "
      "q.name = p.name and q.taken_at is null and q.expires_at > "
      "clock_timestamp()) from {schema}.projection as p "
      "join {schema}.projection_range as r on r.name = p.name "
      "left join {schema}.runner as o on o.id = r.owner "
      "and o.alive_until > clock_timestamp() "
      "where p.name = $1 order by r.version, r.slice_from",
      {name});
    if (found.empty())
      throw error(errc::unknown_projection, "there is no projection \""
                                              + std::string{name}
                                              + "\" in this journal");
    projection_status result;
    result.name = name;
    result.version = integer(found[0][0]);
    if (!found[0][1].is_null())
      result.building = integer(found[0][1]);
    result.paused = pq::text(found[0][2]) == "t";
    if (!found[0][3].is_null())
      result.rescale_to = slice(found[0][3]);
    if (!found[0][16].is_null())
      result.since = microseconds(pq::text(found[0][16]));
    result.requested = pq::text(found[0][18]) == "t";
    for (const auto& row : found) {
      range_status x;
      x.key = {std::string{name}, integer(row[4]), slice(row[5])};
      x.slices = {slice(row[5]), slice(row[6])};
      x.revision = integer(row[7]);
      x.seq_no = pq::number(row[8]);
      x.epoch = pq::number(row[9]);
      x.mark = pq::number(row[17]);
      if (!row[10].is_null())
        x.barrier = pq::number(row[10]);
      if (!row[11].is_null())
        x.owner = uuid::parse(pq::text(row[11]));
      x.host = pq::text(row[12]);
      x.error = pq::text(row[13]);
      x.failed_seq_no = row[14].is_null() ? 0 : pq::number(row[14]);
      x.halted = pq::text(row[15]) == "t";
      result.ranges.push_back(std::move(x));
    }
    return result;
  }

  std::optional<range_lease> acquire(const range_key& key,
                                     std::int32_t revision,
                                     const uuid& owner) override {
    auto found = run(
      "select slice_to, epoch, seq_no, mark, barrier, parked "
      "from {schema}.acquire_range($1, $2::integer, "
      "$3::integer, $4::integer, $5::uuid)",
      {key.projection, key.version, unsigned{key.first}, revision, owner});
    if (found.empty())
      return std::nullopt;
    range_lease result;
    result.key = key;
    result.slices = {key.first, slice(found[0][0])};
    result.epoch = pq::number(found[0][1]);
    result.seq_no = pq::number(found[0][2]);
    result.mark = pq::number(found[0][3]);
    if (!found[0][4].is_null())
      result.barrier = pq::number(found[0][4]);
    result.parked = pq::text(found[0][5]) == "t";
    return result;
  }

  std::optional<projection_request>
  take_request(std::string_view name) override {
    auto found = run("select id, what, after, (date_part('epoch', since) * "
                     "1e6)::bigint, from_now, type_name, entity_id from "
                     "{schema}.take_request($1)",
                     {name});
    if (found.empty())
      return std::nullopt;
    const auto& row = found[0];
    projection_request result;
    result.id = pq::number(row[0]);
    auto what = pq::text(row[1]);
    result.kind = what == "reset"     ? request_kind::reset
                  : what == "rebuild" ? request_kind::rebuild
                                      : request_kind::replay;
    if (!row[2].is_null())
      result.start = from_seq_no{pq::number(row[2])};
    else if (!row[3].is_null())
      result.start = from_time{microseconds(pq::text(row[3]))};
    else if (pq::text(row[4]) == "t")
      result.start = from_now{};
    if (!row[6].is_null()) {
      result.type_name = pq::text(row[5]);
      result.entity = read_id(options_.ids, pq::text(row[6]));
    }
    return result;
  }

  void end_request(std::uint64_t id, std::string_view what,
                   std::uint64_t count) override {
    run("select {schema}.end_request($1::bigint, nullif($2, ''), $3::bigint)",
        {id, make_text(what, 2000), count});
  }

  void release(const range_lease& lease) override {
    run("update {schema}.projection_range set owner = null where name = $1 and "
        "version = $2::integer and slice_from = $3::integer and epoch = "
        "$4::bigint",
        {lease.key.projection, lease.key.version, unsigned{lease.key.first},
         lease.epoch});
  }

  void forget(const uuid& owner) override {
    run("with gone as (delete from {schema}.runner where id = $1::uuid) update "
        "{schema}.projection_range set owner = null where owner = $1::uuid",
        {owner});
  }

  // -- running ----------------------------------------------------------------

  void commit(range_lease& lease, projection_step& step) override {
    if (step.work == nullptr && step.letters.empty()
        && options_.pooler != pooler::transaction) {
      // Not `run`, which would keep a prepared statement for each number.
      refuse_where_fenced([&] { db_.exec(advance(lease, step.up_to)); });
    } else {
      in_transaction(
        [&] {
          if (step.work != nullptr)
            let_work(step.work);
          store(lease, step.letters);
        },
        // With the COMMIT, so that nobody has to wait in between.
        [&] { return advance(lease, step.up_to) + "; commit"; });
    }
    lease.seq_no = step.up_to;
    for (auto& x : step.letters)
      lease.parked = lease.parked || x.kind != letter_kind::skipped;
  }

  std::vector<bool> behind(const range_lease& lease,
                           std::span<const journal_entry> entries) override {
    std::vector<bool> result(entries.size());
    if (!lease.parked || entries.empty())
      return result;
    array_builder types{text_oid};
    array_builder ids{oid_of(options_.ids)};
    for (auto& x : entries) {
      types.add(x.type_name);
      ids.add_id(x.id);
    }
    auto found = db_.call(
      "evented_behind", std::string_view{lease.key.projection},
      std::uint64_t(lease.key.version), pq::binary{std::move(types).finish()},
      pq::binary{std::move(ids).finish()});
    for (const auto& row : found)
      result.at(pq::number(row[0]) - 1) = true;
    return result;
  }

  void report(const range_lease& lease, std::string_view what,
              std::uint64_t failed_seq_no, bool halted) override {
    auto done = run(
      "update {schema}.projection_range set error = $5, "
      "failed_seq_no = nullif($6::bigint, 0), halted = $7::boolean where name "
      "= $1 and version = $2::integer and slice_from = $3::integer and epoch = "
      "$4::bigint",
      {lease.key.projection, lease.key.version, unsigned{lease.key.first},
       lease.epoch, make_text(what, 2000), failed_seq_no, halted});
    if (done.affected_rows() == 0)
      throw fenced("this range of the projection has been taken over");
  }

  // -- watching ---------------------------------------------------------------

  read_result read(const event_filter& filter, std::uint64_t after,
                   std::uint64_t up_to, std::size_t limit) override {
    return reader_.read(filter, after, up_to, limit);
  }

  projection_lag lag(const event_filter& filter, std::uint64_t after) override {
    // Where few events pass the filter, one page finds few of those that wait.
    constexpr int pages = 16;
    projection_lag result;
    in_transaction([&] {
      result = {};
      for (auto* setting : event_query_settings)
        db_.exec(std::string{"set local "} + setting + " = off");
      auto from = after;
      for (int page = 0; page < pages; ++page) {
        auto query = make_event_query(
          options_, filter, from, std::numeric_limits<std::int64_t>::max(),
          projection_lag::max_counted + 1 - result.events);
        auto found = db_.exec_params(
          "select count(*) filter (where type_name is not null), "
          "coalesce((extract(epoch from clock_timestamp()) * 1e6)::bigint - "
          "min(created), 0), coalesce(max(schema_version) filter (where "
          "type_name is null), 0), coalesce(max(version) filter (where "
          "type_name is null), 0) from ("
            + query.sql
            + ") as q (type_name, entity_id, seq_no, version, event_name, "
              "schema_version, created, event, metadata, tags)",
          query.params);
        result.events += pq::number(found[0][0]);
        // The clock may step back, but what waits has waited.
        if (result.events > 0)
          result.age = std::max(
            {result.age, std::chrono::microseconds{1},
             microseconds(pq::text(found[0][1])).time_since_epoch()});
        result.more = pq::number(found[0][2]) >= query.scan;
        if (result.events > projection_lag::max_counted) {
          result.events = projection_lag::max_counted;
          result.more = true;
        }
        if (!result.more || result.events == projection_lag::max_counted)
          break;
        from = pq::number(found[0][3]);
      }
    });
    return result;
  }

  std::vector<frontier_holder> frontier_holders() override {
    auto found = run("select pid, age, state, query from "
                     "{schema}.frontier_holders()");
    std::vector<frontier_holder> result;
    for (const auto& row : found)
      result.push_back({row[0].is_null() ? 0 : integer(row[0]), seconds(row[1]),
                        std::string{pq::text(row[2])},
                        std::string{pq::text(row[3])}});
    return result;
  }

  std::optional<letter_kind> fate(const range_key& key,
                                  std::uint64_t seq_no) override {
    auto found = run("select kind from {schema}.dead_letter where name = $1 "
                     "and version = $2::integer and seq_no = $3::bigint",
                     {key.projection, key.version, seq_no});
    if (found.empty())
      return std::nullopt;
    return kind_of(pq::text(found[0][0]));
  }

  std::vector<dead_letter> letters(std::string_view name, std::uint64_t after,
                                   std::size_t limit) override {
    auto found = run(
      "select d.type_name, d.entity_id, d.seq_no, d.kind, d.error from "
      "{schema}.dead_letter as d join {schema}.projection as p on p.name = "
      "d.name and p.version = d.version where d.name = $1 and d.seq_no > "
      "$2::bigint order by d.seq_no limit $3::bigint",
      {name, after, std::uint64_t{limit}});
    std::vector<dead_letter> result;
    for (const auto& row : found)
      result.push_back({std::string{pq::text(row[0])},
                        read_id(options_.ids, pq::text(row[1])),
                        pq::number(row[2]), kind_of(pq::text(row[3])),
                        std::string{pq::text(row[4])}});
    return result;
  }

  // -- changes from outside ---------------------------------------------------

  void pause(std::string_view name, bool paused) override {
    change([&] {
      run("select {schema}.pause_projection($1, $2::boolean)", {name, paused});
    });
  }

  void unhalt(std::string_view name) override {
    change([&] { run("select {schema}.unhalt_projection($1)", {name}); });
  }

  void
  reset(std::string_view name, const std::optional<start_position>& start,
        const std::function<void(transaction&, std::int32_t)>& work) override {
    change([&] {
      // First, as all changes do.
      run("select {schema}.lock_projection($1, true)", {name});
      if (start) {
        auto begin = resolve(*start);
        run("update {schema}.projection set begins_at = $2::bigint, since = "
            "'epoch'::timestamptz + $3::bigint * interval '1 microsecond' "
            "where name = $1",
            {name, begin.after, micros(begin.since)});
      }
      run("select {schema}.reset_projection($1)", {name});
      auto version = live_version(name);
      if (work != nullptr)
        let_work([&](transaction& tx) { work(tx, version); });
    });
  }

  bool skip(std::string_view name, const event_filter& filter,
            std::uint64_t seq_no) override {
    auto done = false;
    change([&] {
      done = false;
      run("select {schema}.lock_projection($1, false)", {name});
      // Below it, nothing may still be on its way.
      if (pq::number(run("select {schema}.frontier()")[0][0]) < seq_no)
        return;
      auto now = status(name);
      for (auto& range : now.ranges) {
        if (range.key.version != now.version || range.seq_no >= seq_no)
          continue;
        auto only = filter;
        only.slices = range.slices;
        auto next = next_entry(only, range.seq_no, seq_no);
        if (!next || next->event.seq_no != seq_no)
          continue;
        auto found = run("select {schema}.skip_event($1, $2::integer, "
                         "$3::integer, $4::bigint, $5::bigint, $6, "
                         "$7::{id_type}, $8::integer)",
                         {name, range.key.version, unsigned{range.key.first},
                          range.seq_no, seq_no, next->type_name,
                          to_string(next->id), unsigned{slice_of(next->id)}});
        done = done || pq::text(found[0][0]) == "t";
      }
    });
    return done;
  }

  void rescale(std::string_view name, std::uint16_t ranges) override {
    if (ranges == 0 || ranges > slice_count)
      throw error(errc::invalid_options, "a projection has 1 to 1024 ranges");
    change([&] {
      run("select {schema}.rescale_projection($1, $2::integer)",
          {name, unsigned{ranges}});
    });
  }

  bool finish_rescale(std::string_view name) override {
    auto done = false;
    change([&] {
      auto found = run("select {schema}.finish_rescale($1)", {name});
      done = pq::text(found[0][0]) == "t";
    });
    return done;
  }

  std::int32_t rebuild(
    std::string_view name, std::optional<std::int32_t> revision,
    const std::function<void(transaction&, std::int32_t)>& work) override {
    std::int32_t version = 0;
    change([&] {
      auto found = run("select {schema}.rebuild_projection($1, $2::integer)",
                       {name, revision});
      version = integer(found[0][0]);
      if (work != nullptr)
        let_work([&](transaction& tx) { work(tx, version); });
    });
    return version;
  }

  void approach_swap(std::string_view name) override {
    change([&] { run("select {schema}.approach_swap($1)", {name}); });
  }

  bool swap(std::string_view name,
            const std::function<void(transaction&, std::int32_t, std::int32_t)>&
              work) override {
    auto done = false;
    change([&] {
      auto found = run("select {schema}.swap_projection($1)", {name});
      done = !found[0][0].is_null();
      if (done && work != nullptr) {
        auto from = integer(found[0][0]);
        auto to = live_version(name);
        let_work([&](transaction& tx) { work(tx, from, to); });
      }
    });
    return done;
  }

  std::size_t
  replay(std::string_view name, std::string_view type_name, const entity_id& id,
         const std::function<void(const journal_entry&, transaction&)>& work)
    override {
    std::size_t count = 0;
    change([&] {
      run("select {schema}.lock_projection($1, false)", {name});
      auto version = live_version(name);
      auto at = unsigned{slice_of(id)};
      // The runner may have put away one more in a transaction that is still
      // open: with a new epoch it cannot commit that, and handles it anew.
      run("update {schema}.projection_range set epoch = "
          "nextval('{schema}.projection_epoch'), owner = null where name = $1 "
          "and version = $2::integer and $3::integer between slice_from and "
          "slice_to",
          {name, version, at});
      auto found = run(
        "select e.type_name, e.entity_id, e.seq_no, e.version, e.event_name, "
        "e.schema_version, (date_part('epoch', e.created_at) * 1e6)::bigint, "
        "e.event, e.metadata, array_to_string(e.tags, chr(10)) "
        "from {schema}.dead_letter as d cross join lateral (select * from "
        "{schema}.event as x where x.type_name = d.type_name and x.seq_no = "
        "d.seq_no) as e where d.name = $1 and d.version = $2::integer and "
        "d.type_name = $3 and d.entity_id = $4::{id_type} and d.kind <> "
        "'skipped' order by d.seq_no",
        {name, version, type_name, to_string(id)});
      count = static_cast<std::size_t>(found.size());
      let_work([&](transaction& tx) {
        for (const auto& row : found)
          work({std::string{pq::text(row[0])},
                read_id(options_.ids, pq::text(row[1])),
                read_event(row, 2, options_.payloads)},
               tx);
      });
      run("delete from {schema}.dead_letter where name = $1 and version = "
          "$2::integer and type_name = $3 and entity_id = $4::{id_type} and "
          "kind <> 'skipped'",
          {name, version, type_name, to_string(id)});
    });
    return count;
  }

  bool drop(std::string_view name, std::uint64_t seq_no) override {
    auto done = false;
    change([&] {
      run("select {schema}.lock_projection($1, false)", {name});
      auto version = live_version(name);
      run("select {schema}.fence_projection($1)", {name});
      auto found = run("delete from {schema}.dead_letter where name = $1 and "
                       "version = $2::integer and seq_no = $3::bigint",
                       {name, version, seq_no});
      done = found.affected_rows() > 0;
    });
    return done;
  }

private:
  // -- statements -------------------------------------------------------------

  pqxx::result run(std::string_view sql,
                   const std::vector<parameter>& params = {}) {
    return db_.exec_cached(fill_in(sql, options_), params);
  }

  std::string advance(const range_lease& lease, std::uint64_t to) const {
    // Everything in it is a number or a name that was checked.
    auto n = [](auto x) { return std::to_string(x); };
    return fill_in("select {schema}.advance_range('" + lease.key.projection
                     + "', " + n(lease.key.version) + ", " + n(lease.key.first)
                     + ", " + n(lease.epoch) + ", " + n(lease.seq_no) + ", "
                     + n(to) + ")",
                   options_);
  }

  std::int32_t live_version(std::string_view name) {
    auto found
      = run("select version from {schema}.projection where name = $1", {name});
    return integer(found[0][0]);
  }

  std::optional<journal_entry> next_entry(const event_filter& filter,
                                          std::uint64_t after,
                                          std::uint64_t up_to) {
    while (after < up_to) {
      auto query = make_event_query(options_, filter, after, up_to, 1);
      auto found = read_entries(db_.exec_params(query.sql, query.params), query,
                                options_, up_to, 1);
      if (!found.entries.empty())
        return std::move(found.entries.front());
      after = found.up_to;
    }
    return std::nullopt;
  }

  void store(const range_lease& lease,
             const std::vector<dead_letter>& letters) {
    if (letters.empty())
      return;
    array_builder seq_nos{int8_oid};
    array_builder types{text_oid};
    array_builder ids{oid_of(options_.ids)};
    array_builder slices{int2_oid};
    array_builder kinds{text_oid};
    array_builder errors{text_oid};
    for (auto& x : letters) {
      seq_nos.add_int64(static_cast<std::int64_t>(x.seq_no));
      types.add(x.type_name);
      ids.add_id(x.id);
      slices.add_int16(static_cast<std::int16_t>(slice_of(x.id)));
      kinds.add(to_string(x.kind));
      errors.add(x.error);
    }
    auto done
      = [](array_builder& x) { return pq::binary{std::move(x).finish()}; };
    db_.call("evented_letters", std::string_view{lease.key.projection},
             std::uint64_t(lease.key.version), done(seq_nos), done(types),
             done(ids), done(slices), done(kinds), done(errors));
  }

  // -- transactions -----------------------------------------------------------

  /// Runs what belongs to the application: its failures are its own.
  void let_work(const std::function<void(transaction&)>& work) {
    listener_transaction tx{db_, no_limit, true};
    try {
      work(tx);
      tx.flush();
    } catch (const connection_lost& e) {
      tx.check();
      throw error(errc::handler_failed, e.what()); // of another connection
    } catch (const fenced& e) {
      tx.check();
      throw error(errc::handler_failed, e.what());
    } catch (...) {
      tx.check();
      throw;
    }
    tx.check();
    if (auto swallowed = tx.failure(); !swallowed.empty())
      throw error(errc::handler_failed,
                  "the handler went on after a failed statement: " + swallowed);
  }

  template <class F>
  void refuse_where_fenced(F&& f) {
    try {
      f();
    } catch (const sql_error& e) {
      if (e.sqlstate() == "EV006")
        throw fenced(e.what());
      if (e.sqlstate() == "EV007")
        throw error(errc::not_now, e.what());
      if (e.sqlstate() == "EV008")
        throw error(errc::unknown_projection, e.what());
      throw;
    }
  }

  template <class F>
  void in_transaction(F&& f) {
    in_transaction(f, [] { return "commit"; });
  }

  /// Runs `f`, then the statement that `last` returns, which commits.
  template <class F, class G>
  void in_transaction(F&& f, G&& last) {
    auto ms = [](auto x) {
      return std::to_string(
        std::chrono::duration_cast<std::chrono::milliseconds>(x).count());
    };
    // An owner that was stopped must not keep its locks on the view for longer
    // than half of the time in which another one has to have taken over.
    db_.exec("begin isolation level read committed; set local "
             "statement_timeout = "
             + ms(how_.statement_timeout)
             + "; set local lock_timeout = " + ms(options_.lock_timeout)
             + "; set local idle_in_transaction_session_timeout = "
             + ms(options_.take_over * 2 / 5)
             + (options_.pooler == pooler::transaction
                  ? "; set local bytea_output = hex"
                  : ""));
    try {
      refuse_where_fenced([&] {
        f();
        db_.exec(last());
      });
    } catch (const connection_lost&) {
      throw;
    } catch (...) {
      db_.exec("rollback");
      throw;
    }
  }

  /// Runs a change from outside. It waits for a handler that is at work on the
  /// same rows and may meet it in a deadlock; one of the two begins anew. The
  /// server may take a deadlock for a lock that was not to be had (55P03): by
  /// default it looks for both after the same time.
  template <class F>
  void change(F&& f) {
    for (int round = 0;; ++round) {
      try {
        in_transaction(f);
        return;
      } catch (const sql_error& e) {
        auto& state = e.sqlstate();
        if ((!state.starts_with("40") && state != "55P03") || round == 9)
          throw;
      }
    }
  }

  journal_options options_;
  pq::settings how_;
  std::shared_ptr<watchdog> dog_;
  pq::connection db_;
  event_reader reader_{db_, options_};
  /// Whether this session has read. What the planner is told makes it believe
  /// in costs at which the server compiles the query, for half a second.
  bool reads_ = false;
};

} // namespace

std::unique_ptr<projection_session>
make_projection_session(const journal_options& options, const pq::settings& how,
                        std::shared_ptr<watchdog> dog) {
  return std::make_unique<postgres_projections>(options, how, std::move(dog));
}

} // namespace detail

} // namespace evented
