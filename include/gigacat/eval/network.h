// Networks that turn images into features or compare two images. Letters: B images, S side, F features.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/io/image.h"

namespace gigacat::eval {

// Features of a batch by name: [B, F].
using FeatureMap = std::map<std::string, at::Tensor>;

class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  // First digits of the weights' SHA-256; "" without weights.
  virtual std::string weights() const = 0;
  // Whether run() gives the feature.
  virtual bool has(const std::string& /*feature*/) const { return true; }
  // Shape of what prepare() writes of an image: of most networks its planes [3, S, S].
  virtual std::array<int64_t, 3> input_shape() const = 0;
  // Writes the input of image number `index`. Thread-safe. Errors: Error for an image it cannot use.
  virtual void prepare(const io::Image& image, int64_t index, float* planes) const = 0;
  // Inputs [B, ...], float32, on the CPU -> features, float32.
  virtual FeatureMap run(const at::Tensor& planes) = 0;
  // Embeddings of texts in the space of the feature "embedding": [B, F]. Errors: UsageError for networks of images
  // only.
  virtual at::Tensor read(const std::vector<std::string>& texts);
};

// A distance of two images.
class PairNetwork {
 public:
  virtual ~PairNetwork() = default;
  virtual std::string weights() const = 0;
  // Errors: Error when sizes differ or are too small.
  virtual double distance(const io::Image& first, const io::Image& second) = 0;
};

// How an image becomes the 299 x 299 input of Inception.
//   adm      TensorFlow-1 bilinear, (x - 128) / 128: guided-diffusion, StyleGAN, clean-fid's legacy_tensorflow
//   legacy   bilinear with half-pixel centres, 2 x / 255 - 1: pytorch-fid, clean-fid's legacy_pytorch
//   clean    PIL's bicubic on floats, (x - 128) / 128: clean-fid
//   gigagan  middle square, PIL's Lanczos to 256, then as clean
//   patch    a random 299 px crop at full resolution, (x - 128) / 128
// Errors: InternalError for another name, Error when an image is smaller than a patch.
void prepare_inception(const std::string& protocol, const io::Image& image, int64_t index, float* planes);

// adm, legacy, clean, gigagan.
const std::vector<std::string>& protocol_names();

// Finds weight files: first those given by network name (a file, or a name of `gigacat weights list`), then
// weights/NAME.safetensors in the cache folder, then the released file there.
class WeightFiles {
 public:
  // "NAME=FILE", or "FILE" for `standard`; "network=FILE" is use_own(FILE, 0). Errors: UsageError for an unknown name.
  void give(const std::string& text, const std::string& standard);
  // Errors: UsageError with the places searched and the command that gets the file.
  std::filesystem::path find(const std::string& network) const;
  // "pool" and "logits" then come from the user's own network in place of Inception's: a TorchScript program (.pt,
  // .pth, .ts), which runs as code, or a classifier (.safetensors) as docs/evaluation.md lays it down. It takes images
  // resized by PIL's bicubic to `size` x `size` (0: what the file states), in [0, 1].
  void use_own(std::filesystem::path file, int64_t size);
  const std::filesystem::path& own() const { return own_; }  // "" without one
  int64_t own_size() const { return own_size_; }

 private:
  std::filesystem::path own_;
  int64_t own_size_ = 0;
  std::map<std::string, std::filesystem::path> given_;
};

// Networks by the names that metrics use, loaded at first use: "inception" (pool [B, 2048], spatial [B, 2023], logits
// [B, 1008]), "patch" (the same features of crops), "clip" (embedding, projected and not normalised; reads texts with
// the file "vocabulary"), "clip-l14" (prepared as for CMMD), "lpips" (backbone, with the heads "lpips-heads"). Networks
// of one weight file share it. With WeightFiles::own(), "inception" is the user's network and protocol() is
// "bicubic-SIZE". Errors: as WeightFiles::find; Error when the weights do not fit.
class FeatureNetworks {
 public:
  FeatureNetworks(WeightFiles files, std::string protocol, at::Device device);
  ~FeatureNetworks();
  FeatureNetwork& get(const std::string& name);
  PairNetwork& lpips();
  // What results call a network: its name, or the file of the user's own.
  std::string label(const std::string& network) const;
  // Replaces or adds the network of a name.
  void put(const std::string& name, std::unique_ptr<FeatureNetwork> network);
  const std::string& protocol() const { return protocol_; }

 private:
  struct Loaded;
  WeightFiles files_;
  std::string protocol_;
  at::Device device_;
  std::map<std::string, std::unique_ptr<FeatureNetwork>> networks_;
  std::unique_ptr<PairNetwork> lpips_;
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace gigacat::eval
