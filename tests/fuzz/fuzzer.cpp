// libFuzzer's way in. EVENTED_FUZZ_TARGET is the function in targets.hpp.

#include "fuzz/targets.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  evented::test::fuzz::EVENTED_FUZZ_TARGET(
    {reinterpret_cast<const char*>(data), size});
  return 0;
}
