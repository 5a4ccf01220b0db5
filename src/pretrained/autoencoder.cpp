#include "gigacat/pretrained/autoencoder.h"

#include <vector>

#include "gigacat/core/error.h"

namespace gigacat::pretrained {
namespace {

// Pixel space: the latents are the images.
class Identity : public Autoencoder {
 public:
  std::string name() const override { return "identity"; }
  at::Tensor encode(const at::Tensor& images) override { return images; }
  at::Tensor decode(const at::Tensor& latents) override { return latents; }
  int64_t factor() const override { return 1; }
};

}  // namespace

std::unique_ptr<Autoencoder> make_autoencoder(const std::string& name, at::Device /*device*/) {
  if (name == "identity") return std::make_unique<Identity>();
  fail<UsageError>("autoencoder: unknown autoencoder \"", name, "\"; known: identity");
}

}  // namespace gigacat::pretrained
