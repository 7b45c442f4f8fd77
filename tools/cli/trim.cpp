#include "core/removal.hpp"
#include "core/verb.hpp"

namespace evented::cli {

void add_trim(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "trim",
    "Removes events that a snapshot covers, with a copy in a file if wanted; "
    "the entities live on. Refused where a projection has not read them, where "
    "they are above the frontier, or without a snapshot of the newest shape",
    "  evented trim account --id 0190e3a2-7c11-7e11-8000-3f1f1a2b3c4d "
    "--up-to 5000\n"
    "  evented trim account --all --before 2024-01-01 --to old.jsonl.zst");
  auto options = std::make_shared<removal_options>();
  options->kind = removal_kind::trim;
  verb->add_option("TYPE", options->type, "The name of their type")->required();
  auto* id
    = verb->add_option("--id", options->ids, "An entity; may be repeated");
  verb->add_flag("--all", options->all, "All entities of the type")
    ->excludes(id);
  verb
    ->add_option("--up-to", options->up_to,
                 "Not beyond this version (that of the newest snapshot)")
    ->check(whole_number(1));
  verb->add_option("--before", options->before,
                   "Only events from before this time (UTC)");
  verb->add_option("--to", options->file,
                   "Copies them into this file first, which must not be there");
  verb->add_option("--ignore-projection", options->ignored,
                   "A projection that may miss them; may be repeated");
  verb->add_flag("--dry-run", options->dry_run,
                 "Only tells what would be done");
  on(verb, chosen, options, run_removal);
}

} // namespace evented::cli
