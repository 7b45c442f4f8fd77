// Fails: the past holds something that is no event of the entity.

#include "testkit_counter.hpp"

void test() {
  (void)evented::testkit::given<counter>(decreased{1});
}
