// Features of the user's own network. Letters: B images, S side, F features, K classes.
#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <utility>

#include "eval/networks.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/io/content_kind.h"
#include "gigacat/weights/weights.h"

namespace gigacat::eval {
namespace {

// Images at S x S by PIL's bicubic, in [0, 1].
class OwnNetwork : public FeatureNetwork {
 public:
  OwnNetwork(const fs::path& file, at::Device device) : device_(device), hash_(weights::short_hash({file})) {}
  std::string weights() const override { return hash_; }
  bool has(const std::string& feature) const override { return feature == "pool" || feature == "logits"; }
  std::array<int64_t, 3> input_shape() const override { return {3, size_, size_}; }
  void prepare(const io::Image& image, int64_t /*index*/, float* planes) const override {
    const size_t count = static_cast<size_t>(3 * size_ * size_);
    io::resize_planes(image, io::Resampling::bicubic, size_, size_, {planes, count});
    for (size_t i = 0; i < count; ++i) planes[i] /= 255;
  }

 protected:
  at::Device device_;
  int64_t size_ = 0;  // S

 private:
  std::string hash_;
};

[[noreturn]] void refuse_size(const fs::path& file) {
  fail<UsageError>(file.string(), " does not state the size of its images: give --network-size N");
}

class TorchScriptNetwork : public OwnNetwork {
 public:
  TorchScriptNetwork(const fs::path& file, int64_t size, at::Device device) : OwnNetwork(file, device) {
    log::info("features come from ", file.string(), ", a TorchScript program: it runs as part of this process");
    try {
      module_ = torch::jit::load(file.string(), device);
    } catch (const c10::Error& error) {
      const std::string kind = io::content_kind(MappedFile(file).bytes());
      if (kind.empty() || kind == "a TorchScript program")
        fail(file.string(), " is no TorchScript program: ", split(error.what_without_backtrace(), '\n').front());
      fail(file.string(), " is no TorchScript program: it is ", kind,
           kind == "a safetensors file" ? "; one of a classifier must end in .safetensors" : "");
    }
    module_.eval();
    size_ = size;
    if (size_ == 0 && module_.hasattr("size") && module_.attr("size").isInt()) size_ = module_.attr("size").toInt();
    if (size_ <= 0) refuse_size(file);
  }

  // Its output: features [B, F], or (features, logits).
  FeatureMap run(const at::Tensor& planes) override {
    const at::NoGradGuard no_grad;
    const c10::IValue out = [&] {
      try {
        return module_.forward({planes.to(device_)});
      } catch (const std::exception& error) {
        const std::vector<std::string> lines = split(trim(error.what()), '\n');
        fail("the TorchScript program failed: ", lines.back());
      }
    }();
    if (out.isTensor()) return {{"pool", checked(out.toTensor(), planes.size(0))}};
    if (!out.isTuple() || out.toTupleRef().elements().size() != 2 || !out.toTupleRef().elements()[0].isTensor() ||
        !out.toTupleRef().elements()[1].isTensor())
      fail("the TorchScript program returns ", out.tagKind(), "; wanted features, or (features, logits)");
    return {{"pool", checked(out.toTupleRef().elements()[0].toTensor(), planes.size(0))},
            {"logits", checked(out.toTupleRef().elements()[1].toTensor(), planes.size(0))}};
  }

 private:
  static at::Tensor checked(const at::Tensor& out, int64_t batch) {
    if (out.dim() < 2 || out.size(0) != batch || out[0].numel() != out.size(1))
      fail("the TorchScript program returns a tensor of ", out.sizes(), "; wanted [", batch, ", features]");
    return out.flatten(1).to(at::kFloat);
  }

  torch::jit::Module module_;
};

// Convolutions of 3 x 3 with ReLU, the mean over the plane (the features), one linear layer (the logits).
class Classifier : public OwnNetwork {
 public:
  Classifier(const fs::path& file, int64_t size, at::Device device) : OwnNetwork(file, device) {
    constexpr const char* kWanted = "a classifier for eval --network";
    const weights::Weights weights = weights::read_weights(file);
    const auto values = [&](const char* name) { return weights.at(name, kWanted).to(at::kLong).contiguous(); };
    const at::Tensor strides = values("strides");
    mean_ = weights.at("mean", kWanted).to(device, at::kFloat).view({1, -1, 1, 1});
    std_ = weights.at("std", kWanted).to(device, at::kFloat).view({1, -1, 1, 1});
    if (strides.dim() != 1 || strides.numel() == 0 || mean_.numel() != 3 || std_.numel() != 3)
      weights::refuse(weights, kWanted, "strides must be [layers], mean and std [3]");
    int64_t width = 3;
    for (int64_t i = 0; i < strides.numel(); ++i) {
      const at::Tensor weight = weights.at(cat("convs.", i, ".weight"), kWanted).to(device, at::kFloat),
                       bias = weights.at(cat("convs.", i, ".bias"), kWanted).to(device, at::kFloat);
      const auto stride = strides[i].item<int64_t>();
      if (weight.dim() != 4 || weight.sizes().slice(1) != at::IntArrayRef({width, 3, 3}) ||
          bias.sizes() != at::IntArrayRef({weight.size(0)}) || stride < 1)
        weights::refuse(weights, kWanted, cat("layer ", i, " does not follow the one before it"));
      width = weight.size(0);
      layers_.push_back({weight, bias, stride});
    }
    linear_weight_ = weights.at("linear.weight", kWanted).to(device, at::kFloat);
    linear_bias_ = weights.at("linear.bias", kWanted).to(device, at::kFloat);
    if (linear_weight_.dim() != 2 || linear_weight_.size(1) != width || linear_bias_.numel() != linear_weight_.size(0))
      weights::refuse(weights, kWanted, "linear does not follow the last layer");
    size_ = size > 0 ? size : weights.at("size", kWanted).item<int64_t>();
    if (size_ <= 0) refuse_size(file);
  }

  // [B, 3, S, S] -> pool [B, F], logits [B, K].
  FeatureMap run(const at::Tensor& planes) override {
    const at::NoGradGuard no_grad;
    at::Tensor x = (planes.to(device_) - mean_) / std_;
    for (const Layer& layer : layers_)
      x = at::conv2d(x, layer.weight, layer.bias, {layer.stride, layer.stride}, {1, 1}).relu_();
    const at::Tensor pool = x.mean(at::IntArrayRef({2, 3}));
    return {{"pool", pool}, {"logits", at::linear(pool, linear_weight_, linear_bias_)}};
  }

 private:
  struct Layer {
    at::Tensor weight, bias;
    int64_t stride;
  };
  at::Tensor mean_, std_, linear_weight_, linear_bias_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<FeatureNetwork> make_own_network(const fs::path& file, int64_t size, at::Device device) {
  if (!fs::is_regular_file(file)) fail<UsageError>("--network: there is no file ", file.string());
  if (file.extension() == ".safetensors") return std::make_unique<Classifier>(file, size, device);
  if (file.extension() == ".pt" || file.extension() == ".pth" || file.extension() == ".ts")
    return std::make_unique<TorchScriptNetwork>(file, size, device);
  fail<UsageError>("--network: ", file.string(),
                   " is neither a TorchScript program (.pt, .pth, .ts) nor a classifier (.safetensors)");
}

}  // namespace gigacat::eval
