#include "core/event_pages.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"
#include "fuzz/cli/targets.hpp"
#include "serve/address.hpp"

#include <evented/utf8.hpp>

#include <nlohmann/json.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace evented::test::fuzz {

namespace {

using namespace evented::cli;

/// Runs `f`, which may not understand what was typed in.
template <class F>
void take(F&& f) {
  try {
    f();
  } catch (const failure& e) {
    promise(e.code() == exit_code::usage, "a mistake is the operator's");
  }
}

/// Each line of the input is an argument.
void parse_arguments(std::string_view input) {
  static globals how;
  static action chosen;
  static CLI::App app;
  static auto made = (add_everything(app, how, chosen), true);
  promise(made, "there are verbs");
  std::vector<std::string> words{"evented"};
  for (auto c : input) {
    if (c == '\n')
      words.emplace_back();
    else if (c != '\0')
      words.back() += c;
  }
  std::vector<const char*> pointers;
  for (auto& x : words)
    pointers.push_back(x.c_str());
  chosen = nullptr;
  try {
    app.parse(static_cast<int>(pointers.size()), pointers.data());
    promise(chosen != nullptr, "what is understood is done");
  } catch (const CLI::ParseError& e) {
    std::ostringstream out;
    app.exit(e, out, out);
    promise(!out.str().empty(), "there is an answer");
  }
}

void check_output(std::string_view input) {
  for (auto c : visible(input))
    promise(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F,
            "no terminal is steered");
  std::string quoted;
  append_json(quoted, input);
  if (valid_text(input))
    promise(nlohmann::json::parse(quoted) == std::string{input},
            "a text is the same in JSON");
  std::string packed;
  append_base64(packed, input);
  promise(packed.size() == 2 + (input.size() + 2) / 3 * 4,
          "three bytes take four digits");
  if (input.size() < 8)
    return;
  std::string time;
  append_time(time, read_int64(input.substr(0, 8)));
  promise(!time.empty() && valid_text(time), "each number is a time");
  if (input.size() >= 16)
    promise(uuid::parse(uuid_text(input.substr(0, 16))).has_value(),
            "16 bytes are a UUID");
}

} // namespace

// What an operator types in, and what is shown to one.
void command_line(std::string_view input) {
  std::string text{input};
  take([&] {
    check_type_name(text);
    promise(valid_text(text) && !text.empty(), "a name can be stored");
  });
  take([&] {
    auto x = read_address(text);
    promise(!x.host.empty() && x.port >= 0 && x.port <= 65535,
            "an address has a host and a port");
  });
  take([&] { (void)options_of({text, "evented"}); });
  take([&] {
    auto options = options_of({"", text});
    promise(options.schema == text && valid_text(text), "a schema has a name");
  });
  for (auto kind : {id_kind::uuid, id_kind::text, id_kind::bigint})
    if (auto id = parse_entity_id(kind, text); id && valid(*id))
      promise(parse_entity_id(kind, to_string(*id)) == id, "an ID can be read");
  check_output(input);
  parse_arguments(input);
}

} // namespace evented::test::fuzz
