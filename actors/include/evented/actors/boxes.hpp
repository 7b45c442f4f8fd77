#pragma once

// Commands and queries with their types. Not for users.

#include <evented/actors/later.hpp>
#include <evented/actors/model.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace evented::detail {

/// A command of the type `C` for an entity of the type `E`.
template <class E, class C>
struct typed_command : command_box {
  explicit typed_command(C x) : value(std::move(x)) {
    // nop
  }

  decided decide(entity_model& model, const decide_on& on) override {
    auto& typed = static_cast<typed_model<E>&>(model);
    auto handle = [this](const E& state, const context<E>& ctx) {
      return call_handle<C, E>(value, state, ctx);
    };
    if constexpr (!is_later<handled_by<C, E>>::value) {
      return typed.finish(typed.call(handle, on), on);
    } else {
      if (next_)
        return typed.finish(typed.call(next_, on), on);
      auto found = typed.call(handle, on);
      if (found.decided())
        return typed.finish(std::move(*found.decided()), on);
      decided result;
      result.open = std::make_shared<open_question>();
      result.open->whom = std::move(found.whom());
      // Whoever asks holds this command until it is answered.
      result.open->put = [this, ask = std::move(found.ask())](
                           auto* self, auto& whom, auto timeout, auto done) {
        ask(self, whom, timeout,
            [this, done = std::move(done)](auto next, caf::error err) {
              next_ = std::move(next);
              done(std::move(err));
            });
      };
      return result;
    }
  }

  [[nodiscard]] std::uint64_t
  fingerprint(caf::actor_system& sys) const override {
    std::string text{struct_name<C>()};
    text += '\0';
    return hash_of(text + seam::to_bytes(sys, value));
  }

  [[nodiscard]] caf::expected<caf::message>
  recall(caf::actor_system& sys,
         const remembered_command& from) const override {
    using decision = decision_of<C, E>;
    using reply_type = typename decision::reply_type;
    accepted where{from.version, from.seq_no};
    if (from.outcome == command_outcome::accepted) {
      if constexpr (std::is_void_v<reply_type>) {
        return caf::make_message(where);
      } else if (reply_type reply{}; read(sys, from, reply)) {
        return caf::make_message(where, std::move(reply));
      }
      return unreadable(from, "accepted");
    }
    caf::error result;
    auto try_one = [&]<class R>() {
      R why{};
      if (!read(sys, from, why))
        return false;
      result = caf::make_error(errc::rejected, std::move(why));
      return true;
    };
    if (decision::any_rejection_type(try_one))
      return result;
    return unreadable(from, "rejected");
  }

  C value;

private:
  /// Decides once the answer to a question is there; the same one again after a
  /// conflict.
  std::function<decision_of<C, E>(const E&, const context<E>&)> next_;

  template <class T>
  static bool read(caf::actor_system& sys, const remembered_command& from,
                   T& to) {
    return from.reply_type == struct_name<T>()
           && seam::from_bytes(sys, from.reply, to);
  }

  static caf::error unreadable(const remembered_command& from,
                               const std::string& what) {
    return evented::make_error(
      errc::unreadable_reply,
      "a command with this ID was " + what + " before, at version "
        + std::to_string(from.version) + " (seq_no "
        + std::to_string(from.seq_no)
        + "), but this program cannot read its answer of type \""
        + from.reply_type + "\"");
  }
};

template <class E, class Q>
struct typed_query : command_box {
  explicit typed_query(Q x) : value(std::move(x)) {
    // nop
  }

  decided decide(entity_model& model, const decide_on& on) override {
    return static_cast<typed_model<E>&>(model).ask(value, on);
  }

  [[nodiscard]] std::uint64_t fingerprint(caf::actor_system&) const override {
    return 0;
  }

  [[nodiscard]] caf::expected<caf::message>
  recall(caf::actor_system&, const remembered_command&) const override {
    return caf::make_message();
  }

  Q value;
};

} // namespace evented::detail
