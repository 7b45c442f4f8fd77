// Fails: a reply is expected of a handler that has none.

#include "testkit_counter.hpp"

void test() {
  (void)evented::testkit::given<counter>().when(increase{1}).then_reply(1);
}
