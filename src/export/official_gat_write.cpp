#include <ATen/ATen.h>

#include "export/official_gat.h"
#include "gigacat/core/error.h"
#include "gigacat/models/model.h"

namespace gigacat::exports {
namespace {

using models::Network;
using models::OfficialNetwork;
using nn::TensorMap;
using Value = io::PickleValue;

Value* pair(io::PickleArena& a, double first, double second) { return a.list({a.real(first), a.real(second)}, true); }

void set(io::PickleArena& a, Value* dict, const std::string& key, Value* value) {
  dict->entries.emplace_back(a.text(key), value);
}

// torch.optim.AdamW's state dict; parameters that were never updated have no entry.
Value* optimizer_state(weights::TorchWriter& writer, const TensorMap& state, const OfficialNetwork& network,
                       const run::OptimizerConfig& config, double lr) {
  io::PickleArena& a = writer.arena();
  Value *entries = a.dict(), *numbers = a.list({});
  for (const std::string& name : network.names) {
    if (network.buffers.contains(name)) continue;
    Value* number = a.integer(std::ssize(numbers->items));
    numbers->items.push_back(number);
    const auto mean = state.find(name + ".exp_avg"), square = state.find(name + ".exp_avg_sq");
    const bool unused = square == state.end();  // of a weight that training here does not know
    // Where there is no mean beta1 is 0, and AdamW puts the gradient in its place.
    const at::Tensor nothing = mean == state.end() ? at::zeros_like(network.tensors.at(name)) : at::Tensor();
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

}  // namespace

void write_official_gat(const run::Checkpoint& checkpoint, const std::filesystem::path& out) {
  const auto config = run::parse_config(checkpoint.config_yaml, "the checkpoint's config");
  const auto model = config->build_model(nn::Init::zeros());
  const auto official = [&](const char* stem, Network which) {
    return model->official(which, checkpoint.tensors.at(stem));
  };
  const OfficialNetwork generator = official("generator", Network::generator),
                        ema = official("ema", Network::generator),
                        discriminator = official("discriminator", Network::discriminator);
  weights::TorchWriter writer;
  io::PickleArena& a = writer.arena();
  Value* root = a.dict();
  set(a, root, "generator", writer.tensors(generator.tensors, generator.names));
  set(a, root, "discriminator", writer.tensors(discriminator.tensors, discriminator.names));
  set(a, root, "ema", writer.tensors(ema.tensors, ema.names));
  const auto optimizer = [&](const char* stem, const OfficialNetwork& of, Network which) {
    return optimizer_state(writer, checkpoint.tensors.at(stem), of, config->optimizer,
                           config->optimizer.lr * model->lr_scale(which));
  };
  set(a, root, "optG", optimizer("optimizer_generator", generator, Network::generator));
  set(a, root, "optD", optimizer("optimizer_discriminator", discriminator, Network::discriminator));
  set(a, root, "steps", a.integer(checkpoint.step));
  set(a, root, "wallclock_time", a.real(0));
  set(a, root, "args", a.none());
  writer.write(out, *root);
}

}  // namespace gigacat::exports
