// The page of examples/accounts in a real browser.

#include "examples/accounts_service.hpp"
#include "support/browser.hpp"

#include <gtest/gtest.h>

using namespace std::literals;

using namespace evented;
using namespace evented::test;

namespace {

class accounts_page : public testing::Test {
protected:
  accounts_page() { go("/"); }

  ~accounts_page() override {
    EXPECT_EQ(browser_.complaints(), complaints_);
    for (auto& x : browser_.requests())
      EXPECT_TRUE(x.starts_with(url_)) << x;
  }

  /// Goes to a page, and waits until it is there with its script.
  void go(const std::string& page) {
    browser_.open(url_ + page);
    auto there = "location.pathname === '" + page
                 + "' && document.readyState === 'complete'";
    ASSERT_TRUE(wait_until([&] { return browser_.eval(there) == true; }, 20s));
  }

  /// Fills in a form and sends it, as its button does.
  void send(const std::string& form, const std::string& field,
            const std::string& value) {
    browser_.eval("{ const x = document.getElementById('" + form
                  + "'); x.elements." + field + ".value = '" + value
                  + "'; x.requestSubmit(); 0 }");
  }

  void open(const std::string& owner) {
    send("open", "owner", owner);
    ASSERT_TRUE(shows("#owner", owner));
  }

  /// Waits until the first element that `selector` finds has this text.
  bool shows(const std::string& selector, const std::string& text) {
    auto what = "document.querySelector('" + selector
                + "')?.innerText.replace(/\\s+/g, ' ').trim()";
    return wait_until([&] { return browser_.eval(what) == text; }, 20s);
  }

  /// Waits until the list of accounts is this.
  bool lists(const std::string& text) { return shows("#list", text); }

  std::string database_ = fresh_database();
  process service_{ACCOUNTS, {"--port", "0", "--database", database_}};
  std::string url_ = "http://127.0.0.1:" + std::to_string(port_of(service_));
  browser browser_;
  /// What the browser is to complain about.
  std::vector<std::string> complaints_;
};

} // namespace

TEST_F(accounts_page, opens_accounts_and_moves_money) {
  ASSERT_TRUE(browser_.shows("There are no accounts yet."));
  open("Ada");
  send("deposits", "amount", "12.50");
  EXPECT_TRUE(lists("Ada 12.50"));
  // The newest comes first; the time before it is whatever it is.
  EXPECT_TRUE(shows("#history tr:first-child td:nth-child(2)", "deposited"));
  EXPECT_TRUE(shows("#history tr:first-child td:nth-child(4)", "12.50"));
  open("Bob");
  browser_.click("Ada");
  ASSERT_TRUE(shows("#transfers option", "Bob"));
  send("transfers", "amount", "2");
  EXPECT_TRUE(shows("#history tr:first-child td:nth-child(2)", "sent"));
  EXPECT_TRUE(shows("#history tr:first-child td:nth-child(3)", "Bob"));
  browser_.click("Bob");
  EXPECT_TRUE(shows("#history tr:first-child td:nth-child(2)", "received"));
  EXPECT_TRUE(shows("#history tr:first-child td:nth-child(4)", "2.00"));
  EXPECT_EQ(browser_.eval("document.querySelector('#problem').hidden"), true);
}

TEST_F(accounts_page, shows_what_others_do_without_being_asked) {
  open("Ada");
  // Somebody else, with a client of his own.
  browser_.eval("fetch('/accounts/00000000-0000-4000-8000-000000000001', "
                "{method: 'PUT', headers: {'Content-Type': 'application/json'},"
                " body: '{\"owner\": \"Zoe\"}'}).then(x => x.status)");
  EXPECT_TRUE(browser_.shows("Zoe"));
}

TEST_F(accounts_page, keeps_what_is_in_hand_while_nothing_changes) {
  open("Ada");
  browser_.eval("{ window.kept = document.querySelector('#list button'); "
                "window.kept.focus(); window.looks = 0; const real = fetch; "
                "window.fetch = (...x) => { ++window.looks; return real(...x); "
                "}; 0 }");
  ASSERT_TRUE(wait_until(
    [&] { return browser_.eval("window.looks").get<int>() > 4; }, 20s));
  EXPECT_EQ(browser_.eval("document.activeElement === window.kept"), true);
}

TEST_F(accounts_page, says_why_not) {
  open("Ada");
  complaints_ = {"Failed to load resource: the server responded with a status "
                 "of 422 (Unprocessable Entity)"};
  send("withdrawals", "amount", "1");
  EXPECT_TRUE(shows("#problem", "Insufficient funds: There are only 0 cents in "
                                "this account."));
  send("deposits", "amount", "1");
  EXPECT_TRUE(lists("Ada 1.00"));
  EXPECT_TRUE(wait_until([&] {
    return browser_.eval("document.querySelector('#problem')"
                         ".hidden")
           == true;
  }));
}

TEST_F(accounts_page, shows_names_without_running_them) {
  open("<img src=x onerror=alert(1)>");
  EXPECT_EQ(browser_.eval("document.querySelectorAll('img').length"), 0);
}

TEST_F(accounts_page, fits_wide_and_narrow_dark_and_light) {
  open("Ada");
  send("deposits", "amount", "1234567.89");
  EXPECT_TRUE(lists("Ada 1234567.89"));
  open(std::string(100, 'x'));
  for (auto width : {1300, 400})
    for (auto dark : {false, true}) {
      browser_.look(width, dark);
      for (auto page : {"/", "/api"}) {
        go(page);
        ASSERT_TRUE(browser_.shows(page == "/"s ? "1234567.89" : "GET"));
        EXPECT_EQ(browser_.eval("document.documentElement.scrollWidth <= "
                                "document.documentElement.clientWidth"),
                  true)
          << page << " at " << width;
        EXPECT_EQ(
          browser_.eval("getComputedStyle(document.body).backgroundColor"),
          dark ? "rgb(20, 25, 26)" : "rgb(247, 248, 248)");
      }
    }
}
