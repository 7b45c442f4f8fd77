#pragma once

#include <evented/export.hpp>

// The one place that knows which CAF this is. Serves 0.17.6 (Debian) and 1.x;
// everything else in this library is written against the functions below.

#include <caf/config.hpp>

// CAF_VERSION itself is wrong in 1.0 and 1.1: an octal number.
#define EVENTED_CAF                                                            \
  (CAF_MAJOR_VERSION * 10000 + CAF_MINOR_VERSION * 100 + CAF_PATCH_VERSION)

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/behavior.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/message.hpp>
#include <caf/response_promise.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/type_id.hpp>

#if EVENTED_CAF < 1800
#include <caf/meta/type_name.hpp>
#else
#include <caf/init_global_meta_objects.hpp>
#include <caf/io/middleman.hpp>
#endif
#if EVENTED_CAF >= 10000
#include <caf/anon_mail.hpp>
#endif

#include <bit>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented {

// -- inspection ---------------------------------------------------------------

/// Names a field for `inspect_object`.
template <class T>
struct field_ref {
  /// Its name in texts and in CAF's own formats.
  const char* name;
  /// The field itself; for the duration of the call.
  T& value;
};

/// Names the field `value`, for `inspect_object`.
template <class T>
field_ref<T> field(const char* name, T& value) {
  return {name, value};
}

namespace detail {

// Numbers with a point go to another node by their bits. CAF takes them apart by
// arithmetic, which makes others of the smallest ones, and in 0.17 also of NaN, and
// has no end for an infinite one.

template <class T>
using bits_type
  = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
constexpr bool has_point
  = std::is_same_v<T, float> || std::is_same_v<T, double>;

#if EVENTED_CAF < 1800

/// Such a number on its way. The bits of all others are those that CAF writes.
template <class T>
struct by_bits {
  T& value;
};

template <class Inspector, class T>
auto inspect(Inspector& f, by_bits<T>& x) {
  auto bits = std::bit_cast<bits_type<T>>(x.value);
  auto result = f(bits);
  if constexpr (Inspector::writes_state)
    x.value = std::bit_cast<T>(bits);
  return result;
}

/// Returns what `f` is to see of a field.
template <class Inspector, class T>
decltype(auto) shown_to([[maybe_unused]] Inspector& f, T& value) {
  constexpr auto travels
    = std::is_same_v<
        Inspector,
        caf::serializer> || std::is_same_v<Inspector, caf::deserializer>;
  if constexpr (travels && has_point<T>)
    return by_bits<T>{value};
  else
    return (value);
}

#else

/// Returns what `f` is to do with a field.
template <class Inspector, class T>
auto shown_to(Inspector& f, field_ref<T> x) {
  constexpr auto travels
    = std::disjunction_v<std::is_same<Inspector, caf::binary_serializer>,
                         std::is_same<Inspector, caf::binary_deserializer>>;
  if constexpr (travels && has_point<T>) {
    auto get = [&y = x.value] { return std::bit_cast<bits_type<T>>(y); };
    auto set = [&y = x.value](bits_type<T> bits) {
      y = std::bit_cast<T>(bits);
      return true;
    };
    return f.field(x.name, get, set);
  } else {
    return f.field(x.name, x.value);
  }
}

#endif

} // namespace detail

/// Implements `inspect` for messages, rejections and replies in one line:
///
///   template <class Inspector>
///   auto inspect(Inspector& f, increase& x) {
///     return evented::inspect_object(f, x, "bank::increase",
///                                    evented::field("inc", x.inc));
///   }
template <class Inspector, class T, class... Ts>
auto inspect_object(Inspector& f, [[maybe_unused]] T& x,
                    [[maybe_unused]] const char* type_name,
                    field_ref<Ts>... fields) {
#if EVENTED_CAF < 1800
  return f(caf::meta::type_name(type_name),
           detail::shown_to(f, fields.value)...);
#else
  return f.object(x).fields(detail::shown_to(f, fields)...);
#endif
}

// -- sending ------------------------------------------------------------------

