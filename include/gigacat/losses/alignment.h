// Alignment of the discriminator's tokens with a frozen encoder's features of the real image.
// Source: GAT (arXiv 2509.24935) section 3; official losses/Rp_PT_loss.py for the encoder's input.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace gigacat::losses {

// Encoder input: RGB 0..255 [B, 3, R, R] -> / 255, ImageNet mean and deviation, bicubic to size x size.
at::Tensor encoder_input(const at::Tensor& rgb, int64_t size);

// The same translation and flip on the encoder's input as on the latents of H rows. `mode` "scaled": by t * size / H
// pixels; "official": by floor(t * H / size), which is what the official code does (0 or -1 pixels). input [B, 3, S,
// S], translation [B, 2] in latent cells, flip [B].
at::Tensor augment_encoder_input(const at::Tensor& input, const at::Tensor& translation, const at::Tensor& flip,
                                 int64_t latent_height, const std::string& mode);

// Features of an n x n grid resized bicubically (a = -0.75, no antialias) to rows x columns: [B, n * n, F] -> [B, rows
// * columns, F].
at::Tensor resize_patches(const at::Tensor& patches, int64_t rows, int64_t columns);

// 1 - cos, per sample: class tokens [B, F], patch tokens [B, T, F] (mean over T) -> [B]. No gradient reaches the
// features.
at::Tensor align_class(const at::Tensor& head, const at::Tensor& feature);
at::Tensor align_patches(const at::Tensor& head, const at::Tensor& feature);

}  // namespace gigacat::losses
