#pragma once

#include "chaos/nemesis/history.hpp"

#include <string>
#include <vector>

namespace evented::test::nemesis {

/// Compares what clients were told with what the database holds, and returns a
/// line for everything that breaks a promise, none where nothing does:
///
///  - The versions of an entity are 1, 2, 3 .., and seq_no grows with them.
///  - The events of a command are stored together, once or not at all, and only
///    of commands that were sent.
///  - An accepted command stands where its sender was told, one that was
///    answered with anything but `outcome_unknown` (or whose process was killed
///    first) has stored nothing, and every call was answered.
///  - A command with an ID has one answer, however often it was sent, and is
///    remembered with it.
///  - No answer comes without a reason: only a query is seen, only a handler that
///    throws fails, only a bad event is invalid.
///  - Each answer tells a state that existed, and each entity is linearizable:
///    there is an order of its commands, rejections and confirmed queries that
///    agrees with their versions and with real time.
///  - A query of a process's memory never goes behind what that process has
///    answered before.
///  - The view has each event once, those of an entity in their order, and adds
///    up to the journal; checkpoints never move back; snapshots say what the
///    events before them do.
///
/// Each answer tells the version that it rests on, so there is only one order
/// to try: the check is exact, and takes n log n steps.
///
/// A failover to a standby that may have missed commits takes back what was
/// asked before it: of that is only checked that nothing stands twice or torn.
std::vector<std::string> check(const history& x);

} // namespace evented::test::nemesis
