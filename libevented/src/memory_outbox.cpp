#include "memory_outbox.hpp"

#include <algorithm>
#include <set>

namespace evented::detail {

void memory_outbox::store(const append_request& request,
                          const append_step& step, std::uint64_t version) {
  for (auto& x : step.messages) {
    if (!x.timer.empty())
      std::erase_if(rows_, [&](auto& entry) {
        auto& old = entry.second;
        return old.timer == x.timer && old.type_name == request.type_name
               && old.value.entity == request.id;
      });
    if (x.cancels)
      continue;
    row to;
    to.timer = x.timer;
    to.type_name = request.type_name;
    to.value.id = ++last_id_;
    to.value.entity = request.id;
    to.value.version = version;
    to.value.append_id = step.append_id;
    to.value.target = x.target;
    to.value.message = x.message;
    rows_.emplace(std::pair{x.due.value_or(timestamp::min()), last_id_},
                  std::move(to));
  }
}

claimed_messages memory_outbox::claim(const message_claim& what,
                                      timestamp now) {
  claimed_messages result;
  auto claim = uuid::v4();
  // Of these, a message that comes first was seen.
  std::set<std::pair<std::string_view, entity_id>> seen;
  for (auto& [key, x] : rows_) {
    auto& value = x.value;
    auto known
      = std::find(what.targets.begin(), what.targets.end(), value.target)
        != what.targets.end();
    if (x.type_name != what.type_name || !known)
      continue;
    if (key.first > now) {
      result.next = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<timestamp::duration>(key.first - now, std::chrono::hours{24}));
      break;
    }
    if (!seen.emplace(value.target, value.entity).second
        || x.claimed_until > now)
      continue;
    if (result.messages.size() == what.limit)
      break;
    value.claim = claim;
    x.claimed_until = now + what.lease;
    result.messages.push_back(value);
  }
  return result;
}

void memory_outbox::settle(std::span<const settled_message> batch,
                           timestamp now) {
  for (auto& x : batch) {
    auto found = std::find_if(rows_.begin(), rows_.end(), [&](auto& entry) {
      return entry.second.value.id == x.id;
    });
    if (found == rows_.end() || found->second.value.claim != x.claim)
      continue;
    if (!x.again) {
      rows_.erase(found);
      continue;
    }
    auto& to = found->second;
    to.value.claim = uuid{};
    to.value.attempts += x.failed ? 1 : 0;
    to.claimed_until = now + *x.again;
  }
}

std::vector<std::string>
memory_outbox::waiting_targets(std::string_view type_name) const {
  std::set<std::string> result;
  for (auto& [key, x] : rows_)
    if (x.type_name == type_name)
      result.insert(x.value.target);
  return {result.begin(), result.end()};
}

} // namespace evented::detail
