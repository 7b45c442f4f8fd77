// libFuzzer's way in. EVENTED_FUZZ_TARGET is the name of a target's function.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace evented::test::fuzz {

void EVENTED_FUZZ_TARGET(std::string_view input);

} // namespace evented::test::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  evented::test::fuzz::EVENTED_FUZZ_TARGET(
    {reinterpret_cast<const char*>(data), size});
  return 0;
}
