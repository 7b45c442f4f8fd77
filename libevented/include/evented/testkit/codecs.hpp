#pragma once

#include <evented/codec.hpp>
#include <evented/entity.hpp>
#include <evented/event.hpp>
#include <evented/testkit/compare.hpp>
#include <evented/testkit/failure.hpp>
#include <evented/testkit/show.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace evented::testkit {

namespace detail {

using complaints = std::vector<std::string>;

/// Returns `json` as it comes back from a jsonb column: with the keys of every
/// object in another order, and without those that stand twice.
std::string as_jsonb(std::string_view json);

/// Returns the text of the exception that is being handled.
std::string what_was_thrown();

/// Returns the difference between two values that are not the same.
template <class T>
std::string show_difference(const T& before, const T& after) {
  auto lhs = show(before);
  auto rhs = show(after);
  // What `serialize` leaves out is not in its JSON either.
  if constexpr (is_plain<T>)
    if (lhs == rhs) {
      lhs = show_fields(before);
      rhs = show_fields(after);
    }
  return lhs + " comes back as " + rhs;
}

/// Writes `x` with the codec `how` and returns what reading yields; where that
/// is not `x` again, says so in `to`.
template <class T>
std::optional<T> check_codec(const T& x, std::string_view name, codec how,
                             complaints& to) {
  static_assert(encodable<T>,
                "evented: what the journal stores needs a member function "
                "serialize(Archive&), unless it is an empty struct");
  auto complain = [&](std::string_view text, const std::string& detail) {
    to.push_back(std::string{name} + " " + std::string{text} + " "
                 + std::string{to_string(how)} + ": " + detail);
  };
  std::string payload;
  try {
    payload = encode(how, x);
  } catch (...) {
    complain("cannot be written as", what_was_thrown());
    return std::nullopt;
  }
  try {
    auto copy
      = decode<T>(how, how == codec::json ? as_jsonb(payload) : payload);
    if (!same(x, copy))
      complain("does not survive", show_difference(x, copy));
    return copy;
  } catch (...) {
    complain("cannot be read back from", show(x) + ": " + what_was_thrown());
    return std::nullopt;
  }
}

/// Checks all that the journal wants to know about the event `x`.
template <class T>
void check_tags(const T& x, complaints& to) {
  for (auto& tag : tags_of(x))
    if (!valid_tag(tag))
      to.push_back(show_named(x)
                   + " has a tag that cannot be stored: " + quote(tag));
}

template <class E, class T>
void check_sample(const T& x, const std::vector<codec>& forms, complaints& to) {
  static_assert(E::events::template contains<T> || std::is_same_v<T, E>,
                "evented: check_codecs<E>(..) takes events from the entity's "
                "list `events`, and states");
  auto name
    = std::is_same_v<T, E> ? std::string_view{E::type_name} : event_name<T>();
  for (auto how : forms)
    check_codec(x, name, how, to);
  if constexpr (!std::is_same_v<T, E>)
    check_tags(x, to);
}

/// Complains where an event of `E` has no sample among `Samples`.
template <class E, class... Samples, class... Ts>
void check_samples(events<Ts...>*, complaints& to) {
  auto check = [&]<class T>(std::type_identity<T>, std::string_view name) {
    if (!std::is_empty_v<T> && !(std::is_same_v<T, Samples> || ...))
      to.push_back("there is no sample of " + std::string{name});
  };
  (check(std::type_identity<Ts>{}, event_name<Ts>()), ...);
  if constexpr (requires(E & x, json_writer & ar) { x.serialize(ar); })
    check(std::type_identity<E>{}, E::type_name);
}

template <class E, class... Samples>
void check_codecs(const std::vector<codec>& forms, const Samples&... samples) {
  static_assert(check_entity<E>());
  complaints found;
  check_samples<E, Samples...>(static_cast<typename E::events*>(nullptr),
                               found);
  (check_sample<E>(samples, forms, found), ...);
  if (!found.empty())
    fail({.where = {},
          .summary = "the codecs of " + std::string{E::type_name}
                     + " do not do what the journal needs",
          .given = {},
          .when = {},
          .expected = {},
          .got = std::move(found)});
}

} // namespace detail

/// Checks that the samples of events, and of the state where `E` has a member
/// function `serialize`, are the same after they were written and read, as JSON
/// (the way a jsonb column returns it) and in the binary form. Wants a sample of
/// every type that holds anything; give it values that differ from the defaults.
/// Reports all that is wrong as one failure.
template <class E, class... Samples>
void check_codecs(const Samples&... samples) {
  detail::check_codecs<E>({codec::json, codec::binary}, samples...);
}

/// Does the same with only the form that the journal of these entities uses.
template <class E, class... Samples>
void check_codecs(codec how, const Samples&... samples) {
  detail::check_codecs<E>({how}, samples...);
}

} // namespace evented::testkit
