#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "apply/official_gat.h"
#include "apply/official_gat_names.h"
#include "gigacat/core/error.h"
#include "gigacat/nn/position.h"

namespace gigacat::apply {
namespace {

using nn::TensorMap;
using Value = io::PickleValue;

// The sizes of one network as the config has them.
struct Sizes {
  Sizes(const train::RunConfig& config, const std::string& network) {
    const auto get = [&](const std::string& key) {
      return *std::get<int64_t*>(config.binder.at(cat("model.", network, ".", key)).value);
    };
    depth = get("depth");
    hidden = get("hidden");
    heads = get("heads");
    patch = get("patch");
    qk_norm = *std::get<bool*>(config.binder.at(cat("model.", network, ".qk_norm")).value);
  }
  int64_t depth, hidden, heads, patch;
  bool qk_norm;
};

// What the official modules hold besides: rotary tables, and the generator's patch embedding, which meets a factor 0.
TensorMap with_unused(TensorMap tensors, const Sizes& sizes, const models::ImageShape& shape, bool generator) {
  const nn::Rotary rotary =
      nn::rotary_table(shape.height / sizes.patch, shape.width / sizes.patch, sizes.hidden / sizes.heads);
  tensors["feat_rope.freqs_cos"] = rotary.cos;
  tensors["feat_rope.freqs_sin"] = rotary.sin;
  if (generator) {
    tensors["x_embedder.proj.weight"] = at::zeros({sizes.hidden, shape.channels, sizes.patch, sizes.patch});
    tensors["x_embedder.proj.bias"] = at::zeros({sizes.hidden});
  }
  return tensors;
}

Value* pair(io::PickleArena& a, double first, double second) { return a.list({a.real(first), a.real(second)}, true); }

void set(io::PickleArena& a, Value* dict, const std::string& key, Value* value) {
  dict->entries.emplace_back(a.text(key), value);
}

// torch.optim.AdamW's state dict; parameters that were never updated have no entry.
Value* optimizer_state(weights::TorchWriter& writer, const TensorMap& state, const TensorMap& tensors,
                       const std::vector<std::string>& names, const train::OptimizerConfig& config, double lr) {
  io::PickleArena& a = writer.arena();
  Value *entries = a.dict(), *numbers = a.list({});
  for (const std::string& name : names) {
    if (is_buffer(name)) continue;
    Value* number = a.integer(std::ssize(numbers->items));
    numbers->items.push_back(number);
    const auto mean = state.find(name + ".exp_avg"), square = state.find(name + ".exp_avg_sq");
    const bool unused = name.starts_with("x_embedder.") && square == state.end();
    if (square == state.end() && !unused) continue;
    // Where there is no mean beta1 is 0, and AdamW puts the gradient in its place.
    const at::Tensor nothing = mean == state.end() ? at::zeros_like(tensors.at(name)) : at::Tensor();
    Value* entry = a.dict();
    set(a, entry, "step", writer.tensor(state.at("step")));
    set(a, entry, "exp_avg", writer.tensor(mean == state.end() ? nothing : mean->second));
    set(a, entry, "exp_avg_sq", writer.tensor(unused ? nothing : square->second));
    entries->entries.emplace_back(number, entry);
  }
  Value* group = a.dict();
  set(a, group, "lr", a.real(lr));
  set(a, group, "betas", pair(a, config.beta1, config.beta2));
  set(a, group, "eps", a.real(config.eps));
  set(a, group, "weight_decay", a.real(config.weight_decay));
  for (const char* off : {"amsgrad", "maximize", "capturable", "differentiable"}) set(a, group, off, a.boolean(false));
  for (const char* none : {"foreach", "fused"}) set(a, group, none, a.none());
  set(a, group, "decoupled_weight_decay", a.boolean(true));
  set(a, group, "params", numbers);
  Value* whole = a.dict();
  set(a, whole, "state", entries);
  set(a, whole, "param_groups", a.list({group}));
  return whole;
}

void check_exportable(const train::RunConfig& config) {
  if (config.recipe_name != "gat")
    fail<UsageError>("only GAT has an official model to load it: this is a run of ", config.recipe_name);
  const auto get = [&](const char* key) { return *std::get<int64_t*>(config.binder.at(key).value); };
  if (get("model.generator.stages") != 4 || get("model.generator.depth") % 4 != 0)
    fail<UsageError>("the official generator has 4 stages and a depth divisible by 4");
  if (const int64_t z = get("model.generator.z_dim"); z != 64)
    fail<UsageError>("the official training code draws latents of width 64, not ", z);
}

}  // namespace

void write_official_gat(const train::Checkpoint& checkpoint, const std::filesystem::path& out) {
  const auto config = train::parse_config(checkpoint.config_yaml, "the checkpoint's config");
  check_exportable(*config);
  recipes::Recipe& recipe = *config->recipe;
  recipe.build(config->image_shape(), static_cast<uint64_t>(config->seed));  // for the learning rates
  const models::ImageShape shape = config->image_shape();
  const Sizes g(*config, "generator"), d(*config, "discriminator");
  const auto tensors_of = [&](const char* stem, const Sizes& sizes, bool generator) {
    return with_unused(checkpoint.tensors.at(stem), sizes, shape, generator);
  };
  const TensorMap generator = tensors_of("generator", g, true), ema = tensors_of("ema", g, true),
                  discriminator = tensors_of("discriminator", d, false);
  const auto g_names = official_generator_names(g.depth, 4, g.qk_norm);
  const auto d_names = official_discriminator_names(d.depth, d.qk_norm, discriminator.contains("proj.0.weight"));
  weights::TorchWriter writer;
  io::PickleArena& a = writer.arena();
  Value* root = a.dict();
  set(a, root, "generator", writer.tensors(generator, g_names));
  set(a, root, "discriminator", writer.tensors(discriminator, d_names));
  set(a, root, "ema", writer.tensors(ema, g_names));
  const auto optimizer = [&](const char* stem, const TensorMap& of, const std::vector<std::string>& names,
                             double scale) {
    return optimizer_state(writer, checkpoint.tensors.at(stem), of, names, config->optimizer,
                           config->optimizer.lr * scale);
  };
  set(a, root, "optG", optimizer("optimizer_generator", generator, g_names, recipe.generator_lr_scale()));
  set(a, root, "optD", optimizer("optimizer_discriminator", discriminator, d_names, recipe.discriminator_lr_scale()));
  set(a, root, "steps", a.integer(checkpoint.step));
  set(a, root, "wallclock_time", a.real(0));
  set(a, root, "args", a.none());
  writer.write(out, *root);
}

}  // namespace gigacat::apply
