#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "gigacat/core/config.h"
#include "gigacat/core/error.h"
#include "gigacat/losses/adversarial.h"
#include "gigacat/losses/alignment.h"
#include "gigacat/losses/augment.h"
#include "gigacat/losses/noise_guidance.h"
#include "gigacat/losses/trajectory.h"
#include "gigacat/models/cat/discriminator.h"
#include "gigacat/models/gat/discriminator.h"
#include "gigacat/models/gat/generator.h"
#include "gigacat/nn/fused.h"
#include "golden/kinds.h"

namespace gigacat::golden {

namespace gat = models::gat;

namespace {

// Height and width come from a stored image tensor [.., C, H, W], so that latents need not be square.
models::ImageShape shape_of(const at::Tensor& images, const nlohmann::json& config) {
  return {images.size(-3), images.size(-2), images.size(-1), config.at("num_classes").get<int64_t>()};
}

gat::GeneratorConfig generator_config(const nlohmann::json& json, const std::string& pos_embed) {
  auto config = config::defaults<gat::GeneratorConfig>();
  config.depth = json.at("depth");
  config.hidden = json.at("hidden");
  config.heads = json.at("heads");
  config.patch = json.at("patch");
  config.z_dim = json.value("z_dim", 64);
  config.stages = json.value("stages", 4);
  config.qk_norm = json.at("qk_norm");
  config.pos_embed = pos_embed;
  return config;
}

gat::DiscriminatorConfig discriminator_config(const nlohmann::json& json, const std::string& pos_embed) {
  auto config = config::defaults<gat::DiscriminatorConfig>();
  config.depth = json.at("depth");
  config.hidden = json.at("hidden");
  config.heads = json.at("heads");
  config.patch = json.at("patch");
  config.cmap_dim = json.at("cmap_dim");
  config.projector_dim = json.at("projector_dim");
  config.qk_norm = json.at("qk_norm");
  config.pos_embed = pos_embed;
  return config;
}

// Parameters of a module in the order of the case's manifest.
std::vector<at::Tensor> parameters_in_order(const Case& c, const torch::nn::Module& module) {
  const auto named = module.named_parameters();
  std::vector<at::Tensor> out;
  for (const std::string& name : c.order()) out.push_back(named[name]);
  return out;
}

std::vector<at::Tensor> gradients(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& inputs,
                                  const std::vector<at::Tensor>& cotangents = {}) {
  return torch::autograd::grad(outputs, inputs, cotangents, /*retain_graph=*/true, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

// Gradients of sum(outputs * cotangents): of `input`, and of every parameter as output.grad_norm and output.grad_head.
void compare_gradients(Case& c, const torch::nn::Module& module, const std::vector<at::Tensor>& outputs,
                       const std::vector<at::Tensor>& cotangents, const std::string& of_input,
                       const at::Tensor& input) {
  std::vector<at::Tensor> inputs = parameters_in_order(c, module);
  inputs.push_back(input);
  std::vector<at::Tensor> grads = gradients(outputs, inputs, cotangents);
  c.compare(of_input, grads.back());
  grads.pop_back();
  c.compare_vectors("output.grad", grads);
}

losses::AugmentDraw augment_draw(const Case& c, const std::string& prefix) {
  const auto draw = [&](const char* name) { return c.stored(prefix + name); };
  return {draw("brightness"),
          draw("saturation"),
          draw("contrast"),
          draw("colour"),
          draw("translation").to(at::kLong),
          draw("cutout").to(at::kLong),
          draw("flip")};
}

void check_tables(Case& c) {
  const auto& tables = c.config().at("tables");
  for (size_t i = 0; i < tables.size(); ++i) {
    const int64_t hidden = tables[i].at("hidden"), heads = tables[i].at("heads"), grid = tables[i].at("grid");
    const nn::Rotary rotary = nn::rotary_table(grid, grid, hidden / heads);
    const std::string prefix = cat("output.", i, ".");
    c.compare(prefix + "sincos", nn::sincos_table(grid, grid, hidden));
    c.compare(prefix + "cos", rotary.cos);
    c.compare(prefix + "sin", rotary.sin);
  }
}

void check_attention(Case& c) {
  const int64_t hidden = c.config().at("hidden"), heads = c.config().at("heads"), grid = c.config().at("grid");
  const bool qk_norm = c.config().value("qk_norm", true);
  nn::Rotary rotary = nn::rotary_table(grid, grid, hidden / heads, c.config().value("class_token", false) ? 1 : 0);
  rotary.to(c.device());
  nn::Attention attention(hidden, heads, qk_norm, nn::Init::zeros());
  c.fill(*attention);
  c.check_all_used();
  const at::Tensor x = c.stored("input.x").clone().requires_grad_(true);
  const at::Tensor y = attention(x, rotary);
  c.compare("output.y", y);
  {
    at::NoGradGuard no_grad;
    const at::Tensor qkv = attention->qkv(x).unflatten(-1, {3, heads, -1});
    const auto [q, k] = nn::query_key(qkv, attention->q_weight, attention->k_weight, nn::kQkNormEps, rotary);
    c.compare("output.q", q.transpose(1, 2));
    c.compare("output.k", k.transpose(1, 2));
  }
  compare_gradients(c, *attention, {y}, {c.stored("input.cotangent")}, "output.grad_x", x);
}

gat::Generator make_generator(Case& c, const std::string& output) {
  gat::Generator generator(generator_config(c.config(), "fixed"), shape_of(c.stored(output), c.config()),
                           nn::Init::zeros());
  c.fill(*generator);
  c.check_all_used();
  return generator;
}

void check_generator(Case& c) {
  gat::Generator generator = make_generator(c, "output.images");
  const at::Tensor z = c.stored("input.z").clone().requires_grad_(true);
  const at::Tensor w = generator->style(z, c.labels()), images = generator->synthesize(w);
  c.compare("output.w", w);
  c.compare("output.images", images);
  if (!c.has("input.cotangent")) return;
  compare_gradients(c, *generator, {images}, {c.stored("input.cotangent")}, "output.grad_z", z);
}

void check_generator_sampling(Case& c) {
  at::NoGradGuard no_grad;
  gat::Generator g = make_generator(c, "output.plain");
  const at::Tensor z = c.stored("input.z"), y = c.labels(), w = g->style(z, y);
  const at::Tensor scale = at::full({1}, c.config().at("guidance_scale").get<double>(), c.device());
  const at::Tensor truncated = g->truncate(w, y, c.config().at("psi")), both = g->guide(truncated, z, scale);
  const auto last = [&](const at::Tensor& style) { return g->synthesize(style).select(0, -1); };
  c.compare("output.w_null", g->null_style(z));
  c.compare("output.w_truncated", truncated);
  c.compare("output.w_both", both);
  c.compare("output.plain", last(w));
  c.compare("output.truncated", last(truncated));
  c.compare("output.guided", last(g->guide(w, z, scale)));
  c.compare("output.both", last(both));
  c.compare("output.per_sample", last(g->guide(w, z, c.stored("input.scale"))));
}

gat::Discriminator make_discriminator(Case& c, const at::Tensor& images) {
  const auto& json = c.config();
  gat::Discriminator d(discriminator_config(json, "fixed"), shape_of(images, json), json.value("stages", 4),
                       json.value("align_dim", 0), nn::Init::zeros());
  c.fill(*d);
  c.check_all_used();
  return d;
}

void check_discriminator(Case& c) {
  const at::Tensor images = c.stored("input.images").clone().requires_grad_(true);
  gat::Discriminator d = make_discriminator(c, images);
  const gat::DiscriminatorOutput out = d->forward(images, c.labels(), images.size(1));
  c.compare("output.logits", out.logits);
  c.compare("output.tokens_cls", out.tokens.select(1, 0));
  c.compare("output.embedding", d->embed(c.labels()));
  std::vector<at::Tensor> outputs{out.logits}, cotangents{c.stored("input.cotangent.logits")};
  if (out.align_cls.defined()) {
    c.compare("output.align_cls", out.align_cls);
    c.compare("output.align_spatial", out.align_spatial[0]);
    outputs.insert(outputs.end(), {out.align_cls, out.align_spatial[0]});
    cotangents.insert(cotangents.end(),
                      {c.stored("input.cotangent.align_cls"), c.stored("input.cotangent.align_spatial")});
  }
  compare_gradients(c, *d, outputs, cotangents, "output.grad_images", images);
}

void check_full_discriminator(Case& c) {
  at::NoGradGuard no_grad;
  const at::Tensor& images = c.stored("input.images");
  gat::Discriminator d = make_discriminator(c, images);
  const gat::DiscriminatorOutput out = d->forward(images, c.labels(), images.size(1));
  const at::Tensor spatial = out.tokens.narrow(1, 1, out.tokens.size(1) - 1);
  c.compare("output.logits", out.logits);
  c.compare("output.cls", out.tokens.select(1, 0));
  c.compare("output.token_mean", spatial.mean(1));
  c.compare("output.token_norm", out.tokens.norm(2, -1));
  c.compare("output.token_std", out.tokens.std(/*unbiased=*/true).view({1}));
  if (!out.align_cls.defined()) return;
  c.compare("output.align_cls", out.align_cls);
  c.compare("output.align_mean", out.align_spatial[0].mean(1));
}

void check_scale_discriminator(Case& c) {
  const auto& json = c.config();
  const at::Tensor images = c.stored("input.images").clone().requires_grad_(true);
  const models::cat::ScaleConfig scales{json.at("scales").get<std::vector<int64_t>>(), json.at("resize")};
  models::cat::Discriminator d(discriminator_config(json, "fixed"), scales, shape_of(images, json),
                               json.value("stages", 4), json.value("align_dim", 0), nn::Init::zeros());
  c.fill(*d);
  c.check_all_used();
  const gat::DiscriminatorOutput out = d->forward(images, c.labels(), images.size(1));
  const std::vector<at::Tensor> scaled = d->scaled(images);
  std::vector<at::Tensor> cls;
  int64_t first = 0;
  for (size_t k = 0; k < scaled.size(); ++k) {
    c.compare(cat("output.scaled.", k), scaled[k]);
    const int64_t patch = json.at("patch");
    cls.push_back(out.tokens.select(1, first));
    first += 1 + scaled[k].size(-2) / patch * (scaled[k].size(-1) / patch);
  }
  c.compare("output.logits", out.logits);
  c.compare("output.tokens_cls", at::stack(cls, 1));
  std::vector<at::Tensor> outputs{out.logits}, cotangents{c.stored("input.cotangent.logits")};
  if (out.align_cls.defined()) {
    c.compare("output.align_cls", out.align_cls);
    outputs.push_back(out.align_cls);
    cotangents.push_back(c.stored("input.cotangent.cls"));
    for (size_t k = 0; k < out.align_spatial.size(); ++k) {
      c.compare(cat("output.align_spatial.", k), out.align_spatial[k]);
      outputs.push_back(out.align_spatial[k]);
      cotangents.push_back(c.stored(cat("input.cotangent.spatial.", k)));
    }
  }
  compare_gradients(c, *d, outputs, cotangents, "output.grad_images", images);
}

void check_augment(Case& c) {
  const at::Tensor images = c.stored("input.images").clone().requires_grad_(true), last = images[images.size(0) - 1];
  const losses::AugmentDraw draw = augment_draw(c, "input.aug.");
  const losses::ColourMeans means = losses::colour_means(last);
  c.compare("output.colour", losses::augment_colour(last, draw, means));
  c.compare("output.translation", losses::translate(last, draw.translation));
  c.compare("output.cutout", losses::cut_out(last, draw.cutout));
  c.compare("output.flip", losses::flip_columns(last, draw.flip));
  const at::Tensor all = losses::augment(images, draw, means);
  c.compare("output.all", all);
  c.compare("output.grad_images", gradients({all}, {images}, {c.stored("input.cotangent")})[0]);
}

void check_mng(Case& c) {
  const at::Tensor images = c.stored("input.images").clone().requires_grad_(true);
  const at::Tensor real = c.stored("input.real").clone().requires_grad_(true);
  const losses::NoiseLevels levels = losses::noise_levels(images.size(0), c.config().at("imin"));
  c.compare("output.levels", at::tensor(levels.level, at::kDouble));
  c.compare("output.ratio", at::tensor(levels.ratio, at::kDouble));
  c.compare("output.fresh", at::tensor(levels.fresh, at::kDouble));
  const at::Tensor noised = losses::perturb(images, c.stored("input.noise"), levels);
  const at::Tensor noised_real =
      losses::perturb(real.unsqueeze(0).expand_as(images), c.stored("input.noise_real"), levels);
  c.compare("output.noised", noised);
  c.compare("output.noised_real", noised_real);
  c.compare("output.grad_images", gradients({noised}, {images}, {c.stored("input.cotangent")})[0]);
  c.compare("output.grad_real", gradients({noised_real}, {real}, {c.stored("input.cotangent")})[0]);
}

void check_losses(Case& c) {
  const at::Tensor real = c.stored("input.logits_real").clone().requires_grad_(true);
  const at::Tensor fake = c.stored("input.logits_fake").clone().requires_grad_(true);
  const at::Tensor d = losses::relativistic_discriminator(real, fake), g = losses::relativistic_generator(real, fake);
  c.compare("output.loss_d", d);
  c.compare("output.loss_g", g);
  const std::vector<at::Tensor> grads = gradients({d.mean()}, {real, fake});
  c.compare("output.grad_d_real", grads[0]);
  c.compare("output.grad_d_fake", grads[1]);
  c.compare("output.grad_g_fake", gradients({g.mean()}, {fake})[0]);
  const at::Tensor &multi_real = c.stored("input.multi_real"), &multi_fake = c.stored("input.multi_fake");
  c.compare("output.multi_loss_d", losses::relativistic_discriminator(multi_real, multi_fake));
  c.compare("output.multi_loss_g", losses::relativistic_generator(multi_real, multi_fake));

  const int64_t grid = c.config().at("head_grid");
  const at::Tensor head_cls = c.stored("input.head_cls").clone().requires_grad_(true);
  const at::Tensor head_spatial = c.stored("input.head_spatial").clone().requires_grad_(true);
  const at::Tensor resized = losses::resize_patches(c.stored("input.feature_patch"), grid, grid);
  const at::Tensor cls = losses::align_class(head_cls.squeeze(1), c.stored("input.feature_cls"));
  const at::Tensor patch = losses::align_patches(head_spatial, resized);
  c.compare("output.resized", resized);
  c.compare("output.align_cls", cls);
  c.compare("output.align_patch", patch);
  c.compare("output.align_patch_same",
            losses::align_patches(head_spatial, losses::resize_patches(c.stored("input.feature_same"), grid, grid)));
  const std::vector<at::Tensor> head_grads = gradients({(cls + patch).mean()}, {head_cls, head_spatial});
  c.compare("output.grad_head_cls", head_grads[0]);
  c.compare("output.grad_head_spatial", head_grads[1]);
}

void check_penalty(Case& c) {
  const at::Tensor real = c.stored("input.real").clone().requires_grad_(true);
  const at::Tensor fake = c.stored("input.fake").clone().requires_grad_(true);
  const double std = c.config().at("penalty_std");
  gat::Discriminator d = make_discriminator(c, fake);
  const losses::NoiseLevels levels = losses::noise_levels(fake.size(0), c.config().value("imin", 0.125));
  const losses::AugmentDraw draws[2] = {augment_draw(c, "input.aug.real."), augment_draw(c, "input.aug.fake.")};
  const losses::ColourMeans means[2] = {losses::colour_means(real), losses::colour_means(fake[fake.size(0) - 1])};
  const auto judge = [&](int side, const at::Tensor& x) {
    const at::Tensor augmented = losses::augment(side == 0 ? x.unsqueeze(0) : x, draws[side], means[side]);
    const at::Tensor& eps = c.stored(side == 0 ? "input.mng.real" : "input.mng.fake");
    return d->forward(losses::perturb(augmented.expand_as(fake), eps, levels), c.labels()).logits;
  };
  const std::vector<at::Tensor> parameters = parameters_in_order(c, *d);

  const at::Tensor on_real = judge(0, real), on_fake = judge(1, fake);
  const at::Tensor pert_real = judge(0, real + std * c.stored("input.eps.real"));
  const at::Tensor pert_fake = judge(1, fake + std * c.stored("input.eps.fake"));
  const at::Tensor r1 = losses::approximate_penalty(on_real, pert_real, std),
                   r2 = losses::approximate_penalty(on_fake, pert_fake, std);
  c.compare("output.logits_real", on_real);
  c.compare("output.logits_fake", on_fake);
  c.compare("output.perturbed_real", pert_real);
  c.compare("output.perturbed_fake", pert_fake);
  c.compare("output.r1", r1);
  c.compare("output.r2", r2);
  c.compare_vectors("output.grad", gradients({(r1 + r2).mean()}, parameters));

  const nn::TwiceDifferentiable twice;
  const at::Tensor exact_r1 = losses::exact_penalty(judge(0, real), real),
                   exact_r2 = losses::exact_penalty(judge(1, fake), fake);
  c.compare("output.exact_r1", exact_r1);
  c.compare("output.exact_r2", exact_r2);
  c.compare_vectors("output.exact_grad", gradients({(exact_r1 + exact_r2).mean()}, parameters));
}

void check_align_input(Case& c) {
  const int64_t size = c.config().at("size"), latent = c.config().at("latent");
  const at::Tensor plain = losses::encoder_input(c.stored("input.image"), size);
  const auto compare = [&](const std::string& name, const at::Tensor& x) {
    const int64_t sub = c.stored("output." + name + "_sub").size(-1),
                  corner = c.stored("output." + name + "_corner").size(-1);
    const at::Tensor every = at::arange(0, size, size / sub, x.options().dtype(at::kLong));
    c.compare("output." + name + "_sub", x.index_select(2, every).index_select(3, every));
    c.compare("output." + name + "_corner", x.narrow(2, 0, corner).narrow(3, 0, corner));
    c.compare("output." + name + "_mean", x.mean({2, 3}));
  };
  compare("plain", plain);
  for (const char* mode : {"official", "scaled"})
    compare(mode,
            losses::augment_encoder_input(plain, c.stored("input.translation"), c.stored("input.flip"), latent, mode));
}

void check_consistency(Case& c) {
  const at::Tensor weights =
      at::tensor(c.config().at("consistency_weights").get<std::vector<double>>(), at::kFloat).to(c.device());
  const at::Tensor images = c.stored("input.images").clone().requires_grad_(true);
  const at::Tensor detached = losses::consistency_terms(images, true),
                   attached = losses::consistency_terms(images, false);
  c.compare("output.terms", detached);
  c.compare("output.loss", (detached * weights).sum().view({1}));
  c.compare("output.grad_detached", gradients({(detached * weights).sum()}, {images})[0]);
  c.compare("output.grad_attached", gradients({(attached * weights).sum()}, {images})[0]);
}

void check_diagnostics(Case& c) {
  const at::Tensor& images = c.stored("input.images");
  const at::Tensor last = images[images.size(0) - 1];
  const int64_t patch = c.config().at("patch"), rows = last.size(-2) / patch, columns = last.size(-1) / patch;
  const models::cat::ScaleConfig scales{c.config().at("scales").get<std::vector<int64_t>>(), c.config().at("resize")};
  std::vector<at::Tensor> supervised;
  for (const auto& [r, col] : models::cat::scale_grids(scales, images.size(0), rows, columns))
    supervised.push_back(models::cat::resize_stage(images[static_cast<int64_t>(supervised.size())], r * patch,
                                                   col * patch, scales.resize));
  for (const std::string back : {"bilinear", "nearest"}) {
    const std::string prefix = "output." + back + ".";
    const losses::Trajectory t = losses::trajectory(supervised, last, back);
    c.compare(prefix + "discrepancy", t.discrepancy.mean(1));
    c.compare(prefix + "discrepancy_samples", t.discrepancy);
    c.compare(prefix + "rewrite", t.rewrite.mean(1));
    c.compare(prefix + "direction", t.direction.mean(1));
    for (size_t k = 0; k + 1 < supervised.size(); ++k)
      c.compare(cat(prefix, "back.", k),
                losses::bring_back(supervised[k], last.size(-2), last.size(-1), back).select(0, -1));
  }
}

}  // namespace

std::vector<Kind> network_kinds() {
  return {{"gat/tables", check_tables},
          {"gat/attention", check_attention},
          {"gat/generator", check_generator},
          {"gat/full_generator", check_generator},
          {"gat/generator_sampling", check_generator_sampling},
          {"gat/discriminator", check_discriminator},
          {"gat/full_discriminator", check_full_discriminator},
          {"gat/augment", check_augment},
          {"gat/mng", check_mng},
          {"gat/losses", check_losses},
          {"gat/penalty", check_penalty},
          {"gat/align_input", check_align_input},
          {"cat/discriminator", check_scale_discriminator},
          {"cat/consistency", check_consistency},
          {"cat/diagnostics", check_diagnostics}};
}

}  // namespace gigacat::golden
