#include "detail/conninfo.hpp"

#include <evented/error.hpp>

#include <fstream>
#include <libpq-fe.h>
#include <map>
#include <memory>
#include <string_view>

namespace evented::detail {

namespace {

using keywords = std::map<std::string, std::string>;
using option_list
  = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

keywords collect(const option_list& list) {
  keywords result;
  for (auto* x = list.get(); x != nullptr && x->keyword != nullptr; ++x)
    if (x->val != nullptr && *x->val != '\0')
      result[x->keyword] = x->val;
  return result;
}

keywords parse(const std::string& url) {
  char* message = nullptr;
  option_list list{PQconninfoParse(url.c_str(), &message), &PQconninfoFree};
  // libpq's message may quote a piece of the URL, and so the password.
  PQfreemem(message);
  auto result = collect(list);
  // In `postgresql://user:pass/word@host`, libpq takes `pass` for the port, and
  // would quote it when it connects.
  auto port = result.find("port");
  if (!list
      || (port != result.end()
          && port->second.find_first_not_of("0123456789,")
               != std::string::npos))
    throw error(errc::invalid_options,
                "the database URL is neither a valid postgresql:// URL nor a "
                "valid connection string (percent-encode special characters; "
                "its text is withheld, since it may hold a password)");
  return result;
}

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::string line;
  if (!in || !std::getline(in, line))
    throw error(errc::invalid_options,
                "cannot read the password file " + file.string());
  return line;
}

/// Checks whether `host` is an IPv4 address in 127.0.0.0/8, not a name such as
/// 127.example.org.
bool is_loopback(std::string_view host) {
  return host.starts_with("127.")
         && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_local(const keywords& x) {
  auto it = x.find("hostaddr");
  if (it == x.end())
    it = x.find("host");
  if (it == x.end())
    return true;
  std::string_view hosts = it->second;
  while (true) {
    auto comma = hosts.find(',');
    auto host = hosts.substr(0, comma);
    if (!host.empty() && host.front() != '/' && host.front() != '@'
        && host != "localhost" && host != "::1" && !is_loopback(host))
      return false;
    if (comma == std::string_view::npos)
      return true;
    hosts.remove_prefix(comma + 1);
  }
}

std::string render(const keywords& x) {
  std::string result;
  for (auto& [key, value] : x) {
    result += key;
    result += "='";
    for (auto c : value) {
      if (c == '\'' || c == '\\')
        result += '\\';
      result += c;
    }
    result += "' ";
  }
  return result;
}

} // namespace

std::string conninfo(const journal_options& options) {
  auto x = options.url.empty() ? keywords{} : parse(options.url.reveal());
  auto set = [&x](const char* key, const std::string& value) {
    if (!value.empty())
      x[key] = value;
  };
  set("host", options.host);
  set("port", options.port != 0 ? std::to_string(options.port) : "");
  set("dbname", options.database);
  set("user", options.user);
  set("password", options.password.reveal());
  if (!options.password_file.empty())
    x["password"] = first_line(options.password_file);
  set("sslmode", options.sslmode);
  if (x.count("sslmode") == 0) {
    // What the environment says (PGHOST, PGSSLMODE) counts where nothing else
    // does.
    auto all = collect(option_list{PQconndefaults(), &PQconninfoFree});
    auto chosen = all.count("sslmode") != 0 && all["sslmode"] != "prefer";
    for (auto& [key, value] : x)
      all[key] = value;
    if (!chosen && !is_local(all))
      x["sslmode"] = "verify-full";
  }
  x["connect_timeout"] = std::to_string(options.connect_timeout.count());
  x["client_encoding"] = "UTF8";
  if (x.count("application_name") == 0)
    x["application_name"] = "evented";
  // A host that vanishes is noticed by the kernel within seconds, not hours.
  x.emplace("keepalives_idle", "5");
  x.emplace("keepalives_interval", "2");
  x.emplace("keepalives_count", "3");
  x.emplace("tcp_user_timeout", "10000");
  return render(x);
}

std::string redact(std::string text, const std::string& conninfo) {
  auto x = parse(conninfo);
  if (auto it = x.find("password"); it != x.end())
    for (auto at = text.find(it->second); at != std::string::npos;
         at = text.find(it->second, at + 3))
      text.replace(at, it->second.size(), "***");
  return text;
}

} // namespace evented::detail
