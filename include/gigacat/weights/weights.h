// Weight files of pretrained networks.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/nn/state.h"

namespace gigacat::weights {

// Where a network runs and in which arithmetic; float32 weights on the CPU stay in the file's pages.
struct LoadOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

// Tensors by their official names, and what errors call them.
struct Weights {
  nn::TensorMap tensors;
  std::string origin;

  bool has(const std::string& name) const { return tensors.contains(name); }
  // A tensor of any shape. Errors: Error as refuse() when there is none of that name.
  const at::Tensor& at(const std::string& name, const std::string& wanted) const;
};

// Tensors of a safetensors file or of one of torch.save, memory-mapped. Errors: Error naming the file and the fault.
Weights read_weights(const std::filesystem::path& file);
// Weights as a config names them: files, known names (locate() of known_weights.h) and folders of safetensors files,
// with commas between; in the order of their paths. Errors: Error when one is not there or a folder holds none.
std::vector<std::filesystem::path> weight_files(const std::string& given);
// First eight digits of the SHA-256 of one file, or of the digests of several.
std::string short_hash(const std::vector<std::filesystem::path>& files);

// What tensors belong to, as identify() says it; "12 tensors such as x.y" when that is not known.
std::string describe(const nn::TensorMap& tensors);
// Error: `weights` hold one thing where `wanted` is wanted, and why that is so.
[[noreturn]] void refuse(const Weights& weights, const std::string& wanted, const std::string& why);
// nn::assign_state with errors of refuse().
void assign(torch::nn::Module& module, const Weights& weights, const std::string& wanted, const LoadOptions& options);

}  // namespace gigacat::weights
