#include "operation.hpp"

#include "failure.hpp"

#include <evented/utf8.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <iostream>
#include <pwd.h>
#include <unistd.h>

namespace evented::cli {

namespace {

/// As the operating system calls whoever runs this.
std::string client() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  auto* who = getpwuid(geteuid());
  auto name = who == nullptr ? std::to_string(geteuid()) : who->pw_name;
  return name + "@" + host;
}

} // namespace

operation::operation(journal& where, const std::string& verb,
                     const nlohmann::json& arguments)
  : where_(where) {
  auto text
    = arguments.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  id_ = where_
          .run("select {schema}.begin_operation($1, $2, $3::jsonb)",
               {where_.on_behalf_of.empty()
                  ? client()
                  : where_.on_behalf_of + " by " + client(),
                verb, text})
          .text(0, 0);
}

void operation::failed(const std::string& detail) noexcept {
  try {
    end("failed", detail);
  } catch (const std::exception&) {
    // The row stays without an outcome, which says as much.
  }
}

void operation::end(const char* outcome, const std::string& detail) {
  where_.run("select {schema}.end_operation($1::bigint, $2, $3)",
             {id_, outcome, make_text(detail, 2000)});
}

void confirm(const globals& how, const std::string& what) {
  if (how.yes)
    return;
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0)
    throw failure(exit_code::refused,
                  what + "? There is nobody to ask: say --yes");
  std::fprintf(stderr, "%s? [y/N] ", what.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "y" && answer != "Y" && answer != "yes")
    throw failure(exit_code::refused, "nothing was changed");
}

} // namespace evented::cli
