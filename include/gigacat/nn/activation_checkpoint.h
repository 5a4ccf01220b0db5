// Activation checkpointing: a block's inputs are kept, its inside is computed again in the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gigacat::nn {

// "off", "blocks" (each block), "every:N" (each N-th block). Holds for the process.
// Errors: UsageError for anything else.
void set_activation_checkpoint(const std::string& policy);

// Runs f(inputs), a function of the tensors given and of parameters, under the policy. One output, any shape; gradients
// reach inputs and parameters. f is copied and runs again in the backward pass: what it refers to must live until then.
// Inside a TwiceDifferentiable scope and without grad mode it is a plain call.
at::Tensor run_block(int64_t index, const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                     const std::vector<at::Tensor>& inputs);

}  // namespace gigacat::nn
