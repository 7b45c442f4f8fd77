#pragma once

// An entity that sends: to an actor, to wallets, and to itself in time.

#include "support/wallet.hpp"

#include <caf/event_based_actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evented::test {

// -- messages -----------------------------------------------------------------

/// Stores the text and sends it to "mailer".
struct post {
  std::string text;
};

/// Puts `amount` into the wallet `to`, and takes as much from the wallet `from`
/// where that is not 0.
struct pay {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::uint64_t amount = 0;
};

/// Rings after so many milliseconds.
struct set_alarm {
  std::uint64_t milliseconds = 0;
};

/// Rings with this number after so many milliseconds, in place of what was to
/// ring under the same name.
struct schedule {
  std::string name;
  std::uint64_t milliseconds = 0;
  std::uint64_t number = 0;
};

/// Rings no more under this name.
struct call_off {
  std::string name;
};

/// Sent to itself: rings so many times, every few milliseconds, under one name.
struct tick {
  std::uint64_t left = 0;
};

/// Posts a text to another parcel, which posts it to "mailer".
struct forward {
  std::int64_t to = 0;
  std::string text;
};

/// Sent to itself.
struct ring {
  std::uint64_t number = 0;
};

/// What "mailer" receives.
struct notify {
  std::int64_t from = 0;
  std::string text;
};

/// Sends without storing anything, which is refused.
struct whisper {
  std::uint64_t dummy = 0;
};

template <class Inspector>
auto inspect(Inspector& f, post& x) {
  return inspect_object(f, x, "post", field("text", x.text));
}

template <class Inspector>
auto inspect(Inspector& f, pay& x) {
  return inspect_object(f, x, "pay", field("from", x.from), field("to", x.to),
                        field("amount", x.amount));
}

template <class Inspector>
auto inspect(Inspector& f, set_alarm& x) {
  return inspect_object(f, x, "set_alarm",
                        field("milliseconds", x.milliseconds));
}

template <class Inspector>
auto inspect(Inspector& f, schedule& x) {
  return inspect_object(f, x, "schedule", field("name", x.name),
                        field("milliseconds", x.milliseconds),
                        field("number", x.number));
}

template <class Inspector>
auto inspect(Inspector& f, call_off& x) {
  return inspect_object(f, x, "call_off", field("name", x.name));
}

template <class Inspector>
auto inspect(Inspector& f, tick& x) {
  return inspect_object(f, x, "tick", field("left", x.left));
}

template <class Inspector>
auto inspect(Inspector& f, forward& x) {
  return inspect_object(f, x, "forward", field("to", x.to),
                        field("text", x.text));
}

template <class Inspector>
auto inspect(Inspector& f, ring& x) {
  return inspect_object(f, x, "ring", field("number", x.number));
}

template <class Inspector>
auto inspect(Inspector& f, notify& x) {
  return inspect_object(f, x, "notify", field("from", x.from),
                        field("text", x.text));
}

template <class Inspector>
auto inspect(Inspector& f, whisper& x) {
  return inspect_object(f, x, "whisper", field("dummy", x.dummy));
}

// -- entity -------------------------------------------------------------------

struct jotted {
  std::string text;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(text));
  }
};

struct rung {
  std::uint64_t number = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(number));
  }
};

struct parcel {
  static constexpr std::string_view type_name = "parcel";

  using id_type = std::int64_t;
  using commands = evented::commands<post, pay, set_alarm, forward, ring,
                                     whisper, schedule, call_off, tick>;
  using queries = evented::queries<get_total>;
  using events = evented::events<jotted, rung>;
  using messages = evented::messages<notify, put, take, post, ring, tick>;

  std::uint64_t rings = 0;

  void apply(const jotted&) {}
  void apply(const rung&) { ++rings; }
};

inline decision<parcel> handle(const post& cmd, const parcel&,
                               const context<parcel>& ctx) {
  return accept(jotted{cmd.text}).send("mailer", notify{ctx.id, cmd.text});
}

inline decision<parcel> handle(const pay& cmd, const parcel&) {
  auto result = accept(jotted{"paid"}).send_to<wallet>(cmd.to, put{cmd.amount});
  if (cmd.from == 0)
    return result;
  return std::move(result).send_to<wallet>(cmd.from, take{cmd.amount});
}

inline decision<parcel> handle(const set_alarm& cmd, const parcel& state) {
  return accept(jotted{"alarm"})
    .after(std::chrono::milliseconds{cmd.milliseconds}, ring{state.rings});
}

