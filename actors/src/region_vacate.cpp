// How a region gives up a part of its entities, which another node is to have.

#include <evented/actors/region.hpp>

#include <unordered_set>

namespace evented::detail {

void region::on_vacate(const vacate& what) {
  auto whom = caf::actor_cast<caf::actor>(current_sender());
  std::unordered_set<std::uint16_t> asked{what.slices.begin(),
                                          what.slices.end()};
  std::unordered_set<std::uint16_t> empty = asked;
  std::vector<std::pair<const entity_id, resident>*> awake;
  for (auto& x : residents_) {
    auto slice = slice_of(x.first);
    if (!asked.contains(slice))
      continue;
    empty.erase(slice);
    auto& to = vacating_.slices[slice];
    to.whom = whom;
    to.number = what.number;
    if (vacating_.entities.insert(x.first).second)
      ++to.left;
    // Others go once they are loaded and have had what waits for them.
    if (x.second.actor != nullptr)
      awake.push_back(&x);
  }
  for (auto* x : awake)
    put_to_sleep(*x);
  if (!empty.empty())
    seam::send(this, whom, vacated{{empty.begin(), empty.end()}, what.number});
}

void region::on_gone(const entity_id& id) {
  if (vacating_.entities.erase(id) == 0)
    return;
  auto found = vacating_.slices.find(slice_of(id));
  if (--found->second.left > 0)
    return;
  seam::send(this, found->second.whom,
             vacated{{found->first}, found->second.number});
  vacating_.slices.erase(found);
}

} // namespace evented::detail
