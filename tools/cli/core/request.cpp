#include "request.hpp"

#include "failure.hpp"
#include "text.hpp"

#include <thread>

namespace evented::cli {

namespace {

std::string send(journal& x, const program_request& what,
                 std::chrono::seconds timeout) {
  x.run("delete from {schema}.projection_request where coalesce(ended_at, "
        "expires_at) < clock_timestamp() - interval '1 day'");
  std::optional<std::string> id;
  std::optional<std::string> type;
  if (what.id) {
    id = to_string(*what.id);
    type = what.type;
  }
  return x
    .run("insert into {schema}.projection_request (name, what, after, since, "
         "from_now, type_name, entity_id, expires_at) values ($1, $2, "
         "$3::bigint, $4::timestamptz, $5::boolean, $6, $7::{id_type}, "
         "clock_timestamp() + $8::bigint * interval '1 second') returning id",
         {what.projection, what.what, what.after, what.since, what.from_now,
          type, id, timeout.count()})
    .text(0, 0);
}

} // namespace

std::uint64_t ask_program(journal& x, const program_request& what,
                          std::chrono::seconds timeout) {
  using clock = std::chrono::steady_clock;
  auto id = send(x, what, timeout);
  auto deadline = clock::now() + timeout;
  for (;;) {
    auto found = x.run("select error, count, ended_at is not null from "
                       "{schema}.projection_request where id = $1::bigint",
                       {id});
    if (!found.empty() && found.flag(0, 2)) {
      if (!found.null(0, 0))
        throw failure(exit_code::refused,
                      "the program that runs it says: " + found.text(0, 0));
      return static_cast<std::uint64_t>(found.number(0, 1));
    }
    if (clock::now() >= deadline)
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  auto gone = x.run("delete from {schema}.projection_request where id = "
                    "$1::bigint and taken_at is null",
                    {id});
  if (gone.affected() > 0)
    throw failure(exit_code::timed_out,
                  "no program that runs \"" + visible(what.projection)
                    + "\" has taken the request in time, and none will: start "
                      "one, or give it a longer --timeout");
  throw failure(exit_code::timed_out,
                "a program is at work on the request and has not ended yet; "
                "watch it with evented projection list");
}

} // namespace evented::cli
