// What operators ask of a projection through the database: the part of
// projection_actor that serves those who have no handle.

#include "projection_actor.hpp"

#include <spdlog/spdlog.h>

namespace evented::detail {

namespace {

/// Resets and replays take as long as the application's statements do.
constexpr std::chrono::hours patience{24};

} // namespace

void projection_actor::serve_requests() {
  // Whoever was told not to run leaves it to the others.
  if (!status_.requested || !running_ || std::exchange(serving_, true))
    return;
  auto found = std::make_shared<std::optional<projection_request>>();
  ask(
    this, sessions_,
    [name = settings_->name, found](projection_session& session) {
      *found = session.take_request(name);
    },
    [this, found](const std::exception_ptr& failure) {
      if (failure == nullptr && *found)
        serve(**found);
      else
        serving_ = false;
    });
}

void projection_actor::serve(const projection_request& what) {
  auto end
    = [this, id = what.id](const std::string& error, std::uint64_t count) {
        if (settings_ == nullptr)
          return; // on its way out
        if (!error.empty())
          SPDLOG_WARN("evented: projection {}: what an operator has asked for "
                      "failed: {}",
                      settings_->name, error);
        ask_again(
          this, sessions_,
          [id, error, count](projection_session& session) {
            session.end_request(id, error, count);
          },
          [this](const std::exception_ptr&) {
            serving_ = false;
            look();
          });
      };
  auto failed = [end](const caf::error& err) { end(evented::text_of(err), 0); };
  auto done = [end](const control::done&) { end("", 0); };
  auto self = caf::actor_cast<caf::actor>(this);
  switch (what.kind) {
  case request_kind::reset:
    SPDLOG_INFO("evented: projection {} is reset on an operator's request",
                settings_->name);
    seam::request(this, self, patience, done, failed,
                  what.start ? control::reset{*what.start} : control::reset{});
    break;
  case request_kind::rebuild:
    SPDLOG_INFO("evented: projection {} is rebuilt on an operator's request",
                settings_->name);
    seam::request(this, self, patience, done, failed, control::rebuild{});
    break;
  case request_kind::replay:
    seam::request(
      this, self, patience,
      [end](const replayed_letters& x) { end("", x.count); }, failed,
      control::replay{what.type_name, to_string(what.entity)});
    break;
  }
}

} // namespace evented::detail
