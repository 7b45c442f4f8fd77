// What the test kit accepts, and what its reports say.

#include <evented/testkit.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace shop {

// -- commands and rejections: plain structs, with nothing that helps ----------

struct add_line {
  std::string article;
  std::uint32_t count = 0;
};

struct clear {};

struct close_order {
  bool again = false;
};

struct get_total {};

struct misbehave {
  std::string how;
};

struct too_many {
  std::uint64_t left = 0;
};

struct closed {};

// -- events -------------------------------------------------------------------

struct line_added {
  std::string article;
  std::uint32_t count = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(article), CEREAL_NVP(count));
  }
};

struct order_closed {
  static constexpr std::string_view event_name = "order-closed";
};

/// Forgets a member.
struct leaky {
  std::uint64_t kept = 0;
  std::uint64_t lost = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(kept));
  }
};

/// Can be compared by its JSON only, which says nothing of what is lost.
class opaque {
public:
  opaque() = default;
  explicit opaque(std::uint64_t x) : lost_(x) {}

  std::uint64_t lost() const { return lost_; }

  template <class A>
  void serialize(A& a) {
    a(cereal::make_nvp("kept", kept_));
  }

private:
  std::uint64_t kept_ = 0;
  std::uint64_t lost_ = 0;
};

/// Gives two members the same name, of which jsonb keeps one.
struct twice {
  std::uint64_t a = 0;
  std::uint64_t b = 0;

  template <class A>
  void serialize(A& ar) {
    ar(cereal::make_nvp("x", a), cereal::make_nvp("x", b));
  }
};

/// May hold what JSON does not have.
struct measured {
  double value = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(value));
  }
};

/// Is asked for by a tag.
struct labelled {
  std::string label;

  std::vector<std::string> tags() const { return {label}; }

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(label));
  }
};

struct bad {};

struct author {
  std::string name;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(name));
  }
};

// -- the entity ---------------------------------------------------------------

struct order {
  static constexpr std::string_view type_name = "order";
  using id_type = std::string;
  using commands
    = evented::commands<add_line, clear, close_order, get_total, misbehave>;
  using events = evented::events<line_added, order_closed, leaky, opaque, twice,
                                 measured, labelled, bad>;
  using metadata = author;

  std::map<std::string, std::uint32_t> lines;
  bool is_closed = false;
  std::uint64_t sum = 0;

  void apply(const line_added& e) { lines[e.article] += e.count; }
  void apply(const order_closed&) { is_closed = true; }
  void apply(const leaky& e) { sum += e.kept; }
  void apply(const opaque& e) { sum += e.lost(); }
  void apply(const twice& e) { sum += e.a + e.b; }
  void apply(const measured&) {}
  void apply(const labelled&) {}
  void apply(const bad&) { throw std::runtime_error("bad event"); }

  std::uint64_t total() const {
    std::uint64_t result = 0;
    for (auto& [article, count] : lines)
      result += count;
    return result;
  }
};

int effects_run = 0;

evented::decision<order, too_many, closed> handle(const add_line& cmd,
                                                  const order& state) {
  if (state.is_closed)
    return evented::reject(closed{});
  if (state.total() + cmd.count > 10)
    return evented::reject(too_many{10 - state.total()});
  return evented::accept(line_added{cmd.article, cmd.count})
    .with_metadata(author{"ada"})
    .then([](const order&) { ++effects_run; });
}

evented::decision<order> handle(const clear&, const order&) {
  return evented::accept();
}

evented::decision<order, evented::replies<std::uint64_t>, closed>
handle(const close_order& cmd, const order& state,
       const evented::context<order>& ctx) {
  if (cmd.again)
    return evented::reject(closed{});
  return evented::accept(line_added{ctx.id, 1}, order_closed{})
    .reply([v = ctx.version, n = state.total()](const order& after) {
      return v * 100 + n * 10 + after.total();
    });
}

evented::decision<order, evented::replies<std::vector<too_many>>>
handle(const get_total&, const order& state) {
  return evented::accept().reply([n = state.total()](const order&) {
    return std::vector<too_many>{{10 - n}};
  });
}

int times_asked = 0;

