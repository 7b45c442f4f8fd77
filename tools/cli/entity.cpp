#include "core/description.hpp"
#include "core/event_pages.hpp"
#include "core/failure.hpp"
#include "core/show.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace evented::cli {

namespace {

struct entity_options {
  std::string type;
  std::string id;
};

exit_code entity(const globals& how, const entity_options& options) {
  auto x = open_journal(how);
  check_type_name(options.type);
  auto id = x.id(options.id);
  auto about = describe_entity(x, options.type, id);
  if (how.json) {
    std::printf(
      "%s\n",
      about.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
        .c_str());
  } else {
    std::printf("%s/%s is at version %lld, in slice %d\n",
                visible(options.type).c_str(), visible(options.id).c_str(),
                about["version"].get<long long>(), about["slice"].get<int>());
    if (about["archived"].get<bool>())
      std::puts("It is archived: its events were moved out.");
    else if (about.count("horizon") != 0)
      std::printf("Its events up to version %lld were trimmed.\n",
                  about["horizon"].get<long long>());
    for (auto& s : about["snapshots"])
      std::printf("It has a snapshot at version %lld, of shape %d.\n",
                  s["version"].get<long long>(), s["state_version"].get<int>());
    if (about["messages_waiting"] != 0)
      std::printf("%lld messages of it wait in the outbox.\n",
                  about["messages_waiting"].get<long long>());
  }
  // Also what is above the frontier: this is one entity, in order.
  event_pages{x, {{options.type}, id, {}, {}, {}}, 0, INT64_MAX}.for_each(
    [&](const event_view& e) { show_event(how, x.options, e); });
  return exit_code::done;
}

} // namespace

void add_entity(CLI::App& app, action& chosen) {
  auto* verb = add_verb(
    app, "entity",
    "Shows an entity: its version, snapshots and horizon, then its events; "
    "with --json one JSON object a line",
    "  evented entity account 0190e3a2-7c11-7e11-8000-3f1f1a2b3c4d");
  auto options = std::make_shared<entity_options>();
  verb->add_option("TYPE", options->type, "The name of its type")->required();
  verb->add_option("ID", options->id, "Its ID")->required();
  on(verb, chosen, options, entity);
}

} // namespace evented::cli
