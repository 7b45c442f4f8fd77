#include <evented/testkit/codecs.hpp>
#include <evented/testkit/show.hpp>

#include <cereal/archives/json.hpp>

#include <algorithm>
#include <vector>

namespace evented::testkit::detail {

namespace {

// Distributions build cereal with the system's rapidjson.
#ifdef CEREAL_RAPIDJSON_NAMESPACE
namespace json = CEREAL_RAPIDJSON_NAMESPACE;
#else
namespace json = RAPIDJSON_NAMESPACE;
#endif

/// Sorts and unites the keys of `x` as a jsonb column does.
void normalize(json::Value& x, json::Document::AllocatorType& memory) {
  if (x.IsArray())
    for (auto& element : x.GetArray())
      normalize(element, memory);
  if (!x.IsObject())
    return;
  std::vector<json::Value::Member*> members;
  // `<`, since C++20 finds the `!=` of these iterators ambiguous.
  for (auto i = x.MemberBegin(); i < x.MemberEnd(); ++i) {
    normalize(i->value, memory);
    members.push_back(&*i);
  }
  auto key = [](auto* member) {
    return std::string_view{member->name.GetString(),
                            member->name.GetStringLength()};
  };
  std::ranges::stable_sort(members, [&](auto* a, auto* b) {
    auto lhs = key(a);
    auto rhs = key(b);
    return lhs.size() != rhs.size() ? lhs.size() < rhs.size() : lhs < rhs;
  });
  json::Value result{json::kObjectType};
  for (std::size_t i = 0; i < members.size(); ++i)
    // Of equal keys the last one counts.
    if (i + 1 == members.size() || key(members[i]) != key(members[i + 1]))
      result.AddMember(members[i]->name, members[i]->value, memory);
  x = result;
}

} // namespace

std::string as_jsonb(std::string_view text) {
  json::Document document;
  document.Parse<json::kParseFullPrecisionFlag>(text.data(), text.size());
  if (document.HasParseError())
    return std::string{text};
  normalize(document, document.GetAllocator());
  json::StringBuffer buffer;
  json::Writer<json::StringBuffer> writer{buffer};
  document.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

std::string quote(std::string_view text) {
  json::StringBuffer buffer;
  json::Writer<json::StringBuffer> writer{buffer};
  writer.String(text.data(), static_cast<json::SizeType>(text.size()));
  return {buffer.GetString(), buffer.GetSize()};
}

std::string what_was_thrown() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no std::exception";
  }
}

} // namespace evented::testkit::detail
