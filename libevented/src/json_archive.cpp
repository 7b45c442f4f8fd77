#include <evented/error.hpp>
#include <evented/json_archive.hpp>
#include <evented/utf8.hpp>

// Brings rapidjson, the parser beneath cereal's own archive, under whatever name
// cereal has it.
#include <cereal/archives/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace evented {

#ifdef CEREAL_RAPIDJSON_NAMESPACE
namespace rj = CEREAL_RAPIDJSON_NAMESPACE;
#else
namespace rj = RAPIDJSON_NAMESPACE;
#endif

namespace {

/// What a thread has made before and uses again: for small events, that is most
/// of the work.
template <class T>
class kept {
public:
  static T take() {
    auto& x = spare();
    return std::exchange(x, T{});
  }

  static void give_back(T x) { spare() = std::move(x); }

private:
  static T& spare() {
    static thread_local T x;
    return x;
  }
};

/// More than this much is not kept.
constexpr std::size_t kept_bytes = 64 * 1024;

} // namespace

// -- writing ------------------------------------------------------------------

struct json_writer::node {
  bool array = false;
  /// Whether its opening bracket was written.
  bool open = false;
  std::uint32_t unnamed = 0;
};

json_writer::json_writer(std::string& to)
  : cereal::OutputArchive<json_writer>(this),
    to_(to),
    nodes_(kept<std::vector<node>>::take()) {
  nodes_.clear();
  nodes_.emplace_back();
}

json_writer::~json_writer() {
  if (nodes_.capacity() * sizeof(node) <= kept_bytes)
    kept<std::vector<node>>::give_back(std::move(nodes_));
}

void json_writer::finish() {
  auto& root = nodes_.front();
  open(root);
  to_ += root.array ? ']' : '}';
}

void json_writer::open(node& x) {
  if (x.open)
    return;
  to_ += x.array ? '[' : '{';
  x.open = true;
}

void json_writer::begin_value() {
  auto& in = nodes_.back();
  if (in.open)
    to_ += ',';
  else
    open(in);
  if (in.array) {
    name_ = nullptr;
    return;
  }
  if (name_ != nullptr)
    write_text(std::exchange(name_, nullptr));
  else
    write_text("value" + std::to_string(in.unnamed++));
  to_ += ':';
}

void json_writer::begin_node() {
  begin_value();
  if (nodes_.size() > max_nesting)
    detail::fail_nesting(errc::invalid_event);
  nodes_.emplace_back();
}

void json_writer::end_node() {
  auto& x = nodes_.back();
  open(x);
  to_ += x.array ? ']' : '}';
  nodes_.pop_back();
}

void json_writer::make_array() noexcept {
  nodes_.back().array = true;
}

void json_writer::save(bool x) {
  begin_value();
  to_ += x ? "true" : "false";
}

void json_writer::save(std::int64_t x) {
  begin_value();
  char text[24];
  to_.append(text, std::to_chars(text, text + sizeof(text), x).ptr);
}

void json_writer::save(std::uint64_t x) {
  begin_value();
  char text[24];
  to_.append(text, std::to_chars(text, text + sizeof(text), x).ptr);
}

void json_writer::save(double x) {
  if (!std::isfinite(x))
    throw error(errc::invalid_event,
                "a number is NaN or infinite; JSON has neither");
  begin_value();
  // The shortest text that means this number, never that of an integer.
  char text[32];
  to_.append(text, rj::internal::dtoa(x, text));
}

void json_writer::save(std::string_view x) {
  begin_value();
  write_text(x);
}

void json_writer::save(std::nullptr_t) {
  begin_value();
  to_ += "null";
}