namespace seam {

/// Sends a message from `self` to `dest`.
template <class Self, class Dest, class... Ts>
void send(Self* self, const Dest& dest, Ts&&... xs) {
#if EVENTED_CAF < 10000
  self->send(dest, std::forward<Ts>(xs)...);
#else
  self->mail(std::forward<Ts>(xs)...).send(dest);
#endif
}

/// Sends a message without a sender.
template <class Dest, class... Ts>
void anon_send(const Dest& dest, Ts&&... xs) {
#if EVENTED_CAF < 10000
  caf::anon_send(dest, std::forward<Ts>(xs)...);
#else
  caf::anon_mail(std::forward<Ts>(xs)...).send(dest);
#endif
}

/// Sends a message to `self` after `delay`.
template <class Self, class Rep, class Period, class... Ts>
void delayed_send(Self* self, std::chrono::duration<Rep, Period> delay,
                  Ts&&... xs) {
#if EVENTED_CAF < 10000
  self->delayed_send(self, delay, std::forward<Ts>(xs)...);
#else
  self->mail(std::forward<Ts>(xs)...).delay(delay).send(self);
#endif
}

/// Hands the message that is being handled over to `dest`, which answers it.
template <class Self, class Dest, class... Ts>
void delegate(Self* self, const Dest& dest, Ts&&... xs) {
#if EVENTED_CAF < 10000
  self->delegate(dest, std::forward<Ts>(xs)...);
#else
  // The result only tells the types of the answer.
  std::ignore = self->mail(std::forward<Ts>(xs)...).delegate(dest);
#endif
}

/// Asks `dest` and calls `f` with the answer, or `g` with an error, which an
/// answer of other types is too.
template <class Dest, class F, class G, class... Ts>
void request(caf::event_based_actor* self, const Dest& dest,
             std::chrono::milliseconds timeout, F f, G g, Ts&&... xs) {
#if EVENTED_CAF < 10000
  self->request(dest, timeout, std::forward<Ts>(xs)...)
    .then(std::move(f), std::move(g));
#else
  self->mail(std::forward<Ts>(xs)...)
    .request(dest, timeout)
    .then(std::move(f), std::move(g));
#endif
}

/// The same for a thread that is no actor, which waits for the answer; also for
/// ever, by `caf::infinite`.
template <class Self, class Timeout, class F, class G, class... Ts>
void request_and_wait(Self& self, const caf::actor& dest, Timeout timeout, F f,
                      G g, Ts&&... xs) {
#if EVENTED_CAF < 10000
  self->request(dest, timeout, std::forward<Ts>(xs)...)
    .receive(std::move(f), std::move(g));
#else
  self->mail(std::forward<Ts>(xs)...)
    .request(dest, timeout)
    .receive(std::move(f), std::move(g));
#endif
}

/// Asks `dest` and calls `done` with an error, or with none for any answer.
template <class F, class... Ts>
void request_any(caf::event_based_actor* self, const caf::actor& dest,
                 std::chrono::milliseconds timeout, F done, Ts&&... xs) {
#if EVENTED_CAF < 1800
  // No handler takes any message, but one that was not expected is an error that
  // says so.
  auto failed = [done](caf::error& err) {
    done(err == caf::sec::unexpected_response ? caf::error{} : std::move(err));
  };
  request(
    self, dest, timeout, [done] { done(caf::error{}); }, std::move(failed),
    std::forward<Ts>(xs)...);
#else
  request(
    self, dest, timeout, [done](const caf::message&) { done(caf::error{}); },
    [done](caf::error& err) { done(std::move(err)); }, std::forward<Ts>(xs)...);
#endif
}

/// Asks `dest` and calls `done(message)` with the answer, whatever it is, or
/// `failed(error)`.
template <class F, class G, class... Ts>
void request_message(caf::event_based_actor* self, const caf::actor& dest,
                     std::chrono::milliseconds timeout, F done, G failed,
                     Ts&&... xs) {
#if EVENTED_CAF < 1800
  // No handler of CAF 0.17 takes any message, so this is one of our own.
  struct handler : caf::detail::behavior_impl {
    handler(F f, G g) : done(std::move(f)), failed(std::move(g)) {
      // nop
    }

    caf::match_case::result
    invoke_empty(caf::detail::invoke_result_visitor& f) override {
      done(caf::message{});
      f();
      return caf::match_case::match;
    }

    caf::match_case::result invoke(caf::detail::invoke_result_visitor& f,
                                   caf::type_erased_tuple& xs) override {
      if (xs.match_elements<caf::error>())
        failed(xs.get_mutable_as<caf::error>(0));
      else
        done(caf::message::copy(xs));
      f();
      return caf::match_case::match;
    }

    F done;
    G failed;
  };
  auto asked = self->request(dest, timeout, std::forward<Ts>(xs)...);
  self->add_multiplexed_response_handler(
    asked.id(),
    caf::behavior{caf::behavior::impl_ptr{
      caf::make_counted<handler>(std::move(done), std::move(failed))}});
#else
  request(
    self, dest, timeout,
    [f = std::move(done)](caf::message& x) mutable { f(std::move(x)); },
    std::move(failed), std::forward<Ts>(xs)...);
#endif
}

/// Calls `f(message)` instead of ending `self` where it is told to end.
template <class F>
void on_exit(caf::event_based_actor* self, F f) {
  // Deprecated in 1.0 in favour of a handler in the behavior.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  self->set_exit_handler(std::move(f));
#pragma GCC diagnostic pop
}

/// Calls `f(message)` for every message that no other handler takes; `f` answers
/// it by a promise.
template <class F>
void on_other(caf::event_based_actor* self, F f) {
#if EVENTED_CAF < 1800
  self->set_default_handler(
    [f](caf::scheduled_actor*,
        caf::message_view& x) -> caf::result<caf::message> {
      f(x.move_content_to_message());
      return caf::delegated<caf::message>{};
    });
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  self->set_default_handler(
    [f](caf::scheduled_actor*, caf::message& x) -> caf::skippable_result {
      f(std::move(x));
      return caf::delegated<caf::message>{};
    });
#pragma GCC diagnostic pop
#endif
}

/// Calls `f(message)`, which returns an error, for every message that no other
/// handler takes.
template <class F>
void on_unknown(caf::event_based_actor* self, F f) {
#if EVENTED_CAF < 1800
  self->set_default_handler(
    [f](caf::scheduled_actor*,
        caf::message_view& x) -> caf::result<caf::message> {
      return f(x.content());
    });
#else
  // Deprecated in 1.0 in favour of a handler for `caf::message`, which a
  // behavior of commands would have to end with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  self->set_default_handler(
    [f](caf::scheduled_actor*, caf::message& x) -> caf::skippable_result {
      return f(x);
    });
#pragma GCC diagnostic pop
#endif
}

