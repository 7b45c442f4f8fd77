// Fails: a rejection that the handler does not list is expected.

#include "testkit_counter.hpp"

void test() {
  (void)evented::testkit::given<counter>()
    .when(increase{1})
    .then_rejected(decreased{1});
}
