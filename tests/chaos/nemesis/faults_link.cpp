#include "chaos/nemesis/faults.hpp"

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

proxy& any_link(bed& at, dice& from) {
  return at.link(from.below(bed::process_count));
}

direction any_way(dice& from) {
  return from.percent(50) ? direction::to_server : direction::to_client;
}

void mend_links(bed& at) {
  for (std::size_t i = 0; i < bed::process_count; ++i) {
    at.link(i).disarm();
    at.link(i).release();
    at.link(i).heal();
  }
}

} // namespace

void add_link_faults(faults& to) {
  to.push_back({"cut_links", 0ms, 300ms,
                [](bed& on, dice& from) { any_link(on, from).cut_all(); },
                mend_links});
  to.push_back({"cut_before_a_message", 200ms, 600ms,
                [](bed& on, dice& from) {
                  any_link(on, from).cut_before(match::any(), from.below(40));
                },
                mend_links});
  to.push_back({"cut_after_a_commit", 200ms, 600ms,
                [](bed& on, dice& from) {
                  any_link(on, from).cut_after_commit(match::any(),
                                                      from.below(40));
                },
                mend_links});
  to.push_back({"cut_in_flight", 200ms, 600ms,
                [](bed& on, dice& from) {
                  any_link(on, from).cut_in_flight(match::any(),
                                                   from.below(40));
                },
                mend_links});
  // What was given up arrives late.
  to.push_back({"hold_a_message", 500ms, 1500ms,
                [](bed& on, dice& from) {
                  any_link(on, from).hold(match::any(), from.below(40));
                },
                mend_links});
  to.push_back({"truncate", 300ms, 900ms,
                [](bed& on, dice& from) {
                  auto& link = any_link(on, from);
                  for (auto i = 0; i < 4; ++i)
                    link.truncate(any_way(from), from.below(6000));
                  link.cut_all();
                },
                mend_links});
  to.push_back({"refuse_connections", 200ms, 2500ms,
                [](bed& on, dice& from) { any_link(on, from).refuse(); },
                mend_links});
  to.push_back({"blackhole", 200ms, 2500ms,
                [](bed& on, dice& from) { any_link(on, from).blackhole(); },
                mend_links});
  to.push_back({"blackhole_one_way", 200ms, 2500ms,
                [](bed& on, dice& from) {
                  auto& link = any_link(on, from);
                  link.blackhole(any_way(from));
                },
                mend_links});
  to.push_back({"delay", 300ms, 1500ms,
                [](bed& on, dice& from) {
                  auto& link = any_link(on, from);
                  auto way = any_way(from);
                  link.delay(way, from.between(5ms, 250ms));
                },
                mend_links});
}

} // namespace evented::test::nemesis
