// A GAN's networks and how images are drawn from them. Losses are the recipe's business (recipes/recipe.h).
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gigacat/core/config.h"
#include "gigacat/models/shape.h"
#include "gigacat/models/style.h"
#include "gigacat/models/tile_upsampler.h"
#include "gigacat/nn/init.h"
#include "gigacat/nn/state.h"

namespace gigacat::models {

struct SampleOptions {
  double truncation = 1.0;  // psi; 1 is off
  double guidance = 1.0;    // style guidance scale; 1 is off
  bool all_stages = false;
  std::vector<std::string> captions;  // [B], of models of text; "" or none: unconditional
};

// Arithmetic and memory of one sample's forward pass.
struct NetworkCost {
  double flops = 0;             // 2 per multiply-add
  double activation_bytes = 0;  // float32, kept for the backward pass
};

// How captions become the inputs of an exported model of text.
struct ExportedText {
  std::string encoder, tokenizer;  // "embedded", "clip", ...; "words" or "bpe"
  int64_t length = 0;              // tokens of a caption
};

// A generator in a form that other programs run: functions in the part of Python that TorchScript understands too.
struct ExportedGenerator {
  std::string functions;                  // generate(weights, numbers, z, INPUTS..., truncation) and what it calls
  std::vector<std::string> inputs;        // INPUTS: "labels" [B], or "tokens" [B, L] and "end" [B]
  std::map<std::string, double> numbers;  // what shapes of weights do not say
  int64_t z_dim = 0;
  std::optional<ExportedText> text;
  nn::TensorMap constants;  // tensors that TorchScript needs besides the weights
};

// One network as the official code of its paper holds it.
struct OfficialNetwork {
  std::vector<std::string> names;  // of the module's state dict, in order; buffers and unused tensors included
  std::set<std::string> buffers;   // names that take no number in the optimiser
  nn::TensorMap tensors;           // all of `names`
};

// Which of a GAN's two networks.
enum class Network { generator, discriminator };

// B batch, K images of a sample (stages, pyramid levels), C channels, H x W image, Z latent width, n style layers.
class Model {
 public:
  virtual ~Model() = default;
  virtual std::string name() const = 0;
  const ImageShape& shape() const { return shape_; }
  // Whether samples are of one of several classes.
  virtual bool has_classes() const { return shape_.num_classes > 1; }

  torch::nn::Module& generator() { return *generator_; }
  const torch::nn::Module& generator() const { return *generator_; }
  // Errors: InternalError before a recipe has built it.
  torch::nn::Module& discriminator();
  const torch::nn::Module& discriminator() const { return const_cast<Model&>(*this).discriminator(); }
  // A generator of the same architecture on the CPU.
  virtual std::shared_ptr<torch::nn::Module> make_generator(const nn::Init& init) const = 0;

  virtual int64_t z_dim() const = 0;
  // Latents of samples `indices` of a seed: [B, Z]; a sample's latent depends on (seed, index) only.
  virtual at::Tensor latents(uint64_t seed, const std::vector<int64_t>& indices, at::Device device) const;
  // Styles of z [B, Z] and labels [B] (int64), truncated and guided. Without gradient. Errors: UsageError where the
  // networks have no styles.
  virtual Style style(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                      const SampleOptions& options);
  // Images of styles: [K, B, C, H, W] with all_stages, coarse first, else [1, B, C, H, W]; differentiable by the style
  // where gradients are on. Errors: as style().
  virtual at::Tensor synthesize(torch::nn::Module& generator, const Style& style, bool all_stages);
  // Layers that can take different styles; 1: all share one.
  virtual int64_t style_layers() const { return 1; }
  // Images of samples, as synthesize() gives them. Without gradient.
  virtual at::Tensor sample(torch::nn::Module& generator, const at::Tensor& z, const at::Tensor& labels,
                            const SampleOptions& options);
  // Captions that sample grids of a model of text are drawn for, cycled; empty: samples are drawn for labels.
  virtual std::vector<std::string> prompts() const { return {}; }

  // Models whose samples begin with an image: how many real images they need, and those [n, C, H, W] with their
  // captions, before the first latents(). The same ones whenever a run is resumed.
  virtual int64_t examples_needed() const { return 0; }
  virtual void set_examples(const at::Tensor& /*images*/, const std::vector<std::string>& /*captions*/) {}
  // The generator as a tile upsampler, which lives no longer than the model. Errors: UsageError for a model that makes
  // images from noise.
  virtual std::unique_ptr<TileUpsampler> tile_upsampler();

  // Whether a sample's images are stages of one trajectory.
  virtual bool has_trajectory() const { return false; }
  // Stages [K, B, C, H, W] as the discriminator sees them: K tensors [B, C, h_k, w_k]. Of models with a trajectory.
  virtual std::vector<at::Tensor> supervised(const at::Tensor& stages) const;

  // Factor on the base learning rate.
  virtual double lr_scale(Network /*network*/) const { return 1; }
  // Whether a submodule computes attention: optimizer.decay=attention decays the weights of these.
  virtual bool is_attention(const torch::nn::Module& module) const = 0;

  // Costs of one sample. The discriminator must be built for the second.
  virtual NetworkCost generator_cost() const = 0;
  virtual NetworkCost discriminator_cost() const = 0;

  // The generator for other programs. Errors: UsageError for a model that has no such form.
  virtual ExportedGenerator exported() const;
  // Errors: UsageError for a model, or sizes of it, that no official code loads.
  virtual OfficialNetwork official(Network network, nn::TensorMap tensors) const;

 protected:
  explicit Model(const ImageShape& shape) : shape_(shape) {}
  ImageShape shape_;
  std::shared_ptr<torch::nn::Module> generator_, discriminator_;
};

// `model:` of a config.
struct ModelConfig {
  virtual ~ModelConfig() = default;
  virtual void bind(config::Binder& b) = 0;
  // How many samples of a batch the discriminator looks at together; they follow each other, and a rank's micro-batch
  // holds a multiple of them.
  virtual int64_t samples_together(int64_t /*batch*/) const { return 1; }
  // The model with its generator on the CPU, weights from `init`. The config must outlive it. Errors: UsageError when
  // the shape does not fit (latent not divisible by the patch, ...).
  virtual std::unique_ptr<Model> build(const ImageShape& shape, const nn::Init& init) const = 0;
};

// Names of the parameters of `network` that belong to modules of attention.
std::set<std::string> attention_parameters(const Model& model, const torch::nn::Module& network);

}  // namespace gigacat::models
