#pragma once

// The type-erased half of an entity: its state, its handlers and its codecs.
// Not for users.

#include <evented/actors/error.hpp>
#include <evented/actors/jobs.hpp>
#include <evented/actors/later.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/outbox.hpp>
#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/event.hpp>
#include <evented/evolution.hpp>
#include <evented/export.hpp>

#include <caf/expected.hpp>
#include <caf/message.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace evented {

/// Whether the answers that rest on memory alone, namely rejections, accepts
/// without events and answers to queries, are checked against the journal before
/// they go out.
enum class confirm : std::uint8_t {
  /// Checked: no answer contradicts one that another process has given before.
  journal,
  /// Not checked: faster, right as of the last event that this process has
  /// seen.
  memory,
};

} // namespace evented

namespace evented::detail {

/// What is to be found out before a command can be decided.
struct open_question {
  asked whom;
  /// Asks on behalf of `self`, and calls `done` with an error, or with none once
  /// the command can be decided.
  std::function<void(caf::event_based_actor* self, const caf::actor& whom,
                     std::chrono::milliseconds timeout,
                     std::function<void(caf::error)> done)>
    put;
};

/// What came of deciding a command.
struct decided {
  /// Set where it cannot be decided yet; the rest is empty then.
  std::shared_ptr<open_question> open;
  /// Set where the command is not accepted.
  caf::error refusal;
  /// The events, in the forms for the journal and for the state.
  std::vector<new_event> events;
  std::shared_ptr<const void> typed;
  /// What it sends.
  std::vector<outgoing_message> messages;
  /// Makes the answer once it is known where the events stand.
  std::function<caf::message(const accepted&)> answer;
  /// Runs after the commit, on the state that the model has confirmed.
  std::function<void()> effect;
  /// Whether the answer may go out although another process may have appended.
  bool from_memory = false;
  /// What is to be remembered of a command with an ID.
  command_outcome outcome = command_outcome::none;
  std::string reply_type;
  std::string reply;
};

class entity_model;

/// What a command is decided on, besides the state.
struct decide_on {
  const entity_id& id;
  std::uint64_t version;
  const evented::trace& trace;
  caf::actor_system& sys;
  /// Whether the answer is to be remembered.
  bool remember;
};

/// A command or query of any type.
struct command_box {
  virtual ~command_box() = default;

  virtual decided decide(entity_model& model, const decide_on& on) = 0;

  /// Tells this command from others that have the same ID.
  [[nodiscard]] virtual std::uint64_t
  fingerprint(caf::actor_system& sys) const = 0;

  /// Returns the answer that was given before, which is an error where it was
  /// not accepted, or cannot be read.
  [[nodiscard]] virtual caf::expected<caf::message>
  recall(caf::actor_system& sys, const remembered_command& from) const = 0;
};

/// Returns the 64-bit FNV-1a hash of `bytes` (G. Fowler, L. Noll, K. Vo).
inline std::uint64_t hash_of(std::string_view bytes) noexcept {
  std::uint64_t hash = 14695981039346656037ULL;
  for (auto c : bytes) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 1099511628211ULL;
  }
  return hash;
}

/// The state of one entity, twice: as confirmed by the journal, and with what
/// is on its way there. So accepting copies no state, and only a failed append
/// does.
class EVENTED_EXPORT entity_model {
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

  /// Begins anew with a snapshot.
  /// @throws anything where it is of another shape or cannot be decoded
  virtual void restore(const stored_snapshot& from) = 0;

  /// Returns what encodes the confirmed state as it is now, in any thread.
  [[nodiscard]] virtual std::function<std::string()> snapshot() const = 0;

  /// Returns about how many bytes the state takes.
  [[nodiscard]] virtual std::size_t bytes() const = 0;
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

  void restore(const stored_snapshot& from) override {
    if constexpr (has_snapshots<E>) {
      if (from.schema_version != state_version<E>())
        throw error(errc::incompatible, "it has the shape "
                                          + std::to_string(from.schema_version)
                                          + ", and this program knows "
                                          + std::to_string(state_version<E>()));
      confirmed_ = decode<E>(codec_, from.state);
      tentative_ = confirmed_;
    } else {
      throw error(errc::incompatible, "the state has no `serialize`");
    }
  }

  [[nodiscard]] std::function<std::string()> snapshot() const override {
    if constexpr (has_snapshots<E>)
      return [how = codec_, state = confirmed_] { return encode(how, state); };
    else
      return {};
  }

