// What the program parses, on its corpora and on variations of those.

#include "fuzz/cli/targets.hpp"
#include "fuzz/replay.hpp"

using namespace evented::test;

TEST(cli_fuzz, targets_keep_their_promises) {
  fuzz::replay(fuzz::cli_targets);
}
