// The safetensors parser.
#include "gigacat/io/safetensors.h"

#include <cstdlib>

#include "fuzz.h"

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

FUZZ(bytes) {
  std::map<std::string, gigacat::io::TensorView> tensors;
  std::map<std::string, std::string> metadata;
  gigacat::io::parse_safetensors(bytes, "fuzz", tensors, metadata);
  gigacat::fuzz::sink = touch(tensors);
}
