#pragma once

#include <evented/archive_nodes.hpp>
#include <evented/error.hpp>

#include <cereal/cereal.hpp>
#include <cereal/details/traits.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace evented {

/// A container of more elements than this takes at least a byte for each, so
/// that a forged size cannot claim more memory than the payload warrants.
inline constexpr std::size_t max_unbacked_size = 4096;

/// A cereal archive that writes the form of cereal's portable binary archive, in
/// little endian on every machine, without a stream. Not thread-safe.
class binary_writer
  : public cereal::OutputArchive<binary_writer, cereal::AllowEmptyClassElision>,
    public detail::nesting {
public:
  /// Appends to `to`, which must outlive the archive.
  explicit binary_writer(std::string& to)
    : OutputArchive(this), nesting(errc::invalid_event), to_(to) {
    to_ += '\1';
  }

  /// Checks what can only be known at the end. To be called once, after the last
  /// value.
  /// @throws error(invalid_event) for what `binary_reader` would not read
  void finish() const {
    for (auto& [at, size] : sizes_)
      if (to_.size() - at < size)
        throw error(errc::invalid_event,
                    "a container has " + std::to_string(size)
                      + " elements that take no memory, more than "
                      + std::to_string(max_unbacked_size));
  }

  /// Called by cereal.
  template <std::size_t Width>
  void save(const void* from, std::size_t size) {
    if (size == 0)
      return;
    auto at = to_.size();
    to_.append(static_cast<const char*>(from), size);
    if constexpr (std::endian::native == std::endian::big)
      detail::swap_bytes<Width>(to_.data() + at, size);
  }

  /// Called by cereal for the size of a container.
  void save_size(std::uint64_t size) {
    save<sizeof(size)>(&size, sizeof(size));
    if (size > max_unbacked_size)
      sizes_.emplace_back(to_.size(), size);
  }

private:
  std::string& to_;
  /// Large containers: where their elements begin, and how many there are.
  std::vector<std::pair<std::size_t, std::size_t>> sizes_;
};

/// A cereal archive that reads what `binary_writer` has written, and believes
/// no size before it has seen the bytes for it. Not thread-safe.
class binary_reader
  : public cereal::InputArchive<binary_reader, cereal::AllowEmptyClassElision>,
    public detail::nesting {
public:
  /// Reads from `from`, which must outlive the archive.
  /// @throws error(corrupt_event) where it is empty
  explicit binary_reader(std::string_view from)
    : InputArchive(this), nesting(errc::corrupt_event), from_(from) {
    std::uint8_t little = 0;
    load<1>(&little, 1);
    swap_ = (little != 0) != (std::endian::native == std::endian::little);
  }

  /// Called by cereal.
  /// @throws error(corrupt_event) where the bytes end too early
  template <std::size_t Width>
  void load(void* to, std::size_t size) {
    if (size > from_.size())
      throw error(errc::corrupt_event,
                  "there are " + std::to_string(from_.size()) + " bytes where "
                    + std::to_string(size) + " are needed");
    if (size == 0)
      return;
    std::memcpy(to, from_.data(), size);
    from_.remove_prefix(size);
    if (swap_)
      detail::swap_bytes<Width>(static_cast<char*>(to), size);
  }

  /// Called by cereal for the size of a container.
  /// @throws error(corrupt_event) where there are not so many bytes
  std::uint64_t load_size() {
    std::uint64_t size = 0;
    load<sizeof(size)>(&size, sizeof(size));
    if (size > std::max(from_.size(), max_unbacked_size))
      throw error(errc::corrupt_event,
                  "a container of " + std::to_string(size) + " elements in "
                    + std::to_string(from_.size()) + " bytes");
    return size;
  }

private:
  std::string_view from_;
  bool swap_ = false;
};

// -- what cereal looks for ----------------------------------------------------

template <class T>
void prologue(binary_writer& archive, const T&) {
  if constexpr (detail::is_node<T, binary_writer>())
    archive.enter();
}

template <class T>
void epilogue(binary_writer& archive, const T&) {
  if constexpr (detail::is_node<T, binary_writer>())
    archive.leave();
}

template <class T>
void prologue(binary_reader& archive, const T&) {
  if constexpr (detail::is_node<T, binary_reader>())
    archive.enter();
}

template <class T>
void epilogue(binary_reader& archive, const T&) {
  if constexpr (detail::is_node<T, binary_reader>())
    archive.leave();
}

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(binary_writer& archive, const T& x) {
  static_assert(
    !std::is_floating_point_v<T> || std::numeric_limits<T>::is_iec559,
    "evented: a floating-point number of this machine's own form "
    "cannot be read by others");
  archive.save<sizeof(T)>(std::addressof(x), sizeof(T));
}

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(binary_reader& archive, T& x) {
  if constexpr (std::is_same_v<T, bool>) {
    // No other byte may become a bool.
    std::uint8_t byte = 0;
    archive.load<1>(&byte, 1);
    x = byte != 0;
  } else {
    archive.load<sizeof(T)>(std::addressof(x), sizeof(T));
  }
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(binary_writer& archive,
                               const cereal::NameValuePair<T>& x) {
  archive(x.value);
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(binary_reader& archive,
                               cereal::NameValuePair<T>& x) {
  archive(x.value);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(binary_writer& archive,
                               const cereal::SizeTag<T>& x) {
  archive.save_size(x.size);
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(binary_reader& archive, cereal::SizeTag<T>& x) {
  x.size = archive.load_size();
}

template <class T, class Allocator>
requires(!std::is_arithmetic_v<T>) void CEREAL_LOAD_FUNCTION_NAME(
  binary_reader& archive, std::vector<T, Allocator>& x) {
  detail::load_elements(archive, x);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(binary_writer& archive,
                               const cereal::BinaryData<T>& x) {
  archive.save<sizeof(std::remove_pointer_t<T>)>(x.data, x.size);
}

template <class T>
void CEREAL_LOAD_FUNCTION_NAME(binary_reader& archive,
                               cereal::BinaryData<T>& x) {
  archive.load<sizeof(std::remove_pointer_t<T>)>(x.data, x.size);
}

} // namespace evented

CEREAL_REGISTER_ARCHIVE(evented::binary_writer)
CEREAL_REGISTER_ARCHIVE(evented::binary_reader)
CEREAL_SETUP_ARCHIVE_TRAITS(evented::binary_reader, evented::binary_writer)
