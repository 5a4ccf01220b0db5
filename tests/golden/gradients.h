// Gradients of a golden case by name.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>
#include <string>
#include <vector>

#include "golden/case.h"

namespace gigacat::golden {

using Named = std::map<std::string, at::Tensor>;

inline at::Tensor leaf(const at::Tensor& stored) { return stored.clone().requires_grad_(true); }

// A module's parameters by name, with what is given besides.
inline Named named(const torch::nn::Module& module, Named more) {
  for (const auto& item : module.named_parameters()) more[item.key()] = item.value();
  return more;
}

// Compares PREFIXgrad.NAME with the gradient of sum(y * cotangent) for each of `inputs` that the case has one for.
inline void compare_gradients(Case& c, const std::string& prefix, const at::Tensor& y, const at::Tensor& cotangent,
                              const Named& inputs) {
  std::vector<std::string> names;
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : inputs)
    if (c.has("output." + prefix + "grad." + name)) {
      names.push_back(name);
      tensors.push_back(tensor);
    }
  const auto grads = torch::autograd::grad({y}, tensors, {cotangent}, /*retain_graph=*/true, /*create_graph=*/false);
  for (size_t i = 0; i < names.size(); ++i) c.compare("output." + prefix + "grad." + names[i], grads[i]);
}

}  // namespace gigacat::golden
