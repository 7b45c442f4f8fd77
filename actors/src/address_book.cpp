#include <evented/actors/address_book.hpp>

#include <caf/actor_cast.hpp>

namespace evented::detail {

void address_book::enter(const std::string& type_name, const caf::actor& whom) {
  std::lock_guard guard{mutex_};
  entries_[type_name] = caf::actor_cast<caf::weak_actor_ptr>(whom);
}

caf::actor address_book::find(const std::string& type_name) const {
  std::lock_guard guard{mutex_};
  auto found = entries_.find(type_name);
  return found == entries_.end() ? nullptr
                                 : caf::actor_cast<caf::actor>(found->second);
}

std::vector<std::string> address_book::types() const {
  std::vector<std::string> result;
  std::lock_guard guard{mutex_};
  for (auto& [name, whom] : entries_)
    if (caf::actor_cast<caf::actor>(whom) != nullptr)
      result.push_back(name);
  return result;
}

} // namespace evented::detail
