// The safetensors format: 8-byte little-endian header length, JSON header, raw little-endian data.
// Source: github.com/huggingface/safetensors (format). Stricter than it in one point: duplicate names are refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gigacat/core/files.h"

namespace gigacat::io {

enum class Dtype { boolean, u8, i8, u16, i16, u32, i32, u64, i64, f8_e4m3, f8_e5m2, f16, bf16, f32, f64 };

// Bytes of one element.
size_t dtype_size(Dtype dtype);
// The format's name: "F32", "BF16", ...
std::string_view dtype_name(Dtype dtype);

struct TensorView {
  Dtype dtype;
  std::vector<int64_t> shape;        // [] for a scalar
  std::span<const std::byte> bytes;  // little-endian, row-major; lives as long as the file; need not be aligned
  int64_t elements() const;
};

// A file open for reading, memory-mapped: tensors are views without a copy.
class SafetensorsFile {
 public:
  // Errors: Error naming the file and the fault: header length zero, over 100 MB or beyond the file, not UTF-8 JSON,
  // unknown dtype, negative, fractional or overflowing shapes, offsets reversed, outside, overlapping or with holes,
  // size that does not follow from dtype and shape, duplicate names, trailing bytes.
  explicit SafetensorsFile(const fs::path& path);

  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(std::string_view name) const;
  // Errors: Error naming file, tensor and the nearest name.
  const TensorView& at(std::string_view name) const;
  const fs::path& path() const { return file_->path(); }
  // Keeps the mapping alive for views that outlive this object.
  std::shared_ptr<const MappedFile> mapping() const { return file_; }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Parses a header with its data in memory (for the fuzzer). Errors as SafetensorsFile; `name` stands for the file.
void parse_safetensors(std::span<const std::byte> file, std::string_view name,
                       std::map<std::string, TensorView>& tensors, std::map<std::string, std::string>& metadata);

// Writes tensors in name order, data aligned to 8 bytes from the start of the file, atomically.
// Returns the CRC-32C of the whole file. Errors: Error (system), InternalError when bytes do not fit dtype and shape.
uint32_t write_safetensors(const fs::path& path, const std::map<std::string, TensorView>& tensors,
                           const std::map<std::string, std::string>& metadata = {});

}  // namespace gigacat::io
