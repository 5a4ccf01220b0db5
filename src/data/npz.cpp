// Samples in one array: guided-diffusion's sample files (arr_0, arr_1), and arrays as people save them.
#include <algorithm>

#include "data/array_file.h"
#include "data/array_layout.h"
#include "data/fingerprint.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

// Of values spread over all samples; large files are not read whole for it.
ValueRange look_at_range(const ArrayBytes& array, const std::string& where) {
  constexpr int64_t kMostLooked = 4096;
  const int64_t size = array.header().shape[0], looks = std::min(size, kMostLooked);
  const std::string header =
      io::npy_header(cat("<f", array.header().item), std::vector{array.header().elements() / size});
  ValueRange range;
  for (int64_t i = 0; i < looks; ++i) {
    const auto item = array.item(i * size / looks);
    std::string npy = header;
    npy.append(reinterpret_cast<const char*>(item.data()), item.size());
    range.add(io::read_npy_float(npy, where).values);
  }
  return range;
}

class NpzSource : public Source {
 public:
  explicit NpzSource(const DataConfig& config) : path_(config.path), file_(path_) {
    const std::string where = file_.samples_name().empty() ? path_ : cat(file_.samples_name(), " of ", path_);
    const auto range = [&] { return look_at_range(file_.samples(), where); };
    layout_ = array_layout(file_.samples().header(), range, where, config);
    read_labels();
  }

  int64_t size() const override { return file_.samples().header().shape[0]; }
  int64_t label(int64_t index) const override { return labels_.empty() ? -1 : labels_.at(index); }
  std::string name(int64_t index) const override { return std::to_string(index); }
  Content content() const override { return layout_.content; }
  const std::vector<std::string>& class_names() const override { return classes_; }

  std::vector<int64_t> pixel_shape() const override {
    if (layout_.content != Content::pixels) return {};
    return {layout_.height, layout_.width, layout_.channels};
  }

  std::string format() const override {
    const std::string array = file_.samples_name().empty() ? "" : file_.samples_name() + ": ";
    return cat(array, layout_.text, labels_.empty() ? "" : cat(", labels from ", file_.labels_name()));
  }

  RawSample read(int64_t index) const override {
    GIGACAT_CHECK(index >= 0 && index < size(), index);
    const auto item = file_.samples().item(index);
    RawSample sample;
    sample.name = name(index);
    sample.label = label(index);
    if (layout_.content == Content::pixels) {
      sample.bytes = layout_.to_pixels(item, file_.samples().header(), cat(path_, "/", index));
    } else {
      sample.bytes = latent_header();
      sample.bytes.append(reinterpret_cast<const char*>(item.data()), item.size());
    }
    return sample;
  }

  // Of the values themselves: the names say nothing.
  std::string listing_digest() const override {
    Fingerprint print;
    print.add(sha256(file_.samples().npy()), file_.samples().npy().size(), -1);
    for (int64_t i = 0; i < size(); ++i) print.add(name(i), file_.samples().item_bytes(), label(i));
    return print.digest();
  }

 private:
  std::string latent_header() const {
    const io::NpyHeader& header = file_.samples().header();
    const std::vector<int64_t> shape(header.shape.begin() + 1, header.shape.end());
    return io::npy_header(cat("<f", header.item), shape);
  }

  void read_labels() {
    const std::string npy = file_.labels();
    if (npy.empty()) return;
    const std::string& array_name = file_.labels_name();
    const io::FloatArray array = io::read_npy_float(npy, path_ + "/" + array_name);
    if (array.shape != std::vector<int64_t>{size()})
      fail<UsageError>("data.path: ", array_name, " of ", path_, " is [", join(array.shape),
                       "]; wanted one label for each of ", size(), " samples");
    for (const float value : array.values) {
      constexpr float kMost = 1 << 24;  // whole numbers are exact up to there
      if (!(value >= 0 && value < kMost) || value != static_cast<float>(static_cast<int32_t>(value)))
        fail<UsageError>("data.path: ", array_name, " of ", path_, " holds ", value, ", which is no label");
      labels_.push_back(static_cast<int32_t>(value));
    }
  }

  std::string path_;
  ArrayFile file_;
  ArrayLayout layout_;
  std::vector<int32_t> labels_;
  std::vector<std::string> classes_;
};

}  // namespace

std::unique_ptr<Source> open_npz(const DataConfig& config) {
  if (!io::is_file(config.path)) fail<UsageError>("data.path: ", config.path, " is no file");
  if (config.captions) fail<UsageError>("data.captions: an .npz holds no captions");
  return std::make_unique<NpzSource>(config);
}

}  // namespace gigacat::data
