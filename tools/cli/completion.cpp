#include "core/verb.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string>

namespace evented::cli {

namespace {

struct completion_options {
  std::string shell;
};

std::string words(const CLI::App& app) {
  std::string result;
  for (auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    result += verb->get_name() + " ";
  for (auto* option : app.get_options())
    for (auto& name : option->get_lnames())
      result += "--" + name + " ";
  // For a verb, also what goes for all of them.
  if (app.get_parent() != nullptr)
    for (auto* option : app.get_parent()->get_options())
      for (auto& name : option->get_lnames())
        result += "--" + name + " ";
  if (!result.empty())
    result.pop_back();
  return result;
}

/// Adds a line `path) words=..` for each verb and each verb below it.
void cases(const CLI::App& app, const std::string& path, std::string& to) {
  to += fmt::format("    '{}') words='{}' ;;\n", path, words(app));
  for (auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    cases(*verb,
          path.empty() ? verb->get_name() : path + " " + verb->get_name(), to);
}

/// Returns the names of all verbs, which are told apart from the values of
/// options by being one.
void verbs(const CLI::App& app, std::string& to) {
  for (auto* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    to += "|" + verb->get_name();
    verbs(*verb, to);
  }
}

// Both shells: zsh reads bash's with bashcompinit.
constexpr const char* script = R"(_evented() {{
  local word words path='' i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${{COMP_WORDS[i]}}
    case "$word" in
      {verbs}) path="${{path:+$path }}$word" ;;
    esac
  done
  case "$path" in
{cases}    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _evented evented
)";

} // namespace

void add_completion(CLI::App& app, action& chosen) {
  auto* verb = add_verb(app, "completion", "Prints completion for a shell",
                        "  evented completion bash > "
                        "/etc/bash_completion.d/evented\n"
                        "  evented completion zsh > \"${fpath[1]}/_evented\"");
  auto options = std::make_shared<completion_options>();
  verb->add_option("SHELL", options->shell, "bash or zsh")
    ->required()
    ->check(CLI::IsMember({"bash", "zsh"}));
  on(verb, chosen, options,
     [&app](const globals&, const completion_options& x) {
       std::string list;
       std::string names;
       cases(app, "", list);
       verbs(app, names);
       if (x.shell == "zsh")
         std::puts("#compdef evented\nautoload -U +X bashcompinit && "
                   "bashcompinit");
       std::puts(fmt::format(script, fmt::arg("verbs", names.substr(1)),
                             fmt::arg("cases", list))
                   .c_str());
       return exit_code::done;
     });
}

} // namespace evented::cli
