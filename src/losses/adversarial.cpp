#include "gigacat/losses/adversarial.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

namespace gigacat::losses {

at::Tensor relativistic_discriminator(const at::Tensor& real, const at::Tensor& fake) {
  return at::softplus(-(real - fake)).mean(-1);
}

at::Tensor relativistic_generator(const at::Tensor& real, const at::Tensor& fake) {
  return at::softplus(-(fake - real)).mean(-1);
}

at::Tensor approximate_penalty(const at::Tensor& logits, const at::Tensor& perturbed, double std) {
  return ((logits - perturbed) / std).square().mean(-1);
}

at::Tensor exact_penalty(const at::Tensor& logits, const at::Tensor& x) {
  const at::Tensor grad = torch::autograd::grad({logits.mean(-1).sum()}, {x}, {}, /*retain_graph=*/true,
                                                /*create_graph=*/true)[0];
  const at::Tensor squares = grad.square().sum({-3, -2, -1});  // [B] or [K, B]
  return squares.dim() == 2 ? squares.sum(0) : squares;
}

}  // namespace gigacat::losses
