// libFuzzer's entry to the safetensors parser. Without libFuzzer, FUZZ_MAIN gives a program that runs it over files and
// folders.
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "gigacat/core/error.h"
#include "gigacat/io/safetensors.h"

namespace {

// What was accepted must hold together: every byte of every view is read.
unsigned touch(const std::map<std::string, gigacat::io::TensorView>& tensors) {
  unsigned sum = 0;
  for (const auto& item : tensors) {
    const auto& view = item.second;
    if (view.bytes.size() != static_cast<uint64_t>(view.elements()) * dtype_size(view.dtype)) std::abort();
    for (std::byte byte : view.bytes) sum += std::to_integer<unsigned>(byte);
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::map<std::string, gigacat::io::TensorView> tensors;
  std::map<std::string, std::string> metadata;
  volatile unsigned sink = 0;
  try {
    gigacat::io::parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "fuzz", tensors, metadata);
    sink = touch(tensors);
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
