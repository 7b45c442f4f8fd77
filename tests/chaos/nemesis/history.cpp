#include "chaos/nemesis/history.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <istream>
#include <map>
#include <stdexcept>
#include <unordered_map>

namespace evented::test::nemesis {

namespace {

// Keeps the members in the order in which they are written here.
using json = nlohmann::ordered_json;

template <class T>
void get(const json& from, const char* name, T& to) {
  from.at(name).get_to(to);
}

/// For members that may be left out.
template <class T>
void get_if(const json& from, const char* name, T& to) {
  if (auto found = from.find(name); found != from.end())
    found->get_to(to);
}

template <class T>
void get_if(const json& from, const char* name, std::optional<T>& to) {
  if (auto found = from.find(name); found != from.end())
    to = found->get<T>();
}

call to_call(const json& x) {
  call result;
  get(x, "call", result.number);
  get_if(x, "client", result.client);
  get_if(x, "process", result.process);
  get(x, "entity", result.entity);
  get(x, "verb", result.verb);
  get(x, "key", result.key);
  get_if(x, "amount", result.amount);
  get_if(x, "parts", result.parts);
  get_if(x, "id", result.id);
  get_if(x, "expect", result.expected);
  return result;
}

reply to_reply(const json& x) {
  reply result;
  get(x, "as", result.as);
  get_if(x, "version", result.version);
  get_if(x, "seq_no", result.seq_no);
  get_if(x, "total", result.total);
  get_if(x, "text", result.text);
  return result;
}

class reader {
public:
  void add(const json& x) {
    auto kind = x.at("line").get<std::string>();
    if (kind == "run") {
      get(x, "seed", result_.seed);
      get_if(x, "what", result_.what);
    } else if (kind == "invoke") {
      invoked(x);
    } else if (kind == "reply") {
      replied(x);
    } else if (kind == "fault") {
      result_.faults.push_back(x.at("what"));
    } else if (kind == "failover") {
      if (!x.at("synchronous").get<bool>())
        result_.lossy_failover = now_;
    } else {
      found(kind, x);
    }
    ++now_;
  }

  history take() { return std::move(result_); }

private:
  void invoked(const json& x) {
    auto made = to_call(x);
    made.begun = now_;
    if (!places_.emplace(made.number, result_.calls.size()).second)
      throw std::runtime_error("a second call of this number");
    result_.calls.push_back(std::move(made));
  }

  void replied(const json& x) {
    auto where = places_.find(x.at("call").get<std::uint64_t>());
    if (where == places_.end())
      throw std::runtime_error("a reply to no call");
    auto& to = result_.calls[where->second];
    if (to.answer)
      throw std::runtime_error("a second reply to one call");
    to.answer = to_reply(x);
    to.ended = now_;
  }

  void found(const std::string& kind, const json& x) {
    if (kind == "event") {
      auto& to = result_.events.emplace_back();
      get(x, "entity", to.entity);
      get(x, "version", to.version);
      get(x, "seq_no", to.seq_no);
      get(x, "key", to.key);
      get(x, "amount", to.amount);
    } else if (kind == "remembered") {
      auto& to = result_.remembered.emplace_back();
      get(x, "entity", to.entity);
      get(x, "id", to.id);
      get(x, "outcome", to.outcome);
      get(x, "version", to.version);
      get(x, "seq_no", to.seq_no);
    } else if (kind == "snapshot") {
      auto& to = result_.snapshots.emplace_back();
      get(x, "entity", to.entity);
      get(x, "version", to.version);
      get(x, "total", to.total);
    } else if (kind == "handled") {
      result_.handled.push_back(x.at("seq_no"));
    } else if (kind == "total") {
      auto& to = result_.totals.emplace_back();
      get(x, "entity", to.entity);
      get(x, "total", to.total);
    } else if (kind == "checkpoint") {
      auto& to = result_.checkpoints.emplace_back();
      get(x, "range", to.range);
      get(x, "seq_no", to.seq_no);
      get(x, "epoch", to.epoch);
      to.at = now_;
    } else {
      throw std::runtime_error("no such line: " + kind);
    }
  }

  history result_;
  moment now_ = 0;
  std::unordered_map<std::uint64_t, std::size_t> places_;
};

std::string dump(const json& x) {
  // The text of an error may quote what a proxy has cut in two.
  return x.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <class Clock>
std::int64_t microseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
           Clock::now().time_since_epoch())
    .count();
}

} // namespace

