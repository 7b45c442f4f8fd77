#pragma once

#include <evented/actors/address_book.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/metrics.hpp>
#include <evented/actors/seam.hpp>
#include <evented/entity.hpp>
#include <evented/outbox.hpp>
#include <evented/store.hpp>

#include <caf/event_based_actor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace evented {

/// How the messages of an entity type are delivered. A plain struct: set what
/// differs from the defaults.
struct delivery_policy {
  /// How long a receiver may take to acknowledge a message. Where a process
  /// dies, another one takes its messages over after twice this time.
  std::chrono::milliseconds timeout{10'000};
  /// How long to wait after the first failed attempt. Twice as long after each
  /// further one, but never longer than `longest_pause`.
  std::chrono::milliseconds first_pause{100};
  /// See `first_pause`.
  std::chrono::milliseconds longest_pause{60'000};
  /// How many messages may be on their way at once.
  std::size_t max_in_flight = 64;
};

} // namespace evented

// The rest is not for users.

namespace evented::detail {

// What waits in the outbox:
//
//   message := kind name line_feed body
//   kind    := 'm'              a message for an actor: body := message
//            | 'u' | 't' | 'i'  a command for an entity with an ID that is a
//                               uuid, a text or a bigint: body := ID command
//
// with the stable name of the message's type, and a body in CAF's binary form.

/// A command with its receiver.
template <class Id, class C>
struct addressed {
  Id id;
  C command;
};

template <class Inspector, class Id, class C>
auto inspect(Inspector& f, addressed<Id, C>& x) {
  return inspect_object(f, x, "evented::addressed", field("id", x.id),
                        field("command", x.command));
}

/// What delivers one message.
struct courier {
  /// Sends the message to `whom` as a request of `self`, and calls `done` with
  /// an error, or with none once it is acknowledged. Empty where this program
  /// cannot read the message.
  std::function<void(caf::event_based_actor* self, const caf::actor& whom,
                     std::chrono::milliseconds timeout,
                     std::function<void(caf::error)> done)>
    send;
  /// Whether it is a command for an entity.
  bool is_command = false;
};

/// How an entity type sends, and to whom.
struct outbox_settings {
  std::string type_name;
  delivery_policy policy;
  std::map<std::string, caf::actor> targets;
  /// Whom `targets` need not name.
  std::shared_ptr<const address_book> regions;
  std::function<courier(caf::actor_system&, const claimed_message&)> unpack;
};

/// Returns what identifies the message for ever.
inline std::string delivery_name(const claimed_message& x) {
  return "outbox-" + to_string(x.append_id) + "-" + std::to_string(x.id);
}

/// Returns a message as it waits in the outbox.
/// @param to the entity that it is a command for; null: an actor
template <class M>
std::string pack(caf::actor_system& sys, const M& message,
                 const entity_id* to) {
  std::string result(1, to == nullptr ? 'm' : "uti"[to->index()]);
  result += message_name<M>();
  result += '\n';
  if (to == nullptr)
    return result + seam::to_bytes(sys, message);
  return result
         + std::visit(
           [&]<class Id>(const Id& id) {
             return seam::to_bytes(sys, addressed<Id, M>{id, message});
           },
           *to);
}

template <class Id, class C>
courier unpack_command(caf::actor_system& sys, const std::string& body,
                       std::string name) {
  addressed<Id, C> x;
  if (!seam::from_bytes(sys, body, x))
    return {};
  auto send = [x = std::move(x), name = std::move(name)](
                auto* self, auto& whom, auto timeout, auto done) {
    seam::request_any(self, whom, timeout, std::move(done), x.id, x.command,
                      command_id{name});
  };
  return {std::move(send), true};
}

template <class M>
courier unpack_as(caf::actor_system& sys, char kind, const std::string& body,
                  std::string name) {
  switch (kind) {
  case 'u':
    return unpack_command<uuid, M>(sys, body, std::move(name));
  case 't':
    return unpack_command<std::string, M>(sys, body, std::move(name));
  case 'i':
    return unpack_command<std::int64_t, M>(sys, body, std::move(name));
  case 'm':
    break;
  default:
    return {};
  }
  M message;
  if (!seam::from_bytes(sys, body, message))
    return {};
  auto send = [message = std::move(message), name = std::move(name)](
                auto* self, auto& whom, auto timeout, auto done) {
    seam::request_any(self, whom, timeout, std::move(done), message,
                      delivery_id{name});
  };
  return {std::move(send), false};
}

/// Returns what delivers a message, which is one of the listed types.
template <class... Ms>
courier unpack(caf::actor_system& sys, const claimed_message& from,
               messages<Ms...>*) {
  std::string_view text = from.message;
  auto end = text.find('\n');
  courier result;
  if (text.empty() || end == std::string_view::npos)
    return result;
  auto name = text.substr(1, end - 1);
  std::string body{text.substr(end + 1)};
  auto try_one = [&]<class M>() {
    if (name != message_name<M>())
      return false;
    result = unpack_as<M>(sys, text.front(), body, delivery_name(from));
    return true;
  };
  (void)(try_one.template operator()<Ms>() || ...);
  return result;
}

/// Starts the actor that delivers what the entities of a type send, until the
/// region is gone or it is told to `stop`.
caf::actor spawn_dispatcher(caf::actor_system& sys,
                            std::shared_ptr<store> where,
                            std::shared_ptr<metrics> counts,
                            std::shared_ptr<const outbox_settings> settings,
                            caf::weak_actor_ptr region);

} // namespace evented::detail