evented::decision<order, too_many> handle(const misbehave& cmd, const order&) {
  if (cmd.how == "throw")
    throw std::runtime_error("no idea");
  if (cmd.how == "throw later")
    return evented::accept(line_added{"tea", 1}, bad{});
  if (cmd.how == "impure events")
    return evented::accept(line_added{"tea", std::uint32_t(++times_asked)});
  if (cmd.how == "impure rejection")
    return evented::reject(too_many{std::uint64_t(++times_asked)});
  if (cmd.how == "impure metadata")
    return evented::accept(order_closed{})
      .with_metadata(author{std::to_string(++times_asked)});
  if (cmd.how == "leaky")
    return evented::accept(leaky{1, 2});
  if (cmd.how == "opaque")
    return evented::accept(opaque{7});
  if (cmd.how == "twice")
    return evented::accept(twice{1, 2});
  if (cmd.how == "NaN")
    return evented::accept(measured{std::nan("")});
  if (cmd.how == "tag")
    return evented::accept(labelled{"a\nb"});
  return evented::accept(line_added{"tea", 1}).with_metadata(author{"\xff"});
}

} // namespace shop

using namespace shop;

using evented::codec;
using evented::testkit::check_codecs;
using evented::testkit::check_failed;
using evented::testkit::given;
using evented::testkit::scenario;

namespace {

/// Returns what `f` is reported for, without the name of this file.
template <class F>
std::string report_of(F f) {
  try {
    f();
  } catch (const check_failed& e) {
    std::string text = e.what();
    auto begin = text.find(": ");
    if (text.starts_with(__FILE__))
      text.erase(0, begin + 2);
    return text;
  }
  return "nothing";
}

} // namespace

// -- what passes --------------------------------------------------------------

TEST(testkit, passes_the_events_that_come) {
  given<order>().when(add_line{"tea", 2}).then(line_added{"tea", 2});
  given<order>(line_added{"tea", 2})
    .when(close_order{})
    .then(line_added{"some-order", 1}, order_closed{});
  std::vector<order::events::variant> list{line_added{"some-order", 1},
                                           order_closed{}};
  given<order>(list).when(clear{}).then_nothing();
  given<order>().when(close_order{}).then(list);
}

TEST(testkit, passes_the_rejection_that_comes) {
  auto full = given<order>(line_added{"tea", 9});
  full.when(add_line{"tea", 2})
    .then_rejected(too_many{1})
    .then_rejected<too_many>()
    .then_rejected<too_many>([](const too_many& x) { return x.left == 1; })
    .then_no_effect()
    .then_no_metadata()
    .then_version(1);
  given<order>(order_closed{}).when(add_line{}).then_rejected(closed{});
}

TEST(testkit, passes_state_reply_metadata_and_version) {
  given<order>(line_added{"tea", 2})
    .id("o-1")
    .when(close_order{})
    .then_accepted()
    .then_reply(123)
    .then_reply([](std::uint64_t x) { return x == 123; })
    .then_state([](const order& x) { return x.is_closed; })
    .then_state([](const order& x) { EXPECT_EQ(x.total(), 3u); })
    .then_state(order{{{"tea", 2}, {"o-1", 1}}, true, 0})
    .then_version(3)
    .then_no_metadata();
  given<order>().when(add_line{"tea", 1}).then_metadata(author{"ada"});
  given<order>()
    .when(get_total{})
    .then_reply(std::vector<too_many>{{10}})
    .then_reply([](auto& x) { return x.size() == 1; });
}

TEST(testkit, goes_on_from_the_state_so_far) {
  given<order>()
    .when(add_line{"tea", 2})
    .then(line_added{"tea", 2})
    .when(add_line{"tea", 9})
    .then_rejected(too_many{8})
    .given(line_added{"milk", 8})
    .when(add_line{"tea", 1})
    .then_rejected(too_many{0})
    .then_version(2);
}

TEST(testkit, tries_several_commands_on_the_same_scenario) {
  const auto base = given<order>(line_added{"tea", 9});
  base.when(add_line{"tea", 1}).then_accepted().then_version(2);
  base.when(add_line{"tea", 1}).then_accepted().then_version(2);
  EXPECT_EQ(base.version(), 1u);
}

TEST(testkit, takes_any_number_of_commands_in_a_loop) {
  scenario<order> x;
  for (auto i = 0; i < 10; ++i)
    x = x.when(add_line{"tea", 1}).then_accepted();
  x.when(add_line{"tea", 1}).then_rejected(too_many{0});
  EXPECT_EQ(x.state().total(), 10u);
}

