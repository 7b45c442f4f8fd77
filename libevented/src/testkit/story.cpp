#include <evented/testkit/story.hpp>

#include <algorithm>

namespace evented::testkit::detail {

struct history::node {
  line value;
  std::shared_ptr<node> before;

  node(line x, std::shared_ptr<node> rest)
    : value(std::move(x)), before(std::move(rest)) {
    // nop
  }

  node(const node&) = delete;

  node& operator=(const node&) = delete;

  // One after the other, as a long list would not fit on the stack.
  ~node() {
    auto rest = std::move(before);
    while (rest != nullptr && rest.use_count() == 1)
      rest = std::exchange(rest->before, nullptr);
  }
};

void history::push_back(line x) {
  last_ = std::make_shared<node>(std::move(x), std::move(last_));
}

std::vector<std::string> history::show() const {
  std::vector<std::string> result;
  for (auto* x = last_.get(); x != nullptr; x = x->before.get())
    result.push_back(x->value.show(x->value.value.get()));
  std::ranges::reverse(result);
  return result;
}

} // namespace evented::testkit::detail
