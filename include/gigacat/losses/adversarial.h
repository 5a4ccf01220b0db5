// Relativistic pairing losses and approximate and exact gradient penalties.
// Source: GAT (arXiv 2509.24935) section 3; R3GAN for the relativistic form.
#pragma once

#include <ATen/core/Tensor.h>

namespace gigacat::losses {

// softplus(-(real - fake)), mean over the L predictions of a sample: logits [B, L] -> [B].
at::Tensor relativistic_discriminator(const at::Tensor& real, const at::Tensor& fake);
// softplus(-(fake - real)), likewise.
at::Tensor relativistic_generator(const at::Tensor& real, const at::Tensor& fake);

// Finite-difference penalty ((D(x) - D(x + std * eps)) / std)^2, mean over predictions: logits [B, L] -> [B].
at::Tensor approximate_penalty(const at::Tensor& logits, const at::Tensor& perturbed, double std);

// |grad of sum(logits) with respect to x|^2 per sample: logits [B, L] -> mean over L is differentiated; x [B, C, H, W]
// or [K, B, C, H, W] (summed over K) with requires_grad -> [B]. Differentiable in the weights (double backward): the
// logits must have been computed inside a nn::TwiceDifferentiable scope.
at::Tensor exact_penalty(const at::Tensor& logits, const at::Tensor& x);

}  // namespace gigacat::losses
