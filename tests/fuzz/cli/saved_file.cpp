#include "core/failure.hpp"
#include "core/line_file.hpp"
#include "core/place.hpp"
#include "core/saved.hpp"
#include "fuzz/cli/targets.hpp"

#include <evented/utf8.hpp>

#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace evented::test::fuzz {

namespace {

using namespace evented::cli;

/// A file in memory that has a name.
class named_file {
public:
  explicit named_file(std::string_view content)
    : fd_(memfd_create("saved_file", MFD_CLOEXEC)) {
    promise(fd_ >= 0, "there is memory");
    promise(write(fd_, content.data(), content.size())
              == static_cast<ssize_t>(content.size()),
            "there is memory");
  }

  ~named_file() { close(fd_); }

  named_file(const named_file&) = delete;
  named_file& operator=(const named_file&) = delete;

  [[nodiscard]] std::string name() const {
    return "/proc/self/fd/" + std::to_string(fd_);
  }

private:
  int fd_;
};

/// Reads `f()`, which may find that what it reads is damaged.
template <class F>
void read(exit_code damaged, F&& f) {
  try {
    f();
  } catch (const failure& e) {
    promise(e.code() == damaged, "what is damaged is called that");
  }
}

void read_line(std::string_view line) {
  read(exit_code::usage, [&] {
    auto header = read_json(line);
    check_header(header);
    promise(header["ids"].is_string() && header["payloads"].is_string()
              && header["last_number"].get<std::int64_t>() >= 0,
            "a header has all that an import needs");
    promise(read_json(header.dump()) == header, "a header can be kept");
  });
  auto end = read_end(line);
  promise(end.is_null() || end.is_object(), "an end is one, or none");
  read(exit_code::fault, [&] {
    if (auto x = read_copied(line))
      promise(valid_text(x->id) && x->version <= INT64_MAX,
              "the database can take an entity");
  });
  read(exit_code::fault, [&] {
    auto x = read_export_state(line);
    promise(read_export_state(x.dump()) == x, "a state can be read");
  });
  if (auto x = read_part_state(line))
    promise(read_part_state(x->dump()) == x, "a state can be read");
  read(exit_code::usage, [&] {
    auto x = read_place(line);
    auto again = read_place(place_text(x));
    promise(again.type == x.type && again.id == x.id, "a place can be read");
  });
}

} // namespace

// What an operator imports, or goes on with.
void saved_file(std::string_view input) {
  named_file file{input};
  std::string all;
  auto whole = false;
  read(exit_code::fault, [&] {
    line_reader from{file.name()};
    std::string_view line;
    while (from.next(line)) {
      promise(line.find('\n') == line.npos, "a line is one");
      // What Zstandard makes of a few bytes may be long.
      if (all.size() < 100'000)
        (all += line) += '\n';
      read_line(line);
    }
    whole = true;
  });
  auto compressed = input.starts_with("\x28\xB5\x2F\xFD");
  if (!compressed)
    promise(input.starts_with(all) && whole == (all.size() == input.size()),
            "all lines are read");
}

} // namespace evented::test::fuzz
