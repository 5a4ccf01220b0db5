#include "export/official_gat.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/models/gat/official.h"

namespace gigacat::exports {
namespace {

using models::gat::own_tensors;
using models::gat::plain_name;
using nn::TensorMap;
using Value = io::PickleValue;
using Kind = Value::Kind;

const Value& at_key(const Value& dict, const std::string& key, const std::string& what) {
  const Value* found = dict.find(key);
  if (!found) fail(what, " lacks the key '", key, "'");
  return *found;
}

double number(const Value& value, const std::string& what) {
  if (value.is(Kind::integer)) return static_cast<double>(value.integer);
  if (!value.is(Kind::real)) fail(what, ": a number is something else");
  return value.real;
}

// The optimiser's settings and the training script's own, as overrides; what a file lacks keeps its default.
std::vector<std::string> settings(const Value& root, int64_t hidden, const std::string& what) {
  std::vector<std::string> keys;
  const Value* groups = root.find("optG") ? root.find("optG")->find("param_groups") : nullptr;
  if (groups && !groups->items.empty()) {
    const Value& group = *groups->items[0];
    if (const Value* lr = group.find("lr"))  // the base rate, of a network 768 wide
      keys.push_back(cat("optimizer.lr=", number(*lr, what) * static_cast<double>(hidden) / 768));
    if (const Value* betas = group.find("betas"); betas && betas->items.size() == 2) {
      keys.push_back(cat("optimizer.beta1=", number(*betas->items[0], what)));
      keys.push_back(cat("optimizer.beta2=", number(*betas->items[1], what)));
    }
  }
  const Value* args = root.find("args");
  if (args && args->state) args = args->state;
  const auto take = [&](const char* theirs, const char* ours) {
    const Value* value = args ? args->find(theirs) : nullptr;
    if (value && (value->is(Kind::integer) || value->is(Kind::real)))
      keys.push_back(cat(ours, "=", number(*value, what)));
  };
  take("batch_size", "train.batch");
  take("R1_gamma", "loss.gamma_r1");
  take("R2_gamma", "loss.gamma_r2");
  take("proj_coeff", "loss.align_weight");
  take("max_train_steps", "train.steps");
  return keys;
}

// The moments by our names. The official optimiser numbers the parameters in the order of the state dict, in which
// buffers take no number.
TensorMap moments(const weights::TorchFile& file, const Value& optimizer, const Value& state_dict,
                  const torch::nn::Module& network, const std::string& what) {
  TensorMap state;
  double steps = 0;
  std::map<std::string, int64_t> numbers;
  int64_t next = 0;
  for (const auto& [key, value] : state_dict.entries)
    if (const std::string name = plain_name(key->text); !models::gat::is_official_buffer(name)) numbers[name] = next++;
  const Value& entries = at_key(optimizer, "state", what);
  const auto entry_of = [&entries](int64_t number) -> const Value* {
    for (const auto& [key, value] : entries.entries)
      if (key->is(Kind::integer) && key->integer == number) return value;
    return nullptr;
  };
  for (const auto& item : network.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    const auto place = numbers.find(item.key());
    const Value* entry = place == numbers.end() ? nullptr : entry_of(place->second);
    for (const char* moment : {"exp_avg", "exp_avg_sq"}) {
      const Value* value = entry ? entry->find(moment) : nullptr;
      const auto tensor = value ? file.tensor(*value) : std::nullopt;
      if (tensor && tensor->sizes() != item.value().sizes())
        fail(what, ": ", moment, " of ", item.key(), " has the shape [", join(tensor->sizes()), "]");
      state[cat(item.key(), ".", moment)] = tensor ? tensor->to(at::kFloat) : at::zeros_like(item.value());
    }
    if (const Value* step = entry ? entry->find("step") : nullptr) {
      const auto tensor = file.tensor(*step);
      steps = std::max(steps, tensor ? tensor->item<double>() : number(*step, what));
    }
  }
  state["step"] = at::full({}, steps, at::kFloat);
  state["loss_scale"] = at::ones({}, at::kFloat);
  state["loss_scale_growth"] = at::zeros({}, at::kInt);
  return state;
}

}  // namespace

bool is_official_gat(const io::PickleValue& root) {
  return root.find("generator") && root.find("discriminator") && root.find("ema");
}

run::Checkpoint read_official_gat(const weights::TorchFile& file, const std::string& what,
                                  const std::vector<std::string>& overrides, std::vector<std::string>& dropped) {
  const Value& root = file.root();
  const auto network = [&](const char* key) { return own_tensors(file.tensors(at_key(root, key, what)), nullptr); };
  const TensorMap all_g = network("generator"), all_d = network("discriminator");
  std::vector<std::string> keys = models::gat::deduce_config(all_g, all_d, what);
  for (const auto& part : {settings(root, all_g.at("w_avg").size(1), what), overrides})
    keys.insert(keys.end(), part.begin(), part.end());
  const auto config =
      run::parse_config("recipe: gat\nname: imported-gat\ndata: {kind: latents}\n", "the imported run", keys);
  const run::Gan gan = run::build_gan(*config);
  torch::nn::Module &generator = gan.model->generator(), &discriminator = gan.model->discriminator();

  run::Checkpoint made;
  made.step = at_key(root, "steps", what).integer;
  made.config_yaml = config->to_yaml();
  const auto take = [&](const char* stem, const char* key, torch::nn::Module& into) {
    TensorMap tensors = own_tensors(file.tensors(at_key(root, key, what)), &dropped);
    for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kFloat);
    nn::load_state(into, tensors, cat(what, ", ", key));
    made.tensors[stem] = std::move(tensors);
  };
  take("generator", "generator", generator);
  take("ema", "ema", generator);
  take("discriminator", "discriminator", discriminator);
  const auto optimizer = [&](const char* key, const char* of, const torch::nn::Module& module) {
    const Value* state = root.find(key);
    if (!state) fail(what, " lacks the optimiser '", key, "': without it a run cannot go on");
    return moments(file, *state, at_key(root, of, what), module, what);
  };
  made.tensors["optimizer_generator"] = optimizer("optG", "generator", generator);
  made.tensors["optimizer_discriminator"] = optimizer("optD", "discriminator", discriminator);
  made.state = {{"step", made.step},
                {"images", made.step * config->train.batch},
                {"skipped", {{"generator", {0, 0}}, {"discriminator", {0, 0}}}},
                {"ranks", 1},
                {"seed", config->seed},
                {"loader", {{"position", made.step * config->train.batch}}},
                {"data", {{"identity", ""}}},
                {"imported", what}};
  std::sort(dropped.begin(), dropped.end());
  dropped.erase(std::unique(dropped.begin(), dropped.end()), dropped.end());
  return made;
}

}  // namespace gigacat::exports
