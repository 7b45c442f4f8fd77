#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace evented::test::nemesis {

/// Gives this process, as long as it has one thread, mounts that nobody else
/// sees and that go away with it, however it ends. Does nothing where that is
/// not permitted, as it is to root only.
void make_mounts_private();

/// A volume of a small size, in memory, that can be filled up.
class small_volume {
public:
  /// Makes one, null where mounting is not permitted.
  static std::unique_ptr<small_volume> make(std::size_t megabytes);

  small_volume(const small_volume&) = delete;
  small_volume& operator=(const small_volume&) = delete;

  /// Removes it with what is in it.
  ~small_volume();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Leaves no room.
  void fill() const;

  /// Makes room again.
  void clear() const;

private:
  explicit small_volume(std::filesystem::path path) : path_(std::move(path)) {
    // nop
  }

  std::filesystem::path path_;
};

} // namespace evented::test::nemesis
