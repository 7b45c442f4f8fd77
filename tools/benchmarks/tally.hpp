#pragma once

// The entity of the benchmarks: a counter without an upper bound, so that
// every command is accepted and stores one event.

#include <evented/actors.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace bench {

struct add {
  std::uint64_t inc = 0;
};

template <class Inspector>
auto inspect(Inspector& f, add& x) {
  return evented::inspect_object(f, x, "bench::add",
                                 evented::field("inc", x.inc));
}

/// Answers with the value and stores nothing.
struct look {
  std::uint64_t dummy = 0;
};

template <class Inspector>
auto inspect(Inspector& f, look& x) {
  return evented::inspect_object(f, x, "bench::look",
                                 evented::field("dummy", x.dummy));
}

/// Asks for an answer that takes a while: so many multiplications.
struct compute {
  std::uint64_t rounds = 0;
};

template <class Inspector>
auto inspect(Inspector& f, compute& x) {
  return evented::inspect_object(f, x, "bench::compute",
                                 evented::field("rounds", x.rounds));
}

struct added {
  std::uint64_t inc = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(inc));
  }
};

struct request_info {
  std::int64_t unix_ms = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(unix_ms));
  }

  static request_info now() {
    using namespace std::chrono;
    return {duration_cast<milliseconds>(system_clock::now().time_since_epoch())
              .count()};
  }
};

struct tally {
  static constexpr std::string_view type_name = "tally";

  using id_type = evented::uuid;
  using commands = evented::commands<add, look>;
  using queries = evented::queries<compute>;
  using events = evented::events<added>;
  using metadata = request_info;

  std::uint64_t value = 0;

  void apply(const added& e) { value += e.inc; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(value));
  }
};

inline evented::decision<tally> handle(const add& cmd, const tally&) {
  return evented::accept(added{cmd.inc}).with_metadata(request_info::now());
}

inline evented::decision<tally, evented::replies<std::uint64_t>>
handle(const look&, const tally&) {
  return evented::accept().reply([](const tally& x) { return x.value; });
}

/// Does what `query` asks for, each step after the one before.
inline std::uint64_t computed(const compute& query, std::uint64_t seed) {
  for (std::uint64_t i = 0; i < query.rounds; ++i)
    seed = (seed ^ i) * 1099511628211u;
  return seed;
}

inline std::uint64_t answer(const compute& query, const tally& x) {
  return computed(query, x.value);
}

} // namespace bench

CAF_BEGIN_TYPE_ID_BLOCK(bench, 200)

CAF_ADD_TYPE_ID(bench, (bench::add))
CAF_ADD_TYPE_ID(bench, (bench::look))
CAF_ADD_TYPE_ID(bench, (bench::compute))

CAF_END_TYPE_ID_BLOCK(bench)
