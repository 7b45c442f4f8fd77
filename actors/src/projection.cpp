#include "projection_actor.hpp"

namespace evented::detail {

namespace {

/// The handle of a projection: ends the projection when the last copy of it is
/// gone, which the projection itself, with its timers, would not notice.
class projection_front : public caf::event_based_actor {
public:
  projection_front(caf::actor_config& cfg, caf::actor core)
    : caf::event_based_actor(cfg), core_(std::move(core)) {
    seam::on_unknown(this, [](const auto&) {
      return evented::make_error(errc::unknown_command,
                                 "a projection understands the messages of "
                                 "evented::control");
    });
  }

  const char* name() const override { return "evented.projection_front"; }

  caf::behavior make_behavior() override {
    return forward<control::run, control::stop, control::get_state,
                   control::pause, control::resume, control::reset,
                   control::skip, control::rescale, control::rebuild,
                   control::wait_until, control::get_letters, control::replay,
                   control::drop>();
  }

  void on_exit() override {
    if (core_ != nullptr)
      caf::anon_send_exit(core_, caf::exit_reason::user_shutdown);
    core_ = nullptr;
  }

private:
  template <class... Ts>
  caf::behavior forward() {
    return {[this](const Ts& x) { seam::delegate(this, core_, x); }...};
  }

  caf::actor core_;
};

} // namespace

caf::actor spawn_projection(caf::actor_system& sys,
                            projection_settings settings) {
  auto& options = settings.options;
  if (options.max_batch == 0 || options.on_error.attempts == 0)
    throw error(errc::invalid_options,
                settings.name
                  + ": max_batch and error_strategy::attempts are at least 1");
  settings.journal.store()->connect_projections()->declare(
    settings.name, options.revision, options.ranges, options.start);
  settings.counts = settings.journal.metrics()->projection(settings.name);
  auto core = sys.spawn<projection_actor>(
    std::make_shared<const projection_settings>(std::move(settings)));
  return sys.spawn<projection_front>(std::move(core));
}

} // namespace evented::detail

namespace evented::control {

reset::reset(const start_position& start) : move(true) {
  if (std::holds_alternative<evented::from_now>(start))
    from_now = true;
  else if (auto* time = std::get_if<from_time>(&start))
    since = time->at.time_since_epoch().count();
  else if (auto* number = std::get_if<from_seq_no>(&start))
    after = number->after;
}

std::optional<start_position> reset::start() const {
  if (!move)
    return std::nullopt;
  if (from_now)
    return evented::from_now{};
  if (since != 0)
    return from_time{timestamp{std::chrono::microseconds{since}}};
  if (after != 0)
    return from_seq_no{after};
  return from_beginning{};
}

} // namespace evented::control
