#include "show.hpp"

#include "text.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace evented::cli {

void show_event(const globals& how, const journal_options& options,
                const event_view& x) {
  std::string line;
  if (how.json) {
    append_event(line, x, options);
  } else {
    std::string at;
    append_time(at, x.created_at);
    auto payload = options.payloads == codec::json
                     ? visible(x.payload)
                     : fmt::format("({} bytes)", x.payload.size());
    line = fmt::format("{:>8}  {}  {}/{}@{}  {}", x.seq_no, at, visible(x.type),
                       visible(x.id), x.version, visible(x.name));
    if (x.schema_version != 1)
      line += fmt::format(" (shape {})", x.schema_version);
    line += "  " + payload;
    if (x.metadata)
      line += "  metadata " + visible(*x.metadata);
    if (x.tags)
      line += "  tags " + visible(*x.tags);
  }
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
}

} // namespace evented::cli
