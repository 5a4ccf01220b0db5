#include "data/array_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "gigacat/core/error.h"

namespace gigacat::data {

namespace {

using Bytes = std::span<const std::byte>;

constexpr uint64_t kMostUnpacked = 64ull << 30;
constexpr std::array<std::string_view, 6> kSamples = {"arr_0", "images", "samples", "data", "x", "latents"};
constexpr std::array<std::string_view, 4> kLabels = {"arr_1", "labels", "label", "y"};

// The local header repeats the name and may have another extra field than the directory: 30 bytes, name, extra, data.
Bytes in_place(const io::ZipFile::Entry& entry, const MappedFile& file) {
  constexpr size_t kHeader = 30, kNameLength = 26, kExtraLength = 28;
  const Bytes all = file.bytes();
  if (entry.header_offset > all.size() || all.size() - entry.header_offset < kHeader)
    fail(file.path().string(), ": ", entry.name, " lies beyond the end of the file");
  const Bytes local = all.subspan(entry.header_offset);
  uint16_t name_length = 0, extra_length = 0;
  std::memcpy(&name_length, local.data() + kNameLength, sizeof(name_length));
  std::memcpy(&extra_length, local.data() + kExtraLength, sizeof(extra_length));
  const size_t begin = kHeader + name_length + extra_length;
  if (begin > local.size() || local.size() - begin < entry.size)
    fail(file.path().string(), ": ", entry.name, " is cut short");
  return local.subspan(begin, entry.size);
}

}  // namespace

ArrayBytes::ArrayBytes(const MappedFile& npy)
    : bytes_(npy.bytes()), header_(io::parse_npy(bytes_, bytes_.size(), npy.path().string())) {}

ArrayBytes::ArrayBytes(const io::ZipFile& zip, const io::ZipFile::Entry& entry, const MappedFile& file) {
  if (entry.method == 0) {
    bytes_ = in_place(entry, file);
  } else {
    unpacked_ = zip.read(entry, kMostUnpacked);
    bytes_ = std::as_bytes(std::span<const char>(unpacked_));
  }
  header_ = io::parse_npy(bytes_, bytes_.size(), file.path().string() + "/" + entry.name);
}

Bytes ArrayBytes::item(int64_t i) const {
  return bytes_.subspan(header_.data_offset + static_cast<size_t>(i) * item_bytes(), item_bytes());
}

ArrayFile::ArrayFile(const std::string& path) : path_(path), file_(path) {
  if (path.ends_with(".npy"))
    samples_.emplace(file_);
  else
    open_npz();
}

void ArrayFile::open_npz() {
  zip_.emplace(path_);
  const auto& entries = zip_->entries();
  labels_name_ = find(kLabels);
  samples_name_ = find(kSamples);
  if (samples_name_.empty()) {
    std::vector<std::string> names, large;
    for (const auto& entry : entries) {
      names.push_back(entry.name);
      if (entry.name.ends_with(".npy") && ArrayBytes(*zip_, entry, file_).header().shape.size() >= 3)
        large.push_back(entry.name);
    }
    if (large.size() != 1)
      fail<UsageError>("data.path: ", path_, " has no arr_0.npy nor another array of images; it holds ", join(names));
    samples_name_ = large.front();
  }
  samples_.emplace(*zip_, entries[zip_->find(samples_name_)], file_);
}

std::string ArrayFile::find(std::span<const std::string_view> names) const {
  for (const std::string_view name : names) {
    if (std::string member = cat(name, ".npy"); zip_->find(member) >= 0) return member;
  }
  return "";
}

std::string ArrayFile::labels() const {
  if (labels_name_.empty()) return "";
  return zip_->read(zip_->entries()[zip_->find(labels_name_)], 1ull << 32);
}

}  // namespace gigacat::data
