#include "gigacat/eval/images.h"

#include <filesystem>
#include <mutex>
#include <span>
#include <utility>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/data/loader.h"

namespace gigacat::eval {
namespace {

class StoredImages : public ImageSet {
 public:
  // `captions`: the same samples with their texts, or null.
  StoredImages(std::string path, std::shared_ptr<const data::Source> source,
               std::shared_ptr<const data::Source> captions = nullptr)
      : path_(std::move(path)), source_(std::move(source)), captions_(std::move(captions)) {
    if (data::is_latent(source_->content()))
      fail<UsageError>(path_, " holds latents: metrics need images, decode the latents first");
  }

  std::string name() const override { return path_; }
  int64_t size() const override { return source_->size(); }
  bool is_concurrent() const override { return true; }
  // Found once: it reads samples, and evaluations while training ask for it each time.
  std::string identity() const override {
    std::call_once(identified_, [this] { identity_ = data::identity_of(*source_); });
    return identity_;
  }
  std::string version() const override { return source_->version(); }
  std::string caption(int64_t index) const override { return (captions_ ? captions_ : source_)->read(index).caption; }

  std::vector<io::Image> read(int64_t first, int64_t last) const override {
    std::vector<io::Image> images;
    for (int64_t i = first; i < last; ++i) images.push_back(to_image(source_->read(i)));
    return images;
  }

  std::string image_name(int64_t index) const override {
    const std::string name = source_->name(index);
    const size_t slash = name.find_last_of('/'), dot = name.find_last_of('.');
    const bool has_ending = dot != std::string::npos && (slash == std::string::npos || dot > slash);
    return has_ending ? name.substr(0, dot) : name;
  }

  std::map<std::string, std::string> description() const override {
    const std::string provenance = trim(source_->provenance());
    if (provenance.empty()) return {};
    return {{"provenance", provenance}};
  }

 protected:
  virtual io::Image to_image(const data::RawSample& sample) const {
    if (source_->content() == data::Content::image) {
      const auto bytes = std::as_bytes(std::span<const char>(sample.bytes));
      return io::decode_image(bytes, cat(path_, "/", sample.name), {.as_stored = true});
    }
    const std::vector<int64_t> shape = source_->pixel_shape();
    io::Image image{.height = shape[0], .width = shape[1], .channels = shape[2], .pixels = {}};
    image.pixels.assign(sample.bytes.begin(), sample.bytes.end());
    return image;
  }

  std::string path_;
  std::shared_ptr<const data::Source> source_, captions_;

 private:
  mutable std::once_flag identified_;
  mutable std::string identity_;
};

class LoaderImages : public StoredImages {
 public:
  LoaderImages(std::string name, std::shared_ptr<const data::Source> source, const data::DataConfig& config)
      : StoredImages(std::move(name), std::move(source)), config_(config) {
    config_.flip = false;
    if (config_.crop == "random" || config_.crop == "window") config_.crop = "adm";
  }

  std::string identity() const override {
    return cat(StoredImages::identity(), " ", config_.target_height(), "x", config_.target_width(), " ", config_.crop,
               " ", config_.background);
  }

 protected:
  io::Image to_image(const data::RawSample& sample) const override {
    if (source_->content() != data::Content::image)
      return io::center_crop_adm(StoredImages::to_image(sample), config_.target_height());
    const int64_t height = config_.target_height(), width = config_.target_width(), plane = height * width;
    std::vector<uint8_t> planes(static_cast<size_t>(config_.channels * plane));
    data::decode_sample(sample, config_, 0, 0, planes.data());
    io::Image image{.height = height, .width = width, .channels = 3, .pixels = {}};
    image.pixels.resize(static_cast<size_t>(3 * plane));
    for (int64_t i = 0; i < plane; ++i)
      for (int64_t c = 0; c < 3; ++c)
        image.pixels[static_cast<size_t>(3 * i + c)] =
            planes[static_cast<size_t>((config_.channels == 3 ? c : 0) * plane + i)];
    return image;
  }

 private:
  data::DataConfig config_;
};

class GeneratedImages : public ImageSet {
 public:
  GeneratedImages(std::string name, int64_t size, std::function<std::vector<io::Image>(int64_t, int64_t)> generate,
                  std::map<std::string, std::string> description)
      : name_(std::move(name)), size_(size), generate_(std::move(generate)), description_(std::move(description)) {}

  std::string name() const override { return name_; }
  int64_t size() const override { return size_; }
  bool is_concurrent() const override { return false; }
  std::vector<io::Image> read(int64_t first, int64_t last) const override { return generate_(first, last); }
  std::string image_name(int64_t index) const override { return std::to_string(index); }
  std::string caption(int64_t /*index*/) const override { return ""; }
  std::string identity() const override { return ""; }
  bool is_random() const override { return true; }
  std::map<std::string, std::string> description() const override { return description_; }

 private:
  std::string name_;
  int64_t size_;
  std::function<std::vector<io::Image>(int64_t, int64_t)> generate_;
  std::map<std::string, std::string> description_;
};

}  // namespace

std::unique_ptr<ImageSet> open_images(const std::string& path, bool captions) {
  auto config = config::defaults<data::DataConfig>();
  config.path = path;
  std::shared_ptr<const data::Source> source = data::open_source(config), texts;
  config.captions = captions;
  // A text that is missing must not cost the image, so the images are read without texts.
  if (captions && source->content() != data::Content::pixels) texts = data::open_source(config);
  if (texts && texts->size() != source->size())
    fail(path, " changes while it is read: ", source->size(), " and then ", texts->size(), " images");
  return std::make_unique<StoredImages>(path, std::move(source), std::move(texts));
}

std::unique_ptr<ImageSet> loader_images(std::string name, std::shared_ptr<const data::Source> source,
                                        const data::DataConfig& config) {
  return std::make_unique<LoaderImages>(std::move(name), std::move(source), config);
}

std::unique_ptr<ImageSet> generated_images(std::string name, int64_t size,
                                           std::function<std::vector<io::Image>(int64_t, int64_t)> generate,
                                           std::map<std::string, std::string> description) {
  return std::make_unique<GeneratedImages>(std::move(name), size, std::move(generate), std::move(description));
}

}  // namespace gigacat::eval
