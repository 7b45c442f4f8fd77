#pragma once

#include "recovery.hpp"

#include <evented/actors/jobs.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/model.hpp>
#include <evented/actors/region.hpp>

#include <caf/event_based_actor.hpp>

#include <list>
#include <memory>
#include <string>

namespace evented::detail {

/// The actor of one entity.
///
/// It waits for at most one thing at a time: a load (to recover, or to catch up
/// with other processes) or an append; besides, the next command may wait for
/// the answer of an actor that its handler has asked. Commands that arrive meanwhile queue up;
/// they are decided one after the other, on the state with all that is on its
/// way to the journal, and go into the next append. Answers go out in order,
/// after the commit that they rest on.
class entity_actor : public caf::event_based_actor {
public:
  /// @param from what was loaded of it; without a model, it loads itself
  entity_actor(caf::actor_config& cfg,
               std::shared_ptr<const region_settings> settings, entity_id id,
               std::uint64_t incarnation, caf::weak_actor_ptr region,
               recovered from);

  caf::behavior make_behavior() override;

  const char* name() const override { return "evented.entity"; }

  void on_exit() override;

private:
  /// A command with its sender.
  struct command {
    std::shared_ptr<delivery_content> content;
    caf::response_promise promise;
    unsigned conflicts = 0;
    bool answered = false;
    /// Whether the confirmed state was read after it had arrived, and after
    /// whatever its handler has asked others was answered: what rests on that
    /// needs no further look at the journal.
    bool read_since = false;
    /// The number of the question that it waits for; 0: none.
    std::uint64_t question = 0;
    // Valid from the decision on.
    /// How many events it stores.
    std::size_t events = 0;
    /// Whether it stores anything.
    bool stores = false;
    decided decision = {};
  };

  // -- messages ---------------------------------------------------------------

  void on_delivery(delivery& x);
  void on_append_done(append_job& job);
  void on_load_done(load_job& job);
  void on_overdue(bool maybe_sent);
  /// Goes on with a command that has asked another actor.
  void on_told(std::uint64_t question, bool in_time, const caf::error& err);

  // -- steps ------------------------------------------------------------------

  /// Makes the state that was loaded the tentative one too.
  void on_up_to_date();

  /// Does the next thing there is to do.
  void advance();
  void load();
  void append();
  /// Asks what the handler of `x` wants to know, and puts it back into the
  /// queue. Returns false where there is nobody to ask; `x` is answered then.
  bool ask(command x);
  /// Whether `x` has to wait for a command with the same ID that is under way.
  [[nodiscard]] bool repeats_in_flight(const command& x) const;
  /// Decides `x` on the tentative state and turns it into a step.
  append_step decide(command& x);
  /// Writes a snapshot if it is time for one.
  void consider_snapshot(bool going_to_sleep = false);
  /// Tells the region about the size of the state, where it wants to know.
  void report_size();
  void undo_tentative();
  /// Puts the commands from `first` on back into the queue, in order.
  void decide_again(std::size_t first);
  /// Ends the entity with `why` for all that waits.
  void give_up(caf::error why);
  void ask_to_stop();

  // -- answers ----------------------------------------------------------------

  void answer(command& x, caf::message msg);
  void refuse(command& x, caf::error why);
  /// Counts and logs the answer to `x`.
  void note(const command& x, const caf::error& why) const;
  void settle(command& x, append_step& step);
  /// Answers with what a command with the same ID was answered.
  void recall(command& x, const remembered_command& from);
  [[nodiscard]] caf::error wrong_version(std::int64_t expected) const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] caf::error failure(errc code, const std::string& what) const;
  [[nodiscard]] caf::error out_of_time(bool maybe_sent) const;

  std::shared_ptr<const region_settings> settings_;
  entity_id id_;
  std::uint64_t incarnation_;
  caf::weak_actor_ptr region_;
  /// Without its model while `load_` has it.
  recovered state_;
  /// The version of the tentative state.
  std::uint64_t tentative_version_ = 0;

  std::list<command> queue_;
  /// The commands of the append that is under way, one per step.
  std::vector<command> in_flight_;
  std::shared_ptr<append_job> append_;
  std::shared_ptr<load_job> load_;
  /// Whether the journal may hold what the confirmed state does not.
  bool stale_;
  /// Whether a load that finds nothing means that memory is ahead of the
  /// journal, as after a failover that lost commits.
  bool expect_news_ = false;
  bool stopping_ = false;
  std::uint64_t last_question_ = 0;
  caf::error given_up_;

  /// The last one that was ordered.
  std::shared_ptr<snapshot_job> snapshot_;
  std::size_t reported_bytes_ = 0;
};

} // namespace evented::detail
