// Sample files of guided-diffusion: arr_0 images uint8 [N, H, W, C] or float latents [N, C, H, W], arr_1 labels [N].
#include <cstring>
#include <limits>
#include <optional>
#include <span>

#include "data/fingerprint.h"
#include "data/latents.h"
#include "data/listing.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

namespace {

using Bytes = std::span<const std::byte>;

// A member of a zip: in place when it is stored, else unpacked. A stored one is not checked against its CRC, which
// would read all of it at the start.
class ArrayMember {
 public:
  ArrayMember(const io::ZipFile& zip, const io::ZipFile::Entry& entry, const MappedFile& file) {
    if (entry.method == 0) {
      bytes_ = in_place(entry, file);
    } else {
      unpacked_ = zip.read(entry, kMostUnpacked);
      bytes_ = std::as_bytes(std::span<const char>(unpacked_));
    }
    header_ = io::parse_npy(bytes_, bytes_.size(), file.path().string() + "/" + entry.name);
  }
  ArrayMember(const ArrayMember&) = delete;
  ArrayMember& operator=(const ArrayMember&) = delete;

  const io::NpyHeader& header() const { return header_; }
  Bytes npy() const { return bytes_; }
  // Values of item i of the first axis.
  Bytes item(int64_t i) const {
    return bytes_.subspan(header_.data_offset + static_cast<size_t>(i) * item_bytes(), item_bytes());
  }
  size_t item_bytes() const { return static_cast<size_t>(header_.elements() / header_.shape[0]) * header_.item; }

 private:
  static constexpr uint64_t kMostUnpacked = 64ull << 30;

  // The local header repeats the name and may have another extra field than the directory: 30 bytes, name, extra, data.
  static Bytes in_place(const io::ZipFile::Entry& entry, const MappedFile& file) {
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

  std::string unpacked_;
  Bytes bytes_;
  io::NpyHeader header_{};
};

class NpzSource : public Source {
 public:
  explicit NpzSource(const DataConfig& config) : path_(config.path), zip_(path_), file_(path_) {
    values_.emplace(zip_, member("arr_0.npy"), file_);
    const std::vector<int64_t>& shape = values_->header().shape;
    if (shape.size() != 4 || values_->header().elements() <= 0) refuse();
    set_content(config);
    if (zip_.find("arr_1.npy") >= 0) read_labels();
  }

  int64_t size() const override { return values_->header().shape[0]; }
  int64_t label(int64_t index) const override { return labels_.empty() ? -1 : labels_.at(index); }
  std::string name(int64_t index) const override { return std::to_string(index); }
  Content content() const override { return content_; }
  const std::vector<std::string>& class_names() const override { return classes_; }

  std::vector<int64_t> pixel_shape() const override {
    if (content_ != Content::pixels) return {};
    const std::vector<int64_t>& shape = values_->header().shape;
    return {shape.begin() + 1, shape.end()};
  }

  RawSample read(int64_t index) const override {
    GIGACAT_CHECK(index >= 0 && index < size(), index);
    const Bytes item = values_->item(index);
    RawSample sample;
    sample.name = name(index);
    sample.label = label(index);
    if (content_ != Content::pixels) sample.bytes = latent_header();
    sample.bytes.append(reinterpret_cast<const char*>(item.data()), item.size());
    return sample;
  }

  // Of the values themselves: the names say nothing.
  std::string identity() const override {
    Fingerprint print;
    print.add(sha256(values_->npy()), values_->npy().size(), -1);
    for (int64_t i = 0; i < size(); ++i) print.add(name(i), values_->item_bytes(), label(i));
    return print.digest();
  }

 private:
  const io::ZipFile::Entry& member(std::string_view name) const {
    const int64_t found = zip_.find(name);
    if (found >= 0) return zip_.entries()[found];
    std::vector<std::string> names;
    for (const auto& entry : zip_.entries()) names.push_back(entry.name);
    fail<UsageError>("data.path: ", path_, " has no ", name, "; it holds ", join(names));
  }

  [[noreturn]] void refuse() const {
    const io::NpyHeader& header = values_->header();
    fail<UsageError>("data.path: arr_0 of ", path_, " is ", header.kind, header.item * 8, " [", join(header.shape),
                     "]; wanted uint8 [N, H, W, 1 or 3] or float [N, C, H, W]");
  }

  void set_content(const DataConfig& config) {
    const io::NpyHeader& header = values_->header();
    if (header.kind == 'f') {
      content_ = latent_content(header.shape[1], path_, config);
    } else if (header.kind == 'u' && header.item == 1 && (header.shape[3] == 1 || header.shape[3] == 3)) {
      content_ = Content::pixels;
    } else {
      refuse();
    }
  }

  std::string latent_header() const {
    const io::NpyHeader& header = values_->header();
    const std::vector<int64_t> shape(header.shape.begin() + 1, header.shape.end());
    return io::npy_header(cat("<f", header.item), shape);
  }

  void read_labels() {
    const io::ZipFile::Entry& entry = member("arr_1.npy");
    const io::FloatArray array = io::read_npy_float(zip_.read(entry, 1ull << 32), path_ + "/arr_1.npy");
    if (array.shape != std::vector<int64_t>{size()})
      fail<UsageError>("data.path: arr_1 of ", path_, " is [", join(array.shape), "]; wanted one label for each of ",
                       size(), " samples");
    for (const float value : array.values) {
      constexpr float kMost = 1 << 24;  // whole numbers are exact up to there
      if (!(value >= 0 && value < kMost) || value != static_cast<float>(static_cast<int32_t>(value)))
        fail<UsageError>("data.path: arr_1 of ", path_, " holds ", value, ", which is no label");
      labels_.push_back(static_cast<int32_t>(value));
    }
  }

  std::string path_;
  io::ZipFile zip_;
  MappedFile file_;
  std::optional<ArrayMember> values_;
  Content content_ = Content::pixels;
  std::vector<int32_t> labels_;
  std::vector<std::string> classes_;
};

}  // namespace

std::unique_ptr<Source> open_npz(const DataConfig& config) {
  if (!is_file(config.path)) fail<UsageError>("data.path: ", config.path, " is no file");
  if (config.captions) fail<UsageError>("data.captions: an .npz holds no captions");
  return std::make_unique<NpzSource>(config);
}

}  // namespace gigacat::data
