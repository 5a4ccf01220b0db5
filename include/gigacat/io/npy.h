// NumPy's .npy and .npz.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"

namespace gigacat::io {

struct NpyHeader {
  char kind;    // 'f', 'i', 'u', 'b'
  size_t item;  // bytes of an element
  std::vector<int64_t> shape;
  size_t data_offset;  // from the start of the .npy
  int64_t elements() const;
};

// Header of a .npy (versions 1 to 3, C order, little-endian; object arrays and others are refused by name).
// `bytes` may be the whole file or a prefix that holds the header; `size` is that of the whole .npy and is checked
// against shape and dtype. Errors: Error naming `name`.
NpyHeader parse_npy(std::span<const std::byte> bytes, uint64_t size, std::string_view name);

// A whole array with its values converted to float32. Errors: Error naming `name`.
struct FloatArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
FloatArray read_npy_float(std::string_view bytes, std::string_view name);
// The same with double values.
struct DoubleArray {
  std::vector<int64_t> shape;
  std::vector<double> values;
};
DoubleArray read_npy_double(std::string_view bytes, std::string_view name);

// The bytes of a .npy header for `descr` ("<f4", "|u1", "<i8", ...) and a shape, padded to 64.
std::string npy_header(std::string_view descr, std::span<const int64_t> shape);

// Streams images into guided-diffusion's sample file: arr_0 uint8 [N, H, W, C], arr_1 int64 labels [N] when given.
class NpzImageWriter {
 public:
  NpzImageWriter(FileWriter& out, int64_t count, int64_t height, int64_t width, int64_t channels);
  // One image, HWC. Errors: InternalError past `count`.
  void add(std::span<const uint8_t> pixels);
  // Labels may be empty. Errors: InternalError when fewer images than announced were added.
  void finish(std::span<const int64_t> labels = {});

 private:
  ZipWriter zip_;
  int64_t left_, image_bytes_, count_;
};

}  // namespace gigacat::io
