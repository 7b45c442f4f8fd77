#include "detail/jsonb_check.hpp"
#include "fuzz/targets.hpp"

#include <evented/entity_id.hpp>
#include <evented/store.hpp>
#include <evented/utf8.hpp>
#include <evented/uuid.hpp>

#include <string>

namespace evented::test::fuzz {

// Texts of clients: IDs, command IDs, names, messages of errors.
void text(std::string_view input) {
  auto cut = make_text(input, 100);
  promise(cut.size() <= 100 && valid_text(cut), "a text can be stored");
  if (input.size() <= 100 && valid_text(input))
    promise(cut == input, "a good text is kept");
  if (auto id = uuid::parse(input))
    promise(uuid::parse(to_string(*id)) == id, "a UUID can be read");
  auto fits = !input.empty() && input.size() <= 200 && valid_text(input);
  promise(valid_command_id(input) == fits, "what a command ID is");
  auto id = !input.empty() && input.size() <= 512 && valid_text(input);
  promise(valid(entity_id{std::string{input}}) == id, "what a text ID is");
  (void)detail::why_no_jsonb(std::string{input});
}

} // namespace evented::test::fuzz
