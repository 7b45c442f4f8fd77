#pragma once

#include <cstdint>
#include <string>

namespace evented::test {

/// The commands of a soak, told apart by their numbers from 0 on. Three of four
/// are the first ones for their wallet, the fourth is for one of those before,
/// which sleeps by then, or does not. All of it can be told from the number, so
/// that nobody has to keep a list.
struct soak_command {
  std::uint64_t number;

  static constexpr std::uint64_t fresh_of_four = 3;

  [[nodiscard]] std::int64_t wallet() const {
    auto four = number / 4;
    auto id = number % 4 < fresh_of_four
                ? four * fresh_of_four + number % 4
                : four * 7919 % ((four + 1) * fresh_of_four);
    return static_cast<std::int64_t>(id);
  }

  /// What is put into the wallet: no other command puts in as much.
  [[nodiscard]] std::uint64_t amount() const { return number + 1; }

  [[nodiscard]] bool has_id() const { return number % 8 == 0; }

  /// Whether a parcel pays into the same wallet, by the outbox.
  [[nodiscard]] bool is_paid_as_well() const { return number % 16 == 5; }

  [[nodiscard]] std::int64_t parcel() const {
    return static_cast<std::int64_t>(number);
  }

  [[nodiscard]] std::uint64_t payment() const { return 1'000'000'000 + number; }

  /// Returns a query for what the commands below `end` put into which wallet, as
  /// the columns `id` and `amount`.
  static std::string all_of(std::uint64_t end) {
    std::string numbers
      = "select n, case when n % 4 < 3 then n / 4 * 3 + n % 4 else n / 4 * "
        "7919 % ((n / 4 + 1) * 3) end as id from generate_series(0::bigint, "
        + std::to_string(end) + " - 1) as n";
    return "select id, n + 1 as amount from (" + numbers
           + ") as x union all select id, 1000000000 + n from (" + numbers
           + ") as x where n % 16 = 5";
  }
};

} // namespace evented::test