inline decision<parcel> handle(const schedule& cmd, const parcel&) {
  return accept(jotted{"set " + std::to_string(cmd.number)})
    .after(cmd.name, std::chrono::milliseconds{cmd.milliseconds},
           ring{cmd.number});
}

inline decision<parcel> handle(const call_off& cmd, const parcel&) {
  return accept(jotted{"called off"}).cancel(cmd.name);
}

inline decision<parcel> handle(const tick& cmd, const parcel&) {
  auto result = accept(rung{cmd.left});
  if (cmd.left > 0)
    return std::move(result).after("tick", std::chrono::milliseconds{5},
                                   tick{cmd.left - 1});
  return result;
}

inline decision<parcel> handle(const forward& cmd, const parcel&) {
  return accept(jotted{"forwarded"}).send_to<parcel>(cmd.to, post{cmd.text});
}

inline decision<parcel> handle(const ring& cmd, const parcel&) {
  return accept(rung{cmd.number});
}

inline decision<parcel> handle(const whisper&, const parcel&) {
  return accept(std::vector<parcel::events::variant>{})
    .send("mailer", notify{});
}

inline std::uint64_t answer(const get_total&, const parcel& state) {
  return state.rings;
}

} // namespace evented::test

CAF_BEGIN_TYPE_ID_BLOCK(parcels, 280)

CAF_ADD_TYPE_ID(parcels, (evented::test::post))
CAF_ADD_TYPE_ID(parcels, (evented::test::pay))
CAF_ADD_TYPE_ID(parcels, (evented::test::set_alarm))
CAF_ADD_TYPE_ID(parcels, (evented::test::forward))
CAF_ADD_TYPE_ID(parcels, (evented::test::ring))
CAF_ADD_TYPE_ID(parcels, (evented::test::notify))
CAF_ADD_TYPE_ID(parcels, (evented::test::whisper))
CAF_ADD_TYPE_ID(parcels, (evented::test::schedule))
CAF_ADD_TYPE_ID(parcels, (evented::test::call_off))
CAF_ADD_TYPE_ID(parcels, (evented::test::tick))

CAF_END_TYPE_ID_BLOCK(parcels)

namespace evented::test {

using parcel_process = basic_wallet_process<caf::id_block::parcels>;

// -- receiver -----------------------------------------------------------------

/// What a mailer has received. Thread-safe.
class post_box {
public:
  /// What to do with the next message.
  enum class mood { acknowledge, fail, keep_silent };

  /// Decides about each message; called with how often it has come before.
  std::function<mood(const notify&, std::size_t before)> decide
    = [](const notify&, std::size_t) { return mood::acknowledge; };

  mood take(const notify& x, const delivery_id& id) {
    std::lock_guard guard{mutex_};
    auto result = decide(x, times_[id.value]++);
    attempts_.push_back(std::to_string(x.from) + ":" + x.text);
    if (result == mood::acknowledge)
      done_.push_back(attempts_.back());
    return result;
  }

  /// Returns what was acknowledged: `from:text` in order.
  [[nodiscard]] std::vector<std::string> done() const {
    std::lock_guard guard{mutex_};
    return done_;
  }

  /// Returns all that was received.
  [[nodiscard]] std::vector<std::string> attempts() const {
    std::lock_guard guard{mutex_};
    return attempts_;
  }

  /// Returns how many messages there were, however often.
  [[nodiscard]] std::size_t ids() const {
    std::lock_guard guard{mutex_};
    return times_.size();
  }

  [[nodiscard]] bool has(std::size_t n) const {
    return wait_until([&] { return done().size() >= n; });
  }

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> times_;
  std::vector<std::string> attempts_;
  std::vector<std::string> done_;
};

/// An actor that does with messages what `box` says. It has to be ended where
/// that was to keep silent.
inline caf::actor spawn_mailer(caf::actor_system& sys,
                               std::shared_ptr<post_box> box) {
  // With an argument of the function's: CAF 0.17 looks at one that is not there.
  auto behave = [](caf::event_based_actor* self, std::shared_ptr<post_box> to) {
    // A promise that nobody keeps would be an answer.
    auto kept = std::make_shared<std::vector<caf::response_promise>>();
    return caf::behavior{
      [self, to, kept](const notify& x, const delivery_id& id) {
        auto promise = self->make_response_promise();
        switch (to->take(x, id)) {
        case post_box::mood::acknowledge:
          promise.deliver(std::string{"thanks"});
          break;
        case post_box::mood::fail:
          promise.deliver(caf::make_error(caf::sec::runtime_error));
          break;
        case post_box::mood::keep_silent:
          kept->push_back(std::move(promise));
        }
      }};
  };
  return sys.spawn(behave, std::move(box));
}

} // namespace evented::test
