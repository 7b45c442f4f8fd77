#include "http.hpp"

#include "accounts_pages.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <exception>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>

namespace bank {

namespace {

using httplib::Request;
using httplib::Response;
using json = nlohmann::json;
using namespace std::literals;

/// Longer than `entity_options::command_timeout`, so that the entity's own answer
/// is the one that counts.
constexpr auto patience = 15s;

// -- what went wrong ----------------------------------------------------------

/// Ends a request with a body of the type application/problem+json (RFC 9457).
struct problem {
  int status;
  std::string title;
  std::string detail;
  json more = json::object();
};

void write(const problem& x, Response& res) {
  auto body = x.more;
  body["type"] = "about:blank";
  body["status"] = x.status;
  body["title"] = x.title;
  body["detail"] = x.detail;
  res.status = x.status;
  res.set_content(body.dump(-1, ' ', false, json::error_handler_t::replace),
                  "application/problem+json");
  if (x.status == 503)
    res.set_header("Retry-After", "1");
}

problem no_such_account() {
  return {404, "No such account", "There is no account with this ID."};
}

/// Says in HTTP what an entity has answered instead of `accepted`.
problem explain(const caf::error& err) {
  using evented::errc;
  if (evented::rejection<no_account>(err))
    return no_such_account();
  if (auto x = evented::rejection<already_open>(err))
    return {409, "Account is taken", "It belongs to " + x->owner + "."};
  if (auto x = evented::rejection<bad_amount>(err))
    return {422, "Not an amount",
            "An amount is a number of cents from 1 to "
              + std::to_string(max_amount) + "."};
  if (auto x = evented::rejection<insufficient_funds>(err))
    return {422,
            "Insufficient funds",
            "There are only " + std::to_string(x->balance)
              + " cents in this account.",
            {{"balance", x->balance}}};
  auto text = evented::text_of(err);
  switch (evented::code_of(err)) {
  case errc::unexpected_version: {
    auto version = evented::actual_version(err).value_or(0);
    return {412,
            "Account has changed",
            "It is at version " + std::to_string(version) + ".",
            {{"version", version}}};
  }
  case errc::used_command_id:
    return {422, "Idempotency-Key is taken",
            "Another request was made with it before."};
  case errc::outcome_unknown:
    return {504, "Outcome is unknown",
            "Repeat the request with the same Idempotency-Key to find out."};
  case errc::unavailable:
  case errc::overloaded:
  case errc::conflict:
  case errc::shutting_down:
    return {503, "Try again later", "Nothing was changed: " + text};
  default:
    return {500, "Something is wrong here", text};
  }
}

// -- what a request says ------------------------------------------------------

template <class T>
std::optional<T> number(const std::string& text) {
  T result{};
  auto* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, result);
  return error == std::errc{} && at == end ? std::optional{result}
                                           : std::nullopt;
}

evented::uuid id_of(const Request& req) {
  if (auto id = evented::uuid::parse(req.matches[1].str()))
    return *id;
  throw no_such_account();
}

json body_of(const Request& req) {
  // Browsers ask before they send this type from the page of somebody else.
  if (!req.get_header_value("Content-Type").starts_with("application/json"))
    throw problem{415, "Not JSON", "The Content-Type is application/json."};
  auto body = json::parse(req.body, nullptr, false);
  if (!body.is_object())
    throw problem{400, "Not JSON", "The body is not a JSON object."};
  return body;
}

std::string text_in(const json& body, const char* field) {
  auto found = body.find(field);
  if (found == body.end() || !found->is_string()
      || found->get_ref<const std::string&>().empty()
      || found->get_ref<const std::string&>().size() > 200)
    throw problem{422, "Field is missing or wrong",
                  "\""s + field + "\" is a text of 1 to 200 bytes."};
  return *found;
}

cents amount_in(const json& body) {
  auto found = body.find("amount");
  if (found == body.end() || !found->is_number_integer()
      || (found->is_number_unsigned()
          && found->get<std::uint64_t>() > std::uint64_t{max_amount}))
    throw explain(caf::make_error(evented::errc::rejected, bad_amount{}));
  return *found;
}

/// Takes what the headers say about a command.
evented::envelope envelope_of(const Request& req) {
  evented::envelope result;
  result.id = req.get_header_value("Idempotency-Key");
  if (result.id.size() > 200)
    throw problem{400, "Idempotency-Key is too long", "It has 1 to 200 bytes."};
  if (auto tag = req.get_header_value("If-Match"); !tag.empty() && tag != "*") {
    auto quoted = tag.size() > 2 && tag.front() == '"' && tag.back() == '"';
    auto version = quoted ? number<std::int64_t>(tag.substr(1, tag.size() - 2))
                          : std::nullopt;
    if (!version || *version < 0)
      throw problem{400, "If-Match is not ours",
                    "It takes one ETag, as in \"3\"."};
    result.expected_version = *version;
  }
  // What is not a traceparent is ignored (W3C Trace Context, 4.3).
  static const std::regex form{"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"};
  auto parent = req.get_header_value("traceparent");
  if (std::regex_match(parent, form))
    result.traceparent = parent;
  return result;
}

// -- the API ------------------------------------------------------------------

class api {
public:
  explicit api(backend& where) : where_(where) {
    // nop
  }

  void get(const Request& req, Response& res) const {
    auto found = ask(id_of(req));
    if (found.owner.empty())
      throw no_such_account();
    show(res, id_of(req), found, found.version);
  }

