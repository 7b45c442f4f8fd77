#include <evented/entity_id.hpp>
#include <evented/membership.hpp>

namespace evented {

namespace {

/// How much a node wants a shard: FNV-1a over its name, then both stirred by the
/// finalizer of MurmurHash3, without which names that differ in their last
/// letter want the same.
std::uint64_t weight(std::string_view name, std::uint16_t shard) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (unsigned char c : name)
    hash = (hash ^ c) * 1099511628211ULL;
  hash ^= shard * 0x9e3779b97f4a7c15ULL;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

} // namespace

std::string_view to_string(node_state state) noexcept {
  switch (state) {
  case node_state::joining:
    return "joining";
  case node_state::up:
    return "up";
  case node_state::leaving:
    return "leaving";
  }
  return "unknown";
}

std::uint16_t shard_of(std::uint16_t slice, std::uint16_t shards) noexcept {
  return static_cast<std::uint16_t>(slice / (slice_count / shards));
}

std::vector<std::size_t> share_out(std::span<const cluster_member> members,
                                   std::uint16_t shards) {
  std::vector<std::size_t> result(shards, members.size());
  for (std::uint16_t shard = 0; shard < shards; ++shard) {
    std::uint64_t highest = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (members[i].state != node_state::up)
        continue;
      auto found = weight(members[i].name, shard);
      if (result[shard] == members.size() || found > highest) {
        highest = found;
        result[shard] = i;
      }
    }
  }
  return result;
}

} // namespace evented
