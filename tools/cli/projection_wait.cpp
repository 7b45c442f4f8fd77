#include "core/failure.hpp"
#include "core/text.hpp"
#include "core/verb.hpp"

#include <evented/projection_store.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

namespace evented::cli {

namespace {

struct wait_options {
  std::string name;
  std::string id;
  std::uint64_t seq_no = 0;
  std::int64_t timeout = 30;
};

/// Returns whether the live version has come to `seq_no`, for one slice or for
/// all.
bool reached(const projection_status& status, std::uint64_t seq_no,
             std::optional<std::uint16_t> slice) {
  for (auto& range : status.ranges)
    if (range.key.version == status.version && range.seq_no < seq_no
        && (!slice || range.slices.contains(*slice)))
      return false;
  return true;
}

exit_code wait(const globals& how, const wait_options& options) {
  using clock = std::chrono::steady_clock;
  auto x = open_journal(how);
  std::optional<std::uint16_t> slice;
  if (!options.id.empty())
    slice = slice_of(x.id(options.id));
  auto seq_no = options.seq_no == 0 ? x.frontier() : options.seq_no;
  auto session = connect_projections(x);
  auto deadline = clock::now() + std::chrono::seconds{options.timeout};
  auto status = session->status(options.name);
  while (!reached(status, seq_no, slice)) {
    if (clock::now() >= deadline)
      throw failure(exit_code::timed_out,
                    visible(options.name) + " has not come to event "
                      + std::to_string(seq_no) + " in time; see evented "
                      + "projection list");
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    status = session->status(options.name);
  }
  std::string fate = "handled";
  if (options.seq_no != 0)
    if (auto found = session->fate({options.name, status.version, 0}, seq_no))
      fate = to_string(*found);
  if (how.json)
    std::printf(
      "%s\n",
      nlohmann::json{{"seq_no", seq_no}, {"fate", fate}}.dump().c_str());
  else
    std::printf("%s is at event %llu or beyond%s\n",
                visible(options.name).c_str(),
                static_cast<unsigned long long>(seq_no),
                fate == "handled" ? "" : (", and that one is " + fate).c_str());
  return fate == "handled" ? exit_code::done : exit_code::fault;
}

} // namespace

void add_projection_wait(CLI::App& group, action& chosen) {
  auto* verb = add_verb(
    group, "wait",
    "Waits until the view has an event, or all that there is now; ends with 1 "
    "where the event is a dead letter",
    "  evented projection wait totals\n"
    "  evented projection wait totals --seq-no 4711 --timeout 5");
  auto options = std::make_shared<wait_options>();
  verb->add_option("NAME", options->name, "The projection")->required();
  auto* seq_no = verb->add_option("--seq-no", options->seq_no, "The event")
                   ->check(whole_number(1));
  verb
    ->add_option("--id", options->id,
                 "The event's entity, so that other slices do not matter")
    ->needs(seq_no);
  verb
    ->add_option("--timeout", options->timeout, "How many seconds to wait (30)")
    ->check(whole_number(0, 86'400));
  on(verb, chosen, options, wait);
}

} // namespace evented::cli
