// Letters: B images or texts, S side, E embedding.
#include <ATen/ATen.h>

#include <optional>

#include "eval/networks.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/pretrained/clip.h"
#include "gigacat/text/tokenizer.h"

namespace gigacat::eval {
namespace {

class ClipNetwork : public FeatureNetwork {
 public:
  ClipNetwork(const WeightFiles& files, const std::string& name, at::Device device)
      : files_(files), is_cmmd_(name == "clip-l14"), device_(device) {
    const fs::path file = files.find(name);
    clip_ = pretrained::load_clip(weights::read_weights(file), {.device = device});
    hash_ = weights::short_hash({file});
    if (clip_->config().image.depth == 0) fail(file.string(), " holds no image tower of CLIP");
  }

  std::string weights() const override { return hash_; }
  std::array<int64_t, 3> input_shape() const override { return {3, clip_->config().size, clip_->config().size}; }

  // Pixels in [0, 1]; grey images give three equal planes.
  void prepare(const io::Image& image, int64_t /*index*/, float* planes) const override {
    const int64_t size = clip_->config().size, plane = size * size;
    const io::Image seen = is_cmmd_ ? io::resize_bicubic(io::crop_square(image, /*half_to_even=*/false), size, size)
                                    : io::resize_and_crop_clip(image, size);
    for (int64_t i = 0; i < plane; ++i)
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t channel = seen.channels == 3 ? c : 0;
        planes[c * plane + i] = static_cast<float>(seen.pixels[static_cast<size_t>(i * seen.channels + channel)]) / 255;
      }
  }

  // planes [B, 3, S, S] -> [B, E].
  FeatureMap run(const at::Tensor& planes) override {
    return {{"embedding", clip_->image(pretrained::clip_normalize(planes.to(device_))).embedding}};
  }

  at::Tensor read(const std::vector<std::string>& texts) override {
    if (clip_->config().text.depth == 0) fail(files_.find("clip").string(), " holds no text tower of CLIP");
    if (!tokenizer_) tokenizer_.emplace(files_.find("vocabulary"));
    return clip_->text(tokenizer_->tokens(texts, clip_->config().context).to(device_)).embedding;
  }

 private:
  const WeightFiles& files_;
  bool is_cmmd_;
  at::Device device_;
  pretrained::Clip clip_{nullptr};
  std::optional<text::Tokenizer> tokenizer_;
  std::string hash_;
};

}  // namespace

std::unique_ptr<FeatureNetwork> make_clip_network(const WeightFiles& files, const std::string& name,
                                                  at::Device device) {
  return std::make_unique<ClipNetwork>(files, name, device);
}

}  // namespace gigacat::eval
