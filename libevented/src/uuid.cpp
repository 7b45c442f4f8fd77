#include <evented/uuid.hpp>

#include <chrono>
#include <cstring>
#include <sys/random.h>
#include <system_error>
#include <unistd.h>

namespace evented {

namespace {

/// Random bytes, drawn from the kernel in blocks: one system call serves a
/// hundred UUIDs.
class random_block {
public:
  void fill(std::uint8_t* out, std::size_t size) {
    // A child after fork() must not hand out the bytes of its parent again.
    if (auto pid = ::getpid(); pid != owner_ || used_ + size > block_.size()) {
      refill();
      owner_ = pid;
    }
    std::memcpy(out, block_.data() + used_, size);
    used_ += size;
  }

private:
  void refill() {
    std::size_t got = 0;
    while (got < block_.size()) {
      auto n = ::getrandom(block_.data() + got, block_.size() - got, 0);
      if (n < 0 && errno != EINTR)
        throw std::system_error(errno, std::generic_category(), "getrandom");
      if (n > 0)
        got += static_cast<std::size_t>(n);
    }
    used_ = 0;
  }

  std::array<std::uint8_t, 2048> block_{};
  std::size_t used_ = 2048;
  pid_t owner_ = -1;
};

uuid random_uuid(std::uint8_t version) {
  thread_local random_block block;
  uuid result;
  block.fill(result.bytes.data(), result.bytes.size());
  result.bytes[6]
    = static_cast<std::uint8_t>((result.bytes[6] & 0x0f) | (version << 4));
  result.bytes[8] = static_cast<std::uint8_t>((result.bytes[8] & 0x3f) | 0x80);
  return result;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

constexpr bool dash_before(std::size_t byte) noexcept {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

} // namespace

uuid uuid::v4() {
  return random_uuid(4);
}

uuid uuid::v7() {
  auto result = random_uuid(7);
  auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
    std::chrono::system_clock::now().time_since_epoch());
  auto ms = static_cast<std::uint64_t>(now.count());
  for (int i = 0; i < 6; ++i)
    result.bytes[static_cast<std::size_t>(i)]
      = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  return result;
}

std::optional<uuid> uuid::parse(std::string_view text) noexcept {
  if (text.size() != 36)
    return std::nullopt;
  uuid result;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (dash_before(i) && text[at++] != '-')
      return std::nullopt;
    auto high = hex_value(text[at++]);
    auto low = hex_value(text[at++]);
    if (high < 0 || low < 0)
      return std::nullopt;
    result.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return result;
}

std::string to_string(const uuid& id) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string result;
  result.reserve(36);
  for (std::size_t i = 0; i < 16; ++i) {
    if (dash_before(i))
      result += '-';
    result += digits[id.bytes[i] >> 4];
    result += digits[id.bytes[i] & 0x0f];
  }
  return result;
}

} // namespace evented

std::size_t
std::hash<evented::uuid>::operator()(const evented::uuid& id) const noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, id.bytes.data(), 8);
  std::memcpy(&low, id.bytes.data() + 8, 8);
  // The multiplier is the golden ratio in 64 bits (Knuth, TAOCP 3, 6.4); it
  // spreads time-ordered UUIDs, whose first bytes hardly differ.
  return static_cast<std::size_t>((high ^ (low * 0x9e3779b97f4a7c15ULL)));
}
