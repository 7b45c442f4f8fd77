// The dashboard in a real browser.

#include "cli/operator.hpp"
#include "cli/teller.hpp"
#include "support/browser.hpp"

#include <evented/membership.hpp>

#include <atomic>
#include <csignal>
#include <memory>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class dashboard : public cli {
protected:
  dashboard() {
    append("account", "a"s, 60);
    append("order", "<img src=x onerror=alert(1)>"s, 2);
    session_ = open()->connect_projections();
    session_->declare("totals", 1, 1, from_beginning{});
    auto runner = uuid::v4();
    sql("insert into SCHEMA.runner values ('" + to_string(runner)
        + "', 'east.example.org:4002', now(), now() + interval '1 hour')");
    auto lease = session_->acquire({"totals", 1, 0}, 1, runner);
    projection_step step;
    step.up_to = 2;
    step.letters = {{"account", "a"s, 1, letter_kind::parked, "the beast"}};
    session_->commit(*lease, step);
    join("west", 4001, 0, 32);
    join("east", 4002, 32, 56);
  }

  /// Makes a node that owns some shards.
  void join(const std::string& name, std::uint16_t port, std::uint16_t from,
            std::uint16_t to) {
    node_description self;
    self.cluster = "shop";
    self.name = name;
    self.incarnation = uuid::v4();
    self.address = "10.0.0." + std::to_string(port % 10);
    self.port = port;
    self.protocol = "1";
    self.program = name + ".example.org:" + std::to_string(port);
    self.shards = 64;
    self.lease = 1h;
    auto node = open()->connect_membership();
    node->join(self);
    membership_change change;
    for (auto i = from; i < to; ++i)
      change.take.push_back(i);
    cluster_picture known;
    EXPECT_TRUE(node->sync(self, change, known));
  }

  void serve(const std::map<std::string, std::string>& env = {},
             std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"serve", "--listen", "127.0.0.1:0"});
    server_ = std::make_unique<program>(here(more), env);
    ASSERT_TRUE(server_->read_until(
      [](auto& out) { return out.find("/\n") != std::string::npos; }));
    auto& out = server_->out();
    url_ = out.substr(0, out.find('\n'));
  }

  /// Goes to a page, of the part of its address after the #.
  void go(const std::string& page) { browser_.open(url_ + "#" + page); }

  /// For somebody to look at, in the directory EVENTED_PICTURES.
  void keep_picture(std::string page, int width, bool dark) {
    auto* directory = std::getenv("EVENTED_PICTURES");
    if (directory == nullptr)
      return;
    page = page == "/" ? "overview" : page.substr(1, page.find('?') - 1);
    browser_.picture(std::filesystem::path{directory}
                     / (page + (width > 800 ? "-wide" : "-narrow")
                        + (dark ? "-dark.png" : "-light.png")));
  }

  std::string operations() {
    return sql("select coalesce(string_agg(verb || ' ' || outcome, ', ' order "
               "by id), '') from SCHEMA.operation");
  }

  std::unique_ptr<projection_session> session_;
  std::unique_ptr<program> server_;
  std::string url_;
  browser browser_;
};

} // namespace

TEST_F(dashboard, shows_all_pages_wide_and_narrow_dark_and_light) {
  serve();
  for (auto width : {1300, 400})
    for (auto dark : {false, true}) {
      browser_.look(width, dark);
      for (auto [page, text] :
           {std::pair{"/", "Lag of totals"},
            {"/entities", "happened"},
            {"/entity?type=account&id=a&version=30", "Up to here"},
            {"/events", "Older"},
            {"/event?type=account&seq_no=1", "Payload"},
            {"/projections", "checkpoint"},
            {"/letters", "the beast"},
            {"/nodes", "Cluster shop"},
            {"/operations", "Nobody has changed anything yet."}}) {
        go(page);
        EXPECT_TRUE(browser_.shows(text)) << page;
        // Nothing has to be scrolled sideways but tables.
        EXPECT_EQ(browser_.eval("document.documentElement.scrollWidth <= "
                                "document.documentElement.clientWidth"),
                  true)
          << page << " at " << width;
        keep_picture(page, width, dark);
      }
      auto back
        = browser_.eval("getComputedStyle(document.body).backgroundColor");
      EXPECT_EQ(back, dark ? "rgb(20, 25, 26)" : "rgb(247, 248, 248)");
    }
  EXPECT_TRUE(browser_.complaints().empty()) << browser_.complaints()[0];
  for (auto& x : browser_.requests())
    EXPECT_TRUE(x.starts_with(url_)) << x;
}

TEST_F(dashboard, goes_through_a_history) {
  serve();
  go("/entity?type=account&id=a&version=30");
  EXPECT_TRUE(browser_.shows("Against version 29, the happened before it"));
  EXPECT_TRUE(browser_.shows("+   \"n\": 30"));
  browser_.press("ArrowLeft");
  EXPECT_TRUE(browser_.shows("Against version 28, the happened before it"));
  browser_.eval("{ const x = document.querySelector('input[type=range]'); "
                "x.value = 2; x.dispatchEvent(new Event('input')); 0 }");
  EXPECT_TRUE(browser_.shows("Against version 1, the happened before it"));
  EXPECT_TRUE(browser_.complaints().empty()) << browser_.complaints()[0];
}

TEST_F(dashboard, is_steered_by_keys) {
  serve();
  go("/");
  EXPECT_TRUE(browser_.shows("Lag of totals"));
  browser_.press("g");
  browser_.press("d");
  EXPECT_TRUE(browser_.shows("the beast"));
  browser_.press("g");
  browser_.press("e");
  EXPECT_TRUE(browser_.shows("List from here"));
  EXPECT_TRUE(wait_until([&] {
    browser_.press("/");
    return browser_.eval("document.activeElement.tagName") == "INPUT";
  }));
}

