// The .npy reader.
#include <cstdlib>

#include "fuzz.h"
#include "gigacat/io/npy.h"

FUZZ(bytes) {
  const gigacat::io::NpyHeader header = gigacat::io::parse_npy(bytes, bytes.size(), "fuzz");
  const auto count = static_cast<uint64_t>(header.elements());
  if (header.data_offset > bytes.size() || count * header.item != bytes.size() - header.data_offset) std::abort();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (gigacat::io::read_npy_float(text, "fuzz").values.size() != count) std::abort();
  if (gigacat::io::read_npy_double(text, "fuzz").values.size() != count) std::abort();
}
