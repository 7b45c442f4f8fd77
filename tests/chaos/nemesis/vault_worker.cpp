// A process of the application: it has vaults and a view of them, and asks for
// its clients what they tell it to ask.

#include "chaos/application.hpp"
#include "chaos/nemesis/vault_process.hpp"
#include "chaos/worker.hpp"
#include "support/vault.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <unistd.h>

namespace evented::test {

namespace {

using vault = basic_vault<1>;

/// Asks once, tells the answer, and ends.
class errand : public caf::event_based_actor {
public:
  errand(caf::actor_config& cfg, caf::actor vaults, nemesis::call what,
         parent& up)
    : caf::event_based_actor(cfg),
      vaults_(std::move(vaults)),
      what_(std::move(what)),
      up_(up) {
    // nop
  }

  caf::behavior make_behavior() override {
    if (what_.verb == "add")
      ask(add{what_.key, what_.amount, what_.parts});
    else if (what_.verb == "take_out")
      ask(take_out{what_.key, what_.amount});
    else if (what_.verb == "spoil")
      ask(spoil{what_.key});
    else if (what_.verb == "stumble")
      ask(stumble{what_.key});
    else if (what_.verb == "ask_memory")
      ask_for_state(ask_memory{what_.key});
    else
      ask_for_state(ask_journal{what_.key});
    vaults_ = nullptr;
    // Needs a handler to live on.
    return {[](int) {}};
  }

private:
  template <class Command>
  void ask(Command cmd) {
    if (!what_.id.empty())
      send(std::move(cmd), command_id{what_.id});
    else if (what_.expected)
      send(std::move(cmd), expect{*what_.expected});
    else
      send(std::move(cmd));
  }

  template <class Command, class... Ts>
  void send(Command cmd, Ts... xs) {
    auto asked = request(vaults_, patience, what_.entity, std::move(cmd),
                         std::move(xs)...);
    auto failed = [this](const caf::error& err) { tell(err); };
    if constexpr (std::is_same_v<Command, take_out>)
      asked.then(
        [this](const accepted& a, std::int64_t total) {
          tell({"accepted", a.version, a.seq_no, total, {}});
        },
        failed);
    else
      asked.then(
        [this](const accepted& a) {
          tell({"accepted", a.version, a.seq_no, std::nullopt, {}});
        },
        failed);
  }

  template <class Query>
  void ask_for_state(Query query) {
    request(vaults_, patience, what_.entity, query)
      .then(
        [this](const seen& x) {
          tell({"seen", x.version, 0, x.total, {}});
        },
        [this](const caf::error& err) { tell(err); });
  }

  void tell(const caf::error& err) {
    nemesis::reply result;
    if (auto why = rejection<too_little>(err)) {
      result = {"rejected", why->version, 0, why->total, {}};
    } else if (auto actual = actual_version(err)) {
      result = {"unexpected_version", *actual, 0, std::nullopt, {}};
    } else if (auto code = code_of(err); code != errc::none) {
      result.as = to_string(code);
      result.text = text_of(err);
    } else {
      result.as = "foreign";
      result.text = evented::render(system(), err);
    }
    tell(std::move(result));
  }

  void tell(nemesis::reply x) {
    up_.tell(nemesis::to_words(what_.number, x));
    quit();
  }

  caf::actor vaults_;
  nemesis::call what_;
  parent& up_;
};

/// Tries until it works, as whatever starts processes does.
template <class F>
auto persistently(const char* what, F&& f) {
  for (;;) {
    try {
      return f();
    } catch (const std::exception& e) {
      spdlog::warn("cannot {} yet: {}", what, e.what());
      pass_time(std::chrono::milliseconds{20});
    }
  }
}

/// What one process of an application does in a while, and with small limits, so
/// that entities fall asleep and wake up all the time.
entity_options<vault> restless() {
  entity_options<vault> result;
  result.command_timeout = nemesis::command_timeout;
  result.idle_timeout = std::chrono::milliseconds{150};
  result.max_awake = 8;
  // All are kept, to be compared with the events.
  result.snapshots({.every = 5, .when_put_to_sleep = true, .keep = 10000});
  return result;
}

auto viewer(const std::string& schema) {
  return [note = "insert into " + schema + ".view_event (seq_no) values ($1)",
          count = "insert into " + schema
                  + ".view_total as x values ($1, $2) on conflict (entity) do "
                    "update set total = x.total + excluded.total"](
           const recorded<vault>& e, transaction& tx) {
    tx.exec(note, e.seq_no);
    tx.exec(count, e.id, e.as<moved>()->amount);
  };
}

} // namespace

/// vaults URL SCHEMA LOCK_MS STATEMENT_MS: says "ready", then obeys calls until
/// it is told to "end".
int run_vaults(const std::vector<std::string>& args) {
  journal_options where;
  where.url = args.at(1);
  where.schema = args.at(2);
  where.ids = id_kind::bigint;
  where.lock_timeout = std::chrono::milliseconds{std::stoi(args.at(3))};
  where.statement_timeout = std::chrono::milliseconds{std::stoi(args.at(4))};
  where.take_over = nemesis::take_over;
  where.poll_interval = std::chrono::milliseconds{200};
  config<caf::id_block::vaults> cfg;
  caf::actor_system sys{cfg};
  parent up;
  auto opened = persistently("open the journal", [&] {
    return journal{sys, where};
  });
  projection_options how;
  how.ranges = 2;
  how.on_error.max_delay = std::chrono::milliseconds{500};
  auto view = persistently("start the view", [&] {
    return spawn_projection<vault>(sys, opened, "totals", viewer(where.schema),
                                   how);
  });
  auto vaults = persistently("start the vaults", [&] {
    return spawn_entities<vault>(sys, opened, restless());
  });
  up.tell("ready");
  for (;;) {
    auto words = up.hear();
    if (words.empty() || words[0] == "end")
      return 0;
    sys.spawn<errand>(vaults, nemesis::to_call(words), std::ref(up));
  }
}

} // namespace evented::test
