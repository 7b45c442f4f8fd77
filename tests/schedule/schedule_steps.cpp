// What comes from outside in a schedule.

#include "schedule/asker.hpp"
#include "schedule/schedule.hpp"

#include <algorithm>

namespace evented::test {

// -- commands -----------------------------------------------------------------

void schedule_runner::send_something() {
  ++counts_.commands;
  ++sent_;
  auto& to = *processes_[random_.below(processes_.size())];
  // Who does not know what became of a command asks again, and some ask twice.
  if (!with_id_.empty() && random_.permille(300)) {
    auto again = with_id_[random_.below(with_id_.size())];
    for (auto x : with_id_)
      if (history_->unsettled(x) && random_.permille(500))
        again = x;
    send(again, to);
    return;
  }
  auto x = something();
  auto has_id = !x.id.empty();
  auto number = history_->wished(std::move(x));
  if (has_id)
    with_id_.push_back(number);
  send(number, to);
}

wish schedule_runner::something() {
  using enum request_kind;
  wish x;
  x.kind = random_.one_of(add, add, add, take_out, take_out, take_out, spoil,
                          stumble, ask_memory, ask_journal);
  x.entity = 1
             + static_cast<std::int64_t>(
               random_.below(static_cast<std::uint64_t>(is_.entities)));
  x.key = next_key_++;
  x.amount = 1 + static_cast<std::int64_t>(random_.below(5));
  x.parts = random_.one_of(0u, 1u, 1u, 1u, 2u, 3u);
  if (x.kind == ask_memory || x.kind == ask_journal)
    return x;
  if (random_.permille(400)) {
    x.id = "c" + std::to_string(x.key);
    // Somebody's mistake: an ID that another command has.
    if (!with_id_.empty() && random_.permille(60))
      x.id = history_->at(with_id_[random_.below(with_id_.size())]).id;
  }
  if (random_.permille(150)) {
    x.expected = history_->version(x.entity);
    if (random_.permille(300))
      ++*x.expected;
  }
  return x;
}

void schedule_runner::send(std::size_t number, process& to) {
  auto& x = history_->at(number);
  auto attempt = history_->asked(number, to.number);
  note("attempt ", attempt, " at process ", to.number, ": ", to_string(x));
  auto& from
    = static_cast<asker&>(*caf::actor_cast<caf::abstract_actor*>(asker_));
  auto ask = [&](auto content) {
    envelope around{.id = x.id};
    if (x.expected)
      around.expected_version = static_cast<std::int64_t>(*x.expected);
    if (!x.expected && x.id.empty())
      from.ask(attempt, to.region, caf::make_message(x.entity, content));
    else if (!x.expected)
      from.ask(attempt, to.region,
               caf::make_message(x.entity, content, command_id{x.id}));
    else
      from.ask(attempt, to.region,
               caf::make_message(x.entity, content, around));
  };
  switch (x.kind) {
  case request_kind::add:
    return ask(add{x.key, x.amount, x.parts});
  case request_kind::take_out:
    return ask(take_out{x.key, x.amount});
  case request_kind::spoil:
    return ask(spoil{x.key});
  case request_kind::stumble:
    return ask(stumble{x.key});
  case request_kind::ask_memory:
    return ask(ask_memory{x.key});
  case request_kind::ask_journal:
    return ask(ask_journal{x.key});
  }
}

// -- others -------------------------------------------------------------------

void schedule_runner::read(std::size_t limit) {
  frontier_ = std::max(frontier_, reader_->frontier());
  auto found
    = reader_->read({.types = {"vault"}}, read_up_to_, frontier_, limit);
  read_up_to_ = found.up_to;
  history_->read(found.entries);
}

void schedule_runner::move_late() {
  for (auto& x : all_faults_) {
    if (x->late() == 0)
      continue;
    auto i = random_.below(x->late());
    auto drop = random_.permille(200);
    note("a late append ", drop ? "is dropped" : "goes on");
    if (drop)
      x->drop_late(i);
    else
      x->advance_late(i);
    return;
  }
}

void schedule_runner::save_snapshot() {
  // Another process, maybe of another version of the program, writes one.
  auto entity = 1
                + static_cast<std::int64_t>(
                  random_.below(static_cast<std::uint64_t>(is_.entities)));
  load_request what{"vault", entity, 0, false};
  auto events = snapshots_->load({&what, 1}, 100'000)[0].events;
  if (events.empty())
    return;
  basic_vault<1> one;
  basic_vault<2> two;
  events.resize(1 + random_.below(events.size()));
  for (auto& x : events) {
    one.apply(from_json<moved>(x.payload));
    two.apply(from_json<moved>(x.payload));
  }
  auto shape = random_.one_of(1, 2);
  note("a snapshot of ", entity, ", shape ", shape);
  new_snapshot x{"vault",
                 entity,
                 events.size(),
                 shape,
                 shape == 1 ? to_json(one) : to_json(two),
                 events.back().seq_no};
  snapshots_->save_snapshots({&x, 1}, 2);
}

void schedule_runner::disturb() {
  if (crashes_left_ == 0 || !random_.permille(300))
    return;
  --crashes_left_;
  auto& x = processes_[random_.below(processes_.size())];
  if (random_.permille(500)) {
    note("process ", x->number, " crashes");
    history_->crashed(x->number);
    x->lives->over = true;
    return;
  }
  note("process ", x->number, " is stopped");
  ++counts_.stops;
  history_->stopped(x->number);
  end(x, "stopped");
  x = start();
}

void schedule_runner::bury() {
  for (auto& x : processes_)
    if (x->lives->over) {
      ++counts_.crashes;
      end(x, "buried");
      x = start();
    }
}

void schedule_runner::end(process_ptr& x, const char* how) {
  note("process ", x->number, " is ", how);
  caf::anon_send_exit(x->region, caf::exit_reason::user_shutdown);
  x->region = nullptr;
  x->journal.reset();
  // Its actors may still ask what to do.
  ended_.push_back(x);
}

} // namespace evented::test