TEST_F(dashboard, shows_who_owns_which_shard) {
  serve();
  go("/nodes");
  ASSERT_TRUE(browser_.shows("Cluster shop"));
  EXPECT_TRUE(
    browser_.shows("8 of 64 shards are owned by no node that is alive"));
  // Two nodes, of which each has its colour, and what is nobody's.
  auto squares = [&](const std::string& of) {
    return browser_.eval("document.querySelectorAll('svg.shards ." + of
                         + "').length");
  };
  EXPECT_EQ(squares("node-0"), 24);
  EXPECT_EQ(squares("node-1"), 32);
  EXPECT_EQ(squares("free"), 8);
  EXPECT_EQ(browser_.eval("document.querySelector('svg.shards .node-0 "
                          "title').textContent.replace(/,[^,]*$/, '')"),
            "shard 32: east, epoch 1");
  EXPECT_TRUE(browser_.shows("totals"));
  // What is unfolded stays so while the page is drawn anew.
  browser_.eval("{ const x = document.querySelector('summary'); x.focus(); "
                "x.click(); 0 }");
  EXPECT_TRUE(browser_.shows("Owned since"));
  sql("update SCHEMA.node set state = 'leaving' where name = 'east'");
  EXPECT_TRUE(browser_.shows("leaving"));
  EXPECT_TRUE(browser_.shows("Owned since"));
  EXPECT_EQ(browser_.eval("document.activeElement.tagName"), "SUMMARY");
  for (auto width : {1300, 400}) {
    browser_.look(width, width == 400);
    keep_picture("/leases", width, width == 400);
  }
  EXPECT_TRUE(browser_.complaints().empty()) << browser_.complaints()[0];
}

TEST_F(dashboard, says_where_the_time_of_commits_comes_from) {
  serve();
  go("/");
  EXPECT_TRUE(browser_.shows("Commands per commit"));
  EXPECT_TRUE(browser_.shows("Only applications know it."));
}

TEST_F(dashboard, draws_how_long_the_commits_of_applications_take) {
  // Ten more commits of five milliseconds each time.
  std::atomic<int> asked{0};
  teller application{[&](auto&, httplib::Response& to) {
    auto commits = 10 * ++asked;
    to.set_content("evented_commit_duration_seconds_count "
                     + std::to_string(commits)
                     + "\nevented_commit_duration_seconds_sum "
                     + std::to_string(commits * 0.005) + "\n",
                   "text/plain");
  }};
  serve({}, {"--application", application.url()});
  browser_.look(1300, false);
  go("/");
  auto stored = 0;
  EXPECT_TRUE(browser_.shows("5.0 ms"));
  EXPECT_TRUE(browser_.shows("told by " + application.url().substr(7)));
  EXPECT_TRUE(wait_until(
    [&] {
      append("account", "live " + std::to_string(++stored), 1);
      return browser_.eval("[...document.querySelectorAll('.card')].find(x => "
                           "x.textContent.startsWith('Commit time'))"
                           ".querySelector('polyline')?.points.length")
             >= 4;
    },
    20s));
  keep_picture("/live", 1300, false);
  EXPECT_TRUE(browser_.complaints().empty()) << browser_.complaints()[0];
}

TEST_F(dashboard, pauses_and_drops_only_what_was_confirmed) {
  serve();
  go("/projections");
  ASSERT_TRUE(browser_.shows("Pause"));
  browser_.click("Pause");
  EXPECT_TRUE(browser_.shows("Resume"));
  EXPECT_TRUE(session_->status("totals").paused);
  go("/letters");
  ASSERT_TRUE(browser_.shows("Drop"));
  browser_.click("Drop");
  ASSERT_TRUE(browser_.shows("Type the name of the projection"));
  // Not before the name is there.
  EXPECT_EQ(browser_.eval("[...document.querySelectorAll('dialog button')]."
                          "find(x => x.textContent === 'Do it').disabled"),
            true);
  browser_.eval("{ const x = document.querySelector('dialog input'); x.value = "
                "'totals'; x.dispatchEvent(new Event('input')); 0 }");
  browser_.click("Do it");
  EXPECT_TRUE(browser_.shows("No dead letters."));
  EXPECT_EQ(operations(), "projection pause done, dead-letters drop done");
  go("/operations");
  EXPECT_TRUE(browser_.shows("dead-letters drop"));
  for (auto width : {1300, 400}) {
    browser_.look(width, width == 400);
    EXPECT_EQ(browser_.eval("document.documentElement.scrollWidth <= "
                            "document.documentElement.clientWidth"),
              true)
      << width;
    keep_picture("/changes", width, width == 400);
  }
  EXPECT_TRUE(browser_.complaints().empty()) << browser_.complaints()[0];
}

TEST_F(dashboard, shows_what_was_stored_without_running_it) {
  serve();
  go("/entities?type=order");
  EXPECT_TRUE(browser_.shows("<img src=x onerror=alert(1)>"));
  EXPECT_EQ(browser_.eval("document.querySelectorAll('main img').length"), 0);
}

TEST_F(dashboard, asks_for_the_token) {
  serve({{"EVENTED_TOKEN", "a token that nobody guesses"}});
  go("/events");
  ASSERT_TRUE(browser_.shows("A token is needed"));
  auto type = [&](const std::string& token) {
    browser_.eval("{ document.querySelector('input[type=password]').value = '"
                  + token + "'; 0 }");
    browser_.click("Open");
  };
  type("a wrong one");
  EXPECT_TRUE(browser_.shows("this is not the token"));
  type("a token that nobody guesses");
  EXPECT_TRUE(browser_.shows("happened"));
}
