// Compiles: what the others differ from.

#include "testkit_counter.hpp"

void test() {
  evented::testkit::given<counter>(increased{99})
    .when(increase{1})
    .then(increased{1})
    .when(increase{1})
    .then_rejected(overflow{100});
  evented::testkit::check_codecs<counter>(increased{1});
}