history read(std::istream& from) {
  reader result;
  std::size_t number = 0;
  for (std::string line; std::getline(from, line);) {
    ++number;
    if (line.find_first_not_of(' ') == std::string::npos)
      continue;
    try {
      result.add(json::parse(line));
    } catch (const std::exception& e) {
      throw std::runtime_error("line " + std::to_string(number) + ": "
                               + e.what());
    }
  }
  return result.take();
}

// -- writing ------------------------------------------------------------------

std::string to_line(const call& x) {
  json result{
    {"line", "invoke"},     {"call", x.number},   {"client", x.client},
    {"process", x.process}, {"entity", x.entity}, {"verb", x.verb},
    {"key", x.key},         {"amount", x.amount}, {"parts", x.parts}};
  if (!x.id.empty())
    result["id"] = x.id;
  if (x.expected)
    result["expect"] = *x.expected;
  return dump(result);
}

std::string to_line(std::uint64_t call, const reply& x) {
  json result{{"line", "reply"}, {"call", call}, {"as", x.as}};
  if (x.version != 0)
    result["version"] = x.version;
  if (x.seq_no != 0)
    result["seq_no"] = x.seq_no;
  if (x.total)
    result["total"] = *x.total;
  if (!x.text.empty())
    result["text"] = x.text;
  return dump(result);
}

std::string to_line(const event& x) {
  return dump({{"line", "event"},
               {"entity", x.entity},
               {"version", x.version},
               {"seq_no", x.seq_no},
               {"key", x.key},
               {"amount", x.amount}});
}

std::string to_line(const remembered& x) {
  return dump({{"line", "remembered"},
               {"entity", x.entity},
               {"id", x.id},
               {"outcome", x.outcome},
               {"version", x.version},
               {"seq_no", x.seq_no}});
}

std::string to_line(const snapshot& x) {
  return dump({{"line", "snapshot"},
               {"entity", x.entity},
               {"version", x.version},
               {"total", x.total}});
}

std::string to_line(const view_total& x) {
  return dump({{"line", "total"}, {"entity", x.entity}, {"total", x.total}});
}

std::string to_line(const checkpoint& x) {
  return dump({{"line", "checkpoint"},
               {"range", x.range},
               {"seq_no", x.seq_no},
               {"epoch", x.epoch}});
}

std::string run_line(std::uint64_t seed, std::string_view what) {
  return dump({{"line", "run"}, {"seed", seed}, {"what", what}});
}

std::string fault_line(std::string_view what) {
  return dump({{"line", "fault"}, {"what", what}});
}

std::string failover_line(bool synchronous) {
  return dump({{"line", "failover"}, {"synchronous", synchronous}});
}

std::string handled_line(std::uint64_t seq_no) {
  return dump({{"line", "handled"}, {"seq_no", seq_no}});
}

std::string stamped(std::string line) {
  line.pop_back();
  return line + ",\"mono_us\":"
         + std::to_string(microseconds<std::chrono::steady_clock>())
         + ",\"wall_us\":"
         + std::to_string(microseconds<std::chrono::system_clock>()) + '}';
}

// -- for humans ---------------------------------------------------------------

std::string to_string(const reply& x) {
  auto result = x.as;
  if (x.version != 0)
    result += " at version " + std::to_string(x.version);
  if (x.seq_no != 0)
    result += ", seq_no " + std::to_string(x.seq_no);
  if (x.total)
    result += ", total " + std::to_string(*x.total);
  if (!x.text.empty())
    result += " (" + x.text + ")";
  return result;
}

std::string to_string(const call& x) {
  auto result = "call " + std::to_string(x.number) + " (" + x.verb + " #"
                + std::to_string(x.key) + " on entity "
                + std::to_string(x.entity);
  if (!x.id.empty())
    result += ", id " + x.id;
  if (x.expected)
    result += ", expect " + std::to_string(*x.expected);
  if (!x.process.empty())
    result += ", process " + x.process;
  return result + ")";
}

std::string summary(const history& x) {
  std::map<std::string, std::size_t> count;
  for (auto& one : x.calls)
    ++count[one.answer ? one.answer->as : "NEVER ANSWERED"];
  auto result = std::to_string(x.calls.size()) + " calls (";
  for (auto sep = ""; auto& [as, n] : count) {
    result += sep + as + " " + std::to_string(n);
    sep = ", ";
  }
  return result + "), " + std::to_string(x.events.size()) + " events, "
         + std::to_string(x.remembered.size()) + " remembered commands, "
         + std::to_string(x.snapshots.size()) + " snapshots, "
         + std::to_string(x.checkpoints.size()) + " checkpoints seen";
}

} // namespace evented::test::nemesis
