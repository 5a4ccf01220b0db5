#include <ATen/ATen.h>

#include "eval/networks.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/pretrained/lpips.h"

namespace gigacat::eval {
namespace {

class LpipsNetwork : public PairNetwork {
 public:
  LpipsNetwork(const WeightFiles& files, at::Device device) : device_(device) {
    const fs::path backbone = files.find("lpips"), heads = files.find("lpips-heads");
    lpips_ = pretrained::load_lpips(weights::read_weights(backbone), weights::read_weights(heads), {.device = device});
    hash_ = weights::short_hash({backbone, heads});
  }

  std::string weights() const override { return hash_; }

  double distance(const io::Image& first, const io::Image& second) override {
    if (first.height != second.height || first.width != second.width)
      fail("images of ", first.width, "x", first.height, " and ", second.width, "x", second.height,
           " pixels cannot be compared");
    const at::NoGradGuard no_grad;
    return lpips_->forward(batch_of(first), batch_of(second)).item<double>();
  }

 private:
  // [1, 3, H, W] in [-1, 1].
  at::Tensor batch_of(const io::Image& image) const {
    const at::Tensor pixels = at::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                                            {1, image.height, image.width, image.channels}, at::kByte);
    const at::Tensor planes = pixels.to(device_).permute({0, 3, 1, 2}).to(at::kFloat) / 127.5 - 1;
    return planes.expand({1, 3, image.height, image.width}).contiguous();
  }

  at::Device device_;
  pretrained::Lpips lpips_{nullptr};
  std::string hash_;
};

}  // namespace

std::unique_ptr<PairNetwork> make_lpips_network(const WeightFiles& files, at::Device device) {
  return std::make_unique<LpipsNetwork>(files, device);
}

}  // namespace gigacat::eval
