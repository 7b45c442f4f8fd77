// What nodes read of each other, on its corpus and on variations of it.

#include "fuzz/nodes/targets.hpp"
#include "fuzz/replay.hpp"

using namespace evented::test;

TEST(wire_fuzz, targets_keep_their_promises) {
  fuzz::replay(fuzz::node_targets);
}
