#include "chaos/nemesis/faults.hpp"

#include <array>
#include <fstream>

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

void set_clock(const bed& at, std::string_view how) {
  std::ofstream{at.clock()} << how << '\n';
}

void start_all(bed& at) {
  for (std::size_t i = 0; i < bed::process_count; ++i)
    at.start(i);
}

} // namespace

void add_application_faults(faults& to, const bed& at) {
  to.push_back(
    {"kill_application", 0ms, 600ms,
     [](bed& on, dice& from) { on.kill(from.below(bed::process_count)); },
     start_all});
  to.push_back({"kill_both_applications", 0ms, 300ms,
                [](bed& on, dice&) {
                  for (std::size_t i = 0; i < bed::process_count; ++i)
                    on.kill(i);
                },
                start_all});
  // Its statement never leaves it, or arrives when it is gone.
  to.push_back({"kill_application_before_a_statement", 0ms, 300ms,
                [](bed& on, dice& from) {
                  auto which = from.below(bed::process_count);
                  auto& link = on.link(which);
                  link.hold(match::any(), from.below(60));
                  (void)link.wait_until_fired(1s);
                  on.kill(which);
                  if (from.percent(50))
                    link.release();
                  else
                    link.cut_all();
                  link.disarm();
                },
                start_all});
  // The server carries out what it sends, and nobody hears of it.
  to.push_back({"kill_application_before_a_reply", 0ms, 300ms,
                [](bed& on, dice& from) {
                  auto which = from.below(bed::process_count);
                  auto& link = on.link(which);
                  link.blackhole(direction::to_client);
                  auto sent = link.bytes(direction::to_server);
                  (void)wait_until(
                    [&] { return link.bytes(direction::to_server) > sent; },
                    1s);
                  on.kill(which);
                  link.heal();
                },
                start_all});
  // Longer than others wait for it.
  to.push_back({"pause_application", 200ms, 2500ms,
                [](bed& on, dice& from) {
                  on.process(from.below(bed::process_count))->pause();
                },
                [](bed& on) {
                  for (std::size_t i = 0; i < bed::process_count; ++i)
                    on.process(i)->resume();
                }});
  to.push_back({"end_application", 0ms, 300ms,
                [](bed& on, dice& from) {
                  auto which = from.below(bed::process_count);
                  // One that stands still cannot end.
                  on.process(which)->resume();
                  on.end(which);
                },
                start_all});
  if (!at.clock().empty())
    to.push_back({"step_clock", 300ms, 1500ms,
                  [](bed& on, dice& from) {
                    static constexpr std::array steps{"+1d",  "-1d",   "+10s",
                                                      "-10s", "+400d", "-1h"};
                    set_clock(on, steps[from.below(steps.size())]);
                  },
                  [](bed& on) { set_clock(on, "+0"); }});
}

} // namespace evented::test::nemesis
