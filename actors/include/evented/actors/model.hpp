#pragma once

// The type-erased half of an entity: its state, its handlers and its codecs.
// Not for users.

#include <evented/actors/error.hpp>
#include <evented/actors/jobs.hpp>
#include <evented/actors/messages.hpp>
#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/event.hpp>
#include <evented/evolution.hpp>

#include <caf/message.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace evented::detail {

/// What came of deciding a command.
struct decided {
  /// Set where the command is not accepted.
  caf::error refusal;
  /// The events, in the forms for the journal and for the state.
  std::vector<new_event> events;
  std::shared_ptr<const void> typed;
  /// Makes the answer once it is known where the events stand.
  std::function<caf::message(const accepted&)> answer;
  /// Runs after the commit, on the state that the model has confirmed.
  std::function<void()> effect;
};

class entity_model;

/// A command of any type.
struct command_box {
  virtual ~command_box() = default;
  virtual decided decide(entity_model& model, const entity_id& id,
                         std::uint64_t version)
    = 0;
};

/// The state of one entity, twice: as confirmed by the journal, and with what
/// is on its way there. So accepting copies no state, and only a failed append
/// does.
class entity_model {
public:
  virtual ~entity_model() = default;

  /// Applies events, as `decided::typed` holds them, to the tentative state.
  virtual void apply(const std::shared_ptr<const void>& typed) = 0;

  /// Applies them to the confirmed state.
  virtual void confirm(const std::shared_ptr<const void>& typed) = 0;

  /// Applies a loaded event, as whatever it becomes, to the confirmed state.
  /// @throws anything where it cannot be decoded or applied
  virtual void replay(const stored_event& event) = 0;

  /// Makes the tentative state the confirmed one again.
  virtual void roll_back() = 0;

  /// Begins anew, with no events.
  virtual void reset() = 0;
};

/// The model of the entity type `E`.
template <class E>
class typed_model : public entity_model {
public:
  using event_list = std::vector<typename E::events::variant>;

  explicit typed_model(codec how, std::shared_ptr<unknown_event_policy> unknown
                                  = std::make_shared<unknown_event_policy>())
    : codec_(how), unknown_(std::move(unknown)) {
    // nop
  }

  void apply(const std::shared_ptr<const void>& typed) override {
    apply_to(tentative_, typed);
  }

  void confirm(const std::shared_ptr<const void>& typed) override {
    apply_to(confirmed_, typed);
  }

  void replay(const stored_event& event) override {
    auto sink = [this](const auto& x) { confirmed_.apply(x); };
    if (!read_event<E>(codec_, event, sink))
      unknown_->meet(E::type_name, event);
  }

  void roll_back() override { tentative_ = confirmed_; }

  void reset() override {
    confirmed_ = E{};
    tentative_ = E{};
  }

  /// Runs the handler of `cmd` on the tentative state.
  template <class C>
  decided decide(const C& cmd, const entity_id& id, std::uint64_t version) {
    context<E> ctx{std::get<typename E::id_type>(id), version};
    auto decision = call_handle<C, E>(cmd, tentative_, ctx);
    using reply_type = typename decltype(decision)::reply_type;
    decided result;
    if (!decision.accepted()) {
      decision.visit_rejection([&](auto& why) {
        result.refusal = caf::make_error(errc::rejected, std::move(why));
      });
      return result;
    }
    auto& part = decision.acceptance_part();
    std::string metadata;
    if constexpr (!std::is_same_v<metadata_of<E>, no_metadata>)
      if (part.metadata)
        metadata = to_json(*part.metadata);
    result.events.reserve(part.events.size());
    for (auto& event : part.events)
      result.events.push_back(encode_one(event, metadata));
    auto typed = std::make_shared<const event_list>(std::move(part.events));
    apply_to(tentative_, typed);
    result.typed = std::move(typed);
    if constexpr (std::is_void_v<reply_type>) {
      result.answer = [](const accepted& a) { return caf::make_message(a); };
    } else {
      result.answer = [value = part.reply(tentative_)](const accepted& a) {
        return caf::make_message(a, value);
      };
    }
    if (part.effect)
      result.effect = [this, f = std::move(part.effect)] { f(confirmed_); };
    return result;
  }

private:
  static void apply_to(E& state, const std::shared_ptr<const void>& typed) {
    if (typed == nullptr)
      return;
    for (auto& event : *static_cast<const event_list*>(typed.get()))
      std::visit([&state](auto& x) { state.apply(x); }, event);
  }

  new_event encode_one(const typename E::events::variant& event,
                       const std::string& metadata) const {
    return std::visit(
      [&](auto& x) {
        using type = std::decay_t<decltype(x)>;
        return new_event{event_name<type>(), schema_version<type>(),
                         encode(codec_, x), metadata, tags_of(x)};
      },
      event);
  }

  codec codec_;
  std::shared_ptr<unknown_event_policy> unknown_;
  E confirmed_{};
  E tentative_{};
};

template <class E, class C>
struct typed_command : command_box {
  explicit typed_command(C x) : value(std::move(x)) {
    // nop
  }

  decided decide(entity_model& model, const entity_id& id,
                 std::uint64_t version) override {
    return static_cast<typed_model<E>&>(model).decide(value, id, version);
  }

  C value;
};

/// What a `delivery` carries.
struct delivery_content {
  std::unique_ptr<command_box> command;
  clock::time_point deadline;
};

} // namespace evented::detail
