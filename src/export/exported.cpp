#include "export/exported.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::exports {

Exported load_exported(const run::WeightSource& source, at::ScalarType type) {
  Exported made;
  made.config = run::parse_config(read_file(source.config), source.config.string());
  made.model = made.config->build_model(nn::Init::zeros());
  made.generator = made.model->exported();
  made.dtype = type == at::kHalf ? "float16" : type == at::kBFloat16 ? "bfloat16" : "float32";
  made.makes_pixels = made.config->autoencoder.kind == "identity" && made.model->shape().channels <= 3;
  if (made.model->has_classes()) made.class_names = source.class_names;
  made.generator.numbers["clamp"] = made.makes_pixels ? 1 : 0;
  made.weights = nn::read_tensors(source.weights);
  for (auto& [name, tensor] : made.weights)
    if (tensor.is_floating_point()) tensor = tensor.to(type);
  for (const auto& buffer : made.model->generator().named_buffers()) made.buffers.insert(buffer.key());
  return made;
}

nlohmann::ordered_json describe(const Exported& made) {
  const models::ImageShape& shape = made.model->shape();
  const models::ExportedGenerator& generator = made.generator;
  nlohmann::ordered_json json = {{"model_type", "gigacat"},     {"architecture", made.model->name()},
                                 {"dtype", made.dtype},         {"image", {shape.channels, shape.height, shape.width}},
                                 {"z_dim", generator.z_dim},    {"inputs", generator.inputs},
                                 {"numbers", generator.numbers}};
  if (made.model->has_classes()) json["num_classes"] = shape.num_classes;
  if (!made.class_names.empty()) json["class_names"] = made.class_names;
  if (generator.text) {
    const auto table = made.weights.find("text.embedding");  // [vocabulary, D], none where a frozen encoder is read
    json["text"] = {{"encoder", generator.text->encoder},
                    {"tokenizer", generator.text->tokenizer},
                    {"length", generator.text->length},
                    {"vocabulary", table == made.weights.end() ? 0 : table->second.size(0)}};
  }
  if (!made.makes_pixels)
    json["latents"] = {{"scale", made.config->data.latent_scale},
                       {"shift", made.config->data.latent_shift},
                       {"autoencoder", made.config->autoencoder.kind}};
  return json;
}

}  // namespace gigacat::exports
