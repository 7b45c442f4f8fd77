#pragma once

#include "support/accounts.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace evented::test {

/// What the sender of one command was told.
struct answer {
  /// Names the command.
  std::string token;
  uuid id;
  /// `none` where the command was accepted, or where the error is none of this
  /// library's.
  errc code = errc::none;
  /// Set where the command was accepted.
  std::optional<accepted> ok;
  /// What the error says.
  std::string text;
};

inline std::string to_string(const answer& x) {
  if (x.ok)
    return x.token + ": accepted, version " + std::to_string(x.ok->version)
           + ", seq_no " + std::to_string(x.ok->seq_no);
  if (x.code == errc::none)
    return x.token + ": an error of another category: " + x.text;
  return x.token + ": " + std::string{evented::to_string(x.code)} + " ("
         + x.text + ")";
}

/// Makes the answer out of an error.
inline answer refused(std::string token, const uuid& id, const caf::error& err,
                      const std::string& rendered) {
  auto code = code_of(err);
  auto text = text_of(err);
  return {std::move(token), id, code, std::nullopt,
          text.empty() ? rendered : text};
}

/// Collects what the senders of commands were told. Thread-safe.
class ledger {
public:
  void add(answer x) {
    std::lock_guard guard{mutex_};
    answers_.push_back(std::move(x));
  }

  [[nodiscard]] std::vector<answer> answers() const {
    std::lock_guard guard{mutex_};
    return answers_;
  }

  [[nodiscard]] std::size_t size() const {
    std::lock_guard guard{mutex_};
    return answers_.size();
  }

  [[nodiscard]] std::size_t accepted() const {
    std::lock_guard guard{mutex_};
    std::size_t result = 0;
    for (auto& x : answers_)
      result += x.ok ? 1 : 0;
    return result;
  }

  /// Returns how many answers there are of each kind, for a human.
  [[nodiscard]] std::string summary() const {
    std::map<std::string, std::size_t> count;
    for (auto& x : answers())
      ++count[x.ok                   ? "accepted"
              : x.code == errc::none ? "FOREIGN"
                                     : std::string{evented::to_string(x.code)}];
    std::ostringstream out;
    for (auto& [name, n] : count)
      out << name << ' ' << n << "  ";
    return out.str();
  }

  /// Returns a line for each answer that is neither accepted nor one of
  /// `allowed`, an empty text where there is none.
  [[nodiscard]] std::string unexpected(const std::set<errc>& allowed) const {
    std::ostringstream out;
    auto shown = 0;
    for (auto& x : answers())
      if (!x.ok && allowed.count(x.code) == 0 && ++shown <= 10)
        out << to_string(x) << '\n';
    if (shown > 10)
      out << "and " << shown - 10 << " more\n";
    return out.str();
  }

private:
  mutable std::mutex mutex_;
  std::vector<answer> answers_;
};

} // namespace evented::test