  void list(const Request& req, Response& res) const {
    auto after = evented::uuid::parse(req.get_param_value("after"));
    res.set_content(
      where_.view.accounts(after.value_or(evented::uuid{}), limit_of(req)),
      "application/json");
  }

  void history(const Request& req, Response& res) const {
    auto entries = where_.view.history(id_of(req), limit_of(req));
    // The view may not have got there yet: whether there is an account, only
    // the account itself knows.
    if (entries == "[]" && ask(id_of(req)).owner.empty())
      throw no_such_account();
    res.set_content(entries, "application/json");
  }

  void open(const Request& req, Response& res) const {
    res.status = 201;
    run(req, res, open_account{text_in(body_of(req), "owner")});
  }

  void put_in(const Request& req, Response& res) const {
    run(req, res, deposit{amount_in(body_of(req))});
  }

  void take_out(const Request& req, Response& res) const {
    run(req, res, withdraw{amount_in(body_of(req))});
  }

  void move(const Request& req, Response& res) const {
    auto body = body_of(req);
    auto to = evented::uuid::parse(text_in(body, "to"));
    if (!to || ask(*to).owner.empty())
      throw problem{422, "No such receiver",
                    "There is no account with the ID in \"to\"."};
    if (*to == id_of(req))
      throw problem{422, "No such receiver", "It is the sender itself."};
    run(req, res, transfer{*to, amount_in(body)});
  }

private:
  static unsigned limit_of(const Request& req) {
    auto limit = number<unsigned>(req.get_param_value("limit"));
    return std::min(limit.value_or(100), 1000u);
  }

  static void show(Response& res, const evented::uuid& id, const summary& x,
                   std::uint64_t version) {
    res.set_header("ETag", '"' + std::to_string(version) + '"');
    res.set_content(json{{"id", to_string(id)},
                         {"owner", x.owner},
                         {"balance", x.balance},
                         {"version", version}}
                      .dump(),
                    "application/json");
  }

  [[nodiscard]] summary ask(const evented::uuid& id) const {
    auto found = evented::call<summary>(where_.system, where_.accounts,
                                        patience, id, get_account{});
    if (!found)
      throw explain(found.error());
    return *found;
  }

  /// Sends a command and answers with the account as it is then.
  template <class Command>
  void run(const Request& req, Response& res, Command cmd) const {
    auto id = id_of(req);
    auto answer = evented::call<evented::accepted, summary>(
      where_.system, where_.accounts, patience, id, std::move(cmd),
      envelope_of(req));
    if (!answer)
      throw explain(answer.error());
    auto& [done, found] = *answer;
    if (req.has_param("wait"))
      wait_for_view(req, res, id, done.seq_no);
    show(res, id, found, done.version);
  }

  /// Reads one's own writes: waits until the list knows of this command.
  void wait_for_view(const Request& req, Response& res, const evented::uuid& id,
                     std::uint64_t seq_no) const {
    auto seconds = number<unsigned>(req.get_param_value("wait"));
    std::chrono::seconds limit{std::min(seconds.value_or(5), 10u)};
    auto there = evented::call<evented::reached>(
      where_.system, where_.projection, patience,
      evented::control::wait_until{id, seq_no, limit});
    // The command took effect all the same.
    res.set_header("View", there ? "current" : "behind");
  }

  backend& where_;
};

/// Turns what a handler throws into a response.
void recover(const Request&, Response& res, std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const problem& x) {
    write(x, res);
  } catch (const evented::connection_lost& x) {
    write({503, "Try again later", x.what()}, res);
  } catch (const std::exception& x) {
    write({500, "Something is wrong here", x.what()}, res);
  }
}

} // namespace

void serve(httplib::Server& server, backend& where) {
  auto to = [&where](void (api::*handler)(const Request&, Response&) const) {
    return [the = api{where}, handler](const Request& req, Response& res) {
      (the.*handler)(req, res);
    };
  };
  auto page = [](std::string_view text, const char* type) {
    return [text, type](const Request&, Response& res) {
      res.set_content(text.data(), text.size(), type);
    };
  };
  server.Get("/accounts", to(&api::list));
  server.Put("/accounts/([^/]+)", to(&api::open));
  server.Get("/accounts/([^/]+)", to(&api::get));
  server.Get("/accounts/([^/]+)/history", to(&api::history));
  server.Post("/accounts/([^/]+)/deposits", to(&api::put_in));
  server.Post("/accounts/([^/]+)/withdrawals", to(&api::take_out));
  server.Post("/accounts/([^/]+)/transfers", to(&api::move));
  server.Get("/", page(pages::index, "text/html; charset=utf-8"));
  server.Get("/api", page(pages::api, "text/html; charset=utf-8"));
  server.Get("/style.css", page(pages::style, "text/css"));
  server.Get("/icon.svg", page(pages::icon, "image/svg+xml"));
  server.Get("/openapi.json", page(pages::openapi, "application/json"));

  server.set_payload_max_length(64 * 1024);
  server.set_exception_handler(recover);
  server.set_error_handler([](const Request& req, Response& res) {
    if (res.body.empty())
      write({res.status, res.status == 404 ? "Not found" : "Bad request",
             req.method + " " + req.path + " is not served here."},
            res);
  });
  // The pages are all there is: they load nothing from anywhere else.
  server.set_default_headers(
    {{"Content-Security-Policy", "default-src 'self' 'unsafe-inline'"},
     {"X-Content-Type-Options", "nosniff"},
     {"Cache-Control", "no-store"}});
}

} // namespace bank
