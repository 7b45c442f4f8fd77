// Fails: something that is no command is sent.

#include "testkit_counter.hpp"

void test() {
  (void)evented::testkit::given<counter>().when(overflow{1});
}
