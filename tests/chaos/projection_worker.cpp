// A process that runs a projection over the accounts and does what its parent
// tells it.

#include "chaos/projection_bed.hpp"
#include "chaos/worker.hpp"

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <unistd.h>

namespace evented::test {

namespace {

/// Stops a handler in the middle of an event, its transaction open.
class checkpoint_gate {
public:
  explicit checkpoint_gate(parent& up) : up_(up) {
    // nop
  }

  /// Lets the next event stop.
  void arm() {
    std::lock_guard guard{mutex_};
    armed_ = true;
    released_ = false;
  }

  void release() {
    std::lock_guard guard{mutex_};
    armed_ = false;
    released_ = true;
    changed_.notify_all();
  }

  /// Called by the handler.
  void pass(std::uint64_t seq_no) {
    std::unique_lock guard{mutex_};
    if (!std::exchange(armed_, false))
      return;
    up_.tell("holding " + std::to_string(seq_no));
    changed_.wait(guard, [this] { return released_; });
  }

private:
  parent& up_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool armed_ = false;
  bool released_ = false;
};

/// Does something outside of the handler's transaction.
class outside {
public:
  outside(std::shared_ptr<store> where, std::string sql)
    : where_(std::move(where)), sql_(std::move(sql)) {
    // nop
  }

  /// Never a second time, whatever became of the first.
  void note(std::uint64_t seq_no) {
    std::lock_guard guard{mutex_};
    try {
      if (session_ == nullptr)
        session_ = where_->connect();
      session_->query(sql_, {parameter{seq_no}, parameter{::getpid()}});
    } catch (...) {
      session_.reset();
      throw;
    }
  }

private:
  std::shared_ptr<store> where_;
  std::string sql_;
  std::mutex mutex_;
  std::unique_ptr<store_session> session_;
};

/// Tries until the database is there, as whatever starts processes does.
template <class F>
auto persistently(F&& f) {
  for (;;) {
    try {
      return f();
    } catch (const connection_lost&) {
      pass_time(std::chrono::milliseconds{20});
    }
  }
}

projection_options options_for(const std::string& schema,
                               std::uint16_t ranges) {
  projection_options result;
  result.ranges = ranges;
  result.on_rebuild = [schema](transaction& tx, std::int32_t version) {
    for (auto& sql : view_tables(schema, version))
      tx.exec(sql);
  };
  result.on_swap
    = [schema](transaction& tx, std::int32_t from, std::int32_t to) {
        auto old = std::to_string(from);
        tx.exec("create or replace view " + schema + ".live as select * from "
                + schema + ".sums_" + std::to_string(to));
        tx.exec("drop table " + schema + ".sums_" + old);
        tx.exec("drop table " + schema + ".handled_" + old);
      };
  return result;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

} // namespace

/// projection URL SCHEMA TAKE_OVER_MS POLL_MS RANGES "effects"|"plain": says
/// "ready", then obeys: "hold" and "release" (the next event, which it tells as
/// "holding SEQ_NO"), "state", "rescale N", "rebuild".
int run_projection(const std::vector<std::string>& args) {
  journal_options where;
  where.url = args.at(1);
  where.schema = args.at(2);
  where.take_over = std::chrono::milliseconds{std::stoi(args.at(3))};
  where.poll_interval = std::chrono::milliseconds{std::stoi(args.at(4))};
  auto options = options_for(where.schema,
                             static_cast<std::uint16_t>(std::stoi(args.at(5))));
  auto with_effects = args.at(6) == "effects";
  config<caf::id_block::accounts> cfg;
  caf::actor_system sys{cfg};
  parent up;
  checkpoint_gate gate{up};
  auto opened = persistently([&] { return journal{sys, where}; });
  outside world{opened.store(),
                "insert into " + where.schema + ".effected values ($1, $2)"};
  auto handler = [&, at = where.schema](const recorded<account>& e,
                                        transaction& tx, effects& fx) {
    auto version = std::to_string(e.view_version);
    tx.exec("insert into " + at + ".handled_" + version
              + " (seq_no, pid) values ($1, $2)",
            e.seq_no, ::getpid());
    gate.pass(e.seq_no);
    auto* in = e.as<deposited>();
    tx.exec("insert into " + at + ".sums_" + version
              + " as x values ($1, $2) on conflict (id) do update set amount "
                "= x.amount + excluded.amount",
            e.id, in != nullptr ? in->amount : -e.as<withdrawn>()->amount);
    if (with_effects)
      fx.then(e, [&world, seq_no = e.seq_no] { world.note(seq_no); });
  };
  auto view = persistently([&] {
    return spawn_projection<account>(sys, opened, projection_name, handler,
                                     options);
  });
  caf::scoped_actor self{sys};
  auto command = [&](auto message) {
    std::string result = "done";
    self->request(view, patience, std::move(message))
      .receive([](control::done) {},
               [&](const caf::error& err) {
                 result = "error: " + evented::render(sys, err);
               });
    up.tell(one_line(result));
  };
  up.tell("ready");
  for (;;) {
    auto words = up.hear();
    if (words.empty()) {
      gate.release();
      return 0;
    }
    if (words[0] == "hold") {
      gate.arm();
      up.tell("armed");
    } else if (words[0] == "release") {
      gate.release();
      up.tell("released");
    } else if (words[0] == "state") {
      std::string result;
      self->request(view, patience, control::get_state{})
        .receive(
          [&](const projection_state& x) {
            result = x.healthy ? "healthy" : "unhealthy: " + x.health;
          },
          [&](const caf::error& err) {
            result = "error: " + evented::render(sys, err);
          });
      up.tell(one_line(result));
    } else if (words[0] == "rescale") {
      command(
        control::rescale{static_cast<std::uint32_t>(std::stoul(words.at(1)))});
    } else if (words[0] == "rebuild") {
      command(control::rebuild{});
    }
  }
}

} // namespace evented::test