TEST(testkit, takes_long_histories) {
  auto x = given<order>(order_closed{});
  for (auto i = 0; i < 100000; ++i)
    x = std::move(x).given(line_added{});
  EXPECT_EQ(x.version(), 100001u);
  auto copy = x;
  x = given<order>();
  copy.when(add_line{}).then_rejected(closed{});
}

TEST(testkit, tells_handlers_the_version_that_it_was_given) {
  given<order>().at(7).when(close_order{}).then_reply(701).then_version(9);
}

TEST(testkit, runs_effects_only_when_asked) {
  effects_run = 0;
  auto x = given<order>().when(add_line{"tea", 1});
  x.then_effect();
  EXPECT_EQ(effects_run, 0);
  x.run_effect();
  EXPECT_EQ(effects_run, 1);
  EXPECT_EQ(x.when(add_line{"tea", 1}).effects(), 2u);
  given<order>().when(clear{}).then_no_effect();
}

TEST(testkit, passes_exceptions_that_are_expected) {
  given<order>()
    .when(misbehave{"throw"})
    .then_throws()
    .then_throws("idea")
    .then_state(order{})
    .when(clear{})
    .then_nothing();
  given<order>().when(misbehave{"throw later"}).then_throws("bad event");
}

TEST(testkit, lets_handlers_be_impure_when_told_so) {
  given<order>().impure().when(misbehave{"impure events"}).then_accepted();
}

TEST(testkit, checks_only_the_codec_that_it_was_told) {
  given<order>()
    .payloads(codec::binary)
    .when(misbehave{"NaN"})
    .then(measured{std::nan("")});
}

// -- what the reports say -----------------------------------------------------

TEST(testkit_report, shows_other_events) {
  EXPECT_EQ(report_of([] {
              given<order>(line_added{"tea", 2})
                .when(close_order{})
                .then(order_closed{}, line_added{"milk", 1});
            }),
            "the command has another outcome\n"
            "  given     line_added {\"article\":\"tea\",\"count\":2}\n"
            "  when      close_order [false]\n"
            "  expected  order-closed {}\n"
            "            line_added {\"article\":\"milk\",\"count\":1}\n"
            "  got       line_added {\"article\":\"some-order\",\"count\":1}\n"
            "            order-closed {}");
}

TEST(testkit_report, names_file_and_line_of_the_command) {
  try {
    given<order>().when(clear{}).then(order_closed{});
    FAIL();
  } catch (const check_failed& e) {
    EXPECT_EQ(std::string{e.what()}.find(
                __FILE__ + (":" + std::to_string(__LINE__ - 4)) + ": "),
              0u)
      << e.what();
  }
}

TEST(testkit_report, shows_earlier_commands) {
  EXPECT_EQ(report_of([] {
              given<order>(line_added{"tea", 1})
                .when(add_line{"tea", 2})
                .then_accepted()
                .when(clear{})
                .then(order_closed{});
            }),
            "the command has another outcome\n"
            "  given     line_added {\"article\":\"tea\",\"count\":1}\n"
            "            -> add_line [\"tea\",2]\n"
            "            line_added {\"article\":\"tea\",\"count\":2}\n"
            "  when      clear {}\n"
            "  expected  order-closed {}\n"
            "  got       accepted, no events");
}

TEST(testkit_report, shows_rejections) {
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 11}).then_nothing();
            }),
            "the command has another outcome\n"
            "  when      add_line [\"tea\",11]\n"
            "  expected  accepted, no events\n"
            "  got       rejected with too_many [10]");
  EXPECT_EQ(
    report_of([] {
      given<order>().when(add_line{"tea", 11}).then_rejected(too_many{9});
    }),
    "the command has another outcome\n"
    "  when      add_line [\"tea\",11]\n"
    "  expected  rejected with too_many [9]\n"
    "  got       rejected with too_many [10]");
  EXPECT_EQ(report_of([] {
              given<order>().when(close_order{}).then_rejected<closed>();
            }),
            "the command has another outcome\n"
            "  when      close_order [false]\n"
            "  expected  rejected with closed\n"
            "  got       line_added {\"article\":\"some-order\",\"count\":1}\n"
            "            order-closed {}");
  EXPECT_EQ(report_of([] {
              given<order>()
                .when(add_line{"tea", 11})
                .then_rejected<too_many>([](auto& x) { return x.left == 0; });
            }),
            "the command has another outcome\n"
            "  when      add_line [\"tea\",11]\n"
            "  expected  rejected with too_many that meets the condition\n"
            "  got       rejected with too_many [10]");
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 11}).then_accepted();
            }),
            "the command is not accepted\n"
            "  when      add_line [\"tea\",11]\n"
            "  expected  accepted\n"
            "  got       rejected with too_many [10]");
}

