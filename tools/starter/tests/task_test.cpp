#include "task.hpp"

#include <evented/actors/testkit.hpp>
#include <evented/testkit/gtest.hpp>

#include <gtest/gtest.h>

using namespace evented::testkit;
using namespace starter;

const auto use_gtest = report_to_gtest();

TEST(task, is_added_once) {
  given<task>()
    .when(add{"write tests"})
    .then(added{"write tests"})
    .when(add{"write more"})
    .then_rejected(already_there{"write tests"});
}

TEST(task, is_finished_once) {
  given<task>(added{"write tests"})
    .when(finish{"Ada"})
    .then(finished{"Ada"})
    .when(finish{"Bob"})
    .then_nothing();
}

TEST(task, has_to_be_there) {
  given<task>().when(finish{"Ada"}).then_rejected<unknown_task>();
}

TEST(task, is_stored_and_sent_with_all_that_it_holds) {
  check_codecs<task>(added{"write tests"}, finished{"Ada"});
  evented::config<caf::id_block::starter> cfg;
  caf::actor_system sys{cfg};
  check_wire(sys, add{"write tests"}, finish{"Ada"}, unknown_task{},
             already_there{"write tests"});
}
