#pragma once

#include <evented/actors/seam.hpp>

#include <caf/actor_system.hpp>
#include <caf/detail/type_list.hpp>
#include <caf/openssl/manager.hpp>

namespace evented::detail {

/// CAF's OpenSSL module, whose links do not fail for each other's errors.
///
/// Problem: OpenSSL keeps the errors of a thread in a queue, CAF 0.17 leaves those
/// of a link that has ended in there, and takes them for errors of the next link
/// that has nothing to read: where one node is gone, or a stranger fails to prove
/// who it is, all links of the process break, whose other ends break theirs, and so
/// on. Solution: the queue is emptied before each link is read or written.
#if EVENTED_CAF < 1800
struct tls : caf::actor_system::module {
  static caf::actor_system::module* make(caf::actor_system& sys,
                                         caf::detail::type_list<>);
};
#else
using tls = caf::openssl::manager;
#endif

} // namespace evented::detail
