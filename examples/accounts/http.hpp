#pragma once

// The HTTP API: turns requests into commands and their answers into responses.

#include "account.hpp"
#include "view.hpp"

#include <httplib.h>

namespace bank {

/// What the API talks to.
struct backend {
  caf::actor_system& system;
  /// The region of the accounts.
  caf::actor accounts;
  /// The projection that keeps the view.
  caf::actor projection;
  view_reader& view;
};

/// Adds the API and its pages to `server`. The handlers run in the threads of
/// the server, for as long as the backend lives.
void serve(httplib::Server& server, backend& where);

} // namespace bank
