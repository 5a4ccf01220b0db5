#include "gigacat/upsample/degraded_pairs.h"

#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/upsample/upsample.h"

namespace gigacat::upsample {
namespace {

// Another set's images, changed one by one.
class ChangedImages : public eval::ImageSet {
 public:
  ChangedImages(std::shared_ptr<const eval::ImageSet> images, int64_t factor)
      : images_(std::move(images)), factor_(factor) {}
  std::string name() const override { return images_->name(); }
  int64_t size() const override { return images_->size(); }
  bool is_concurrent() const override { return images_->is_concurrent(); }
  std::string image_name(int64_t index) const override { return images_->image_name(index); }
  std::string caption(int64_t index) const override { return images_->caption(index); }
  std::string identity() const override { return ""; }
  std::string version() const override { return images_->version(); }
  bool is_random() const override { return images_->is_random(); }
  std::map<std::string, std::string> description() const override { return {{"downscale", std::to_string(factor_)}}; }
  std::vector<io::Image> read(int64_t first, int64_t last) const override {
    std::vector<io::Image> images = images_->read(first, last);
    for (size_t i = 0; i < images.size(); ++i) images[i] = changed(images[i], first + static_cast<int64_t>(i));
    return images;
  }

 protected:
  virtual io::Image changed(const io::Image& image, int64_t index) const = 0;
  std::shared_ptr<const eval::ImageSet> images_;
  int64_t factor_;
};

class CutImages : public ChangedImages {
 public:
  using ChangedImages::ChangedImages;
  std::string identity() const override {
    const std::string whole = images_->identity();
    return whole.empty() ? "" : cat(whole, " cut to multiples of ", factor_);
  }

 protected:
  io::Image changed(const io::Image& image, int64_t index) const override {
    const int64_t height = image.height / factor_ * factor_, width = image.width / factor_ * factor_;
    if (height == 0 || width == 0)
      fail(name(), "/", image_name(index), " has ", image.width, " x ", image.height, " px, too few to make it ",
           factor_, " times smaller");
    return io::crop(image, (image.height - height) / 2, (image.width - width) / 2, height, width);
  }
};

class DegradedImages : public ChangedImages {
 public:
  DegradedImages(std::shared_ptr<const eval::ImageSet> images, int64_t factor, std::string how,
                 const weights::LoadOptions& where)
      : ChangedImages(std::move(images), factor), how_(std::move(how)) {
    if (how_ != "bicubic" && how_ != "lanczos")
      upsampler_ = std::make_unique<Upsampler>(how_, UpsampleOptions{.scale = factor}, where);
  }
  std::string name() const override { return how_; }
  bool is_concurrent() const override { return !upsampler_ && ChangedImages::is_concurrent(); }

 protected:
  io::Image changed(const io::Image& image, int64_t index) const override {
    const io::Image small = io::resize_bicubic(image, image.height / factor_, image.width / factor_);
    if (how_ == "bicubic") return io::resize_bicubic(small, image.height, image.width);
    if (how_ == "lanczos") return io::resize_lanczos(small, image.height, image.width);
    upsampler_->set_prompt(caption(index));
    return (*upsampler_)(small);
  }

 private:
  std::string how_;
  std::unique_ptr<Upsampler> upsampler_;
};

}  // namespace

std::shared_ptr<const eval::ImageSet> cut_images(std::shared_ptr<const eval::ImageSet> images, int64_t factor) {
  return std::make_shared<CutImages>(std::move(images), factor);
}

std::shared_ptr<const eval::ImageSet> degraded_pairs(std::shared_ptr<const eval::ImageSet> images, int64_t factor,
                                                     const std::string& how, const weights::LoadOptions& where) {
  return std::make_shared<DegradedImages>(std::move(images), factor, how, where);
}

const std::vector<std::string>& interpolations() {
  static const std::vector<std::string> names = {"bicubic", "lanczos"};
  return names;
}

}  // namespace gigacat::upsample
