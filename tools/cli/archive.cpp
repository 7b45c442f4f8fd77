#include "core/removal.hpp"
#include "core/verb.hpp"

namespace evented::cli {

void add_archive(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "archive",
    "Moves all events of entities into a file and closes them: commands to "
    "them are answered with `archived` from then on. Refused where a "
    "projection has not read them, or messages of theirs wait",
    "  evented archive order --id 0190e3a2-7c11-7e11-8000-3f1f1a2b3c4d "
    "--to order.jsonl.zst\n"
    "  evented archive order --all --idle-since 2024-01-01 "
    "--to orders.jsonl.zst --dry-run");
  auto options = std::make_shared<removal_options>();
  options->kind = removal_kind::archive;
  verb->add_option("TYPE", options->type, "The name of their type")->required();
  auto* id
    = verb->add_option("--id", options->ids, "An entity; may be repeated");
  auto* since = verb->add_option("--idle-since", options->before,
                                 "Only entities without an event since this "
                                 "time (UTC)");
  // So that nobody closes a whole journal by leaving something out.
  verb
    ->add_flag("--all", options->all,
               "All entities of the type; needs --idle-since")
    ->excludes(id)
    ->needs(since);
  verb->add_option("--to", options->file, "The file, which must not be there")
    ->required();
  verb->add_option("--ignore-projection", options->ignored,
                   "A projection that may miss them; may be repeated");
  verb->add_flag("--resume", options->resume,
                 "Goes on where the file is whole, but not all of it is "
                 "removed from the journal");
  verb->add_flag("--dry-run", options->dry_run,
                 "Only tells what would be done");
  on(verb, chosen, options, run_removal);
}

} // namespace evented::cli
