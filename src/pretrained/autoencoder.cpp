#include "gigacat/pretrained/autoencoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/pretrained/autoencoder_kl.h"
#include "gigacat/pretrained/taesd.h"

namespace gigacat::pretrained {
namespace {

// Pixel space: the latents are the images.
class Identity : public Autoencoder {
 public:
  std::string name() const override { return "identity"; }
  int64_t channels() const override { return 3; }
  int64_t factor() const override { return 1; }
  Moments moments(const at::Tensor& images) override { return {images, {}}; }
  at::Tensor decode(const at::Tensor& latents) override { return latents; }
};

// What networks share: where and how they run, and in what parts.
class Network : public Autoencoder {
 public:
  Network(const AutoencoderConfig& config, std::string hash, const weights::LoadOptions& options)
      : config_(config), hash_(std::move(hash)), options_(options) {}
  std::string name() const override { return cat(config_.kind, " ", hash_); }

  Moments moments(const at::Tensor& images) override {
    const int64_t h = images.size(2), w = images.size(3);
    if (h % factor() != 0 || w % factor() != 0)
      fail(name(), ": images of ", h, " x ", w, " cannot be encoded: both sides must be multiples of ", factor());
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> means, logvars;
    for (const at::Tensor& part : parts(images)) {
      const Moments m = encode_part(part);
      means.push_back(m.mean.to(at::kFloat));
      if (m.logvar.defined()) logvars.push_back(m.logvar.to(at::kFloat));
    }
    return {at::cat(means), logvars.empty() ? at::Tensor() : at::cat(logvars)};
  }
  at::Tensor decode(const at::Tensor& latents) override {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> images;
    for (const at::Tensor& part : parts(latents)) images.push_back(decode_part(part).to(at::kFloat).clamp(-1, 1));
    return at::cat(images);
  }

 protected:
  virtual Moments encode_part(const at::Tensor& images) = 0;
  virtual at::Tensor decode_part(const at::Tensor& latents) = 0;
  const AutoencoderConfig& config() const { return config_; }

 private:
  std::vector<at::Tensor> parts(const at::Tensor& x) const {
    return x.to(options_.device, options_.dtype).split(config_.batch);
  }

  AutoencoderConfig config_;
  std::string hash_;
  weights::LoadOptions options_;
};

class TaesdAutoencoder : public Network {
 public:
  TaesdAutoencoder(const AutoencoderConfig& config, std::string hash, const weights::LoadOptions& options,
                   Taesd network)
      : Network(config, std::move(hash), options), network_(std::move(network)) {}
  int64_t channels() const override { return network_->config().latent_channels; }
  int64_t factor() const override { return 8; }

 protected:
  Moments encode_part(const at::Tensor& images) override { return {network_->encode((images + 1) / 2), {}}; }
  at::Tensor decode_part(const at::Tensor& latents) override { return network_->decode(latents) * 2 - 1; }

 private:
  Taesd network_;
};

class KlAutoencoder : public Network {
 public:
  KlAutoencoder(const AutoencoderConfig& config, std::string hash, const weights::LoadOptions& options,
                AutoencoderKl network)
      : Network(config, std::move(hash), options), network_(std::move(network)) {}
  int64_t channels() const override { return network_->config().latent_channels; }
  int64_t factor() const override { return network_->config().factor(); }

 protected:
  Moments encode_part(const at::Tensor& images) override {
    return split_moments(network_->encode_tiled(images, config().tile));
  }
  at::Tensor decode_part(const at::Tensor& latents) override { return network_->decode_tiled(latents, config().tile); }

 private:
  AutoencoderKl network_;
};

weights::LoadOptions load_options(const AutoencoderConfig& config, at::Device device) {
  const at::ScalarType type = config.precision == "bf16"   ? at::kBFloat16
                              : config.precision == "fp16" ? at::kHalf
                                                           : at::kFloat;
  return {device, type};
}

using Files = std::vector<std::filesystem::path>;

// An encoder's and a decoder's file, or one with both. Of a folder: those that hold them, the whole before its halves.
std::pair<weights::Weights, Files> read_taesd(const std::string& path) {
  weights::Weights all{{}, path};
  Files used;
  for (const auto& file : weights::weight_files(path)) {
    weights::Weights part = taesd_names(weights::read_weights(file));
    const bool encoder = part.has("encoder.0.weight"), decoder = part.has("decoder.1.weight");
    if (encoder && decoder) return {std::move(part), {file}};
    if (!encoder && !decoder && std::filesystem::is_directory(path)) continue;
    if (all.has(encoder ? "encoder.0.weight" : "decoder.1.weight"))
      fail(path, " holds more than one TAESD ", encoder ? "encoder" : "decoder", ": ", file.filename().string(),
           " is one too many");
    all.tensors.merge(part.tensors);
    used.push_back(file);
  }
  return {std::move(all), std::move(used)};
}

}  // namespace

void AutoencoderConfig::bind(config::Binder& b) {
  b.field("kind", kind, "identity", "identity: pixels; taesd: TAESD and its kin; kl: Stable Diffusion's and its kin",
          {.choices = {"identity", "taesd", "kl"}});
  b.field("weights", weights, "", "file, folder or name of `gigacat weights list`; two halves with a comma between",
          {.free_on_resume = true});
  b.field("precision", precision, "fp32", "of the autoencoder's arithmetic",
          {.choices = {"fp32", "bf16", "fp16"}, .free_on_resume = true});
  b.field("batch", batch, 8, "images that it takes at once", {.min = 1, .unit = "images", .free_on_resume = true});
  b.field("tile", tile, 1024, "kl: larger images are computed in overlapping tiles of this side; 0: never",
          {.min = 0, .unit = "px", .free_on_resume = true});
  b.check("weights", [this]() -> std::string {
    return kind == "identity" || !weights.empty() ? "" : cat("autoencoder ", kind, " needs the path of its weights");
  });
}

at::Tensor Moments::sample(const at::Tensor& noise) const {
  return logvar.defined() ? mean + at::exp(logvar / 2) * noise : mean;
}

std::unique_ptr<Autoencoder> make_autoencoder(const AutoencoderConfig& config, at::Device device) {
  if (config.kind == "identity") return std::make_unique<Identity>();
  if (config.weights.empty()) fail<UsageError>("autoencoder.weights: autoencoder ", config.kind, " needs its weights");
  const weights::LoadOptions options = load_options(config, device);
  if (config.kind == "taesd") {
    auto [weights, files] = read_taesd(config.weights);
    return std::make_unique<TaesdAutoencoder>(config, weights::short_hash(files), options,
                                              load_taesd(std::move(weights), options));
  }
  if (config.kind == "kl") {
    const auto files = weights::weight_files(config.weights);
    if (files.size() != 1) fail(config.weights, " holds ", files.size(), " .safetensors files; give the path of one");
    return std::make_unique<KlAutoencoder>(
        config, weights::short_hash(files), options,
        load_autoencoder_kl(weights::read_weights(files.front()), options, stored_norm_groups(config.weights)));
  }
  fail<UsageError>("autoencoder: unknown autoencoder \"", config.kind, "\"; known: identity, taesd, kl");
}

}  // namespace gigacat::pretrained
