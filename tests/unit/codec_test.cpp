#include <evented/codec.hpp>

#include <cereal/archives/json.hpp>
#include <cereal/archives/portable_binary.hpp>
#include <cereal/types/memory.hpp>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <variant>
#include <vector>

using namespace std::literals;

using evented::errc;
using evented::from_binary;
using evented::from_json;
using evented::to_binary;
using evented::to_json;

namespace {

struct increased {
  std::uint64_t inc = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(inc));
  }

  bool operator==(const increased&) const = default;
};

struct named {
  std::string name;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(name));
  }

  bool operator==(const named&) const = default;
};

struct measured {
  double value = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(value));
  }
};

struct reset {
  bool operator==(const reset&) const = default;
};

struct touched {
  template <class A>
  void serialize(A&) {
    // nop
  }
};

struct order {
  std::string customer;
  std::vector<increased> lines;
  std::map<std::string, int> stock;
  std::optional<named> note;
  std::variant<int, std::string> extra;
  bool urgent = false;
  std::int64_t balance = 0;

  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(customer), CEREAL_NVP(lines), CEREAL_NVP(stock),
      CEREAL_NVP(note), CEREAL_NVP(extra), CEREAL_NVP(urgent),
      CEREAL_NVP(balance));
  }

  bool operator==(const order&) const = default;
};

struct pair_of {
  int a = 0;
  std::string b;

  template <class A>
  void serialize(A& archive) {
    archive(a, b);
  }
};

struct pointers {
  std::shared_ptr<increased> a;
  std::shared_ptr<increased> b;
  std::unique_ptr<named> c;

  template <class A>
  void serialize(A& archive) {
    archive(CEREAL_NVP(a), CEREAL_NVP(b), CEREAL_NVP(c));
  }
};

struct tree {
  std::vector<tree> children;

  bool operator==(const tree&) const = default;

  template <class A>
  void serialize(A& archive) {
    archive(CEREAL_NVP(children));
  }
};

order sample_order() {
  return {"Ada",
          {{1}, {2}},
          {{"a", 1}, {"b", -2}},
          named{"N"},
          "I am extra"s,
          true,
          std::numeric_limits<std::int64_t>::min()};
}

errc code_of(auto&& f) {
  try {
    f();
  } catch (const evented::error& e) {
    EXPECT_STRNE(e.what(), "");
    return e.code();
  }
  return errc::none;
}

} // namespace

// -- JSON ---------------------------------------------------------------------

TEST(json_codec, writes_compact_objects_with_the_names_of_the_fields) {
  EXPECT_EQ(to_json(increased{5}), R"({"inc":5})");
  EXPECT_EQ(to_json(named{"Ada"}), R"({"name":"Ada"})");
}

TEST(json_codec, writes_a_type_without_fields_as_an_empty_object) {
  EXPECT_EQ(to_json(reset{}), "{}");
  EXPECT_EQ(to_json(touched{}), "{}");
  EXPECT_NO_THROW(from_json<reset>("{}"));
  EXPECT_NO_THROW(from_json<touched>("{}"));
}

TEST(json_codec, writes_what_has_no_fields_under_the_name_value) {
  EXPECT_EQ(to_json(7), R"({"value":7})");
  EXPECT_EQ(to_json("x"s), R"({"value":"x"})");
  EXPECT_EQ(to_json(std::vector<int>{1, 2}), R"({"value":[1,2]})");
  EXPECT_EQ(from_json<int>(R"({"value":7})"), 7);
}

TEST(json_codec, reads_what_it_has_written) {
  EXPECT_EQ(from_json<order>(to_json(sample_order())), sample_order());
  EXPECT_EQ(from_json<order>(to_json(order{})), order{});
}

TEST(json_codec, reads_what_jsonb_makes_of_it) {
  // Other white space, and the keys in jsonb's own order.
  EXPECT_EQ(from_json<increased>(R"({"inc": 5})"), increased{5});
  auto x = from_json<order>(
    R"({"note": {"data": {"name": "n"}, "nullopt": false}, "extra": {"data": )"
    R"(1, "index": 0}, "lines": [{"inc": 3}], "stock": [], "urgent": true, )"
    R"("balance": -4, "customer": "Bo"})");
  EXPECT_EQ(x.customer, "Bo");
  EXPECT_EQ(x.note, named{"n"});
  EXPECT_EQ(x.lines, std::vector{increased{3}});
  EXPECT_EQ(x.balance, -4);
}

TEST(json_codec, ignores_a_field_that_it_does_not_know) {
  EXPECT_EQ(from_json<increased>(R"({"new": [1], "inc": 5, "zoo": null})"),
            increased{5});
}

