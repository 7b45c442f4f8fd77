#include "core/failure.hpp"
#include "core/saved.hpp"
#include "fuzz/cli/targets.hpp"
#include "serve/asked.hpp"
#include "serve/guard.hpp"

#include <evented/utf8.hpp>

#include <string>

namespace evented::test::fuzz {

namespace {

using namespace evented::cli;

const std::string secret = "Kj7-secret-Wq9-of-the-operator";
const std::string host = "localhost:8480";

std::string_view cut(std::string_view& from, char at) {
  auto result = from.substr(0, from.find(at));
  from.remove_prefix(std::min(from.size(), result.size() + 1));
  return result;
}

/// What cpp-httplib makes of a request: METHOD PATH?QUERY, headers, the body.
httplib::Request parse(std::string_view input) {
  httplib::Request result;
  auto first = cut(input, '\n');
  result.method = cut(first, ' ');
  result.path
    = httplib::detail::decode_url(std::string{cut(first, '?')}, false);
  httplib::detail::parse_query_text(std::string{first}, result.params);
  while (!input.empty()) {
    auto line = cut(input, '\n');
    if (line.empty())
      break;
    auto name = cut(line, ':');
    if (line.starts_with(' '))
      line.remove_prefix(1);
    result.headers.emplace(name, line);
  }
  result.body = input;
  return result;
}

bool is_open(const httplib::Request& x) {
  return x.path == "/" || x.path == "/api/login" || x.path.ends_with(".js")
         || x.path.ends_with(".css") || x.path.ends_with(".svg");
}

/// Only who knows the token, by itself or by a cookie that was got for it, sees
/// anything; only this site changes anything.
void check_guard(const httplib::Request& x) {
  static guard closed{secret, {}};
  static guard local{"", {host}};
  auto changes = x.method != "GET" && x.method != "HEAD";
  for (auto* whom : {&closed, &local}) {
    auto no = whom->check(x);
    promise(!no || (no->status >= 400 && !no->why.empty()),
            "who is refused is told why");
    promise(no || !changes
              || (x.method == "POST" && x.get_header_value("X-Evented") == "1"
                  && x.get_header_value("Content-Type") == "application/json"),
            "no other site changes anything");
  }
  auto knows = x.get_header_value("Authorization") == "Bearer " + secret;
  promise(closed.check(x) || is_open(x) || knows, "a token is needed");
  promise(local.check(x) || x.get_header_value("Host") == host,
          "no other name leads here");
  promise(closed.open(token_of(x.body)).empty() || token_of(x.body) == secret,
          "a session is for those who know the token");
  closed.close(x);
}

/// Runs `f`, which may say that what is asked for makes no sense.
template <class F>
void ask(F&& f) {
  try {
    f();
  } catch (const failure& e) {
    promise(e.code() == exit_code::usage || e.code() == exit_code::refused,
            "whoever asks for nonsense is told so");
    promise(std::string_view{e.what()}.size() > 0, "and why");
  }
}

void check_query(const httplib::Request& x) {
  for (auto* name : {"type", "name", "id", "projection"})
    ask([&] { promise(valid_text(text(x, name)), "a parameter can be sent"); });
  for (auto* name : {"after", "up_to", "seq_no", "from", "before"})
    ask([&] {
      promise(number(x, name, 1) <= INT64_MAX, "a parameter is a bigint");
    });
  ask([&] {
    auto rows = limit(x);
    promise(rows >= 1 && rows <= most_rows, "pages are bounded");
  });
  ask([&] { promise(!type_name(x).empty(), "a type has a name"); });
}

void check_body(const httplib::Request& x) {
  ask([&] {
    auto body = read_body(x.body);
    auto name = projection_name(body);
    promise(!name.empty() && valid_text(name), "a name can be sent");
    ask([&] {
      auto number = event_number(body);
      promise(number > 0 && number <= INT64_MAX, "an event has a number");
    });
    ask([&] {
      check_confirmed(body);
      promise(body["confirm"] == name, "what is lost was confirmed");
    });
  });
}

} // namespace

// What comes over HTTP into `evented serve`.
void request(std::string_view input) {
  auto x = parse(input);
  check_guard(x);
  check_query(x);
  check_body(x);
}

} // namespace evented::test::fuzz
