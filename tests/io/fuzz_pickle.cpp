// libFuzzer's entry to the pickle reader. Without libFuzzer, FUZZ_MAIN gives a program that runs it over files and
// folders.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/pickle.h"

namespace {

// Every value that can be reached is looked at once, circles included.
size_t walk(const gigacat::io::PickleValue* value, std::set<const gigacat::io::PickleValue*>& seen) {
  size_t sum = 0;
  std::vector<const gigacat::io::PickleValue*> open{value};
  while (!open.empty()) {
    const auto* one = open.back();
    open.pop_back();
    if (!one || !seen.insert(one).second) continue;
    sum += one->text.size() + one->name().size() + (one->find("key") ? 1 : 0);
    open.insert(open.end(), one->items.begin(), one->items.end());
    for (const auto& [key, item] : one->entries) {
      if (!key || !item) std::abort();
      open.push_back(key);
      open.push_back(item);
    }
    for (const auto* part : {one->callee, one->args, one->state}) open.push_back(part);
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gigacat::io::PickleArena arena;
  volatile size_t sink = 0;
  try {
    size_t used = 0;
    const auto* value = arena.parse({reinterpret_cast<const std::byte*>(data), size}, "fuzz", &used);
    if (!value || used > size) std::abort();
    std::set<const gigacat::io::PickleValue*> seen;
    sink = walk(value, seen);
  } catch (const gigacat::InternalError&) {
    std::abort();
  } catch (const gigacat::Error&) {
  }
  (void)sink;
  return 0;
}

#ifdef FUZZ_MAIN
int main(int count, char** paths) {
  namespace fs = std::filesystem;
  size_t files = 0;
  for (int i = 1; i < count; ++i) {
    for (const auto& entry : fs::recursive_directory_iterator(paths[i])) {
      if (!entry.is_regular_file()) continue;
      const std::string bytes = gigacat::read_file(entry.path());
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      ++files;
    }
  }
  std::cout << files << " files\n";
  return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
#endif