TEST(json_codec, throws_where_a_field_is_missing) {
  EXPECT_THROW(from_json<increased>("{}"), std::exception);
  EXPECT_THROW(from_json<increased>(R"({"Inc": 5})"), std::exception);
}

TEST(json_codec, throws_where_a_field_has_another_type) {
  EXPECT_THROW(from_json<increased>(R"({"inc": "5"})"), std::exception);
  EXPECT_THROW(from_json<increased>(R"({"inc": -5})"), std::exception);
  EXPECT_THROW(from_json<increased>(R"({"inc": null})"), std::exception);
  EXPECT_THROW(from_json<named>(R"({"name": 5})"), std::exception);
}

TEST(json_codec, throws_where_the_text_is_no_json_object) {
  for (auto* text : {"", "{", "nonsense", "{\"inc\":}", "5", "[5", "\"inc\""})
    EXPECT_THROW(from_json<increased>(text), std::exception) << text;
}

TEST(json_codec, keeps_what_looks_special_inside_of_a_text) {
  for (auto& text :
       {"N"s, "NaN"s, "Inf I N"s, "\""s, "\\"s, "\\\\\""s, "\"N\""s, "\\N"s,
        "a b\nc\td\r\n"s, "  "s, "\\u0000"s, "\\\\u0000"s, "{\"x\": 1}"s, "/"s,
        "\x01\x1f\x7f"s, "\u20ac \U0001f600"s, ""s}) {
    auto json = to_json(named{text});
    EXPECT_EQ(from_json<named>(json).name, text) << json;
    EXPECT_EQ(json.find('\n'), std::string::npos) << json;
  }
  EXPECT_EQ(to_json(named{"a \"N\" \\u0000\n"}),
            R"({"name":"a \"N\" \\u0000\n"})");
}

TEST(json_codec, keeps_special_characters_in_the_keys_of_a_map) {
  std::map<std::string, std::string> x{{"I", "N"}, {"a\\\"b", " \n"}};
  EXPECT_EQ((from_json<std::map<std::string, std::string>>(to_json(x))), x);
}

TEST(json_codec, writes_and_reads_what_cereals_own_archive_does) {
  auto check = [](const auto& x) {
    using type = std::decay_t<decltype(x)>;
    std::ostringstream out;
    {
      cereal::JSONOutputArchive archive{
        out, cereal::JSONOutputArchive::Options::NoIndent()};
      archive(cereal::make_nvp("value", x));
    }
    auto theirs = out.str();
    EXPECT_EQ(from_json<type>(theirs), x) << theirs;
    auto ours = to_json(x);
    std::istringstream in{ours};
    type copy{};
    cereal::JSONInputArchive archive{in};
    archive(cereal::make_nvp("value", copy));
    EXPECT_EQ(copy, x) << ours;
    std::erase_if(theirs, [](char c) { return c == '\n' || c == ' '; });
    std::erase(ours, ' ');
    EXPECT_EQ(ours, theirs);
  };
  using namespace std::chrono_literals;
  check(std::int8_t{-128});
  check('x');
  check(std::uint16_t{65535});
  check(std::numeric_limits<std::int64_t>::min());
  check(std::numeric_limits<std::uint64_t>::max());
  check(std::numeric_limits<long long>::min());
  check(std::numeric_limits<unsigned long long>::max());
  for (auto x : {0.0, -0.0, 5.0, 0.1, 1.0 / 3, 1e21, 1e-7, 1e300, 12345678.9,
                 123456789012345680.0, 5e-324, 1.7976931348623157e308})
    check(x);
  check(1.5f);
  check(1.5L);
  check(true);
  check("a\tb\"c\\d\x01\x1f/\u20ac"s);
  check(std::vector<bool>{true, false});
  check(std::vector<std::vector<int>>{{1, 2}, {}, {3}});
  check(std::array<int, 3>{1, 2, 3});
  check(std::map<std::string, std::vector<int>>{{"a", {1}}, {"", {}}});
  check(std::unordered_map<int, std::string>{{1, "x"}});
  check(std::set<std::string>{"b", "a"});
  check(std::tuple{1, "x"s, 2.5});
  check(std::pair{1, false});
  check(std::optional<int>{});
  check(std::optional<std::pair<int, int>>{{1, 2}});
  check(std::variant<int, std::string>{"x"});
  check(std::chrono::milliseconds{5});
  check(std::vector{sample_order()});
}

