// Weights of a module by name, and safetensors files of them.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gigacat/io/safetensors.h"

namespace gigacat::nn {

using TensorMap = std::map<std::string, at::Tensor>;

// Parameters and floating-point buffers by name.
TensorMap state_of(const torch::nn::Module& module);
// Elements of all tensors together.
int64_t count_elements(const std::vector<at::Tensor>& tensors);
// Copies `state` into the module. Errors: Error listing tensors that are missing, not known, or of another shape;
// `what` names the source.
void load_state(torch::nn::Module& module, const TensorMap& state, const std::string& what);
// Makes the tensors of `state`, of the module's shapes, its parameters and buffers: no copy of those that are of `type`
// and on `device` already. For frozen networks. Errors as load_state.
void assign_state(torch::nn::Module& module, const TensorMap& state, const std::string& what, at::Device device,
                  at::ScalarType type);

// CPU tensors of a file. Errors: Error.
TensorMap read_tensors(const std::filesystem::path& path);
// A tensor of the view's shape over the mapped bytes, without a copy when they are aligned; keeps the file mapped. Not
// to be written to.
at::Tensor to_tensor(const io::SafetensorsFile& file, const io::TensorView& view);
// Returns the file's CRC-32C. Tensors must be on the CPU. Errors: Error.
uint32_t write_tensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});
at::ScalarType scalar_type(io::Dtype dtype);
io::Dtype file_dtype(at::ScalarType type);

}  // namespace gigacat::nn
