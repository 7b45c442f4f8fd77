#pragma once

#include "chaos/nemesis/bed.hpp"
#include "chaos/nemesis/dice.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace evented::test::nemesis {

/// Something that goes wrong, and how it is mended. Either may fail while others
/// are at work, by throwing; mending twice does no harm.
struct fault {
  std::string name;
  /// How long it lasts.
  std::chrono::milliseconds least{300};
  std::chrono::milliseconds most{1200};
  std::function<void(bed&, dice&)> strike = nullptr;
  std::function<void(bed&)> mend = nullptr;
};

using faults = std::vector<fault>;

/// The processes of the application are killed, at any time or at one of their
/// statements, stand still, end and begin again, and have their clock set.
void add_application_faults(faults& to, const bed& at);

/// The server is killed or shut down, loses its backends, and runs out of
/// connections and of room on its volume.
void add_server_faults(faults& to, const bed& at);

/// The links break, at some byte or message, or fall silent.
void add_link_faults(faults& to);

/// Other users of the database lock tables, hold transactions open, prepare
/// them, and maintain what they should leave alone under load.
void add_foreign_faults(faults& to);

/// All that can be had here, or those that EVENTED_FAULTS names, divided by
/// commas.
faults all_faults(const bed& at);

/// Says which of them cannot be had here and why; empty where all can.
std::string missing_faults(const bed& at);

} // namespace evented::test::nemesis
