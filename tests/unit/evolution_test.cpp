// How old events become those of today.

#include <evented/evolution.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace bank {

struct nothing {};

struct deposited {
  static constexpr std::int32_t schema_version = 3;
  std::int64_t cents = 0;
  std::string currency;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(cents), CEREAL_NVP(currency));
  }
};

struct withdrawn {
  std::int64_t cents = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(cents));
  }
};

// A chain: 1 -> 2 -> 3.
struct deposited_v2 {
  static constexpr std::string_view event_name = "deposited";
  static constexpr std::int32_t schema_version = 2;
  std::int64_t cents = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(cents));
  }
};

struct deposited_v1 {
  static constexpr std::string_view event_name = "deposited";
  std::int64_t euros = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(euros));
  }
};

// One into two, of which one is old itself.
struct exchanged {
  std::int64_t from = 0;
  std::int64_t to = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(from), CEREAL_NVP(to));
  }
};

// One into many.
struct booked {
  std::vector<std::int64_t> cents;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(cents));
  }
};

// Perhaps none.
struct corrected {
  std::int64_t cents = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(cents));
  }
};

// None.
struct looked_at {};

// One that cannot be upcast.
struct broken {};

// Of the release to come.
struct withdrawn_v2 {
  static constexpr std::string_view event_name = "withdrawn";
  static constexpr std::int32_t schema_version = 2;
  std::int64_t tenths = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(tenths));
  }
};

struct account {
  static constexpr std::string_view type_name = "account";
  using id_type = evented::uuid;
  using commands = evented::commands<nothing>;
  using events = evented::events<deposited, withdrawn>;
  using past_events
    = evented::past_events<deposited_v1, deposited_v2, exchanged, booked,
                           corrected, looked_at, broken, withdrawn_v2>;
  void apply(const deposited&) {}
  void apply(const withdrawn&) {}
};

evented::decision<account> handle(const nothing&, const account&) {
  return evented::accept();
}

deposited_v2 upcast(const deposited_v1& x) {
  return {x.euros * 100};
}

deposited upcast(deposited_v2&& x) {
  return {x.cents, "EUR"};
}

std::tuple<withdrawn, deposited_v2> upcast(exchanged x) {
  return {withdrawn{x.from}, deposited_v2{x.to}};
}

std::vector<std::variant<withdrawn, deposited_v2>> upcast(const booked& x) {
  std::vector<std::variant<withdrawn, deposited_v2>> result;
  for (auto n : x.cents) {
    if (n < 0)
      result.emplace_back(withdrawn{-n});
    else
      result.emplace_back(deposited_v2{n});
  }
  return result;
}

std::optional<withdrawn> upcast(corrected x) {
  if (x.cents == 0)
    return std::nullopt;
  return withdrawn{x.cents};
}

evented::dropped upcast(looked_at) {
  return {};
}

withdrawn upcast(broken) {
  throw std::runtime_error("what is this");
}

withdrawn upcast(withdrawn_v2 x) {
  return {x.tenths / 10};
}

static_assert(evented::check_entity<account>());

} // namespace bank

using namespace evented;

namespace {

stored_event make_event(std::string name, std::int32_t schema_version,
                        std::string payload) {
  stored_event result;
  result.seq_no = 7;
  result.version = 1;
  result.name = std::move(name);
  result.schema_version = schema_version;
  result.payload = std::move(payload);
  return result;
}

/// Renders what an event becomes: `+100EUR -5`, `unknown` without a decoder.
std::string read(const stored_event& from, codec how = codec::json) {
  std::string result;
  auto sink = [&](const auto& x) {
    result += result.empty() ? "" : " ";
    if constexpr (requires { x.currency; })
      result += "+" + std::to_string(x.cents) + x.currency;
    else
      result += "-" + std::to_string(x.cents);
  };
  return read_event<bank::account>(how, from, sink) ? result : "unknown";
}

std::string read(std::string name, std::int32_t schema_version,
                 std::string payload) {
  return read(make_event(std::move(name), schema_version, std::move(payload)));
}

} // namespace

TEST(evolution, reads_an_event_of_today_as_it_is) {
  EXPECT_EQ(read("deposited", 3, R"({"cents": 5, "currency": "CHF"})"),
            "+5CHF");
  EXPECT_EQ(read("withdrawn", 1, R"({"cents": 5})"), "-5");
}

TEST(evolution, chains_upcasters) {
  EXPECT_EQ(read("deposited", 2, R"({"cents": 5})"), "+5EUR");
  EXPECT_EQ(read("deposited", 1, R"({"euros": 5})"), "+500EUR");
}

TEST(evolution, reads_what_a_newer_release_writes) {
  EXPECT_EQ(read("withdrawn", 2, R"({"tenths": 50})"), "-5");
}

TEST(evolution, turns_one_event_into_several_in_order) {
  EXPECT_EQ(read("exchanged", 1, R"({"from": 7, "to": 8})"), "-7 +8EUR");
  EXPECT_EQ(read("booked", 1, R"({"cents": [1, -2, 3]})"), "+1EUR -2 +3EUR");
  EXPECT_EQ(read("booked", 1, R"({"cents": []})"), "");
}

TEST(evolution, drops_events) {
  EXPECT_EQ(read("looked_at", 1, "{}"), "");
  EXPECT_EQ(read("corrected", 1, R"({"cents": 0})"), "");
  EXPECT_EQ(read("corrected", 1, R"({"cents": 4})"), "-4");
}

TEST(evolution, has_no_decoder_for_other_names_and_versions) {
  EXPECT_EQ(read("deposited", 4, "{}"), "unknown");
  EXPECT_EQ(read("withdrawn", 3, "{}"), "unknown");
  EXPECT_EQ(read("deposited_v1", 1, "{}"), "unknown");
  EXPECT_EQ(read("", 1, "{}"), "unknown");
}

TEST(evolution, works_with_the_binary_codec) {
  EXPECT_EQ(read(make_event("deposited", 1, to_binary(bank::deposited_v1{5})),
                 codec::binary),
            "+500EUR");
}

TEST(evolution, lets_errors_of_upcasters_and_decoders_out) {
  EXPECT_THROW(read("broken", 1, "{}"), std::runtime_error);
  EXPECT_THROW(read("deposited", 1, R"({"eros": 5})"), std::exception);
}

TEST(evolution, knows_what_it_can_read) {
  std::string text;
  for (auto& x : known_shapes<bank::account>())
    text += x.name + "/" + std::to_string(x.schema_version) + " ";
  EXPECT_EQ(text, "deposited/3 withdrawn/1 deposited/1 deposited/2 exchanged/1 "
                  "booked/1 corrected/1 looked_at/1 broken/1 withdrawn/2 ");
}

TEST(evolution, fails_at_unknown_events_or_skips_them) {
  auto event = make_event("renamed", 2, "{}");
  unknown_event_policy strict;
  try {
    strict.meet("account", event);
    FAIL() << "nothing was thrown";
  } catch (const error& e) {
    EXPECT_EQ(e.code(), errc::corrupt_event);
    EXPECT_EQ(std::string{e.what()},
              "no event of account is \"renamed\" in schema version 2");
  }
  unknown_event_policy lenient{unknown_events::skip, "a test"};
  EXPECT_NO_THROW(lenient.meet("account", event));
}
