#include "gigacat/models/gat/official.h"

#include <ATen/Functions.h>

#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"
#include "gigacat/nn/position.h"

namespace gigacat::models::gat {
namespace {

bool is_unused(const std::string& name, bool generator) {
  return name.starts_with("feat_rope.") || (generator && name.starts_with("x_embedder."));
}

void add_linear(std::vector<std::string>& names, const std::string& prefix) {
  names.push_back(prefix + ".weight");
  names.push_back(prefix + ".bias");
}

void add_attention(std::vector<std::string>& names, const std::string& block, bool qk_norm) {
  add_linear(names, block + "attn.qkv");
  if (qk_norm) {
    names.push_back(block + "attn.q_norm.weight");
    names.push_back(block + "attn.k_norm.weight");
  }
  add_linear(names, block + "attn.proj");
}

void add_rotary(std::vector<std::string>& names) {
  names.emplace_back("feat_rope.freqs_cos");
  names.emplace_back("feat_rope.freqs_sin");
}

void add_mlp(std::vector<std::string>& names, const std::string& block) {
  add_linear(names, block + "mlp.w12");
  add_linear(names, block + "mlp.w3");
}

// A module's own parameters and buffers come first, then its children as the constructor makes them.
std::vector<std::string> generator_names(int64_t depth, int64_t stages, bool qk_norm) {
  std::vector<std::string> names;
  names.emplace_back("pos_embed");
  names.emplace_back("w_avg");
  add_linear(names, "x_embedder.proj");
  names.push_back(gigacat::cat("y_embedder.", "embedding_table.weight"));
  add_rotary(names);
  add_linear(names, "latent_embedder.0");
  add_linear(names, "latent_embedder.2");
  for (int64_t i = 0; i < depth; ++i) {
    const std::string block = gigacat::cat("blocks.", i, ".");
    add_attention(names, block, qk_norm);
    add_mlp(names, block);
    add_linear(names, block + "adaLN_modulation.1");
  }
  for (int64_t i = 0; i < stages; ++i) {
    add_linear(names, gigacat::cat("final_layers.", i, ".linear"));
    add_linear(names, gigacat::cat("final_layers.", i, ".adaLN_modulation.1"));
  }
  return names;
}

std::vector<std::string> discriminator_names(int64_t depth, bool qk_norm, bool aligned) {
  std::vector<std::string> names;
  names.emplace_back("pos_embed");
  names.emplace_back("cls_token");
  add_linear(names, "x_embedder.proj");
  names.push_back(gigacat::cat("y_embedder.", "embedding_table.weight"));
  add_linear(names, "y_embedder.latent_embedder.0");
  add_linear(names, "y_embedder.latent_embedder.2");
  for (int64_t i = 0; i < depth; ++i) {
    const std::string block = gigacat::cat("blocks.", i, ".");
    names.push_back(block + "ls_attn");
    names.push_back(block + "ls_mlp");
    names.push_back(block + "norm1.weight");
    add_attention(names, block, qk_norm);
    names.push_back(block + "norm2.weight");
    add_mlp(names, block);
  }
  names.push_back("final_layer.0.weight");
  add_linear(names, "final_layer.1");
  if (aligned)
    for (const char* layer : {"proj.0", "proj.2", "proj.4"}) add_linear(names, layer);
  add_rotary(names);
  return names;
}

// Adds what the official modules hold besides: rotary tables, and the generator's patch embedding, which is multiplied
// by 0 there.
template <class Config>
void add_unused(nn::TensorMap& tensors, const Config& c, const ImageShape& shape, bool is_generator) {
  const nn::Rotary rotary = nn::rotary_table(shape.height / c.patch, shape.width / c.patch, c.hidden / c.heads);
  tensors["feat_rope.freqs_cos"] = rotary.cos;
  tensors["feat_rope.freqs_sin"] = rotary.sin;
  if (!is_generator) return;
  tensors["x_embedder.proj.weight"] = at::zeros({c.hidden, shape.channels, c.patch, c.patch});
  tensors["x_embedder.proj.bias"] = at::zeros({c.hidden});
}

OfficialNetwork with_buffers(std::vector<std::string> names, nn::TensorMap tensors) {
  OfficialNetwork made{std::move(names), {}, std::move(tensors)};
  for (const std::string& name : made.names)
    if (is_official_buffer(name)) made.buffers.insert(name);
  return made;
}

int64_t dimension(const nn::TensorMap& tensors, const std::string& name, int64_t axis, const std::string& what) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail(what, " lacks the tensor ", name);
  if (axis >= found->second.dim()) fail(what, ": the tensor ", name, " has ", found->second.dim(), " dimensions only");
  return found->second.size(axis);
}

int64_t count_blocks(const nn::TensorMap& tensors) {
  int64_t blocks = 0;
  while (tensors.contains(gigacat::cat("blocks.", blocks, ".attn.qkv.weight"))) ++blocks;
  return blocks;
}

// By the width of a head where q and k are normed, else those of the official presets.
int64_t count_heads(const nn::TensorMap& tensors, int64_t hidden, const std::string& what) {
  if (const auto norm = tensors.find("blocks.0.attn.q_norm.weight"); norm != tensors.end())
    return hidden / norm->second.size(0);
  if (const auto rope = tensors.find("feat_rope.freqs_cos"); rope != tensors.end())
    return hidden / rope->second.size(1);
  if (hidden == 384) return 6;
  if (hidden == 768) return 12;
  if (hidden == 1024 || hidden == 1152) return 16;
  fail(what, " does not tell its number of heads: width ", hidden, " is none of the official models'");
}

}  // namespace

