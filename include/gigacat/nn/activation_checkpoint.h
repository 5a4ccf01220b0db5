// Activation checkpointing: a block's inputs are kept, its inside is computed again in the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gigacat::nn {

// Which blocks are computed again: "off", "blocks" (each), "every:N" (each N-th).
class CheckpointPolicy {
 public:
  CheckpointPolicy() = default;
  // Errors: UsageError for another text.
  explicit CheckpointPolicy(const std::string& text);
  bool covers(int64_t block) const { return every_ > 0 && (block + 1) % every_ == 0; }

 private:
  int64_t every_ = 0;  // 0: off
};

// While one lives, run_block() on this thread follows its policy; outside of all, nothing is checkpointed.
class CheckpointScope {
 public:
  explicit CheckpointScope(const CheckpointPolicy& policy);
  ~CheckpointScope();
  CheckpointScope(const CheckpointScope&) = delete;
  CheckpointScope& operator=(const CheckpointScope&) = delete;

 private:
  CheckpointPolicy before_;
};

// Runs f(inputs), a function of the tensors given and of parameters, under the scope's policy. One output, any shape;
// gradients reach inputs and parameters. f is copied and runs again in the backward pass: what it refers to must live
// until then. Inside a TwiceDifferentiable scope and without grad mode it is a plain call.
at::Tensor run_block(int64_t index, const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                     const std::vector<at::Tensor>& inputs);

}  // namespace gigacat::nn
