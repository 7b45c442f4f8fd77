// Who should own what: the same answer everywhere, and little moves.

#include <evented/entity_id.hpp>
#include <evented/membership.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace evented;

namespace {

std::vector<cluster_member> nodes(const std::vector<std::string>& names) {
  std::vector<cluster_member> result;
  for (auto& x : names)
    result.push_back({x, uuid::v4(), "127.0.0.1", 1, "", node_state::up});
  return result;
}

std::vector<std::string> owners(const std::vector<cluster_member>& members,
                                std::uint16_t shards = 256) {
  std::vector<std::string> result;
  for (auto i : share_out(members, shards))
    result.push_back(i == members.size() ? "" : members[i].name);
  return result;
}

} // namespace

TEST(shards, are_the_same_for_everybody) {
  auto there = nodes({"a", "b", "c"});
  auto expected = owners(there);
  std::reverse(there.begin(), there.end());
  EXPECT_EQ(owners(there), expected);
  // A node that starts anew has another incarnation and the same share.
  EXPECT_EQ(owners(nodes({"c", "a", "b"})), expected);
}

TEST(shards, are_shared_about_evenly) {
  for (std::size_t count : {2u, 3u, 5u, 8u}) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i)
      names.push_back("node-" + std::to_string(i));
    auto found = owners(nodes(names));
    for (auto& name : names) {
      auto share = std::count(found.begin(), found.end(), name);
      EXPECT_GT(share, 256 / count * 6 / 10) << name << " of " << count;
      EXPECT_LT(share, 256 / count * 15 / 10) << name << " of " << count;
    }
  }
}

TEST(shards, of_others_stay_where_they_are_when_a_node_goes) {
  auto before = owners(nodes({"a", "b", "c", "d"}));
  auto after = owners(nodes({"a", "b", "d"}));
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != "c")
      EXPECT_EQ(after[i], before[i]) << i;
    else
      EXPECT_NE(after[i], "") << i;
  }
}

TEST(shards, go_to_nodes_that_are_up_only) {
  auto there = nodes({"a", "b", "c"});
  there[0].state = node_state::joining;
  there[2].state = node_state::leaving;
  EXPECT_EQ(owners(there), std::vector<std::string>(256, "b"));
  there[1].state = node_state::leaving;
  EXPECT_EQ(owners(there), std::vector<std::string>(256, ""));
  EXPECT_EQ(owners({}), std::vector<std::string>(256, ""));
}

TEST(shards, are_ranges_of_slices) {
  for (std::uint16_t shards : {1, 2, 256, 1024}) {
    std::vector<int> slices(shards, 0);
    for (std::uint16_t slice = 0; slice < slice_count; ++slice) {
      auto shard = shard_of(slice, shards);
      EXPECT_EQ(shard, slice * shards / slice_count);
      ++slices.at(shard);
    }
    EXPECT_EQ(slices, std::vector<int>(shards, slice_count / shards));
  }
}
