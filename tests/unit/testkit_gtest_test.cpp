// The adapter to GoogleTest.

#include <evented/testkit/gtest.hpp>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lamp_shop {

struct toggle {};
struct burn_out {};

struct toggled {
  bool on = false;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(on));
  }
};

struct lamp {
  static constexpr std::string_view type_name = "lamp";
  using id_type = std::int64_t;
  using commands = evented::commands<toggle, burn_out>;
  using events = evented::events<toggled>;
  bool is_on = false;
  void apply(const toggled& e) { is_on = e.on; }
};

evented::decision<lamp> handle(const toggle&, const lamp& state) {
  return evented::accept(toggled{!state.is_on});
}

evented::decision<lamp> handle(const burn_out&, const lamp&) {
  throw std::runtime_error("dark");
}

} // namespace lamp_shop

using namespace lamp_shop;

using evented::testkit::given;

namespace {

struct testkit_gtest : testing::Test {
  testkit_gtest() { evented::testkit::report_to_gtest(); }

  ~testkit_gtest() override { evented::testkit::on_failure({}); }
};

/// Keeps what is reported out of this test's own result.
class listener {
public:
  explicit listener(testing::TestPartResultArray& to)
    : reporter_(reporter::INTERCEPT_ONLY_CURRENT_THREAD, &to) {
    // nop
  }

private:
  using reporter = testing::ScopedFakeTestPartResultReporter;
  reporter reporter_;
};

} // namespace

TEST_F(testkit_gtest, makes_failures_of_this_test_and_goes_on) {
  testing::TestPartResultArray heard;
  auto line = __LINE__ + 3;
  {
    listener to{heard};
    auto x = given<lamp>().when(toggle{});
    x.then(toggled{false}).then_version(2).then_state([](const lamp& state) {
      return state.is_on;
    });
  }
  ASSERT_EQ(heard.size(), 2);
  auto& first = heard.GetTestPartResult(0);
  EXPECT_TRUE(first.nonfatally_failed());
  EXPECT_EQ(std::string{first.file_name()}, __FILE__);
  EXPECT_EQ(first.line_number(), line);
  // GoogleTest 1.16 ends it with a line break, 1.12 does not.
  std::string message{first.message()};
  if (message.ends_with('\n'))
    message.pop_back();
  EXPECT_EQ(message, "Failed\nthe command has another outcome\n"
                     "  when      toggle {}\n"
                     "  expected  toggled {\"on\":false}\n"
                     "  got       toggled {\"on\":true}");
}

TEST_F(testkit_gtest, tells_of_an_exception_once) {
  testing::TestPartResultArray heard;
  {
    listener to{heard};
    given<lamp>()
      .when(burn_out{})
      .then_version(0)
      .then_state(lamp{})
      .when(toggle{})
      .then(toggled{true});
  }
  ASSERT_EQ(heard.size(), 1);
  EXPECT_NE(std::string{heard.GetTestPartResult(0).message()}.find(
              "the handler threw: dark"),
            std::string::npos);
}
