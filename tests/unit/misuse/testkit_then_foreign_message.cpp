// Fails: something is expected to be sent that is no message of the entity.

#include "testkit_counter.hpp"

void test() {
  (void)evented::testkit::given<counter>()
    .when(increase{1})
    .then_sends("anybody", overflow{1});
}
