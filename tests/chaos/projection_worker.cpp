#include "chaos/application.hpp"
#include "chaos/worker.hpp"

#include <atomic>
#include <thread>

namespace evented::test {

namespace {

/// Where an owner that is to be stopped waits, inside of its handler.
struct gate {
  parent& test;
  std::atomic<bool> closed{false};
  std::atomic<bool> held{false};

  void pass() {
    if (!closed || held.exchange(true))
      return;
    test.tell("holding");
    // The test stops this process here, and opens the gate when it goes on.
    while (closed)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
};

} // namespace

/// project URL SCHEMA TAKE_OVER_MS POLL_MS RANGES
///
/// Runs the projection "view" until the parent is gone. Notes every event with
/// a plain INSERT, so that handling one twice fails, and adds the amounts up.
/// Told "close", it tells "holding" once it has written the view for the next
/// event, and waits for "open".
int project(const std::vector<std::string>& args) {
  parent test;
  gate door{test};
  journal_options where;
  where.url = args.at(1);
  where.schema = args.at(2);
  where.take_over = std::chrono::milliseconds{std::stoi(args.at(3))};
  where.poll_interval = std::chrono::milliseconds{std::stoi(args.at(4))};
  config<caf::id_block::accounts> cfg;
  caf::actor_system sys{cfg};
  // Started while the database is away, it tries again.
  std::optional<journal> opened;
  caf::actor view;
  projection_options options;
  options.ranges = static_cast<std::uint16_t>(std::stoi(args.at(5)));
  auto note = "insert into " + where.schema
              + ".handled (seq_no, entity_id, version) values ($1, $2, $3)";
  auto add = "insert into " + where.schema
             + ".sums values ($1, $2) on conflict (id) do update set amount = "
               "sums.amount + excluded.amount";
  auto started = wait_until(
    [&] {
      try {
        if (!opened)
          opened.emplace(sys, where);
        view = spawn_projection<account>(
          sys, *opened, "view",
          [&](const recorded<account>& e, transaction& tx) {
            tx.exec(note, e.seq_no, e.id, e.version);
            auto* in = e.as<deposited>();
            tx.exec(add, e.id,
                    static_cast<long long>(
                      in != nullptr ? in->amount : -e.as<withdrawn>()->amount));
            door.pass();
          },
          options);
        return true;
      } catch (const error&) {
        return false;
      }
    },
    patience);
  if (!started)
    return 1;
  test.tell("started");
  for (auto words = test.hear(); !words.empty(); words = test.hear()) {
    if (words[0] == "close")
      door.closed = true;
    else if (words[0] == "open")
      door.closed = false;
    test.tell("done");
  }
  return 0;
}

} // namespace evented::test
