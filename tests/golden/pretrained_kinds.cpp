#include <ATen/ATen.h>

#include "gigacat/pretrained/taesd.h"
#include "golden/kinds.h"

namespace gigacat::golden {
namespace {

// uint8 [H, W, 3] or [N, H, W, 3] -> float [N, 3, H, W], 0..255.
at::Tensor planes(const at::Tensor& pixels) {
  const at::Tensor batch = pixels.dim() == 3 ? pixels.unsqueeze(0) : pixels;
  return batch.permute({0, 3, 1, 2}).to(at::kFloat).contiguous();
}

void compare_taesd(Case& c, pretrained::Taesd& taesd, const at::Tensor& images) {
  const at::Tensor latent = taesd->encode(images);
  const int64_t stride = c.config().value("reconstruction_stride", 1);
  c.compare("output.latent", latent);
  c.compare("output.scaled_latent", (latent / 6 + 0.5).clamp(0, 1));
  c.compare("output.reconstruction",
            taesd->decode(latent).slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride));
}

void check_taesd(Case& c) {
  const at::NoGradGuard no_grad;
  pretrained::Taesd taesd = pretrained::load_taesd({c.weights(), c.name()});
  compare_taesd(c, taesd, c.formula_input("image"));
  c.compare("output.decoded", taesd->decode(c.formula_input("latent")));
}

void check_real_taesd(Case& c) {
  const at::NoGradGuard no_grad;
  pretrained::Weights all{{}, c.name()};
  for (const std::string file : c.config().at("weight_files"))
    all.tensors.merge(pretrained::taesd_names(pretrained::read_weights(c.find_file(file))).tensors);
  pretrained::Taesd taesd = pretrained::load_taesd(std::move(all));
  compare_taesd(c, taesd, planes(c.stored("input.photo")) / 255);
}

}  // namespace

std::vector<Kind> pretrained_kinds() { return {{"taesd", check_taesd}, {"taef2_real", check_real_taesd}}; }

}  // namespace gigacat::golden