TEST(testkit_report, shows_another_state) {
  EXPECT_EQ(
    report_of([] {
      given<order>(line_added{"tea", 1}).when(clear{}).then_state(order{});
    }),
    "the state is another one\n"
    "  given     line_added {\"article\":\"tea\",\"count\":1}\n"
    "  when      clear {}\n"
    "  expected  [[],false,0]\n"
    "  got       [[[\"tea\",1]],false,0]");
  EXPECT_EQ(report_of([] {
              given<order>().when(clear{}).then_state(
                [](const order& x) { return x.is_closed; });
            }),
            "the state is another one\n"
            "  when      clear {}\n"
            "  expected  the state meets the condition\n"
            "  got       [[],false,0]");
}

TEST(testkit_report, shows_another_reply) {
  EXPECT_EQ(report_of([] { given<order>().when(close_order{}).then_reply(2); }),
            "the reply is another one\n"
            "  when      close_order [false]\n"
            "  expected  2\n"
            "  got       1");
  EXPECT_EQ(
    report_of([] { given<order>().when(close_order{true}).then_reply(2); }),
    "the command is not accepted\n"
    "  when      close_order [true]\n"
    "  expected  2\n"
    "  got       rejected with closed {}");
}

TEST(testkit_report, shows_other_metadata_and_versions) {
  EXPECT_EQ(
    report_of([] {
      given<order>().when(add_line{"tea", 1}).then_metadata(author{"bob"});
    }),
    "the metadata is another one\n"
    "  when      add_line [\"tea\",1]\n"
    "  expected  {\"name\":\"bob\"}\n"
    "  got       {\"name\":\"ada\"}");
  EXPECT_EQ(report_of([] {
              given<order>().when(clear{}).then_metadata(author{"bob"});
            }),
            "the metadata is another one\n"
            "  when      clear {}\n"
            "  expected  {\"name\":\"bob\"}\n"
            "  got       none");
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 1}).then_no_metadata();
            }),
            "there is metadata\n"
            "  when      add_line [\"tea\",1]\n"
            "  expected  no metadata\n"
            "  got       {\"name\":\"ada\"}");
  EXPECT_EQ(report_of([] { given<order>().when(clear{}).then_version(1); }),
            "the version is another one\n"
            "  when      clear {}\n"
            "  expected  1\n"
            "  got       0");
}

TEST(testkit_report, tells_of_missing_and_unwanted_effects) {
  EXPECT_EQ(report_of([] { given<order>().when(clear{}).run_effect(); }),
            "there is no effect\n"
            "  when      clear {}\n"
            "  expected  an effect\n"
            "  got       accepted, no events");
  EXPECT_EQ(report_of([] {
              given<order>().when(add_line{"tea", 1}).then_no_effect();
            }),
            "there is an effect\n"
            "  when      add_line [\"tea\",1]\n"
            "  expected  no effect\n"
            "  got       line_added {\"article\":\"tea\",\"count\":1}");
}

TEST(testkit_report, tells_of_exceptions) {
  auto expected = [](const std::string& summary, const std::string& rest) {
    return summary + "\n  when      misbehave [\"throw\"]\n" + rest
           + "  got       the handler threw: no idea";
  };
  EXPECT_EQ(report_of([] {
              given<order>().when(misbehave{"throw"}).then(order_closed{});
            }),
            expected("the command has another outcome",
                     "  expected  order-closed {}\n"));
  // Also where the test looks at something else, or goes on without looking.
  EXPECT_EQ(report_of([] {
              given<order>().when(misbehave{"throw"}).then_state(order{});
            }),
            expected("the command failed", ""));
  EXPECT_EQ(
    report_of([] {
      given<order>().when(misbehave{"throw"}).when(clear{}).then_accepted();
    }),
    expected("the command failed", ""));
  EXPECT_EQ(
    report_of([] { given<order>().when(misbehave{"throw"}).then_throws("x"); }),
    expected("the command has another outcome",
             "  expected  an exception with the text \"x\"\n"));
  EXPECT_EQ(report_of([] {
              given<order>().when(misbehave{"throw later"}).then_nothing();
            }),
            "the command has another outcome\n"
            "  when      misbehave [\"throw later\"]\n"
            "  expected  accepted, no events\n"
            "  got       apply(bad {}) threw: bad event");
  EXPECT_EQ(report_of([] { given<order>().when(clear{}).then_throws(); }),
            "the command has another outcome\n"
            "  when      clear {}\n"
            "  expected  an exception\n"
            "  got       accepted, no events");
}

