// What the parts cost that need no database, each next to cereal's or PostgreSQL's
// way where there is one.

#include <evented/codec.hpp>
#include <evented/entity_id.hpp>
#include <evented/uuid.hpp>

#include <cereal/archives/json.hpp>
#include <cereal/archives/portable_binary.hpp>

#include <benchmark/benchmark.h>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct line {
  std::string article;
  std::uint32_t count = 0;
  double price = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(article), CEREAL_NVP(count), CEREAL_NVP(price));
  }
};

/// A payload as an order has one.
struct placed {
  std::string customer = "3f0c6f0e-98c5-4d51-b2a5-1df9b8e4a001";
  std::int64_t at = 1'700'000'000'000;
  std::vector<line> lines = {{"screw", 100, 0.05}, {"nut", 50, 0.1}};

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(customer), CEREAL_NVP(at), CEREAL_NVP(lines));
  }
};

void json_write(benchmark::State& state) {
  placed x;
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::to_json(x));
}

void json_write_cereal(benchmark::State& state) {
  placed x;
  for (auto _ : state) {
    std::ostringstream out;
    {
      cereal::JSONOutputArchive archive{
        out, cereal::JSONOutputArchive::Options::NoIndent()};
      x.serialize(archive);
    }
    benchmark::DoNotOptimize(out.str());
  }
}

void json_read(benchmark::State& state) {
  auto text = evented::to_json(placed{});
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::from_json<placed>(text));
}

void json_read_cereal(benchmark::State& state) {
  auto text = evented::to_json(placed{});
  for (auto _ : state) {
    std::istringstream in{text};
    cereal::JSONInputArchive archive{in};
    placed x;
    x.serialize(archive);
    benchmark::DoNotOptimize(x);
  }
}

void binary_write(benchmark::State& state) {
  placed x;
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::to_binary(x));
}

void binary_write_cereal(benchmark::State& state) {
  placed x;
  for (auto _ : state) {
    std::ostringstream out;
    cereal::PortableBinaryOutputArchive archive{out};
    x.serialize(archive);
    benchmark::DoNotOptimize(out.str());
  }
}

void binary_read(benchmark::State& state) {
  auto bytes = evented::to_binary(placed{});
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::from_binary<placed>(bytes));
}

void binary_read_cereal(benchmark::State& state) {
  auto bytes = evented::to_binary(placed{});
  for (auto _ : state) {
    std::istringstream in{bytes};
    cereal::PortableBinaryInputArchive archive{in};
    placed x;
    x.serialize(archive);
    benchmark::DoNotOptimize(x);
  }
}

void uuid_v4(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::uuid::v4());
}

void uuid_to_string(benchmark::State& state) {
  auto x = evented::uuid::v4();
  for (auto _ : state)
    benchmark::DoNotOptimize(to_string(x));
}

void uuid_parse(benchmark::State& state) {
  auto text = to_string(evented::uuid::v4());
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::uuid::parse(text));
}

void slice_of(benchmark::State& state) {
  evented::entity_id x{evented::uuid::v4()};
  for (auto _ : state)
    benchmark::DoNotOptimize(evented::slice_of(x));
}

BENCHMARK(json_write);
BENCHMARK(json_write_cereal);
BENCHMARK(json_read);
BENCHMARK(json_read_cereal);
BENCHMARK(binary_write);
BENCHMARK(binary_write_cereal);
BENCHMARK(binary_read);
BENCHMARK(binary_read_cereal);
BENCHMARK(uuid_v4);
BENCHMARK(uuid_to_string);
BENCHMARK(uuid_parse);
BENCHMARK(slice_of);

} // namespace
