#include <evented/utf8.hpp>

#include <cstdint>
#include <cstring>

namespace evented {

namespace {

/// Returns the length of the well-formed sequence at `p`, 0 where there is
/// none.
std::size_t sequence(const unsigned char* p,
                     const unsigned char* end) noexcept {
  auto tail = [&](int i) { return (p[i] & 0xc0) == 0x80; };
  auto left = end - p;
  auto lead = p[0];
  if (lead < 0x80)
    return lead != 0 ? 1 : 0;
  if (lead < 0xc2)
    return 0;
  if (lead < 0xe0)
    return left >= 2 && tail(1) ? 2 : 0;
  if (lead < 0xf0) {
    if (left < 3 || !tail(1) || !tail(2))
      return 0;
    auto overlong = lead == 0xe0 && p[1] < 0xa0;
    auto surrogate = lead == 0xed && p[1] >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead > 0xf4 || left < 4 || !tail(1) || !tail(2) || !tail(3))
    return 0;
  auto overlong = lead == 0xf0 && p[1] < 0x90;
  auto beyond = lead == 0xf4 && p[1] >= 0x90;
  return overlong || beyond ? 0 : 4;
}

/// Checks whether the eight bytes at `p` are all ASCII and none is NUL.
bool plain(const unsigned char* p) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof(word));
  constexpr std::uint64_t high = 0x8080808080808080ULL;
  constexpr std::uint64_t ones = 0x0101010101010101ULL;
  return ((word | (word - ones)) & high) == 0;
}

} // namespace

bool valid_text(std::string_view text) noexcept {
  auto* p = reinterpret_cast<const unsigned char*>(text.data());
  auto* end = p + text.size();
  while (p != end) {
    if (end - p >= 8 && plain(p)) {
      p += 8;
      continue;
    }
    auto n = sequence(p, end);
    if (n == 0)
      return false;
    p += n;
  }
  return true;
}

std::string make_text(std::string_view text, std::size_t max) {
  if (text.size() > max) {
    // Not in the middle of a character: its bytes after the first are 10xxxxxx.
    while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xc0) == 0x80)
      --max;
    text = text.substr(0, max);
  }
  std::string result{text};
  if (!valid_text(result))
    for (auto& c : result)
      if (c == '\0' || static_cast<unsigned char>(c) >= 0x80)
        c = '?';
  return result;
}

} // namespace evented
