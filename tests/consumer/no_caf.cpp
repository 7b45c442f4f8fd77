// Opens a journal in memory, through the flags that pkg-config tells.

#include <evented/store.hpp>

#include <iostream>

int main() {
  auto store = evented::make_memory_store();
  std::cout << (store->connect() ? "connected" : "not connected") << "\n";
}
