// Arrays of a .npz or .npy, in place where they are stored as they are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

// One array: mapped, or unpacked in memory. A mapped member is not checked against its CRC, which would read all of it
// at the start.
class ArrayBytes {
 public:
  // Of a .npy. Errors: Error for a broken one.
  explicit ArrayBytes(const MappedFile& npy);
  // Of a member of a .npz. Errors: the same.
  ArrayBytes(const io::ZipFile& zip, const io::ZipFile::Entry& entry, const MappedFile& file);
  ArrayBytes(const ArrayBytes&) = delete;
  ArrayBytes& operator=(const ArrayBytes&) = delete;

  const io::NpyHeader& header() const { return header_; }
  // The whole .npy.
  std::span<const std::byte> npy() const { return bytes_; }
  // Values of item i of the first axis.
  std::span<const std::byte> item(int64_t i) const;
  size_t item_bytes() const { return static_cast<size_t>(header_.elements() / header_.shape[0]) * header_.item; }

 private:
  std::string unpacked_;
  std::span<const std::byte> bytes_;
  io::NpyHeader header_{};
};

// A file of samples and, in a .npz, of their labels.
class ArrayFile {
 public:
  // Samples are arr_0 or, without one, the array named images, samples, data, x or latents, or the only one that has
  // three or more axes; labels are arr_1, labels, label or y. Errors: UsageError when there are no samples, naming the
  // arrays that are there; Error for a broken file.
  explicit ArrayFile(const std::string& path);

  const ArrayBytes& samples() const { return *samples_; }
  // "" for a .npy.
  const std::string& samples_name() const { return samples_name_; }
  // Bytes of the array of labels as a .npy; "" without one.
  std::string labels() const;
  const std::string& labels_name() const { return labels_name_; }

 private:
  void open_npz();
  std::string find(std::span<const std::string_view> names) const;

  std::string path_;
  MappedFile file_;
  std::optional<io::ZipFile> zip_;
  std::optional<ArrayBytes> samples_;
  std::string samples_name_, labels_name_;
};

}  // namespace gigacat::data
