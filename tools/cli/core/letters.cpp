#include "letters.hpp"

#include "failure.hpp"
#include "operation.hpp"
#include "request.hpp"
#include "text.hpp"

#include <evented/projection_store.hpp>

#include <nlohmann/json.hpp>

namespace evented::cli {

using nlohmann::json;

json find_letters(journal& x, const letter_choice& what) {
  auto found = x.run(
    "select d.name, d.seq_no, d.kind, d.type_name, d.entity_id, d.error, "
    "d.created_at::text from {schema}.dead_letter as d join "
    "{schema}.projection as p on p.name = d.name and p.version = d.version "
    "where ($1 = '' or d.name = $1) and ($2::bigint = 0 or d.seq_no = "
    "$2::bigint) and d.seq_no > $3::bigint order by d.name, d.seq_no limit "
    "$4::bigint",
    {what.projection, what.seq_no, what.after, what.limit});
  json result = json::array();
  for (int i = 0; i < found.size(); ++i)
    result.push_back({{"projection", found.text(i, 0)},
                      {"seq_no", found.number(i, 1)},
                      {"kind", found.text(i, 2)},
                      {"type", found.text(i, 3)},
                      {"id", found.text(i, 4)},
                      {"error", found.text(i, 5)},
                      {"created_at", found.text(i, 6)}});
  return result;
}

json find_letter(journal& x, const std::string& projection,
                 std::uint64_t seq_no) {
  auto found = find_letters(x, {projection, seq_no, 0, 1});
  if (found.empty() || seq_no == 0)
    throw failure(exit_code::not_found, "event " + std::to_string(seq_no)
                                          + " is no dead letter of \""
                                          + visible(projection) + "\"");
  return found[0];
}

namespace {

/// Lets the program replay the letters of one entity, and returns how many.
std::uint64_t replay_one(journal& x, const std::string& projection,
                         const std::string& type, const std::string& id,
                         std::chrono::seconds timeout) {
  program_request what{projection, "replay", {}, {}, false, type, x.id(id)};
  std::uint64_t count = 0;
  logged(x, "dead-letters replay",
         {{"projection", projection}, {"type", type}, {"id", id}}, [&] {
           count = ask_program(x, what, timeout);
           return std::to_string(count) + " letters";
         });
  return count;
}

} // namespace

std::uint64_t replay_letter(journal& x, const std::string& projection,
                            std::uint64_t seq_no,
                            std::chrono::seconds timeout) {
  auto letter = find_letter(x, projection, seq_no);
  if (letter["kind"] == "skipped")
    throw failure(exit_code::refused, "event " + std::to_string(seq_no)
                                        + " was skipped, which is for good");
  return replay_one(x, projection, letter["type"], letter["id"], timeout);
}

std::uint64_t replay_letters(journal& x, const std::string& projection,
                             std::chrono::seconds timeout) {
  connect_projections(x)->status(projection);
  std::uint64_t count = 0;
  std::string type;
  std::optional<std::string> id;
  for (;;) {
    auto found = x.run(
      "select d.type_name, d.entity_id from {schema}.dead_letter as d join "
      "{schema}.projection as p on p.name = d.name and p.version = d.version "
      "where d.name = $1 and d.kind <> 'skipped' and ($3::{id_type} is null "
      "or (d.type_name, d.entity_id) > ($2, $3::{id_type})) order by "
      "d.type_name, d.entity_id limit 1",
      {projection, type, id});
    if (found.empty())
      return count;
    type = found.text(0, 0);
    id = found.text(0, 1);
    count += replay_one(x, projection, type, *id, timeout);
  }
}

void drop_letter(journal& x, const std::string& projection,
                 std::uint64_t seq_no) {
  auto letter = find_letter(x, projection, seq_no);
  logged(x, "dead-letters drop", letter, [&] {
    if (!connect_projections(x)->drop(projection, seq_no))
      throw failure(exit_code::not_found, "somebody has been faster");
  });
}

} // namespace evented::cli
