#include "gigacat/weights/identify.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "gigacat/core/error.h"
#include "weights/inception_names.h"

namespace gigacat::weights {
namespace {

using nn::TensorMap;

bool has(const TensorMap& tensors, const std::string& name) { return tensors.contains(name); }

bool any_with_prefix(const TensorMap& tensors, const std::string& prefix) {
  const auto found = tensors.lower_bound(prefix);
  return found != tensors.end() && found->first.starts_with(prefix);
}

int64_t size(const TensorMap& tensors, const std::string& name, int64_t axis) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail("the tensor ", name, " is missing");
  if (axis >= found->second.dim()) fail("the tensor ", name, " has ", found->second.dim(), " dimensions only");
  return found->second.size(axis);
}

// Number of N in names PREFIX.N.…, which must be 0, 1, ...
int64_t count_layers(const TensorMap& tensors, const std::string& prefix) {
  int64_t layers = 0;
  while (any_with_prefix(tensors, cat(prefix, ".", layers, "."))) ++layers;
  return layers;
}

TensorMap renamed(const TensorMap& tensors, const std::function<std::string(const std::string&)>& name) {
  TensorMap all;
  for (const auto& [old, tensor] : tensors) all[name(old)] = tensor;
  return all;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::optional<IdentifiedWeights> inception(const TensorMap& tensors) {
  TensorMap own = tensors;
  if (has(tensors, "layers.conv.weight") && has(tensors, "output.weight")) own = inception_from_torchscript(tensors);
  if (!has(own, "Conv2d_1a_3x3.conv.weight")) return std::nullopt;
  const int64_t classes = size(own, "fc.weight", 0);
  if (classes != 1008)
    return IdentifiedWeights{"inception-v3",
                             cat("an Inception-v3 with ", classes, " classes: torchvision's, not the one for FID"),
                             {{"classes", classes}},
                             own};
  for (const std::string& convolution : inception_convolutions()) size(own, convolution + ".conv.weight", 3);
  return IdentifiedWeights{
      "inception", "the Inception-v3 of FID (2015-12-05, 1008 classes)", {{"classes", classes}}, own};
}

std::optional<IdentifiedWeights> clip_openai(const TensorMap& tensors) {
  if (!has(tensors, "visual.conv1.weight") || !has(tensors, "token_embedding.weight")) return std::nullopt;
  if (!has(tensors, "visual.class_embedding"))
    fail("a CLIP with a convolutional image tower (RN50 and kin): only vision transformers are known here");
  const int64_t width = size(tensors, "visual.conv1.weight", 0), patch = size(tensors, "visual.conv1.weight", 2);
  const int64_t layers = count_layers(tensors, "visual.transformer.resblocks");
  const auto text_width = size(tensors, "token_embedding.weight", 1);
  const auto side = static_cast<int64_t>(
      std::lround(std::sqrt(static_cast<double>(size(tensors, "visual.positional_embedding", 0) - 1))));
  TensorMap own = tensors;
  for (const char* constant : {"input_resolution", "context_length", "vocab_size"}) own.erase(constant);
  return IdentifiedWeights{"clip",
                           cat("a CLIP in OpenAI's names: image tower ", layers, " layers of width ", width, ", patch ",
                               patch, ", input ", side * patch, " px; text width ", text_width),
                           {{"names", "openai"},
                            {"vision_layers", layers},
                            {"vision_width", width},
                            {"patch", patch},
                            {"image_size", side * patch},
                            {"text_layers", count_layers(tensors, "transformer.resblocks")},
                            {"text_width", text_width},
                            {"embed_dim", size(tensors, "text_projection", 1)}},
                           own};
}

std::optional<IdentifiedWeights> clip_hugging_face(const TensorMap& tensors) {
  if (!has(tensors, "vision_model.embeddings.patch_embedding.weight") || !any_with_prefix(tensors, "text_model."))
    return std::nullopt;
  const std::string patches = "vision_model.embeddings.patch_embedding.weight";
  const int64_t width = size(tensors, patches, 0), patch = size(tensors, patches, 2);
  const int64_t layers = count_layers(tensors, "vision_model.encoder.layers");
  TensorMap own;
  for (const auto& [name, tensor] : tensors)
    if (!name.ends_with("position_ids")) own[name] = tensor;
  return IdentifiedWeights{
      "clip",
      cat("a CLIP in Hugging Face's names: image tower ", layers, " layers of width ", width, ", patch ", patch),
      {{"names", "huggingface"},
       {"vision_layers", layers},
       {"vision_width", width},
       {"patch", patch},
       {"text_layers", count_layers(tensors, "text_model.encoder.layers")},
       {"text_width", size(tensors, "text_model.embeddings.token_embedding.weight", 1)},
       {"embed_dim", size(tensors, "visual_projection.weight", 0)}},
      own};
}

std::optional<IdentifiedWeights> dinov2(const TensorMap& tensors) {
  if (!has(tensors, "patch_embed.proj.weight") || !has(tensors, "blocks.0.ls1.gamma")) return std::nullopt;
  TensorMap own = tensors;
  if (has(own, "reg_token")) {
    fail(
        "a DINOv2 in timm's names with registers: its class position is folded into cls_token, which cannot be undone; "
        "take the official file (gigacat weights list)");
  }
  const int64_t width = size(own, "cls_token", 2), layers = count_layers(own, "blocks");
  const int64_t registers = has(own, "register_tokens") ? size(own, "register_tokens", 1) : 0;
  const int64_t patch = size(own, "patch_embed.proj.weight", 2);
  const std::string size_name = width == 384    ? "S"
                                : width == 768  ? "B"
                                : width == 1024 ? "L"
                                : width == 1536 ? "g"
                                                : "?";
  return IdentifiedWeights{"dinov2",
                           cat("a DINOv2 ViT-", size_name, "/", patch, ": ", layers, " layers of width ", width,
                               registers > 0 ? cat(", ", registers, " registers") : ", no registers"),
                           {{"layers", layers}, {"width", width}, {"patch", patch}, {"registers", registers}},
                           own};
}

std::optional<IdentifiedWeights> autoencoder_kl(const TensorMap& tensors) {
  if (!has(tensors, "decoder.conv_in.weight") || !has(tensors, "decoder.conv_norm_out.weight")) return std::nullopt;
  // Older files name the attention otherwise, some with its projections as 1x1 convolutions.
  TensorMap own = renamed(tensors, [](const std::string& name) {
    std::string text = name;
    if (text.find(".attentions.") == std::string::npos) return text;
    for (const auto& [from, to] : {std::pair(".query.", ".to_q."), std::pair(".key.", ".to_k."),
                                   std::pair(".value.", ".to_v."), std::pair(".proj_attn.", ".to_out.0.")})
      text = replaced(text, from, to);
    return text;
  });
  for (auto& [name, tensor] : own)
    if (name.find(".attentions.") != std::string::npos && tensor.dim() == 4) tensor = tensor.flatten(1);
  const int64_t channels = size(own, "decoder.conv_in.weight", 1);
  const int64_t levels = count_layers(own, "decoder.up_blocks");
  return IdentifiedWeights{"autoencoder-kl",
                           cat("an AutoencoderKL (SD-VAE and kin): ", channels, " latent channels, ", levels,
                               " levels, 1/", int64_t{1} << (levels - 1), " of the side"),
                           {{"latent_channels", channels},
                            {"levels", levels},
                            {"quant_conv", has(own, "quant_conv.weight")},
                            {"encoder", has(own, "encoder.conv_in.weight")}},
                           own};
}

// TAESD: both halves behind "encoder." and "decoder."; diffusers adds "layers.", and single files leave the half out.
std::optional<IdentifiedWeights> taesd(const TensorMap& tensors) {
  TensorMap own = renamed(tensors, [](const std::string& name) {
    return name.starts_with("encoder.layers.") || name.starts_with("decoder.layers.")
               ? name.substr(0, 8) + name.substr(15)
               : name;
  });
  // An encoder begins with a convolution of the image, a decoder with one of the latent at index 1.
  if (has(own, "0.weight") && has(own, "1.conv.0.weight"))
    own = renamed(own, [](auto& name) { return "encoder." + name; });
  if (has(own, "1.weight") && has(own, "3.conv.0.weight"))
    own = renamed(own, [](auto& name) { return "decoder." + name; });
  const bool encoder = has(own, "encoder.0.weight") && has(own, "encoder.1.conv.0.weight");
  const bool decoder = has(own, "decoder.1.weight") && has(own, "decoder.3.conv.0.weight");
  // Diffusers numbers the decoder without its first layer, the clamp.
  const bool shifted = has(own, "decoder.0.weight") && has(own, "decoder.2.conv.0.weight");
  if (!encoder && !decoder && !shifted) return std::nullopt;
  if (shifted)
    own = renamed(own, [](const std::string& name) {
      if (!name.starts_with("decoder.")) return name;
      const size_t dot = name.find('.', 8);
      return cat("decoder.", parse_int(name.substr(8, dot - 8), name) + 1, name.substr(dot));
    });
  const int64_t channels = decoder || shifted ? size(own, "decoder.1.weight", 1) : size(own, "encoder.14.weight", 0);
  const bool norms = any_with_prefix(own, "encoder.11.pool.") || any_with_prefix(own, "decoder.3.pool.");
  const char* halves = encoder && (decoder || shifted) ? "encoder and decoder" : encoder ? "encoder" : "decoder";
  return IdentifiedWeights{
      "taesd",
      cat("a TAESD (", halves, "): ", channels, " latent channels", norms ? ", with pooling branches (TAEF2)" : ""),
      {{"latent_channels", channels}, {"halves", halves}, {"pool_branches", norms}},
      own};
}

std::optional<IdentifiedWeights> backbone(const TensorMap& tensors) {
  if (!has(tensors, "features.0.weight")) return std::nullopt;
  const at::Tensor& first = tensors.at("features.0.weight");
  if (has(tensors, "features.28.weight") && first.dim() == 4 && first.size(2) == 3)
    return IdentifiedWeights{
        "vgg16", "torchvision's VGG16", {{"classifier", has(tensors, "classifier.0.weight")}}, tensors};
  if (has(tensors, "features.10.weight") && first.dim() == 4 && first.size(2) == 11)
    return IdentifiedWeights{
        "alexnet", "torchvision's AlexNet", {{"classifier", has(tensors, "classifier.1.weight")}}, tensors};
  return std::nullopt;
}

std::optional<IdentifiedWeights> lpips_heads(const TensorMap& tensors) {
  if (!has(tensors, "lin0.model.1.weight") || !has(tensors, "lin4.model.1.weight")) return std::nullopt;
  const int64_t second = size(tensors, "lin1.model.1.weight", 1);
  const char* net = second == 192 ? "alex" : has(tensors, "lin6.model.1.weight") ? "squeeze" : "vgg";
  return IdentifiedWeights{"lpips-heads", cat("the linear heads of LPIPS v0.1 (", net, ")"), {{"net", net}}, tensors};
}

std::optional<IdentifiedWeights> aurasr(const TensorMap& tensors) {
  const bool upsampler = any_with_prefix(tensors, "unet.") || any_with_prefix(tensors, "init_conv.");
  if (!upsampler || !any_with_prefix(tensors, "style_network.")) return std::nullopt;
  return IdentifiedWeights{"aurasr",
                           cat("an AuraSR upsampler, ", tensors.size(), " tensors; config.json must lie beside it"),
                           {{"tensors", tensors.size()}},
                           tensors};
}

std::optional<IdentifiedWeights> gat(const TensorMap& tensors) {
  if (has(tensors, "w_avg") && any_with_prefix(tensors, "final_layers.0."))
    return IdentifiedWeights{"gat-generator",
                             cat("a GAT or CAT generator: ", count_layers(tensors, "blocks"), " blocks of width ",
                                 size(tensors, "w_avg", 1), ", ", size(tensors, "w_avg", 0), " classes"),
                             {{"depth", count_layers(tensors, "blocks")},
                              {"hidden", size(tensors, "w_avg", 1)},
                              {"classes", size(tensors, "w_avg", 0)}},
                             tensors};
  if (has(tensors, "cls_token") && has(tensors, "blocks.0.ls_attn"))
    return IdentifiedWeights{"gat-discriminator",
                             cat("a GAT or CAT discriminator: ", count_layers(tensors, "blocks"), " blocks of width ",
                                 size(tensors, "cls_token", 2)),
                             {{"depth", count_layers(tensors, "blocks")}, {"hidden", size(tensors, "cls_token", 2)}},
                             tensors};
  return std::nullopt;
}

constexpr std::array kRules = {inception, clip_openai, clip_hugging_face, dinov2, autoencoder_kl,
                               taesd,     backbone,    lpips_heads,       gat,    aurasr};

// Without the first segment, when all names share it; else nothing.
std::optional<TensorMap> unwrapped(const TensorMap& tensors) {
  if (tensors.empty()) return std::nullopt;
  const std::string& first = tensors.begin()->first;
  const size_t dot = first.find('.');
  if (dot == std::string::npos || !tensors.rbegin()->first.starts_with(first.substr(0, dot + 1))) return std::nullopt;
  return renamed(tensors, [dot](const std::string& name) { return name.substr(dot + 1); });
}

}  // namespace

std::optional<IdentifiedWeights> identify(TensorMap tensors) {
  for (std::optional<TensorMap> now = std::move(tensors); now; now = unwrapped(*now))
    for (const auto& rule : kRules)
      if (auto found = rule(*now)) return found;
  return std::nullopt;
}

std::string identified_kinds() {
  return "the Inception-v3 of FID, CLIP (OpenAI, open_clip, Hugging Face), DINOv2, AutoencoderKL, TAESD, VGG16, "
         "AlexNet, "
         "LPIPS heads, AuraSR, GAT";
}

}  // namespace gigacat::weights