void json_writer::write_text(std::string_view x) {
  if (!valid_text(x)) {
    if (x.find('\0') != x.npos)
      throw error(errc::invalid_event,
                  "a text holds a NUL character; PostgreSQL stores none");
    throw error(errc::invalid_event,
                "a text is not valid UTF-8; PostgreSQL stores no other");
  }
  to_ += '"';
  auto special = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  };
  for (auto i = x.begin();;) {
    auto next = std::find_if(i, x.end(), special);
    to_.append(i, next);
    if (next == x.end())
      break;
    to_ += '\\';
    switch (*next) {
    case '"':
    case '\\':
      to_ += *next;
      break;
    case '\b':
      to_ += 'b';
      break;
    case '\f':
      to_ += 'f';
      break;
    case '\n':
      to_ += 'n';
      break;
    case '\r':
      to_ += 'r';
      break;
    case '\t':
      to_ += 't';
      break;
    default:
      constexpr auto digits = "0123456789ABCDEF";
      to_ += "u00";
      to_ += digits[*next >> 4];
      to_ += digits[*next & 15];
    }
    i = next + 1;
  }
  to_ += '"';
}

// -- reading ------------------------------------------------------------------

/// A value of the document. Those in an array or object follow it, each with all
/// that is in it.
struct json_value {
  enum class kind : std::uint8_t {
    null,
    boolean,
    number,
    text,
    array,
    object,
  };

  kind type = kind::null;
  bool boolean = false;
  /// Where it is in an object: its name there.
  std::string_view name;
  /// Of a text, or of a number, which is read once its type is known.
  std::string_view text;
  /// The number of values in an array or object.
  std::size_t size = 0;
  /// The index of the value behind it.
  std::size_t next = 0;
};

struct json_reader::document {
  /// Where a node is being read.
  struct position {
    std::size_t node;
    std::size_t at;
  };

  using kind = json_value::kind;

  std::string json;
  std::vector<json_value> values;
  /// The nodes that have begun and not ended, the outermost first.
  std::vector<position> positions;

  // -- called by the parser ---------------------------------------------------

  std::string_view name;
  std::vector<std::size_t> parents;
  bool too_deep = false;

  json_value& add(kind type) {
    if (!parents.empty())
      ++values[parents.back()].size;
    auto& x = values.emplace_back();
    x.type = type;
    x.name = std::exchange(name, {});
    x.next = values.size();
    return x;
  }

  bool Null() {
    add(kind::null);
    return true;
  }

  bool Bool(bool x) {
    add(kind::boolean).boolean = x;
    return true;
  }

  // Numbers come as texts.
  bool Int(int) { return false; }

  bool Uint(unsigned) { return false; }

  bool Int64(std::int64_t) { return false; }

  bool Uint64(std::uint64_t) { return false; }

  bool Double(double) { return false; }

  bool RawNumber(const char* text, rj::SizeType size, bool) {
    add(kind::number).text = {text, size};
    return true;
  }

  bool String(const char* text, rj::SizeType size, bool) {
    add(kind::text).text = {text, size};
    return true;
  }

  bool Key(const char* text, rj::SizeType size, bool) {
    name = {text, size};
    return true;
  }

  bool begin(kind type) {
    add(type);
    parents.push_back(values.size() - 1);
    too_deep = parents.size() > max_nesting;
    return !too_deep;
  }

  bool end() {
    values[parents.back()].next = values.size();
    parents.pop_back();
    return true;
  }

  bool StartObject() { return begin(kind::object); }

  bool EndObject(rj::SizeType) { return end(); }

  bool StartArray() { return begin(kind::array); }

  bool EndArray(rj::SizeType) { return end(); }

  // ---------------------------------------------------------------------------

  void parse(std::string_view from) {
    json = from;
    values.clear();
    positions.clear();
    parents.clear();
    name = {};
    too_deep = false;
    rj::InsituStringStream in{json.data()};
    // Not recursively, so that no text can exhaust the stack. rapidjson's own
    // numbers are slower, and undefined for some zeros, such as 0e-40.
    constexpr unsigned how = rj::kParseInsituFlag | rj::kParseIterativeFlag
                             | rj::kParseNumbersAsStringsFlag;
    auto result = reader.Parse<how>(in, *this);
    if (too_deep)
      detail::fail_nesting(errc::corrupt_event);
    // A NUL character ends what the parser sees.
    if (result.IsError() || in.Tell() < json.size())
      throw error(
        errc::corrupt_event,
        "this is not JSON, from character "
          + std::to_string(result.IsError() ? result.Offset() : in.Tell())
          + " on");
    auto root = values.front().type;
    if (root != kind::object && root != kind::array)
      throw error(errc::corrupt_event, "this is no JSON object");
    positions.push_back({0, 1});
  }

