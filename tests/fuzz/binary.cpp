#include "fuzz/payload.hpp"
#include "fuzz/targets.hpp"

#include <exception>
#include <optional>

namespace evented::test::fuzz {

namespace {

/// @param Ordered whether equal values are written alike, which hash tables are not
template <class T, bool Ordered = true>
void read(std::string_view input) {
  std::optional<T> x;
  try {
    x = from_binary<T>(input);
  } catch (const std::exception&) {
    return;
  }
  auto written = to_binary(*x);
  auto again = to_binary(from_binary<T>(written));
  promise(Ordered ? again == written : again.size() == written.size(),
          "what is written can be read");
}

} // namespace

void binary(std::string_view input) {
  read<payload, false>(input);
  read<leaf>(input);
  read<std::vector<nothing>>(input);
  read<std::vector<std::string>>(input);
  read<std::unordered_map<std::string, double>, false>(input);
}

} // namespace evented::test::fuzz
