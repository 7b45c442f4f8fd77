#include <evented/codec.hpp>
#include <evented/trace.hpp>

namespace evented {

namespace {

constexpr std::string_view field = "$trace";

struct holder {
  trace value;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::make_nvp(field.data(), value));
  }
};

} // namespace

std::string add_trace(std::string metadata, const trace& from) {
  if (from.empty())
    return metadata;
  auto added = to_json(holder{from});
  auto end = metadata.rfind('}');
  if (end == std::string::npos)
    return added;
  auto alone = metadata.find('"') == std::string::npos;
  metadata.resize(end);
  if (!alone)
    metadata += ',';
  metadata.append(added, 1);
  return metadata;
}

trace trace_of(std::string_view metadata) {
  if (metadata.find("\"$trace\"") == std::string_view::npos)
    return {};
  try {
    return from_json<holder>(metadata).value;
  } catch (const std::exception&) {
    // The text may stand somewhere in the application's own metadata.
    return {};
  }
}

bool only_trace(std::string_view metadata) {
  if (metadata.empty())
    return true;
  if (metadata.find("\"$trace\"") == std::string_view::npos)
    return false;
  try {
    json_reader in{metadata};
    if (in.size() != 1)
      return false;
    in.set_name(field.data());
    in.begin_node();
    return true;
  } catch (const error&) {
    return false;
  }
}

} // namespace evented