  /// Returns the next value, or that named `wanted`, and steps behind it.
  const json_value& next(const char* wanted) {
    auto& in = positions.back();
    auto end = values[in.node].next;
    if (wanted != nullptr && (in.at == end || values[in.at].name != wanted)) {
      // Only objects have names.
      auto at = values[in.node].type == kind::object ? in.node + 1 : end;
      while (at != end && values[at].name != wanted)
        at = values[at].next;
      if (at == end)
        throw error(errc::corrupt_event,
                    "there is no field \"" + std::string{wanted} + "\"");
      in.at = at;
    }
    if (in.at == end)
      throw error(errc::corrupt_event, "there are too few values");
    auto& x = values[in.at];
    in.at = x.next;
    return x;
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return json.capacity() + values.capacity() * sizeof(json_value)
           + parents.capacity() * sizeof(std::size_t)
           + positions.capacity() * sizeof(position);
  }

  /// Keeps the memory that it needs.
  rj::GenericReader<rj::UTF8<>, rj::UTF8<>> reader;
};

namespace {

[[noreturn]] void fail_type(const json_value& x, const char* wanted) {
  throw error(errc::corrupt_event,
              (x.name.empty() ? std::string{"a value"}
                              : "\"" + std::string{x.name} + "\"")
                + " is no " + wanted);
}

template <class T>
void read_number(const json_value& from, T& to, const char* wanted) {
  auto* last = from.text.data() + from.text.size();
  if (from.type != json_value::kind::number)
    fail_type(from, wanted);
  auto [end, failure] = std::from_chars(from.text.data(), last, to);
  if (failure != std::errc{} || end != last)
    fail_type(from, wanted);
}

} // namespace

json_reader::json_reader(std::string_view json)
  : cereal::InputArchive<json_reader>(this),
    document_(kept<std::unique_ptr<document>>::take()) {
  if (document_ == nullptr)
    document_ = std::make_unique<document>();
  document_->parse(json);
}

json_reader::~json_reader() {
  if (document_->bytes() <= kept_bytes)
    kept<std::unique_ptr<document>>::give_back(std::move(document_));
}

void json_reader::begin_node() {
  auto& x = document_->next(std::exchange(name_, nullptr));
  if (x.type != json_value::kind::object && x.type != json_value::kind::array)
    fail_type(x, "object and no array");
  auto node = static_cast<std::size_t>(&x - document_->values.data());
  document_->positions.push_back({node, node + 1});
}

void json_reader::end_node() {
  document_->positions.pop_back();
}

std::size_t json_reader::size() const {
  return document_->values[document_->positions.back().node].size;
}

void json_reader::load(bool& x) {
  auto& from = document_->next(std::exchange(name_, nullptr));
  if (from.type != json_value::kind::boolean)
    fail_type(from, "true and no false");
  x = from.boolean;
}

void json_reader::load(std::int64_t& x) {
  read_number(document_->next(std::exchange(name_, nullptr)), x,
              "whole number of 64 bits");
}

void json_reader::load(std::uint64_t& x) {
  read_number(document_->next(std::exchange(name_, nullptr)), x,
              "whole number of 64 bits that is not negative");
}

void json_reader::load(double& x) {
  read_number(document_->next(std::exchange(name_, nullptr)), x, "number");
}

void json_reader::load(std::string& x) {
  auto& from = document_->next(std::exchange(name_, nullptr));
  if (from.type != json_value::kind::text)
    fail_type(from, "text");
  x = from.text;
}

void json_reader::load(std::nullptr_t&) {
  auto& from = document_->next(std::exchange(name_, nullptr));
  if (from.type != json_value::kind::null)
    fail_type(from, "null");
}

void json_reader::fail_number(const std::string& number) {
  throw error(errc::corrupt_event,
              "the number " + number + " does not fit into its field");
}

} // namespace evented