TEST(json_codec, gives_a_name_to_what_has_none) {
  EXPECT_EQ(to_json(pair_of{1, "x"}), R"({"value0":1,"value1":"x"})");
  auto x = from_json<pair_of>(R"({"value0": 1, "value1": "x"})");
  EXPECT_EQ(x.a, 1);
  EXPECT_EQ(x.b, "x");
}

TEST(json_codec, keeps_what_is_shared_behind_a_pointer) {
  auto shared = std::make_shared<increased>(increased{5});
  auto x = from_json<pointers>(
    to_json(pointers{shared, shared, std::make_unique<named>(named{"Ada"})}));
  ASSERT_NE(x.a, nullptr);
  EXPECT_EQ(x.a->inc, 5u);
  EXPECT_EQ(x.a, x.b);
  ASSERT_NE(x.c, nullptr);
  EXPECT_EQ(x.c->name, "Ada");
}

TEST(json_codec, refuses_a_number_that_its_field_cannot_hold) {
  EXPECT_EQ(from_json<std::int8_t>(R"({"value": -128})"), -128);
  for (auto* text : {"128", "-129", "1.0", "1e2", "\"1\"", "null", "true"})
    EXPECT_THROW(
      from_json<std::int8_t>(R"({"value": )" + std::string{text} + "}"),
      std::exception)
      << text;
  for (auto* text : {"256", "-1"})
    EXPECT_THROW(
      from_json<std::uint8_t>(R"({"value": )" + std::string{text} + "}"),
      std::exception)
      << text;
  EXPECT_THROW(from_json<long long>(R"({"value": "12x"})"), std::exception);
}

TEST(json_codec, refuses_what_is_nested_without_end) {
  auto nest = [](std::size_t depth) {
    return R"({"more": )" + std::string(depth, '[') + std::string(depth, ']')
           + R"(, "inc": 5})";
  };
  EXPECT_EQ(from_json<increased>(nest(evented::max_nesting - 1)).inc, 5u);
  for (auto depth : {evented::max_nesting, std::size_t{1'000'000}})
    EXPECT_EQ(code_of([&] { from_json<increased>(nest(depth)); }),
              errc::corrupt_event);
  EXPECT_EQ(code_of([&] { from_json<increased>(std::string(1'000'000, '[')); }),
            errc::corrupt_event);
}

TEST(json_codec, writes_nothing_that_it_would_not_read) {
  tree x;
  std::size_t depth = 1;
  for (; depth + 2 <= evented::max_nesting; depth += 2)
    x = tree{{std::move(x)}};
  EXPECT_EQ(to_json(from_json<tree>(to_json(x))), to_json(x));
  for (auto i = 0; i < 2; ++i)
    x = tree{{std::move(x)}};
  EXPECT_EQ(code_of([&] { to_json(x); }), errc::invalid_event);
  EXPECT_EQ(to_json(increased{5}), R"({"inc":5})");
}

TEST(json_codec, says_what_it_cannot_read) {
  auto text_of = [](const char* json) {
    try {
      from_json<increased>(json);
    } catch (const evented::error& e) {
      return std::string{e.what()};
    }
    return std::string{};
  };
  EXPECT_EQ(text_of("{}"), "there is no field \"inc\"");
  EXPECT_EQ(text_of(R"({"inc": -5})"),
            "\"inc\" is no whole number of 64 bits that is not negative");
  EXPECT_EQ(text_of("{\"inc\": }"), "this is not JSON, from character 8 on");
  EXPECT_EQ(text_of("5"), "this is no JSON object");
}

TEST(json_codec, refuses_numbers_that_json_does_not_have) {
  using limits = std::numeric_limits<double>;
  for (auto x : {limits::quiet_NaN(), -limits::quiet_NaN(), limits::infinity(),
                 -limits::infinity()}) {
    EXPECT_EQ(code_of([&] { to_json(measured{x}); }), errc::invalid_event);
    EXPECT_EQ(code_of([&] {
                to_json(std::vector<double>{1, x, 2});
              }),
              errc::invalid_event);
  }
}

TEST(json_codec, keeps_every_bit_of_a_double) {
  using limits = std::numeric_limits<double>;
  for (auto x : {0.1, -0.0, 1e300, 1.0 / 3, limits::max(), limits::min(),
                 limits::denorm_min(), limits::lowest(), 1e15 + 0.3}) {
    auto y = from_json<measured>(to_json(measured{x})).value;
    EXPECT_EQ(x, y);
    EXPECT_EQ(std::signbit(x), std::signbit(y));
  }
}

