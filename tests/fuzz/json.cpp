#include "fuzz/payload.hpp"
#include "fuzz/targets.hpp"

#include <evented/trace.hpp>
#include <evented/utf8.hpp>

#include <exception>
#include <optional>

namespace evented::test::fuzz {

namespace {

/// @param Ordered whether equal values are written alike, which hash tables are not
template <class T, bool Ordered = true>
void read(std::string_view input) {
  std::optional<T> x;
  try {
    x = from_json<T>(input);
  } catch (const std::exception&) {
    return;
  }
  std::string written;
  try {
    written = to_json(*x);
  } catch (const error&) {
    // Texts may hold what JSON can say and PostgreSQL cannot store.
    return;
  }
  promise(valid_text(written), "JSON is valid text");
  auto again = to_json(from_json<T>(written));
  promise(Ordered ? again == written : again.size() == written.size(),
          "what is written can be read");
}

} // namespace

void json(std::string_view input) {
  read<payload, false>(input);
  read<leaf>(input);
  read<nothing>(input);
  read<std::vector<std::string>>(input);
  read<std::map<std::string, double>>(input);
  auto where = trace_of(input);
  (void)only_trace(input);
  try {
    promise(trace_of(add_trace("{}", where)) == where, "a trace can be read");
  } catch (const error&) {
    // As above.
  }
}

} // namespace evented::test::fuzz
