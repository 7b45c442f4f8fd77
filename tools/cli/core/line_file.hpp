#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace evented::cli {

/// Writes lines into a file that appears under its name once it is whole.
///
/// A name that ends in `.zst` means Zstandard: the file is a series of frames,
/// so `zstd -d` reads it, and what was written before a crash is still good up
/// to the last frame. Until `finish`, the file is called NAME.part, and
/// NAME.part.state says how much of it is good, and whatever the caller wants to
/// know about where to go on.
class line_writer {
public:
  /// Begins a new file; "-" is the standard output, where nothing is compressed.
  /// @throws failure(refused) where the file, or a part of it, is there already
  explicit line_writer(const std::filesystem::path& file);

  /// Goes on with a part of a file, and tells what `save` was given last.
  /// @throws failure(refused) where there is none
  line_writer(const std::filesystem::path& file, std::string& state);

  ~line_writer();

  line_writer(const line_writer&) = delete;
  line_writer& operator=(const line_writer&) = delete;

  /// Returns what is not written yet: append whole lines to it, then call
  /// `flush_some`.
  std::string& buffer() noexcept;

  /// Writes the buffer where there is enough in it.
  void flush_some();

  /// Makes everything up to here durable, and `state` with it.
  void save(const std::string& state);

  /// Makes the file durable and gives it its name.
  void finish();

  /// Removes what was written.
  void discard();

private:
  class impl;

  std::unique_ptr<impl> impl_;
};

/// Reads the lines of such a file, or of a plain one.
class line_reader {
public:
  /// @throws failure(not_found)
  explicit line_reader(const std::filesystem::path& file);

  ~line_reader();

  line_reader(const line_reader&) = delete;
  line_reader& operator=(const line_reader&) = delete;

  /// Reads the next line, without its end. Returns false at the end of the file.
  /// @throws failure(fault) where the file is damaged or has no last line end
  bool next(std::string_view& line);

  /// Returns how many bytes of the file were read, and how many it has.
  [[nodiscard]] std::uint64_t position() const noexcept;
  [[nodiscard]] std::uint64_t size() const noexcept;

private:
  class impl;

  std::unique_ptr<impl> impl_;
};

/// Checks that nothing of the name `file` is there yet.
/// @throws failure(refused)
void refuse_to_overwrite(const std::filesystem::path& file);

} // namespace evented::cli
