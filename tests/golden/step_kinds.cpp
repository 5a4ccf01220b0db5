#include <ATen/ATen.h>

#include <cctype>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/recipes/recipe.h"
#include "gigacat/train/optimizer.h"
#include "golden/kinds.h"
#include "train/ema.h"

namespace gigacat::golden {
namespace {

// Draws of one step as the case stores them: "z" is input.stepN.z, "d.aug.real.translation.y" a column of a [B, 2]
// tensor.
class StoredDraws : public nn::RandomDraws {
 public:
  StoredDraws(const Case& c, int64_t step) : case_(c), prefix_(cat("input.step", step, ".")) {}
  at::Tensor normal(std::string_view purpose, at::IntArrayRef, at::IntArrayRef) const override { return find(purpose); }
  at::Tensor uniform(std::string_view purpose, at::IntArrayRef) const override { return find(purpose); }
  at::Tensor chance(std::string_view purpose, double) const override { return find(purpose); }
  at::Tensor integers(std::string_view purpose, int64_t, int64_t) const override {
    const int64_t column = purpose.ends_with(".y") ? 0 : 1;
    return find(purpose.substr(0, purpose.size() - 2)).select(1, column).to(at::kLong);
  }

 private:
  const at::Tensor& find(std::string_view purpose) const { return case_.stored(prefix_ + std::string(purpose)); }
  const Case& case_;
  std::string prefix_;
};

// The case's config as assignments to the recipe's own keys.
std::vector<std::string> assignments(const nlohmann::json& json, bool cat_recipe) {
  std::vector<std::string> out;
  const auto set = [&out](const std::string& key, const nlohmann::json& value) {
    out.push_back(key + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  };
  const auto network = [&](const std::string& path, const nlohmann::json& sizes, const std::vector<std::string>& keys) {
    for (const std::string& key : keys)
      if (sizes.contains(key)) set(path + "." + key, sizes[key]);
    set(path + ".pos_embed", json.at("pos_embed"));
  };
  const auto& g = json.at("generator");
  const auto& d = json.at("discriminator");
  network("model.generator", g, {"depth", "hidden", "heads", "patch", "z_dim", "stages", "qk_norm"});
  network("model.discriminator", d, {"depth", "hidden", "heads", "patch", "qk_norm", "cmap_dim", "projector_dim"});
  set("model.generator.w_avg_beta", json.value("w_avg_beta", 0.995));
  set("loss.gamma_r1", json.value("r1_gamma", 0.1));
  set("loss.gamma_r2", json.value("r2_gamma", 0.1));
  set("loss.penalty_std", json.value("penalty_std", 0.01));
  set("loss.align", json.value("align", false) ? "precomputed" : "none");
  if (json.value("align", false)) {
    set("loss.align_dim", d.at("align_dim"));
    set("loss.align_weight", json.value("proj_coeff", 1.0));
  }
  if (!cat_recipe) return out;
  set("model.scales.scales", d.at("scales"));
  set("model.scales.resize", d.at("resize"));
  set("loss.consistency", json.at("lambda"));
  set("loss.consistency_reduction", "sum");
  set("loss.consistency_weights", json.at("consistency_weights"));
  set("loss.anchor", json.at("anchor"));
  set("loss.align_scales", json.value("align_scales", std::string("all")));
  return out;
}

run::OptimizerConfig optimizer_config(const nlohmann::json& json) {
  auto config = config::defaults<run::OptimizerConfig>();
  config.lr = json.at("learning_rate");
  config.beta1 = json.at("beta1");
  config.beta2 = json.at("beta2");
  config.eps = json.at("adam_eps");
  config.weight_decay = json.at("weight_decay");
  config.max_grad_norm = json.at("max_grad_norm");
  config.ema = json.at("ema");
  return config;
}

recipes::Batch stored_batch(const Case& c, int64_t step, const nn::RandomDraws& draws) {
  const std::string prefix = cat("input.step", step, ".");
  recipes::Batch batch;
  batch.images = c.stored(prefix + "real");
  batch.labels = c.labels(prefix + "labels");
  batch.step = step;
  batch.draws = &draws;
  if (c.has(prefix + "align.cls"))
    batch.features = at::cat({c.stored(prefix + "align.cls").unsqueeze(1), c.stored(prefix + "align.patch")}, 1);
  return batch;
}

// One network with its optimiser and the values it started from.
struct Side {
  Side(Case& c, torch::nn::Module& module, const std::string& network, const run::OptimizerConfig& config,
       double lr_scale)
      : network_(network), module_(module), optimizer(module, config), lr(config.lr * lr_scale) {
    const auto named = module.named_parameters();
    for (const std::string& name : c.order(network)) {
      parameters.push_back(named[name]);
      start.push_back(named[name].detach().clone());
    }
  }

  void update(Case& c, const recipes::Loss& loss, const std::string& prefix, int64_t step) {
    optimizer.zero_grad();
    loss.total.backward();
    std::vector<at::Tensor> grads;
    for (const at::Tensor& parameter : parameters)
      grads.push_back(parameter.grad().defined() ? parameter.grad().clone() : at::Tensor());
    c.compare_vectors(cat(prefix, network_, ".grad"), grads);
    optimizer.step(lr);
    optimizer.zero_grad();
    c.compare(cat("output.step", step, ".gradnorm.", network_ == "G" ? "g" : "d"), optimizer.grad_norm().view({1}));
    for (const auto& [name, value] : loss.terms) {
      const std::string output = cat("output.step", step, ".loss.", name);
      if (c.has(output)) c.compare(output, value.dim() == 0 ? value.view({1}) : value);
    }
  }

  std::string network_;
  torch::nn::Module& module_;
  train::Optimizer optimizer;
  double lr;
  std::vector<at::Tensor> parameters, start;
};

void compare_end(Case& c, const std::string& network, const std::vector<at::Tensor>& now,
                 const std::vector<at::Tensor>& start) {
  std::vector<at::Tensor> change;
  for (size_t i = 0; i < now.size(); ++i) change.push_back(now[i].detach() - start[i]);
  c.compare_vectors("output." + network + ".after", now);
  c.compare_vectors("output." + network + ".change", change);
}

void check_step(Case& c, const std::string& name) {
  const nlohmann::json& json = c.config();
  const recipes::GanConfig gan = recipes::make_gan_config(name);
  config::Binder binder;
  binder.section("model", *gan.model, "");
  binder.section("loss", *gan.loss, "");
  config::Document::parse("{}", c.name(), assignments(json, name == "cat")).apply(binder);
  const at::Tensor& real = c.stored("input.step0.real");
  const auto model = gan.model->build(
      {real.size(1), real.size(2), real.size(3), json.at("generator").at("num_classes")}, nn::Init(0, "G"));
  const auto recipe = gan.loss->build(*model, nn::Init(0, "D"));
  c.fill(model->generator(), "G.");
  c.fill(model->discriminator(), "D.");
  c.check_all_used();

  const run::OptimizerConfig config = optimizer_config(json);
  Side d(c, model->discriminator(), "D", config, model->lr_scale(models::Network::discriminator));
  Side g(c, model->generator(), "G", config, model->lr_scale(models::Network::generator));
  auto average = model->make_generator(nn::Init::zeros());
  average->to(c.device());
  train::Ema ema(model->generator(), average, config);
  const auto group = dist::Group::create({}, c.device());

  const int64_t steps = json.at("steps");
  for (int64_t step = 0; step < steps; ++step) {
    const std::string prefix = steps > 1 ? cat("output.step", step, ".") : "output.";
    const StoredDraws draws(c, step);
    const recipes::Batch batch = stored_batch(c, step, draws);
    const at::Tensor fakes = recipe->generate(batch, true);
    d.update(c, recipe->discriminator_loss(batch, fakes.detach()), prefix, step);
    for (at::Tensor& parameter : d.parameters) parameter.set_requires_grad(false);
    const recipes::Loss loss = recipe->generator_loss(batch, fakes);
    recipe->update_buffers(*group);
    g.update(c, loss, prefix, step);
    for (at::Tensor& parameter : d.parameters) parameter.set_requires_grad(true);
    ema.update(step);
  }

  std::vector<at::Tensor> averaged;
  const auto named = average->named_parameters();
  for (const std::string& parameter : c.order("G")) averaged.push_back(named[parameter]);
  compare_end(c, "D", d.parameters, d.start);
  compare_end(c, "G", g.parameters, g.start);
  compare_end(c, "EMA", averaged, g.start);
  c.compare("output.w_avg", model->generator().named_buffers()["w_avg"]);
  c.compare("output.ema_w_avg", average->named_buffers()["w_avg"]);
}

void check_gat_step(Case& c) { check_step(c, "gat"); }
void check_cat_step(Case& c) { check_step(c, "cat"); }

}  // namespace

std::vector<Kind> step_kinds() { return {{"gat/step", check_gat_step}, {"cat/step", check_cat_step}}; }

Kind find_kind(const std::string& case_name) {
  Kind best{"", nullptr};
  std::vector<std::string> known;
  for (const auto& kinds : {network_kinds(), step_kinds(), pretrained_kinds(), metric_kinds(), gigagan_kinds(),
                            gigagan_model_kinds(), upsampler_kinds()})
    for (const Kind& kind : kinds) {
      known.push_back(kind.name);
      const bool fits = case_name.rfind(kind.name, 0) == 0 &&
                        !std::isalpha(static_cast<unsigned char>(case_name.c_str()[kind.name.size()]));
      if (fits && kind.name.size() > best.name.size()) best = kind;
    }
  if (!best.check) fail("unknown kind of case \"", case_name, "\"; known: ", join(known));
  return best;
}

}  // namespace gigacat::golden
