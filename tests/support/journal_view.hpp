#pragma once

#include "support/ledger.hpp"

#include <cstdint>
#include <libpq-fe.h>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace evented::test {

/// Runs one statement on a connection of its own, on plain libpq: the tests do
/// not look at the journal through the eyes of what they test.
/// @throws std::runtime_error with the server's text
inline std::vector<std::vector<std::string>> query(const std::string& url,
                                                   const std::string& sql) {
  std::unique_ptr<PGconn, void (*)(PGconn*)> db{PQconnectdb(url.c_str()),
                                                PQfinish};
  std::unique_ptr<PGresult, void (*)(PGresult*)> found{
    PQexec(db.get(), sql.c_str()), PQclear};
  auto status = PQresultStatus(found.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(sql + ": " + PQerrorMessage(db.get()));
  std::vector<std::vector<std::string>> result;
  for (int i = 0; i < PQntuples(found.get()); ++i) {
    auto& row = result.emplace_back();
    for (int j = 0; j < PQnfields(found.get()); ++j)
      row.emplace_back(PQgetvalue(found.get(), i, j));
  }
  return result;
}

/// The accounts' events as they stand in the table.
class journal_view {
public:
  struct event {
    std::string entity;
    std::uint64_t version = 0;
    std::uint64_t seq_no = 0;
    std::string name;
    std::string token;
    std::int64_t amount = 0;
  };

  /// Reads the table.
  journal_view(const std::string& url, const std::string& schema) {
    for (auto& x : query(url, "select entity_id, version, seq_no, event_name, "
                              "event ->> 'token', event ->> 'amount' from "
                                + schema
                                + ".event where type_name = 'account' "
                                  "order by entity_id, version"))
      events_.push_back({x[0], std::stoull(x[1]), std::stoull(x[2]), x[3], x[4],
                         std::stoll(x[5])});
  }

  [[nodiscard]] const std::vector<event>& events() const noexcept {
    return events_;
  }

  /// Returns how many events carry this token.
  [[nodiscard]] std::size_t count(const std::string& token) const {
    std::size_t result = 0;
    for (auto& x : events_)
      result += x.token == token ? 1 : 0;
    return result;
  }

  /// Returns the state that the events of an account add up to.
  [[nodiscard]] statement replay(const uuid& id) const {
    account result;
    for (auto& x : events_) {
      if (x.entity != evented::to_string(id))
        continue;
      if (x.name == event_name<deposited>())
        result.apply(deposited{x.token, x.amount});
      else
        result.apply(withdrawn{x.token, x.amount});
    }
    return result.state;
  }

  /// Compares the table with what the senders were told. Returns a line for
  /// everything that is wrong, an empty text where nothing is:
  ///  - the versions of each entity are 1, 2, 3 .., and seq_no grows with them;
  ///  - every accepted command has one event, where its sender was told;
  ///  - a command with an unknown outcome has one event or none;
  ///  - every other one has none, and there are no further events.
  [[nodiscard]] std::string compare(const std::vector<answer>& told) const {
    std::ostringstream out;
    std::size_t complaints = 0;
    auto complain = [&](const std::string& what) {
      if (++complaints <= 20)
        out << what << '\n';
    };
    auto describe = [](const event& x) {
      return x.entity + " version " + std::to_string(x.version) + " seq_no "
             + std::to_string(x.seq_no) + " token " + x.token;
    };
    std::map<std::string, std::vector<const event*>> by_token;
    std::set<std::uint64_t> numbers;
    const event* last = nullptr;
    for (auto& x : events_) {
      auto same = last != nullptr && last->entity == x.entity;
      if (x.version != (same ? last->version + 1 : 1))
        complain("hole in the versions before " + describe(x));
      if (same && x.seq_no <= last->seq_no)
        complain("seq_no does not grow at " + describe(x));
      if (!numbers.insert(x.seq_no).second)
        complain("seq_no twice: " + describe(x));
      by_token[x.token].push_back(&x);
      last = &x;
    }
    std::set<std::string> known;
    for (auto& x : told) {
      if (!known.insert(x.token).second)
        complain("two answers: " + to_string(x));
      auto found = by_token.find(x.token);
      auto n = found == by_token.end() ? 0 : found->second.size();
      if (x.ok) {
        if (n != 1) {
          complain(std::to_string(n) + " events for " + to_string(x));
          continue;
        }
        auto& e = *found->second[0];
        if (e.entity != evented::to_string(x.id) || e.version != x.ok->version
            || e.seq_no != x.ok->seq_no)
          complain(to_string(x) + ", but it stands at " + describe(e));
      } else if (x.code == errc::outcome_unknown) {
        if (n > 1)
          complain(std::to_string(n) + " events for " + to_string(x));
      } else if (n != 0) {
        complain(std::to_string(n) + " events for " + to_string(x));
      }
    }
    for (auto& [token, list] : by_token)
      if (known.count(token) == 0)
        complain("nobody was told about " + describe(*list[0]));
    if (complaints > 20)
      out << "and " << complaints - 20 << " more\n";
    return out.str();
  }

private:
  std::vector<event> events_;
};

} // namespace evented::test