std::string plain_name(std::string name) {
  for (const std::string wrapper : {"module.", "_orig_mod."})
    if (name.starts_with(wrapper)) name = name.substr(wrapper.size());
  return name;
}

bool is_official_buffer(const std::string& name) { return name == "w_avg" || name.starts_with("feat_rope."); }

nn::TensorMap own_tensors(const nn::TensorMap& tensors, std::vector<std::string>* dropped) {
  const bool generator =
      tensors.contains("w_avg") || tensors.contains("module.w_avg") || tensors.contains("_orig_mod.w_avg");
  nn::TensorMap own;
  for (const auto& [name, tensor] : tensors) {
    const std::string plain = plain_name(name);
    if (dropped && is_unused(plain, generator))
      dropped->push_back(plain);
    else
      own[plain] = tensor;
  }
  return own;
}

std::vector<std::string> deduce_config(const nn::TensorMap& g, const nn::TensorMap& d, const std::string& what) {
  const int64_t g_hidden = dimension(g, "w_avg", 1, what), d_hidden = dimension(d, "cls_token", 2, what);
  const int64_t patch = dimension(d, "x_embedder.proj.weight", 2, what);
  const int64_t stages = [&] {
    int64_t count = 0;
    while (g.contains(gigacat::cat("final_layers.", count, ".linear.weight"))) ++count;
    return count;
  }();
  if (stages == 0) fail(what, " lacks the tensor final_layers.0.linear.weight");
  const int64_t channels = dimension(g, "final_layers.0.linear.weight", 0, what) / (patch * patch);
  const auto side = std::lround(std::sqrt(static_cast<double>(dimension(g, "pos_embed", 1, what))));
  std::vector<std::string> keys = {gigacat::cat("data.channels=", channels),
                                   gigacat::cat("data.resolution=", side * patch),
                                   gigacat::cat("data.num_classes=", dimension(g, "w_avg", 0, what))};
  const auto network = [&](const std::string& name, const nn::TensorMap& tensors, int64_t hidden) {
    const std::string prefix = "model." + name + ".";
    keys.push_back(gigacat::cat(prefix, "depth=", count_blocks(tensors)));
    keys.push_back(gigacat::cat(prefix, "hidden=", hidden));
    keys.push_back(gigacat::cat(prefix, "heads=", count_heads(tensors, hidden, what)));
    keys.push_back(gigacat::cat(prefix, "patch=", patch));
    keys.push_back(
        gigacat::cat(prefix, "qk_norm=", tensors.contains("blocks.0.attn.q_norm.weight") ? "true" : "false"));
  };
  network("generator", g, g_hidden);
  network("discriminator", d, d_hidden);
  keys.push_back(gigacat::cat("model.generator.stages=", stages));
  keys.push_back(gigacat::cat("model.generator.z_dim=", dimension(g, "y_embedder.embedding_table.weight", 1, what)));
  keys.push_back(gigacat::cat("model.discriminator.cmap_dim=", dimension(d, "final_layer.1.weight", 0, what)));
  if (d.contains("proj.4.weight")) {
    keys.push_back(gigacat::cat("model.discriminator.projector_dim=", dimension(d, "proj.0.weight", 0, what)));
    keys.push_back("loss.align=precomputed");
    keys.push_back(gigacat::cat("loss.align_dim=", dimension(d, "proj.4.weight", 0, what)));
    keys.push_back("loss.align_translation=official");
  }
  return keys;
}

OfficialNetwork official_generator(const GeneratorConfig& config, const ImageShape& shape, nn::TensorMap tensors) {
  if (config.stages != 4 || config.depth % 4 != 0)
    fail<UsageError>("the official generator has 4 stages and a depth divisible by 4");
  if (config.shifts())
    fail<UsageError>("model.generator.modulation: the official generator scales features and does not shift them");
  if (config.z_dim != 64) fail<UsageError>("the official training code draws latents of width 64, not ", config.z_dim);
  add_unused(tensors, config, shape, /*is_generator=*/true);
  return with_buffers(generator_names(config.depth, config.stages, config.qk_norm), std::move(tensors));
}

OfficialNetwork official_discriminator(const DiscriminatorConfig& config, const ImageShape& shape,
                                       nn::TensorMap tensors) {
  const bool aligned = tensors.contains("proj.0.weight");
  add_unused(tensors, config, shape, /*is_generator=*/false);
  return with_buffers(discriminator_names(config.depth, config.qk_norm, aligned), std::move(tensors));
}

}  // namespace gigacat::models::gat
