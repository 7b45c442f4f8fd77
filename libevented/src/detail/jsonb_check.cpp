#include "detail/jsonb_check.hpp"

#include <evented/codec.hpp>
#include <evented/utf8.hpp>

#include <cereal/archives/json.hpp>

namespace evented::detail {

namespace {

/// Refuses what `jsonb` cannot hold although it is well-formed JSON: strings
/// with NUL or with half of a surrogate pair, and nesting that would exhaust
/// the server's stack.
class jsonb_handler
  : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, jsonb_handler> {
public:
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return valid_text({text, size});
  }

  bool Key(const char* text, rapidjson::SizeType size, bool copy) {
    return String(text, size, copy);
  }

  // Numbers come as texts, since `numeric` holds more than a double.
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return true; }

  bool StartObject() { return ++depth_ <= max_depth; }
  bool StartArray() { return ++depth_ <= max_depth; }

  bool EndObject(rapidjson::SizeType) {
    --depth_;
    return true;
  }

  bool EndArray(rapidjson::SizeType) {
    --depth_;
    return true;
  }

private:
  // PostgreSQL stops at some 6000 with its default max_stack_depth of 2 MB.
  static constexpr int max_depth = 5000;

  int depth_ = 0;
};

} // namespace

std::optional<std::string> why_no_jsonb(const std::string& text) {
  if (!valid_text(text))
    return "not valid UTF-8, or it holds a NUL character";
  // Iterative, so that deep nesting does not exhaust this process's stack.
  constexpr unsigned flags
    = rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;
  rapidjson::StringStream in{text.c_str()};
  rapidjson::Reader reader;
  jsonb_handler handler;
  auto result = reader.Parse<flags>(in, handler);
  if (!result.IsError())
    return std::nullopt;
  auto where = " at byte " + std::to_string(result.Offset());
  if (result.Code() == rapidjson::kParseErrorTermination)
    return "a NUL character, half of a surrogate pair or too deep nesting"
           + where;
  return "not well-formed JSON" + where;
}

} // namespace evented::detail
