#include "apply/portable.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"

namespace gigacat::apply {
namespace {

// A number of the config, whatever its type.
double number(const config::Binder& binder, const std::string& path) {
  const config::Storage& value = binder.at(path).value;
  if (const auto* const* whole = std::get_if<int64_t*>(&value)) return static_cast<double>(**whole);
  return **std::get_if<double*>(&value);
}

std::string text(const config::Binder& binder, const std::string& path) {
  return *std::get<std::string*>(binder.at(path).value);
}

void fill_transformer(Portable& made, const train::RunConfig& config) {
  made.functions = kTransformerText;
  made.inputs = {"labels"};
  for (const char* name : {"depth", "stages", "heads", "patch"})
    made.numbers[name] = number(config.binder, cat("model.generator.", name));
  made.numbers["rows"] = static_cast<double>(made.shape.height) / made.numbers["patch"];
  made.numbers["columns"] = static_cast<double>(made.shape.width) / made.numbers["patch"];
  made.numbers["clamp"] = config.autoencoder.kind == "identity" && made.shape.channels <= 3 ? 1 : 0;
}

void fill_gigagan(Portable& made, const train::RunConfig& config) {
  made.functions = kGigaganText;
  made.inputs = {"tokens", "end"};
  for (const char* name : {"conv_gain", "attention_gain", "mapping_lr", "head_dim"})
    made.numbers[name] = number(config.binder, cat("model.generator.", name));
  made.numbers["text_heads"] = number(config.binder, "model.text.heads");
  made.numbers["cross_l2"] = text(config.binder, "model.generator.cross_logits") == "l2" ? 1 : 0;
}

}  // namespace

Portable make_portable(const train::RunConfig& config, nn::TensorMap weights, at::ScalarType type) {
  Portable made;
  made.architecture = config.recipe_name;
  made.dtype = type == at::kHalf ? "float16" : type == at::kBFloat16 ? "bfloat16" : "float32";
  made.shape = config.image_shape();
  if (made.architecture == "gat" || made.architecture == "cat")
    fill_transformer(made, config);
  else if (made.architecture == "gigagan")
    fill_gigagan(made, config);
  else
    fail<UsageError>("a generator of recipe ", made.architecture,
                     " has no form for other programs than safetensors: only gat, cat and gigagan have one");
  made.z_dim = static_cast<int64_t>(number(config.binder, "model.generator.z_dim"));
  made.weights = std::move(weights);
  for (auto& [name, tensor] : made.weights)
    if (tensor.is_floating_point()) tensor = tensor.to(type);
  return made;
}

nlohmann::ordered_json describe_portable(const Portable& made, const train::RunConfig& config) {
  nlohmann::ordered_json json = {
      {"model_type", "gigacat"}, {"architecture", made.architecture},
      {"dtype", made.dtype},     {"image", {made.shape.channels, made.shape.height, made.shape.width}},
      {"z_dim", made.z_dim},     {"num_classes", made.shape.num_classes},
      {"inputs", made.inputs},   {"numbers", made.numbers}};
  if (made.inputs.front() == "tokens") {
    const std::string tokenizer = text(config.binder, "model.text.tokenizer");
    const bool words = tokenizer == "words" || text(config.binder, "model.text.clip_vocabulary").empty();
    const auto table = made.weights.find("text.embedding");  // [vocabulary, D], none where a frozen encoder is read
    json["text"] = {{"encoder", text(config.binder, "model.text.encoder")},
                    {"tokenizer", words ? "words" : "bpe"},
                    {"length", static_cast<int64_t>(number(config.binder, "model.text.length"))},
                    {"vocabulary", table == made.weights.end() ? 0 : table->second.size(0)}};
  } else if (made.numbers.at("clamp") == 0) {
    json["latents"] = {{"scale", config.data.latent_scale},
                       {"shift", config.data.latent_shift},
                       {"autoencoder", config.autoencoder.kind}};
  }
  return json;
}

}  // namespace gigacat::apply