TEST(json_codec, reads_every_form_of_a_number) {
  auto read = [](const std::string& number) {
    return from_json<double>(R"({"value": )" + number + "}");
  };
  EXPECT_EQ(read("0e-40"), 0);
  EXPECT_EQ(read("0.00000000000000000000000000000000000000000"), 0);
  EXPECT_EQ(read("1E+2"), 100);
  EXPECT_EQ(read("18446744073709551616"), 18446744073709551616.0);
  EXPECT_EQ(read("1" + std::string(300, '0')), 1e300);
  for (auto* text : {"1e400", "-1e400", "01", "+1", ".5", "5.", "NaN", "0x1"})
    EXPECT_THROW(read(text), std::exception) << text;
}

TEST(json_codec, keeps_every_bit_of_a_large_integer) {
  auto max = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(from_json<increased>(to_json(increased{max})).inc, max);
}

TEST(json_codec, refuses_a_nul_character) {
  EXPECT_EQ(code_of([] { to_json(named{"a\0b"s}); }), errc::invalid_event);
  EXPECT_EQ(code_of([] { to_json(named{"\0"s}); }), errc::invalid_event);
  EXPECT_EQ(code_of([] { to_json(named{"\\\0"s}); }), errc::invalid_event);
}

TEST(json_codec, refuses_what_is_not_utf8) {
  EXPECT_EQ(code_of([] { to_json(named{"\xff"}); }), errc::invalid_event);
  EXPECT_EQ(code_of([] { to_json(named{"\xed\xa0\x80"}); }),
            errc::invalid_event);
  EXPECT_EQ(code_of([] { to_json(named{"\xc3"}); }), errc::invalid_event);
}

// -- binary -------------------------------------------------------------------

TEST(binary_codec, reads_what_it_has_written) {
  EXPECT_EQ(from_binary<order>(to_binary(sample_order())), sample_order());
  EXPECT_EQ(from_binary<increased>(to_binary(increased{5})), increased{5});
  EXPECT_EQ(from_binary<int>(to_binary(-7)), -7);
}

TEST(binary_codec, keeps_all_bytes) {
  std::string all;
  for (int c = 0; c < 256; ++c)
    all += static_cast<char>(c);
  EXPECT_EQ(from_binary<named>(to_binary(named{all})).name, all);
  auto nan = from_binary<measured>(to_binary(measured{std::nan("")}));
  EXPECT_TRUE(std::isnan(nan.value));
}

TEST(binary_codec, is_little_endian_on_every_machine) {
  EXPECT_EQ(to_binary(increased{0x0102}), "\x01\x02\x01\0\0\0\0\0\0"s);
}

TEST(binary_codec, writes_only_its_mark_for_a_type_without_fields) {
  EXPECT_EQ(to_binary(reset{}), "\x01"s);
  EXPECT_NO_THROW(from_binary<reset>("\x01"s));
}

TEST(binary_codec, writes_and_reads_what_cereals_own_archive_does) {
  auto check = [](const auto& x) {
    using type = std::decay_t<decltype(x)>;
    std::ostringstream out;
    cereal::PortableBinaryOutputArchive theirs{
      out, cereal::PortableBinaryOutputArchive::Options::LittleEndian()};
    theirs(x);
    EXPECT_EQ(to_binary(x), out.str());
    EXPECT_EQ(from_binary<type>(out.str()), x);
    std::ostringstream big;
    cereal::PortableBinaryOutputArchive foreign{
      big, cereal::PortableBinaryOutputArchive::Options::BigEndian()};
    foreign(x);
    EXPECT_EQ(from_binary<type>(big.str()), x);
  };
  check(std::uint16_t{0x1234});
  check(-1.5);
  check("text"s);
  check(std::vector<bool>{true, false});
  check(std::vector<std::uint32_t>{1, 2, 0xffffffff});
  check(std::vector<std::string>{"", "x"});
  check(std::array<std::int16_t, 3>{1, -2, 3});
  check(std::map<std::string, int>{{"a", 1}});
  check(std::unordered_map<int, std::string>{{1, "x"}});
  check(std::set<std::int64_t>{-1, 1});
  check(std::optional<int>{});
  check(std::optional<int>{5});
  check(std::variant<int, std::string>{"x"});
  check(std::tuple{1, "x"s, true});
  check(sample_order());
  check(tree{{tree{}, tree{{tree{}}}}});
}

