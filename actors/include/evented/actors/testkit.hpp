#pragma once

// What the test kit offers for messages. Needs the targets evented::actors and
// evented::testkit.

#include <evented/actors/error.hpp>
#include <evented/actors/seam.hpp>
#include <evented/testkit.hpp>

#include <caf/actor_system.hpp>
#include <caf/message.hpp>

#include <string>
#include <vector>

namespace evented::testkit {

namespace detail {

/// Checks one message of `check_wire`; says in `to` what is wrong.
template <class T>
void check_message(caf::actor_system& sys, const T& x, complaints& to) {
  auto complain = [&](const std::string& text) {
    to.push_back(show_named(x) + " " + text);
  };
  try {
    seam::wire_bytes bytes;
    if (auto err = seam::to_wire(sys, caf::make_message(x), bytes))
      return complain("cannot be sent: " + evented::render(sys, err));
    caf::message copy;
    if (auto err = seam::from_wire(sys, bytes, copy))
      return complain("cannot be received: " + evented::render(sys, err));
    if (copy.size() != 1 || !seam::has_type<T>(copy, 0))
      return complain("arrives as another type");
    auto& received = copy.template get_as<T>(0);
    if constexpr (comparable<T>) {
      if (!same(x, received))
        complain("does not survive: " + show_difference(x, received));
    } else {
      seam::wire_bytes again;
      if (seam::to_wire(sys, copy, again) || bytes != again)
        complain("does not survive: its bytes are others when it is sent on");
    }
  } catch (...) {
    complain("cannot be sent: " + what_was_thrown());
  }
}

} // namespace detail

/// Checks that commands, rejections and replies reach another node as they were
/// sent: each sample goes through CAF's binary format and is compared with what
/// comes out. So it finds types without an ID, and members that `inspect`
/// forgets; give them values that differ from the defaults. Reports all that is
/// wrong as one failure.
///
/// `sys` knows the types of the application: its configuration is an
/// `evented::config` with their blocks.
template <class... Ts>
void check_wire(caf::actor_system& sys, const Ts&... samples) {
  detail::complaints found;
  (detail::check_message(sys, samples, found), ...);
  if (!found.empty())
    fail({.where = {},
          .summary = "messages do not reach another node as they were sent",
          .given = {},
          .when = {},
          .expected = {},
          .got = std::move(found)});
}

} // namespace evented::testkit
