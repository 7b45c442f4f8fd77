#include "schedule/schedule.hpp"

#include "schedule/asker.hpp"
#include "workers.hpp"

#include <caf/config_value.hpp>

#include <stdexcept>

using namespace std::chrono_literals;

namespace evented::test {

using testkit::fault;
using testkit::store_call;

namespace {

constexpr std::uint64_t most_steps = 50'000;

/// Renders a message for the trace, without what differs from run to run.
std::string shown(caf::mailbox_element& x) {
  auto& content = x.content();
  if (content.size() == 0)
    return "an empty message";
  auto result = content.stringify();
  if (result.starts_with("(exit_msg"))
    return "exit";
  if (!result.starts_with("(<unprintable>"))
    return result;
  if (auto* type = content.type(0).second) {
    std::string name = type->name();
    return name.substr(name.find("detail") + 6);
  }
  return result;
}

} // namespace

schedule_runner::schedule_runner(wrap_store wrap) : wrap_(std::move(wrap)) {
  cfg_ = std::make_unique<config<caf::id_block::vaults>>();
  cfg_->set("scheduler.policy", caf::atom("testing"));
  sys_ = std::make_unique<caf::actor_system>(*cfg_);
  jobs_ = dynamic_cast<caf::scheduler::test_coordinator*>(&sys_->scheduler());
  if (jobs_ == nullptr)
    throw std::runtime_error("no scheduler for tests");
  asker_ = sys_->spawn<asker>();
  jobs_->run();
  actors_ = sys_->registry().running();
}

schedule_runner::~schedule_runner() {
  caf::anon_send_exit(asker_, caf::exit_reason::user_shutdown);
  asker_ = nullptr;
  jobs_->run();
  // What has failed may have left actors, and nobody runs them.
  sys_->await_actors_before_shutdown(false);
}

std::string schedule_runner::run(std::uint64_t seed, bool traced) {
  traced_ = traced;
  trace_.str({});
  set_up(seed);
  play();
  if (history_->wrong().empty())
    come_to_rest();
  auto wrong = history_->wrong();
  tear_down();
  if (wrong.empty() && sys_->registry().running() != actors_)
    wrong = "some actors do not end: "
            + std::to_string(sys_->registry().running() - actors_);
  return wrong;
}

// -- set up -------------------------------------------------------------------

void schedule_runner::set_up(std::uint64_t seed) {
  random_ = dice{seed};
  detail::seed_backoff(static_cast<unsigned>(random_.next()));
  is_ = {};
  // A third of the schedules has only the order of steps, a third faults too.
  auto mood = random_.below(3);
  if (mood > 0) {
    is_.fault_permille = random_.one_of(10u, 40u, 150u);
    is_.hasty = random_.permille(300);
  }
  if (mood > 1)
    is_.crash_permille = random_.one_of(3u, 10u, 30u);
  is_.commands = 6 + random_.below(22);
  is_.entities = random_.one_of(1, 1, 2, 3);
  is_.command_timeout = random_.one_of(300, 5000, 5000) * 1ms;
  if (random_.permille(100)) {
    is_.max_queue = 2;
    is_.max_in_progress = 6;
  }
  journal_options options;
  options.ids = id_kind::bigint;
  options.wake_up = wake_up::poll;
  options.writers = random_.one_of(1u, 2u);
  options.readers = random_.one_of(1u, 2u);
  memory_ = make_memory_store(options, random_.permille(900)
                                         ? memory_commits::in_steps
                                         : memory_commits::at_once);
  history_ = std::make_unique<history>(memory_->connect());
  history_->allow({.time_is_up = is_.fault_permille > 0,
                   .refusals = is_.fault_permille > 0,
                   .full_queues = is_.max_queue < 4096});
  reader_ = memory_->connect();
  snapshots_ = memory_->connect();
  if (wrap_)
    memory_ = wrap_(memory_);
  frontier_ = read_up_to_ = 0;
  all_faults_.clear();
  processes_.clear();
  with_id_.clear();
  next_process_ = 0;
  next_key_ = 1;
  sent_ = 0;
  faults_left_ = 30;
  crashes_left_ = is_.crash_permille > 0 ? 3 : 0;
  static_cast<asker&>(*caf::actor_cast<caf::abstract_actor*>(asker_))
    .on_answer([this](std::size_t attempt, const caf::message& what) {
      note("  answer to attempt ", attempt);
      history_->answered(attempt, what);
    });
  for (auto i = 0; i < 2; ++i)
    processes_.push_back(start());
}

schedule_runner::process_ptr schedule_runner::start() {
  auto x = std::make_shared<process>();
  x->number = next_process_++;
  x->lives = std::make_shared<life>();
  x->lives->commits = commits_;
  x->lives->ends
    = [this, raw = x.get()](const char* where) { return crashes(*raw, where); };
  x->faults = std::make_shared<testkit::faulty_store>(memory_);
  x->faults->decide_by(
    [this, raw = x.get()](store_call call) { return decide(*raw, call); });
  x->faults->compete_by([](const append_request&) {
    return std::vector<new_event>{
      {moved::event_name, 1, R"({"key":0,"amount":1})", "", {}}};
  });
  all_faults_.push_back(x->faults);
  x->undisturbed = true;
  x->journal.emplace(*sys_,
                     std::make_shared<mortal_store>(x->lives, x->faults));
  x->region = random_.permille(500) ? spawn<1>(*x) : spawn<2>(*x);
  x->undisturbed = false;
  return x;
}

template <std::int32_t Shape>
caf::actor schedule_runner::spawn(process& x) {
  using entity = basic_vault<Shape>;
  entity_options<entity> options;
  options.command_timeout = is_.command_timeout;
  options.max_queue = is_.max_queue;
  options.max_in_progress = is_.max_in_progress;
  options.max_conflicts = random_.one_of(2u, 10u);
  options.idle_timeout = random_.one_of(0, 40, 40) * 1ms;
  options.max_awake = random_.one_of(0u, 1u, 2u);
  if (random_.permille(600))
    options.snapshots({.every = random_.one_of(0u, 1u, 3u),
                       .when_put_to_sleep = random_.permille(500),
                       .keep = random_.one_of(1u, 2u)});
  note("process ", x.number, " starts: shape ", Shape, ", idle_timeout ",
       options.idle_timeout.count(), ", max_awake ", options.max_awake,
       options.snapshots() ? ", snapshots" : "");
  return spawn_entities<entity>(*sys_, *x.journal, options);
}

// -- faults -------------------------------------------------------------------

fault schedule_runner::decide(process& x, store_call call) {
  if (x.lives->over)
    return random_.one_of(fault::late, fault::fail, fault::lose_reply);
  if (x.undisturbed || faults_left_ == 0
      || !random_.permille(is_.fault_permille))
    return fault::none;
  --faults_left_;
  ++counts_.faults;
  auto what = fault::fail;
  if (call == store_call::append)
    what = random_.one_of(fault::fail, fault::lose_reply, fault::lose_reply,
                          fault::late, fault::late, fault::delay,
                          fault::conflict, fault::refuse);
  else if (call == store_call::connect && random_.permille(300))
    x.faults->inject(store_call::connect, fault::fail, random_.below(8));
  else if (call != store_call::connect)
    what = random_.one_of(fault::fail, fault::lose_reply, fault::refuse);
  // Sometimes the database stays away for longer than commands may take.
  if ((what == fault::lose_reply || what == fault::late)
      && random_.permille(300))
    x.faults->inject(store_call::connect, fault::fail, 3 + random_.below(10));
  note("  fault in process ", x.number, ": ", to_string(what), " in ",
       to_string(call));
  return what;
}

bool schedule_runner::crashes(process& x, const char* where) {
  if (x.undisturbed || crashes_left_ == 0
      || !random_.permille(is_.crash_permille))
    return false;
  --crashes_left_;
  note("  process ", x.number, " crashes ", where);
  history_->crashed(x.number);
  return true;
}

// -- play ---------------------------------------------------------------------

void schedule_runner::play() {
  for (std::uint64_t i = 0; history_->wrong().empty(); ++i) {
    if (sent_ == is_.commands && history_->open() == 0)
      return;
    if (i == most_steps) {
      note("no end");
      history_->give_up("commands are not answered within "
                        + std::to_string(most_steps) + " steps");
      return;
    }
    step();
    bury();
  }
}

void schedule_runner::step() {
  ++counts_.steps;
  auto roll = random_.below(1000);
  if (roll < 60 && sent_ < is_.commands)
    send_something();
  else if (roll < 80)
    read(1 + random_.below(5));
  else if (roll < 110)
    move_late();
  else if (roll < 115)
    disturb();
  else if (roll < 120 && sent_ < is_.commands)
    lull();
  else if (roll < 123)
    save_snapshot();
  else if (roll < 140 && is_.hasty)
    pass_time();
  else if (!run_job()) {
    if (sent_ < is_.commands && random_.permille(700))
      send_something();
    else if (random_.permille(500))
      move_late();
    else
      pass_time();
  }
}

bool schedule_runner::run_job() {
  auto& jobs = jobs_->jobs;
  if (jobs.empty())
    return false;
  auto i = static_cast<std::ptrdiff_t>(random_.below(jobs.size()));
  std::rotate(jobs.begin(), jobs.begin() + i, jobs.begin() + i + 1);
  if (traced_)
    if (auto* actor = dynamic_cast<caf::scheduled_actor*>(jobs.front())) {
      auto* next = actor->mailbox().peek();
      note(actor->name(), ": ", next == nullptr ? "-" : shown(*next));
    }
  jobs_->run_once();
  return true;
}

bool schedule_runner::pass_time() {
  if (!jobs_->trigger_timeout())
    return false;
  note("time passes");
  return true;
}

void schedule_runner::lull() {
  for (auto n = 3 + random_.below(30); n > 0; --n)
    if (!run_job() && !pass_time())
      return;
}

// -- the end ------------------------------------------------------------------

void schedule_runner::come_to_rest() {
  note("-- coming to rest");
  is_.fault_permille = 0;
  is_.crash_permille = 0;
  for (auto i = 0; i < 100; ++i)
    move_late();
  processes_.push_back(start());
  for (std::int64_t entity = 1; entity <= is_.entities; ++entity) {
    wish x;
    x.kind = request_kind::ask_journal;
    x.entity = entity;
    x.key = next_key_++;
    send(history_->wished(std::move(x)), *processes_.back());
  }
  play();
  for (auto& x : processes_)
    end(x, "stopped");
  processes_.clear();
  tear_down();
  read(100'000);
  history_->finish();
}

void schedule_runner::tear_down() {
  for (auto& x : processes_)
    end(x, "stopped");
  processes_.clear();
  for (std::uint64_t i = 0; i < most_steps; ++i)
    if (jobs_->has_job())
      jobs_->run_once();
    else if (!jobs_->trigger_timeout())
      break;
  ended_.clear();
  // Also what the dying have left.
  for (auto& x : all_faults_)
    while (x->late() > 0)
      x->drop_late();
}

} // namespace evented::test