TEST(binary_codec, believes_no_size_before_it_has_seen_the_bytes) {
  for (auto size : {std::uint64_t{100'000}, std::uint64_t{1} << 32,
                    std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    auto bytes = to_binary(size);
    auto forged = [&]<class T>(std::type_identity<T>) {
      return code_of([&] { from_binary<T>(bytes); });
    };
    EXPECT_EQ(forged(std::type_identity<std::string>{}), errc::corrupt_event);
    EXPECT_EQ(forged(std::type_identity<std::vector<increased>>{}),
              errc::corrupt_event);
    EXPECT_EQ(forged(std::type_identity<std::vector<double>>{}),
              errc::corrupt_event);
    EXPECT_EQ(forged(std::type_identity<std::vector<bool>>{}),
              errc::corrupt_event);
    EXPECT_EQ(forged(std::type_identity<std::unordered_map<int, int>>{}),
              errc::corrupt_event);
    EXPECT_EQ(forged(std::type_identity<std::vector<reset>>{}),
              errc::corrupt_event);
  }
}

namespace {

/// Takes much more memory than bytes in a payload.
struct bulky {
  std::array<char, 100'000> memory{};
  bool set = false;

  bulky() { ++made; }

  template <class A>
  void serialize(A& archive) {
    archive(CEREAL_NVP(set));
  }

  static inline std::size_t made = 0;
};

} // namespace

TEST(binary_codec, makes_no_elements_before_it_has_seen_their_bytes) {
  bulky::made = 0;
  EXPECT_EQ(code_of([] {
              from_binary<std::vector<bulky>>(to_binary(std::uint64_t{1000})
                                              + "\x01\x01"s);
            }),
            errc::corrupt_event);
  EXPECT_LE(bulky::made, 3u);
}

TEST(json_codec, makes_no_elements_before_it_has_seen_that_they_are_right) {
  bulky::made = 0;
  std::string json = R"({"value": [0)";
  for (auto i = 0; i < 100'000; ++i)
    json += ",0";
  EXPECT_EQ(code_of([&] { from_json<std::vector<bulky>>(json + "]}"); }),
            errc::corrupt_event);
  EXPECT_EQ(bulky::made, 1u);
}

TEST(binary_codec, writes_nothing_that_it_would_not_read) {
  std::vector<reset> many(evented::max_unbacked_size);
  EXPECT_EQ(from_binary<std::vector<reset>>(to_binary(many)), many);
  many.emplace_back();
  EXPECT_EQ(code_of([&] { to_binary(many); }), errc::invalid_event);
  std::vector<bool> flags(evented::max_unbacked_size + 1, true);
  EXPECT_EQ(from_binary<std::vector<bool>>(to_binary(flags)), flags);
  tree x;
  for (std::size_t depth = 1; depth + 3 <= evented::max_nesting; depth += 2)
    x = tree{{std::move(x)}};
  EXPECT_EQ(from_binary<tree>(to_binary(x)), x);
  for (auto i = 0; i < 2; ++i)
    x = tree{{std::move(x)}};
  EXPECT_EQ(code_of([&] { to_binary(x); }), errc::invalid_event);
}

TEST(binary_codec, refuses_what_is_nested_without_end) {
  // A tree of one child each: nothing but sizes.
  auto bytes = "\x01"s;
  for (auto i = 0; i < 1'000'000; ++i)
    bytes += "\x01\0\0\0\0\0\0\0"s;
  EXPECT_EQ(code_of([&] { from_binary<tree>(bytes); }), errc::corrupt_event);
}

TEST(binary_codec, throws_where_the_bytes_end_too_early) {
  auto bytes = to_binary(sample_order());
  for (std::size_t size = 1; size < bytes.size(); ++size)
    EXPECT_THROW(from_binary<order>(bytes.substr(0, size)), std::exception);
}

TEST(codec, is_chosen_at_run_time) {
  using evented::codec;
  for (auto how : {codec::json, codec::binary}) {
    auto payload = evented::encode(how, increased{5});
    EXPECT_EQ(evented::decode<increased>(how, payload), increased{5});
  }
  EXPECT_EQ(to_string(codec::json), "json");
  EXPECT_EQ(to_string(codec::binary), "binary");
}

namespace {

/// Reads JSON while JSON is read.
struct nested {
  std::string inner;
  std::uint64_t n = 0;
  std::uint64_t last = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(inner));
    if constexpr (Archive::is_loading::value)
      n = from_json<std::uint64_t>(inner);
    archive(CEREAL_NVP(last));
  }
};

} // namespace

TEST(json_codec, reads_json_within_json) {
  auto x = from_json<nested>(R"({"inner": "{\"value\": 7}", "last": 8})");
  EXPECT_EQ(x.n, 7u);
  EXPECT_EQ(x.last, 8u);
  EXPECT_THROW(from_json<nested>(R"({"inner": "{", "last": 8})"),
               std::exception);
  EXPECT_EQ(from_json<std::uint64_t>(R"({"value": 9})"), 9u);
}
