#include <ATen/ATen.h>

#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/pretrained/clip.h"

namespace gigacat::pretrained {
namespace {

// OpenAI's name, Hugging Face's.
using Rename = std::pair<const char*, const char*>;

constexpr Rename kWhole[] = {
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"ln_final.weight", "text_model.final_layer_norm.weight"},
    {"ln_final.bias", "text_model.final_layer_norm.bias"},
    {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
    {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
    {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
    {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"},
    {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"},
    {"visual.ln_post.weight", "vision_model.post_layernorm.weight"},
    {"visual.ln_post.bias", "vision_model.post_layernorm.bias"},
    {"logit_scale", "logit_scale"},
};
constexpr Rename kTransposed[] = {{"text_projection", "text_projection.weight"},
                                  {"visual.proj", "visual_projection.weight"}};
constexpr Rename kPrefixes[] = {{"visual.transformer.resblocks.", "vision_model.encoder.layers."},
                                {"transformer.resblocks.", "text_model.encoder.layers."}};
constexpr Rename kOfBlock[] = {{"ln_1.", "layer_norm1."},
                               {"ln_2.", "layer_norm2."},
                               {"attn.out_proj.", "self_attn.out_proj."},
                               {"mlp.c_fc.", "mlp.fc1."},
                               {"mlp.c_proj.", "mlp.fc2."}};
constexpr const char* kInProjection = "attn.in_proj_";
// Buffers and facts about the file that are no weights.
constexpr const char* kIgnored[] = {"input_resolution",
                                    "context_length",
                                    "vocab_size",
                                    "attn_mask",
                                    "text_model.embeddings.position_ids",
                                    "vision_model.embeddings.position_ids"};

// A block's tensor; `rest` is its name within the block.
void add_block(nn::TensorMap& out, const std::string& block, const std::string& rest, const at::Tensor& tensor) {
  const std::string in_projection = kInProjection;
  if (rest.starts_with(in_projection) && tensor.dim() > 0) {  // q, k and v one below the other
    const std::string part = rest.substr(in_projection.size());
    const int64_t width = tensor.size(0) / 3;
    const char* names[] = {"q", "k", "v"};
    for (int64_t i = 0; i < 3; ++i)
      out[cat(block, "self_attn.", names[i], "_proj.", part)] = tensor.narrow(0, i * width, width);
    return;
  }
  for (const auto& [from, to] : kOfBlock)
    if (rest.starts_with(from)) {
      out[block + to + rest.substr(std::string(from).size())] = tensor;
      return;
    }
  out[block + rest] = tensor;
}

void add(nn::TensorMap& out, const std::string& name, const at::Tensor& tensor) {
  for (const auto& [from, to] : kWhole)
    if (name == from) return static_cast<void>(out[to] = tensor);
  for (const auto& [from, to] : kTransposed)
    if (name == from && tensor.dim() == 2) return static_cast<void>(out[to] = tensor.t());
  for (const auto& [from, to] : kPrefixes)
    if (const size_t length = std::string(from).size(); name.starts_with(from)) {
      const size_t dot = name.find('.', length);
      if (dot == std::string::npos) break;
      return add_block(out, to + name.substr(length, dot + 1 - length), name.substr(dot + 1), tensor);
    }
  out[name] = tensor;
}

}  // namespace

weights::Weights clip_names(const weights::Weights& weights) {
  weights::Weights renamed{{}, weights.origin};
  for (const auto& [name, tensor] : weights.tensors) {
    bool ignored = false;
    for (const char* other : kIgnored) ignored = ignored || name == other;
    if (!ignored) add(renamed.tensors, name, tensor);
  }
  return renamed;
}

}  // namespace gigacat::pretrained
