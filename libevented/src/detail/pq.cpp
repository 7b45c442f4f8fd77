#include "detail/pq.hpp"

#include "detail/conninfo.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <poll.h>
#include <utility>

namespace evented::detail::pq {

namespace {

/// libpqxx 6 throws some conditions as classes that have forgotten their
/// SQLSTATE; the class tells it.
std::string sqlstate_of(const std::exception& e) {
  if (auto* x = dynamic_cast<const pqxx::sql_error*>(&e);
      x != nullptr && !x->sqlstate().empty())
    return x->sqlstate();
  if (dynamic_cast<const pqxx::deadlock_detected*>(&e) != nullptr)
    return "40P01";
  if (dynamic_cast<const pqxx::statement_completion_unknown*>(&e) != nullptr)
    return "40003";
  if (dynamic_cast<const pqxx::serialization_failure*>(&e) != nullptr)
    return "40001";
  if (dynamic_cast<const pqxx::transaction_rollback*>(&e) != nullptr)
    return "40000";
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&e) != nullptr)
    return "42501";
  if (dynamic_cast<const pqxx::too_many_connections*>(&e) != nullptr)
    return "53300";
  return "XX000";
}

/// libpq's texts end with a line break, and name the statement on request.
std::string clean(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  return text;
}

/// Returns what PostgreSQL says of an error without what it quotes: its main line
/// and its hint. DETAIL quotes keys and rows, CONTEXT, QUERY and LINE quote
/// statements; errors about data (class 22) quote values in the main line, too.
std::string without_values(const std::string& text,
                           const std::string& sqlstate) {
  auto end = std::min(text.find('\n'), text.size());
  auto result = text.substr(0, end);
  if (sqlstate.starts_with("22")) {
    // Up to the last quote: a value may have some of its own, or a line break, and
    // then there is no other one.
    auto first = result.find('"');
    auto last = result.rfind('"');
    if (first != std::string::npos)
      result.replace(
        first, first == last ? std::string::npos : last - first + 1, "\"..\"");
  }
  if (auto hint = text.rfind("\nHINT:"); hint != std::string::npos)
    result += text.substr(hint, text.find('\n', hint + 1) - hint);
  return result;
}

bool server_is_going(const std::string& sqlstate) {
  // 57P01 admin_shutdown, 57P02 crash_shutdown, 57P03 cannot_connect_now,
  // 57P05 idle_session_timeout; 25P03 idle_in_transaction_session_timeout;
  // 25006: the primary has become a standby; 08xxx connection exceptions.
  return sqlstate.starts_with("57P0") || sqlstate.starts_with("08")
         || sqlstate == "25P03" || sqlstate == "25006";
}

} // namespace

std::uint64_t number(const pqxx::field& x) {
  auto in = text(x);
  std::uint64_t result = 0;
  auto [end, ec] = std::from_chars(in.data(), in.data() + in.size(), result);
  if (ec != std::errc{} || end != in.data() + in.size())
    throw error(errc::refused, "not a number: " + std::string{in});
  return result;
}

rows to_rows(const pqxx::result& from) {
  std::vector<rows::row> data;
  data.reserve(static_cast<std::size_t>(from.size()));
  for (const auto& row : from) {
    rows::row to;
    for (const auto& field : row) {
      if (field.is_null())
        to.emplace_back(std::nullopt);
      else
        to.emplace_back(std::string{text(field)});
    }
    data.push_back(std::move(to));
  }
  return {std::move(data), static_cast<std::uint64_t>(from.affected_rows())};
}

#if !EVENTED_PQXX7
/// Remembers that another connection has announced something.
class connection::receiver : public pqxx::notification_receiver {
public:
  receiver(pqxx::connection& from, const std::string& channel, bool& heard)
    : pqxx::notification_receiver(from, channel),
      own_pid_(from.backendpid()),
      heard_(heard) {
    // nop
  }

  void operator()(const std::string&, int pid) override {
    heard_ = heard_ || pid != own_pid_;
  }

private:
  int own_pid_;
  bool& heard_;
};
#endif

