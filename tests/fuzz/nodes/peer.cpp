#include "cluster/contents.hpp"
#include "fuzz/nodes/targets.hpp"
#include "support/bank_account.hpp"

#include <exception>
#include <string>

namespace evented::test::fuzz {

namespace {

namespace wire = evented::detail::wire;

constexpr std::size_t most_bytes = 4096;

caf::actor_system& system() {
  static config<caf::id_block::bank> cfg;
  // Never destroyed: CAF's own statics are gone before ours.
  static auto* sys = new caf::actor_system{
    (cfg.set(option_name("scheduler.max-threads"), 1u), cfg)};
  return *sys;
}

/// Reads a message of this type as CAF does.
template <class T>
void read(const std::string& input) {
  T x{};
  if (!seam::from_bytes(system(), input, x))
    return;
  T again{};
  promise(seam::from_bytes(system(), seam::to_bytes(system(), x), again),
          "what is written can be read");
  promise(seam::to_bytes(system(), again) == seam::to_bytes(system(), x),
          "and is the same");
}

/// As a router does.
void read_forwarded(const std::string& input) {
  wire::forward x;
  x.content = input;
  auto content = detail::read_content(system(), x, most_bytes);
  if (!content)
    return;
  promise(input.size() <= most_bytes && !content->empty(),
          "what is too large or empty is refused");
  auto to = detail::look_at<account>(*content);
  // Not of other messages: CAF 0.17 does not end with an infinite number that is
  // an element of one.
  if (!to || (content->size() == 3 && !to->has_id))
    return;
  wire::forward again;
  promise(seam::to_wire(system(), *content, again.content) == caf::none
            && detail::read_content(system(), again, 2 * most_bytes),
          "what was read can go on to the next node");
  if (valid(to->id))
    promise(shard_of(slice_of(to->id), 64) < 64, "each entity has a shard");
}

} // namespace

// What another process says to a node.
void peer(std::string_view input) {
  std::string bytes{input};
  read<wire::forward>(bytes);
  read<accepted>(bytes);
  read<envelope>(bytes);
  read<delivery_id>(bytes);
  read<region_state>(bytes);
  read<projection_state>(bytes);
  read<dead_letters>(bytes);
  read<event_batch>(bytes);
  read<caf::error>(bytes);
  wire::hello greeting;
  if (seam::from_bytes(system(), bytes, greeting) && wire::valid(greeting))
    promise(greeting.name.size() <= wire::max_name
              && greeting.incarnation != uuid{},
            "a node has a name and an incarnation");
  read<wire::hello>(bytes);
  read_forwarded(bytes);
}

} // namespace evented::test::fuzz
