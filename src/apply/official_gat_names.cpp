#include "apply/official_gat_names.h"

#include "gigacat/core/text.h"

namespace gigacat::apply {
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

}  // namespace

std::string plain_name(std::string name) {
  for (const std::string wrapper : {"module.", "_orig_mod."})
    if (name.starts_with(wrapper)) name = name.substr(wrapper.size());
  return name;
}

bool is_buffer(const std::string& name) { return name == "w_avg" || name.starts_with("feat_rope."); }

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

double number_of(const io::PickleValue& value) {
  if (value.is(io::PickleValue::Kind::real)) return value.real;
  return value.is(io::PickleValue::Kind::integer) ? static_cast<double>(value.integer) : 0;
}

// A module's own parameters and buffers come first, then its children as the constructor makes them.
std::vector<std::string> official_generator_names(int64_t depth, int64_t stages, bool qk_norm) {
  std::vector<std::string> names;
  names.emplace_back("pos_embed");
  names.emplace_back("w_avg");
  add_linear(names, "x_embedder.proj");
  names.push_back(cat("y_embedder.", "embedding_table.weight"));
  add_rotary(names);
  add_linear(names, "latent_embedder.0");
  add_linear(names, "latent_embedder.2");
  for (int64_t i = 0; i < depth; ++i) {
    const std::string block = cat("blocks.", i, ".");
    add_attention(names, block, qk_norm);
    add_mlp(names, block);
    add_linear(names, block + "adaLN_modulation.1");
  }
  for (int64_t i = 0; i < stages; ++i) {
    add_linear(names, cat("final_layers.", i, ".linear"));
    add_linear(names, cat("final_layers.", i, ".adaLN_modulation.1"));
  }
  return names;
}

std::vector<std::string> official_discriminator_names(int64_t depth, bool qk_norm, bool aligned) {
  std::vector<std::string> names;
  names.emplace_back("pos_embed");
  names.emplace_back("cls_token");
  add_linear(names, "x_embedder.proj");
  names.push_back(cat("y_embedder.", "embedding_table.weight"));
  add_linear(names, "y_embedder.latent_embedder.0");
  add_linear(names, "y_embedder.latent_embedder.2");
  for (int64_t i = 0; i < depth; ++i) {
    const std::string block = cat("blocks.", i, ".");
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

}  // namespace gigacat::apply
