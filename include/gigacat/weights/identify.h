// What a weight file is, told from the names and shapes of its tensors.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "gigacat/nn/state.h"

namespace gigacat::weights {

struct IdentifiedWeights {
  // "inception", "clip", "dinov2", "autoencoder-kl", "taesd", "vgg16", "alexnet", "lpips-heads", "aurasr",
  // "gat-generator", "gat-discriminator"
  std::string kind;
  std::string what;             // in words, with its sizes
  nlohmann::json architecture;  // its sizes by name
  nn::TensorMap tensors;        // by the names that the networks here use
};

// Wrappers around all names ("module.", "state_dict.", "_orig_mod.", ...) are taken off first. Names: those of
// pytorch-fid for the FID Inception (also from the TorchScript inception-2015-12-05.pt), of OpenAI, open_clip or
// Hugging Face for CLIP, of the official code for DINOv2, of diffusers for AutoencoderKL, nn.Sequential's behind
// "encoder." and "decoder." for TAESD, of torchvision for VGG16 and AlexNet, of lpips for its heads. Nothing when no
// rule fits. Errors: Error when a file is one of these and lacks tensors or has ones of another shape.
std::optional<IdentifiedWeights> identify(nn::TensorMap tensors);

// "an Inception-v3 for FID, a CLIP, ...": what identify() knows.
std::string identified_kinds();

}  // namespace gigacat::weights
