// The fuzz targets on their corpora and on variations of those. See tools/fuzz.

#include "fuzz/replay.hpp"
#include "fuzz/targets.hpp"

using namespace evented::test;

TEST(fuzz, targets_keep_their_promises) {
  fuzz::replay(fuzz::targets);
}
