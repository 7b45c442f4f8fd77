#pragma once

// The entity that the tests of the test kit look at: an order whose commands can
// do everything wrong.

#include <evented/testkit.hpp>

#include <cmath>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
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

inline int effects_run = 0;

inline evented::decision<order, too_many, closed> handle(const add_line& cmd,
                                                         const order& state) {
  if (state.is_closed)
    return evented::reject(closed{});
  if (state.total() + cmd.count > 10)
    return evented::reject(too_many{10 - state.total()});
  return evented::accept(line_added{cmd.article, cmd.count})
    .with_metadata(author{"ada"})
    .then([](const order&) { ++effects_run; });
}

inline evented::decision<order> handle(const clear&, const order&) {
  return evented::accept();
}

inline evented::decision<order, evented::replies<std::uint64_t>, closed>
handle(const close_order& cmd, const order& state,
       const evented::context<order>& ctx) {
  if (cmd.again)
    return evented::reject(closed{});
  return evented::accept(line_added{ctx.id, 1}, order_closed{})
    .reply([v = ctx.version, n = state.total()](const order& after) {
      return v * 100 + n * 10 + after.total();
    });
}

inline evented::decision<order, evented::replies<std::vector<too_many>>>
handle(const get_total&, const order& state) {
  return evented::accept().reply([n = state.total()](const order&) {
    return std::vector<too_many>{{10 - n}};
  });
}

inline int times_asked = 0;

inline evented::decision<order, too_many> handle(const misbehave& cmd,
                                                 const order&) {
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

// -- reports ------------------------------------------------------------------

/// Returns what `f` is reported for, without the name of this file.
template <class F>
std::string report_of(F f, std::string_view file = __builtin_FILE()) {
  try {
    f();
  } catch (const evented::testkit::check_failed& e) {
    std::string text = e.what();
    auto begin = text.find(": ");
    if (text.starts_with(file))
      text.erase(0, begin + 2);
    return text;
  }
  return "nothing";
}

} // namespace shop
