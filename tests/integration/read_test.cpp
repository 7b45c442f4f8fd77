// Reading a journal through a filter: which events come, in which order, and
// that no page is lost between two others. Run against the store in memory and
// the one in PostgreSQL.

#include "support/journals.hpp"

#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace std::literals;

using namespace evented;
using evented::test::append_all;

namespace {

enum class backend { memory, postgres };

/// Renders where an event stands.
std::string render(const journal_entry& x) {
  return std::to_string(x.event.seq_no) + " " + x.type_name + "/"
         + to_string(x.id) + "@" + std::to_string(x.event.version) + "\n";
}

std::string render(const std::vector<journal_entry>& xs) {
  std::string result;
  for (auto& x : xs)
    result += render(x);
  return result;
}

/// What a filter means, without any query.
bool passes(const event_filter& filter, const journal_entry& x) {
  auto has = [](const auto& list, const auto& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  return has(filter.types, x.type_name)
         && (filter.names.empty() || has(filter.names, x.event.name))
         && (filter.tags.empty()
             || std::any_of(x.event.tags.begin(), x.event.tags.end(),
                            [&](auto& tag) { return has(filter.tags, tag); }))
         && filter.slices.contains(slice_of(x.id))
         && (!filter.since || x.event.created_at >= *filter.since);
}

class reading : public testing::TestWithParam<backend> {
protected:
  reading() {
    journal_options options;
    if (GetParam() == backend::postgres)
      options = test::fresh_journal();
    options.ids = id_kind::text;
    store_ = GetParam() == backend::postgres ? open_store(options)
                                             : make_memory_store(options);
    session_ = store_->connect();
  }

  store_session& session() { return *session_; }

  /// Makes an append of events to an entity that this test alone writes.
  append_request make(const std::string& type, const std::string& id,
                      std::vector<new_event> events) {
    append_step step;
    step.append_id = uuid::v4();
    auto& version = versions_[type + "/" + id];
    step.after = version;
    version += events.size();
    step.events = std::move(events);
    return {type, id, {step}, {}};
  }

  /// Stores events.
  void append(const std::string& type, const std::string& id,
              std::vector<new_event> events) {
    auto x = make(type, id, std::move(events));
    append_all(session(), {&x});
    ASSERT_EQ(x.steps[0].status, append_status::stored) << x.steps[0].message;
  }

  static new_event event(std::string_view name,
                         std::vector<std::string> tags = {}) {
    return {name, 1, "{}", "", std::move(tags)};
  }

  /// Stores a few hundred events of types a, b and c and a few of type rare,
  /// with three names, up to three tags each and many entities.
  void append_many() {
    static constexpr std::string_view names[] = {"opened", "moved", "closed"};
    for (int round = 0; round < 30; ++round) {
      std::vector<append_request> requests;
      for (int i = 0; i < 20; ++i) {
        auto type = i == 0 && round % 10 == 5
                      ? std::string{"rare"}
                      : std::string(1, "abc"[random_() % 3]);
        std::vector<new_event> events;
        for (auto n = 1 + random_() % 2; n > 0; --n) {
          events.push_back(event(names[random_() % 3]));
          for (auto* tag : {"red", "green", "blue"})
            if (random_() % 3 == 0)
              events.back().tags.emplace_back(tag);
        }
        requests.push_back(make(type, std::to_string(i), std::move(events)));
      }
      std::vector<append_request*> batch;
      for (auto& x : requests)
        batch.push_back(&x);
      append_all(session(), batch);
      for (auto& x : requests)
        ASSERT_EQ(x.steps[0].status, append_status::stored);
    }
    all_ = pages({.types = {"a", "b", "c", "rare"}}, [] { return 1000; });
    ASSERT_GE(all_.size(), 600u);
  }

  /// Reads page by page, as `up_to` says.
  std::vector<journal_entry> pages(const event_filter& filter,
                                   const std::function<std::size_t()>& limit) {
    std::vector<journal_entry> result;
    auto frontier = session().frontier();
    for (std::uint64_t after = 0; after < frontier;) {
      auto n = limit();
      auto found = session().read(filter, after, frontier, n);
      EXPECT_LE(found.entries.size(), n);
      for (auto& x : found.entries) {
        EXPECT_GT(x.event.seq_no, after);
        EXPECT_LE(x.event.seq_no, found.up_to);
        result.push_back(std::move(x));
      }
      EXPECT_LE(found.up_to, frontier);
      if (found.up_to <= after) {
        ADD_FAILURE() << "no progress after " << after;
        break;
      }
      after = found.up_to;
    }
    return result;
  }

  std::vector<journal_entry> pages(const event_filter& filter) {
    return pages(filter, [this] { return 1 + random_() % 60; });
  }

  /// Compares what a filter finds with what it means.
  void check(const event_filter& filter) {
    std::vector<journal_entry> expected;
    for (auto& x : all_)
      if (passes(filter, x))
        expected.push_back(x);
    EXPECT_EQ(render(pages(filter)), render(expected));
    EXPECT_EQ(render(pages(filter, [] { return 10'000; })), render(expected));
  }

  /// The same seed in every run.
  std::mt19937_64 random_; // NOLINT: cert-msc51-cpp
  std::vector<journal_entry> all_;

private:
  std::shared_ptr<store> store_;
  std::unique_ptr<store_session> session_;
  std::map<std::string, std::uint64_t> versions_;
};

} // namespace

INSTANTIATE_TEST_SUITE_P(stores, reading,
                         testing::Values(backend::memory, backend::postgres),
                         [](auto& x) {
                           return x.param == backend::memory ? "memory"
                                                             : "postgres";
                         });

// -- types --------------------------------------------------------------------

TEST_P(reading, merges_types_in_the_order_of_their_numbers) {
  append_many();
  check({.types = {"a"}});
  check({.types = {"c", "a"}});
  check({.types = {"a", "b", "c", "rare"}});
  check({.types = {"rare"}});
  check({.types = {"rare", "b"}});
  check({.types = {"b", "b", "b"}});
}

TEST_P(reading, finds_nothing_of_types_that_nobody_has_stored) {
  append_many();
  check({.types = {"nothing"}});
  check({.types = {"nothing", "a", "A", ""}});
  auto frontier = session().frontier();
  EXPECT_EQ(session().read({.types = {"nothing"}}, 0, frontier, 1).up_to,
            frontier);
}

TEST_P(reading, needs_a_type) {
  try {
    session().read({}, 0, 10, 10);
    FAIL() << "no error";
  } catch (const error& e) {
    EXPECT_EQ(e.code(), errc::invalid_options);
  }
}

TEST_P(reading, finds_each_of_a_hundred_types) {
  event_filter filter;
  std::size_t count = 0;
  for (int i = 0; i < 300; ++i) {
    auto type = "type" + std::to_string(i * 37 % 100);
    append(type, "x", {event("happened", {"t" + std::to_string(i % 2)})});
    ++count;
    if (i < 100)
      filter.types.push_back(type);
  }
  auto found = pages(filter);
  EXPECT_EQ(found.size(), count);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end(), [](auto& a, auto& b) {
    return a.event.seq_no < b.event.seq_no;
  }));
  filter.tags = {"t0"};
  EXPECT_EQ(pages(filter).size(), count / 2);
  filter.tags = {"t0", "t1"};
  EXPECT_EQ(pages(filter).size(), count);
}

// -- names, tags, slices and times --------------------------------------------

TEST_P(reading, keeps_to_names) {
  append_many();
  check({.types = {"a"}, .names = {"moved"}});
  check({.types = {"a", "b"}, .names = {"moved", "opened", "moved"}});
  check({.types = {"a"}, .names = {"never"}});
}

TEST_P(reading, brings_an_event_once_however_many_of_its_tags_match) {
  append_many();
  check({.types = {"a"}, .tags = {"red"}});
  check({.types = {"a", "b", "rare"}, .tags = {"red", "blue", "green"}});
  check({.types = {"a"}, .tags = {"red", "red"}});
  check({.types = {"a"}, .tags = {"never"}});
  check({.types = {"c"}, .tags = {"never", "blue"}});
}

TEST_P(reading, finds_each_event_in_one_part_of_the_slices) {
  append_many();
  std::vector<journal_entry> found;
  for (std::uint16_t first = 0; first < slice_count;) {
    auto last = static_cast<std::uint16_t>(
      std::min<std::size_t>(slice_count - 1, first + random_() % 300));
    event_filter filter{.types = {"a", "b", "c", "rare"},
                        .slices = {first, last}};
    check(filter);
    for (auto& x : pages(filter))
      found.push_back(x);
    first = static_cast<std::uint16_t>(last + 1);
  }
  std::sort(found.begin(), found.end(),
            [](auto& a, auto& b) { return a.event.seq_no < b.event.seq_no; });
  EXPECT_EQ(render(found), render(all_));
}

TEST_P(reading, keeps_to_a_time) {
  append_many();
  for (auto& x : {all_.front(), all_[all_.size() / 2], all_.back()}) {
    check({.types = {"a", "b"}, .since = x.event.created_at});
    check({.types = {"a", "b"}, .since = x.event.created_at + 1us});
    check({.types = {"a", "b"}, .since = x.event.created_at - 1us});
  }
  check({.types = {"a"}, .since = timestamp{}});
  check({.types = {"a"}, .since = timestamp::min()});
  check({.types = {"a"}, .since = timestamp::max()});
  check({.types = {"a"}, .since = timestamp{} - 24h * 365 * 1000});
  check({.types = {"a"}, .since = timestamp{} + 24h * 365 * 1000});
}

TEST_P(reading, combines_all_that_a_filter_can_say) {
  append_many();
  auto some = [&](std::vector<std::string> from) {
    std::shuffle(from.begin(), from.end(), random_);
    from.resize(random_() % (from.size() + 1));
    return from;
  };
  for (int i = 0; i < 60; ++i) {
    event_filter filter{.types = some({"a", "b", "c", "rare", "none"}),
                        .names = some({"opened", "moved", "none"}),
                        .tags = some({"red", "blue", "none"})};
    filter.types.emplace_back("b");
    if (random_() % 2 == 0)
      filter.slices.first = static_cast<std::uint16_t>(random_() % 1024);
    if (random_() % 2 == 0)
      filter.slices.last = static_cast<std::uint16_t>(random_() % 1024);
    if (random_() % 2 == 0)
      filter.since = all_[random_() % all_.size()].event.created_at;
    check(filter);
  }
}

// -- tags ---------------------------------------------------------------------

TEST_P(reading, brings_tags_back_as_they_were_stored) {
  std::vector<std::string> tags{"plain",
                                " ",
                                "gr\xc3\xbc"
                                "n",
                                "a,b{c}\"d\\",
                                std::string(200, 'x'),
                                "\t\r",
                                "plain",
                                "null"};
  append("a", "x", {event("one"), event("two", tags), event("three")});
  load_request what{"a", "x", 0};
  auto loaded = session().load({&what, 1}, 10)[0].events;
  ASSERT_EQ(loaded.size(), 3u);
  EXPECT_TRUE(loaded[0].tags.empty());
  EXPECT_EQ(loaded[1].tags, tags);
  EXPECT_TRUE(loaded[2].tags.empty());
  for (auto& tag : tags) {
    auto found = pages({.types = {"a"}, .tags = {tag}});
    ASSERT_EQ(found.size(), 1u) << tag;
    EXPECT_EQ(found[0].event.tags, tags);
  }
}

TEST_P(reading, never_meets_a_tag_that_cannot_be_stored) {
  std::uint64_t count = 0;
  for (auto& bad : {""s, std::string(201, 'x'), "a\nb"s, "\n"s, "a\0b"s,
                    "\xff"s, "\xc3"s, "\xed\xa0\x80"s}) {
    append_step step;
    step.append_id = uuid::v4();
    step.events = {event("fine", {"fine"}), event("bad", {"fine", bad})};
    append_request x{"a", "x", {step}, {}};
    append_request y{"a", "y", {step}, {}};
    y.steps[0].append_id = uuid::v4();
    y.steps[0].events.pop_back();
    y.steps[0].after = count++;
    append_all(session(), {&x, &y});
    EXPECT_EQ(x.steps[0].status, append_status::failed) << bad;
    EXPECT_EQ(x.steps[0].failure, errc::invalid_event) << bad;
    EXPECT_EQ(y.steps[0].status, append_status::stored) << bad;
  }
  EXPECT_EQ(pages({.types = {"a"}}).size(), count);
  EXPECT_EQ(pages({.types = {"a"}, .tags = {"fine"}}).size(), count);
}

// -- strange texts ------------------------------------------------------------

TEST_P(reading, takes_texts_for_what_they_are) {
  static const std::string strange[] = {"'; drop table event; --",
                                        "') or true --",
                                        "$1",
                                        "{schema}",
                                        "\"quoted\"",
                                        "back\\slash",
                                        "a,b",
                                        "%_",
                                        "{}",
                                        "null"};
  for (auto& x : strange)
    append(x, "x", {event(x, {x}), event("other", {"other"})});
  for (auto& x : strange) {
    EXPECT_EQ(pages({.types = {x}}).size(), 2u) << x;
    EXPECT_EQ(pages({.types = {x}, .names = {x}}).size(), 1u) << x;
    EXPECT_EQ(pages({.types = {x}, .tags = {x}}).size(), 1u) << x;
    EXPECT_EQ(
      pages({.types = {x, x + "'"}, .names = {x, "'"}, .tags = {x}}).size(), 1u)
      << x;
  }
}

TEST_P(reading, finds_nothing_for_texts_that_cannot_be_stored) {
  append("a", "x", {event("one", {"t"})});
  auto count = [&](const event_filter& filter) { return pages(filter).size(); };
  for (auto& end : {"\0"s, "\0b"s, "\xff"s, "\xed\xa0\x80"s}) {
    EXPECT_EQ(count({.types = {"a" + end}}), 0u);
    EXPECT_EQ(count({.types = {"a" + end}, .tags = {"t"}}), 0u);
    EXPECT_EQ(count({.types = {"a"}, .names = {"one" + end}}), 0u);
    EXPECT_EQ(count({.types = {"a"}, .tags = {"t" + end}}), 0u);
    EXPECT_EQ(count({.types = {"a" + end, "a"},
                     .names = {"one" + end, "one"},
                     .tags = {"t", "t" + end}}),
              1u);
  }
}

// -- pages --------------------------------------------------------------------

TEST_P(reading, comes_to_an_end_where_nothing_passes) {
  // More than one call looks at.
  constexpr int count = 100;
  constexpr int size = 100;
  for (int i = 0; i < count; ++i)
    append("a", "x" + std::to_string(i),
           {size, event("common", {"common", "usual"})});
  append("a", "y", {event("seldom", {"seldom", "usual"})});
  append("a", "z", {size, event("common", {"common", "usual"})});
  auto calls = 0;
  auto one = [&] {
    ++calls;
    return 1;
  };
  EXPECT_EQ(pages({.types = {"a"}, .names = {"never"}}, one).size(), 0u);
  EXPECT_LT(calls, 100);
  EXPECT_EQ(pages({.types = {"a"}, .names = {"seldom"}}, one).size(), 1u);
  EXPECT_EQ(pages({.types = {"a"}, .tags = {"seldom"}}, one).size(), 1u);
  EXPECT_EQ(pages({.types = {"a"},
                   .names = {"seldom"},
                   .tags = {"common", "usual", "seldom"}},
                  one)
              .size(),
            1u);
  EXPECT_LT(calls, 400);
  auto all = [] { return 1'000'000; };
  EXPECT_EQ(pages({.types = {"a"}, .tags = {"common", "usual"}}, all).size(),
            count * size + size + 1u);
}

TEST_P(reading, keeps_to_its_bounds_with_a_filter) {
  append("a", "x",
         {event("one", {"t"}), event("two"), event("one", {"t"}),
          event("one", {"t"})});
  auto all = pages({.types = {"a"}});
  ASSERT_EQ(all.size(), 4u);
  for (auto& filter : {event_filter{.types = {"a"}, .names = {"one"}},
                       event_filter{.types = {"a"}, .tags = {"t"}}}) {
    auto read = [&](std::size_t after, std::size_t up_to, std::size_t limit) {
      std::string result;
      for (auto& x : session()
                       .read(filter, all[after].event.seq_no,
                             all[up_to].event.seq_no, limit)
                       .entries)
        result += std::to_string(x.event.version);
      return result;
    };
    EXPECT_EQ(read(0, 3, 10), "34");
    EXPECT_EQ(read(0, 2, 10), "3");
    EXPECT_EQ(read(0, 1, 10), "");
    EXPECT_EQ(read(0, 3, 1), "3");
    EXPECT_EQ(read(3, 3, 10), "");
    EXPECT_EQ(read(3, 0, 10), "");
  }
}

// A page without room cannot lead on, but it must not lead past events either.
TEST_P(reading, a_page_without_room_leads_nowhere) {
  append("a", "x", {event("one", {"t"})});
  for (auto& filter : {event_filter{.types = {"a"}},
                       event_filter{.types = {"a"}, .names = {"one"}}}) {
    auto found = session().read(filter, 0, session().frontier(), 0);
    EXPECT_EQ(found.entries.size(), 0u);
    EXPECT_EQ(found.up_to, 0u);
  }
}