connection::connection(const settings& how, watchdog& dog) : how_(how) {
  try {
    connection_ = std::make_unique<pqxx::connection>(how_.conninfo);
#if !EVENTED_PQXX7
    // A silent reconnect would lose session settings and transactions. The
    // function is deprecated because libpqxx 7 never does that.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    connection_->inhibit_reactivation(true);
#pragma GCC diagnostic pop
#endif
    leash_ = watchdog::leash{dog, connection_->sock()};
    tx_ = std::make_unique<pqxx::nontransaction>(*connection_);
  } catch (const std::exception& e) {
    throw connection_lost(false, "cannot connect to the database: "
                                   + clean(redact(e.what(), how_.conninfo)));
  }
  if (!how_.pooled) {
    auto ms = [](auto x) { return std::to_string(x.count()); };
    exec("select set_config('default_transaction_isolation', 'read committed', "
         "false), set_config('statement_timeout', '"
         + ms(how_.statement_timeout)
         + "', false), set_config('lock_timeout', '" + ms(how_.lock_timeout)
         + "', false), set_config('idle_in_transaction_session_timeout', '"
         + ms(how_.statement_timeout)
         + "', false), set_config('bytea_output', 'hex', false), "
           // The server, too, notices within seconds that this host is gone:
           // by default its sessions stay for two hours, until there is no room
           // for new ones.
           "set_config('tcp_keepalives_idle', '5', false), "
           "set_config('tcp_keepalives_interval', '2', false), "
           "set_config('tcp_keepalives_count', '3', false), "
           "set_config('tcp_user_timeout', '10000', false), "
           // J3: an answer of accepted means durable.
           "case when current_setting('synchronous_commit') = 'off' then "
           "set_config('synchronous_commit', 'on', false) end");
  }
}

connection::~connection() {
  // In this order, also where the connection is broken.
  tx_.reset();
#if !EVENTED_PQXX7
  if (receiver_ != nullptr) {
    // It says UNLISTEN, and a server that is cut off never answers.
    leash_.arm(std::chrono::milliseconds{500});
    receiver_.reset();
    leash_.disarm();
  }
#endif
  connection_.reset();
}

void connection::prepare(const char* name, const std::string& sql) {
#if !EVENTED_PQXX7
  // Asks the server with the first call only.
  if (!how_.pooled) {
    connection_->prepare(name, sql);
    return;
  }
#endif
  statements_.emplace_back(name, sql);
}

void connection::check_alive() {
  // An idle server says nothing, except that it is going.
  pollfd x{connection_->sock(), POLLIN, 0};
  if (::poll(&x, 1, 0) == 0)
    return;
  try {
    exec("select 1");
  } catch (const error& e) {
    throw connection_lost(false, e.what());
  }
}

pqxx::result connection::exec(const std::string& sql) {
  return guarded([&] { return tx_->exec(sql); });
}

namespace {

#if EVENTED_PQXX7
pqxx::params as_params(const std::vector<parameter>& params) {
  pqxx::params result;
  for (auto& x : params)
    result.append(x.text);
  return result;
}
#else
std::vector<const char*> as_params(const std::vector<parameter>& params) {
  std::vector<const char*> result;
  for (auto& x : params)
    result.push_back(x.text ? x.text->c_str() : nullptr);
  return result;
}
#endif

} // namespace

pqxx::result connection::exec_params(const std::string& sql,
                                     const std::vector<parameter>& params) {
  return guarded([&] {
    auto xs = as_params(params);
#if EVENTED_PQXX7
    return tx_->exec(sql, xs);
#else
    return tx_->exec_params(sql, pqxx::prepare::make_dynamic_params(xs));
#endif
  });
}

namespace {

/// So many prepared statements at most: a program may build its statements from
/// data.
constexpr std::size_t most_cached = 100;

} // namespace

std::string connection::execute_text(const std::string& sql,
                                     const std::vector<parameter>& params) {
  if (how_.pooled || (cache_.size() >= most_cached && cache_.count(sql) == 0))
    return {};
  for (auto& x : params)
    if (x.text && x.text->find('\0') != std::string::npos)
      return {};
  std::string result;
  guarded([&] {
    auto& name = cache_[sql];
    if (name.empty()) {
      auto fresh = "evented_" + std::to_string(next_name_++);
      connection_->prepare(fresh, sql);
#if !EVENTED_PQXX7
      // Else only with the first call that is no text. Deprecated, because
      // libpqxx 7 always does it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
      connection_->prepare_now(fresh);
#pragma GCC diagnostic pop
#endif
      name = std::move(fresh);
    }
    result = "execute " + name;
    for (std::size_t i = 0; i < params.size(); ++i) {
      result += i == 0 ? '(' : ',';
      result += params[i].text ? connection_->quote(*params[i].text) : "null";
    }
    if (!params.empty())
      result += ')';
    return pqxx::result{};
  });
  return result;
}

