// Fails: something that is no event of the entity is expected.

#include "testkit_counter.hpp"

void test() {
  (void)evented::testkit::given<counter>().when(increase{1}).then(decreased{1});
}
