// The dashboard in a real browser.

#include "cli/operator.hpp"
#include "support/browser.hpp"

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
    auto lease = session_->acquire({"totals", 1, 0}, 1, uuid::v4());
    projection_step step;
    step.up_to = 2;
    step.letters = {{"account", "a"s, 1, letter_kind::parked, "the beast"}};
    session_->commit(*lease, step);
  }

  void serve(const std::map<std::string, std::string>& env = {}) {
    server_ = std::make_unique<program>(
      here({"serve", "--listen", "127.0.0.1:0"}), env);
    ASSERT_TRUE(server_->read_until(
      [](auto& out) { return out.find("/\n") != std::string::npos; }));
    auto& out = server_->out();
    url_ = out.substr(0, out.find('\n'));
  }

  /// Goes to a page, of the part of its address after the #.
  void go(const std::string& page) { browser_.open(url_ + "#" + page); }

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
            {"/entities", "List from here"},
            {"/entity?type=account&id=a&version=30", "Up to here"},
            {"/events", "After number"},
            {"/event?type=account&seq_no=1", "Payload"},
            {"/projections", "checkpoint"},
            {"/letters", "the beast"},
            {"/operations", "Nobody has changed anything yet."}}) {
        go(page);
        EXPECT_TRUE(browser_.shows(text)) << page;
        // Nothing has to be scrolled sideways but tables.
        EXPECT_EQ(browser_.eval("document.documentElement.scrollWidth <= "
                                "document.documentElement.clientWidth"),
                  true)
          << page << " at " << width;
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