pqxx::result connection::exec_cached(const std::string& sql,
                                     const std::vector<parameter>& params) {
  if (how_.pooled || (cache_.size() >= most_cached && cache_.count(sql) == 0))
    return exec_params(sql, params);
  auto found = cache_.try_emplace(sql);
  if (found.second)
    return exec_params(sql, params);
  auto& name = found.first->second;
  try {
    return guarded([&] {
      if (name.empty()) {
        auto next = "evented_" + std::to_string(next_name_++);
        connection_->prepare(next, sql);
        name = std::move(next);
      }
      auto xs = as_params(params);
#if EVENTED_PQXX7
      return tx_->exec(pqxx::prepped{name}, xs);
#else
      return tx_->exec_prepared(name, pqxx::prepare::make_dynamic_params(xs));
#endif
    });
  } catch (const sql_error& e) {
    // The shape of its result has changed (0A000), or it could not be prepared.
    if (e.sqlstate() == "0A000" || e.sqlstate().starts_with("42"))
      cache_.erase(sql);
    // Which the statement as such is not to blame for: the transaction has to
    // be begun anew (40000).
    if (e.sqlstate() == "0A000")
      throw sql_error("40000", e.what(), e.detail());
    throw;
  }
}

void connection::listen(const std::string& channel) {
  guarded([&] {
    // libpqxx neither listens nor hears while there is a transaction object.
    tx_.reset();
#if EVENTED_PQXX7
    auto own_pid = connection_->backendpid();
    connection_->listen(channel, [this, own_pid](pqxx::notification x) {
      heard_ = heard_ || x.backend_pid != own_pid;
    });
#else
    receiver_ = std::make_unique<receiver>(*connection_, channel, heard_);
    if (!connection_->is_open())
      throw pqxx::broken_connection{"the connection broke at once"};
#endif
    tx_ = std::make_unique<pqxx::nontransaction>(*connection_);
    return pqxx::result{};
  });
}

bool connection::heard_something() {
  constexpr auto broke = "the connection to the database broke";
  try {
    tx_.reset();
    if (!connection_->is_open())
      throw connection_lost(false, broke);
    connection_->get_notifs();
    tx_ = std::make_unique<pqxx::nontransaction>(*connection_);
  } catch (const pqxx::broken_connection&) {
    // libpqxx 6 says that it could not connect.
    throw connection_lost(false, broke);
  } catch (...) {
    rethrow();
  }
  return std::exchange(heard_, false);
}

bool connection::wait(int wake_fd, std::chrono::milliseconds limit) {
  using clock = std::chrono::steady_clock;
  // Also so that the sum below does not overflow.
  limit = std::min<std::chrono::milliseconds>(limit, std::chrono::hours{1});
  auto deadline = clock::now() + limit;
  for (;;) {
    // First, since an answer to a statement may have brought announcements
    // along: the socket does not tell about these.
    if (heard_something())
      return true;
    auto left
      = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
    if (left.count() <= 0)
      return false;
    pollfd xs[] = {{connection_->sock(), POLLIN, 0}, {wake_fd, POLLIN, 0}};
    auto n = ::poll(xs, 2, static_cast<int>(left.count()));
    if (n > 0 && xs[1].revents != 0)
      return heard_something();
    // Else it timed out, or the server says something, if only that it is
    // going: what was announced, or that the connection is gone, comes out
    // above.
  }
}

void connection::rethrow() {
  try {
    throw;
  } catch (const pqxx::broken_connection& e) {
    throw connection_lost(true, clean(redact(e.what(), how_.conninfo)));
  } catch (const pqxx::in_doubt_error& e) {
    throw connection_lost(true, clean(redact(e.what(), how_.conninfo)));
  } catch (const error&) {
    throw;
  } catch (const std::exception& e) {
    auto what = clean(redact(e.what(), how_.conninfo));
    // libpqxx may not recognise what a connection cut in mid-answer leaves.
    // What it says then is that it cannot ask a dead connection for its
    // encoding.
    if (!connection_->is_open())
      throw connection_lost(true, "the connection to the database broke");
    auto sqlstate = sqlstate_of(e);
    // 40003: the server itself does not know whether it has committed.
    if (server_is_going(sqlstate) || sqlstate == "40003")
      throw connection_lost(true, what);
    throw sql_error(sqlstate, without_values(what, sqlstate), what);
  }
}

} // namespace evented::detail::pq