  [[nodiscard]] std::size_t bytes() const override {
    if constexpr (requires { confirmed_.memory_bytes(); })
      return 2 * static_cast<std::size_t>(confirmed_.memory_bytes());
    else
      return 2 * sizeof(E);
  }

  [[nodiscard]] const E& state() const noexcept { return confirmed_; }

  /// Answers `query` from the tentative state.
  template <class Q>
  decided ask(const Q& query, const decide_on& on) {
    context<E> ctx{std::get<typename E::id_type>(on.id), on.version, on.trace};
    decided result;
    if constexpr (requires { Q::confirm; })
      result.from_memory = Q::confirm == confirm::memory;
    else
      result.from_memory = true;
    result.answer = [value = call_answer<Q, E>(query, tentative_, ctx)](
                      const accepted&) { return caf::make_message(value); };
    return result;
  }

  /// Calls `decide(state, context)` with the tentative state.
  template <class F>
  auto call(const F& decide, const decide_on& on) const {
    context<E> ctx{std::get<typename E::id_type>(on.id), on.version, on.trace};
    return decide(tentative_, ctx);
  }

  /// Turns a decision on the tentative state into what is to be stored, and
  /// applies it.
  template <class Decision>
  decided finish(Decision decision, const decide_on& on) {
    using reply_type = typename Decision::reply_type;
    decided result;
    auto remember = [&]([[maybe_unused]] const auto& value) {
      if (!on.remember)
        return;
      result.reply_type = struct_name<std::decay_t<decltype(value)>>();
      result.reply = seam::to_bytes(on.sys, value);
    };
    if (!decision.accepted()) {
      result.outcome = command_outcome::rejected;
      decision.visit_rejection([&](auto& why) {
        remember(why);
        result.refusal = caf::make_error(errc::rejected, std::move(why));
      });
      return result;
    }
    result.outcome = command_outcome::accepted;
    auto& part = decision.acceptance_part();
    std::string metadata;
    if constexpr (!std::is_same_v<metadata_of<E>, no_metadata>)
      if (part.metadata)
        metadata = to_json(*part.metadata);
    metadata = add_trace(std::move(metadata), on.trace);
    result.events.reserve(part.events.size());
    for (auto& event : part.events)
      result.events.push_back(encode_one(event, metadata));
    if (!part.messages.empty() && part.events.empty())
      throw error(errc::invalid_event,
                  "messages go out with events, and this command stores none");
    for (auto& x : part.messages)
      result.messages.push_back(pack_one(x, on));
    auto typed = std::make_shared<const event_list>(std::move(part.events));
    apply_to(tentative_, typed);
    result.typed = std::move(typed);
    if constexpr (std::is_void_v<reply_type>) {
      result.answer = [](const accepted& a) { return caf::make_message(a); };
    } else {
      auto value = part.reply(tentative_);
      remember(value);
      result.answer = [value = std::move(value)](const accepted& a) {
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

  static outgoing_message pack_one(const outgoing<E>& from,
                                   const decide_on& on) {
    outgoing_message result{
      from.target, {}, from.due, from.timer, from.cancels()};
    auto* to = from.target.empty() ? &on.id : from.id ? &*from.id : nullptr;
    std::visit(
      [&]<class M>(const M& x) {
        if constexpr (!std::is_same_v<M, std::monostate>)
          result.message = pack(on.sys, x, to);
      },
      from.value);
    return result;
  }

  codec codec_;
  std::shared_ptr<unknown_event_policy> unknown_;
  E confirmed_{};
  E tentative_{};
};

/// A place among the commands in progress, given back when it goes away, so that
/// none is lost with an actor that dies.
class place {
public:
  place() = default;

  /// @param of counts the places that are taken
  explicit place(std::shared_ptr<metric_gauge> of) : of_(std::move(of)) {
    of_->add(1);
  }

  place(place&& other) noexcept = default;

  place& operator=(place&& other) noexcept {
    std::swap(of_, other.of_);
    return *this;
  }

  ~place() { give_back(); }

  void give_back() noexcept {
    if (of_ != nullptr)
      of_->add(-1);
    of_ = nullptr;
  }

private:
  std::shared_ptr<metric_gauge> of_;
};

/// What a `delivery` carries.
struct delivery_content {
  std::unique_ptr<command_box> command;
  clock::time_point deadline;
  bool has_id = false;
  std::string command_id;
  std::int64_t expected_version = envelope::any_version;
  evented::trace trace;
  detail::place place = {};
};

} // namespace evented::detail