TEST(testkit_report, tells_of_given_events_that_cannot_be_applied) {
  EXPECT_EQ(report_of([] { (void)given<order>(order_closed{}, bad{}); }),
            "an event that was given cannot be applied\n"
            "  given     order-closed {}\n"
            "            bad {}\n"
            "  got       exception bad event");
}

// -- what every `when` checks -------------------------------------------------

namespace {

std::string misbehaving(const std::string& how) {
  times_asked = 0;
  auto text = report_of([&] { (void)given<order>().when(misbehave{how}); });
  auto begin = "what the handler decides will not work in production\n"
               "  when      misbehave [\""
               + how + "\"]\n  got       ";
  return text.starts_with(begin) ? text.substr(begin.size()) : text;
}

} // namespace

TEST(testkit_check, finds_members_that_serialize_leaves_out) {
  EXPECT_EQ(misbehaving("leaky"),
            "leaky does not survive json: [1,2] comes back as [1,0]\n"
            "            leaky does not survive binary: [1,2] comes back as "
            "[1,0]");
}

TEST(testkit_check, finds_events_that_mean_something_else_afterwards) {
  EXPECT_EQ(misbehaving("opaque"),
            "the events that were read from json lead to another state: "
            "[[],false,7] comes back as [[],false,0]\n"
            "            the events that were read from binary lead to another "
            "state: [[],false,7] comes back as [[],false,0]");
}

TEST(testkit_check, finds_keys_that_jsonb_does_not_keep) {
  EXPECT_NE(misbehaving("twice").find("twice does not survive json: "
                                      "{\"x\":1,\"x\":2} comes back as"),
            std::string::npos)
    << misbehaving("twice");
}

TEST(testkit_check, finds_what_cannot_be_stored) {
  EXPECT_EQ(misbehaving("NaN"),
            "measured cannot be written as json: a number is NaN or infinite; "
            "JSON has neither");
  EXPECT_EQ(misbehaving("tag"),
            "labelled {\"label\":\"a\\nb\"} has a tag that cannot be stored: "
            "\"a\\nb\"");
  EXPECT_EQ(misbehaving("metadata"),
            "the metadata cannot be written as json: a text is not valid "
            "UTF-8; PostgreSQL stores no other");
}

TEST(testkit_check, finds_handlers_that_are_not_pure) {
  auto begin = std::string{"the handler decides differently when it is asked "
                           "again: "};
  EXPECT_EQ(misbehaving("impure events"),
            begin
              + "line_added {\"article\":\"tea\",\"count\":1}, then line_added "
                "{\"article\":\"tea\",\"count\":2}");
  EXPECT_EQ(misbehaving("impure rejection"),
            begin
              + "rejected with too_many [1], then rejected with too_many "
                "[2]");
  EXPECT_EQ(misbehaving("impure metadata"),
            begin
              + "order-closed {}; metadata {\"name\":\"1\"}, then "
                "order-closed {}; metadata {\"name\":\"2\"}");
}

TEST(testkit_codecs, pass_when_every_sample_survives) {
  check_codecs<order>(line_added{"tea", 1}, leaky{1, 0}, opaque{}, twice{},
                      measured{1.5}, labelled{"a"});
  check_codecs<order>(codec::binary, line_added{"tea", 1}, leaky{1, 0},
                      opaque{}, twice{1, 2}, measured{std::nan("")},
                      labelled{"a"});
}

TEST(testkit_codecs, report_all_that_is_wrong_at_once) {
  EXPECT_EQ(report_of([] {
              check_codecs<order>(leaky{1, 2}, measured{INFINITY}, opaque{},
                                  twice{}, labelled{""});
            }),
            "the codecs of order do not do what the journal needs\n"
            "  got       there is no sample of line_added\n"
            "            leaky does not survive json: [1,2] comes back as "
            "[1,0]\n"
            "            leaky does not survive binary: [1,2] comes back as "
            "[1,0]\n"
            "            measured cannot be written as json: a number is NaN "
            "or infinite; JSON has neither\n"
            "            labelled {\"label\":\"\"} has a tag that cannot be "
            "stored: \"\"");
}