/// Returns `x` in CAF's binary form.
template <class T>
std::string to_bytes(caf::actor_system& sys, const T& x) {
#if EVENTED_CAF < 1800
  std::vector<char> bytes;
  caf::binary_serializer sink{sys, bytes};
  if (auto err = sink(const_cast<T&>(x)))
    throw std::runtime_error("a message cannot be written");
  return {bytes.begin(), bytes.end()};
#else
  caf::byte_buffer bytes;
  caf::binary_serializer sink{sys, bytes};
  if (!sink.apply(x))
    throw std::runtime_error("a message cannot be written");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
#endif
}

/// Reads what `to_bytes` has written, all of it. Returns whether that worked.
template <class T>
bool from_bytes(caf::actor_system& sys, const std::string& bytes, T& x) {
#if EVENTED_CAF < 1800
  caf::binary_deserializer source{sys, bytes.data(), bytes.size()};
  return source(x) == caf::none && source.remaining() == 0;
#else
  caf::binary_deserializer source{sys, bytes.data(), bytes.size()};
  return source.apply(x) && source.remaining() == 0;
#endif
}

/// Checks whether the element of `msg` at `i` has the type `T`.
template <class T, class Message>
bool has_type(const Message& msg, std::size_t i) {
#if EVENTED_CAF < 1800
  return msg.template match_element<T>(i);
#else
  return msg.types()[i] == caf::type_id_v<T>;
#endif
}

/// Returns the element of `msg` at `i`.
/// @pre `has_type<T>(msg, i)`
template <class T>
const T& get(const caf::message& msg, std::size_t i) {
  return msg.get_as<T>(i);
}

// -- time ---------------------------------------------------------------------

/// Returns the time of the clock that also runs the timers of `self`, which is
/// a virtual one under a scheduler for tests.
template <class Self>
std::chrono::steady_clock::time_point now(const Self* self) {
  return self->home_system().clock().now();
}

// -- serialization ------------------------------------------------------------

/// What goes from one node to another. No vector: CAF 0.17 makes one as large as
/// the sender says, whether or not so much has come.
using wire_bytes = std::string;

/// Appends `msg` to `to` as it is sent to another node.
inline caf::error to_wire(caf::actor_system& sys, caf::message msg,
                          wire_bytes& to) {
  caf::binary_serializer::container_type bytes;
  caf::binary_serializer sink{sys, bytes};
#if EVENTED_CAF < 1800
  if (auto err = inspect(sink, msg))
    return err;
#else
  if (!sink.apply(msg))
    return sink.get_error();
#endif
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return {};
}

/// Reads into `msg` what another node has sent.
inline caf::error from_wire(caf::actor_system& sys, const wire_bytes& from,
                            caf::message& msg) {
  caf::binary_deserializer source{sys, from.data(), from.size()};
#if EVENTED_CAF < 1800
  return inspect(source, msg);
#else
  return source.apply(msg) ? caf::error{} : source.get_error();
#endif
}

} // namespace seam

// -- configuration ------------------------------------------------------------

namespace detail {

/// Renders an error of this library's category on CAF 0.17.
EVENTED_EXPORT void add_error_category(caf::actor_system_config& cfg);

template <class... Blocks>
struct type_registration {
  type_registration() {
#if EVENTED_CAF >= 1800
    // Must happen before any configuration exists.
    caf::core::init_global_meta_objects();
    caf::io::middleman::init_global_meta_objects();
    (caf::init_global_meta_objects<Blocks>(), ...);
#endif
  }
};

} // namespace detail

/// Returns the full name of an option, for example `scheduler.max-threads`: in
/// CAF 0.18 and later, all have the prefix `caf.`.
inline std::string option_name(const std::string& name) {
#if EVENTED_CAF < 1800
  return name;
#else
  return "caf." + name;
#endif
}

} // namespace evented
