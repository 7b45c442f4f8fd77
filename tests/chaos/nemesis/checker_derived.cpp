// Whether what is derived from the journal agrees with it.

#include "chaos/nemesis/checking.hpp"

#include <set>

namespace evented::test::nemesis {

void checking::check_view() {
  std::map<std::uint64_t, const event*> missing;
  for (auto& x : history_.events)
    missing.emplace(x.seq_no, &x);
  std::set<std::uint64_t> got;
  std::map<std::int64_t, std::uint64_t> last;
  for (auto seq_no : history_.handled) {
    auto what = "the view has got seq_no " + std::to_string(seq_no);
    if (!got.insert(seq_no).second) {
      complain(what + " twice");
      continue;
    }
    auto found = missing.find(seq_no);
    if (found == missing.end()) {
      complain(what + ", which is no event");
      continue;
    }
    auto& x = *found->second;
    auto& before = last[x.entity];
    if (x.version < before)
      complain("the view has got version " + std::to_string(x.version)
               + " of entity " + std::to_string(x.entity) + " after version "
               + std::to_string(before));
    before = std::max(before, x.version);
    missing.erase(found);
  }
  for (auto& [seq_no, x] : missing)
    complain("the view has not got seq_no " + std::to_string(seq_no));
  if (!missing.empty())
    return;
  std::map<std::int64_t, std::int64_t> view;
  for (auto& x : history_.totals)
    view[x.entity] = x.total;
  for (auto& [id, one] : entities_)
    view.emplace(id, 0);
  for (auto& [id, total] : view)
    if (auto real = entities_[id].total(entities_[id].size()); total != real)
      complain("the view says " + std::to_string(total) + " of entity "
               + std::to_string(id) + " instead of " + std::to_string(real));
}

void checking::check_checkpoints() {
  std::map<std::string, const checkpoint*> last;
  for (auto& x : history_.checkpoints) {
    auto*& before = last[x.range];
    // What a failover takes back begins again where the standby was.
    if (before != nullptr
        && !(history_.lossy_failover && before->at < *history_.lossy_failover
             && x.at > *history_.lossy_failover)) {
      auto moved = [&](const char* what, auto from, auto to) {
        if (to < from)
          complain("the " + std::string{what} + " of " + x.range
                   + " moved from " + std::to_string(from) + " to "
                   + std::to_string(to));
      };
      moved("checkpoint", before->seq_no, x.seq_no);
      moved("epoch", before->epoch, x.epoch);
    }
    before = &x;
  }
}

void checking::check_snapshots() {
  for (auto& x : history_.snapshots) {
    auto what = "the snapshot of entity " + std::to_string(x.entity)
                + " at version " + std::to_string(x.version);
    auto& where = entities_[x.entity];
    if (x.version > where.size())
      complain(what + " is ahead of the journal");
    else if (!where.whole(x.version))
      complain(what + " is in the middle of a command");
    else if (auto real = where.total(x.version); real != x.total)
      complain(what + " says " + std::to_string(x.total) + " instead of "
               + std::to_string(real));
  }
}

} // namespace evented::test::nemesis
