#include "gigacat/recipes/transformer_gan.h"

#include <ATen/Functions.h>

#include <optional>

#include "gigacat/losses/adversarial.h"
#include "gigacat/losses/alignment.h"
#include "gigacat/losses/trajectory.h"
#include "gigacat/nn/autocast.h"
#include "gigacat/nn/fused.h"

namespace gigacat::recipes {
namespace {

void add_term(Loss& loss, const std::string& name, const at::Tensor& value) {
  loss.terms.emplace_back(name, value.detach());
}

std::vector<std::string> alignments() {
  std::vector<std::string> names = pretrained::feature_encoders();
  names.insert(names.begin(), {"none", "precomputed"});
  return names;
}

}  // namespace

void TransformerGanLoss::bind(config::Binder& b) {
  b.field("gamma_r1", gamma_r1, 0.1, "weight gamma of the penalty on real images (enters as gamma/2)",
          {.min = 0, .source = "GAT section 3"});
  b.field("gamma_r2", gamma_r2, 0.1, "weight gamma of the penalty on fakes", {.min = 0, .source = "GAT section 3"});
  b.field("penalty", penalty, "approximate", "gradient penalty: finite differences, double backward, or none",
          {.choices = {"approximate", "exact", "none"}, .source = "GAT section 3"});
  b.field("penalty_std", penalty_std, 0.01, "size of the perturbation of the approximate penalty",
          {.min = 1e-6, .max = 1, .source = "official code"});
  b.field("penalty_precision", penalty_precision, "same",
          "precision of the discriminator's half: under bf16 the approximate penalty mostly measures rounding",
          {.choices = {"same", "float32"}, .source = "official code"});
  b.field("augment", augment, true, "differentiable augmentation before the discriminator",
          {.source = "GAT section 3"});
  b.field("colour_probability", colour_probability, 0.5, "probability of the colour changes",
          {.min = 0, .max = 1, .source = "official code"});
  b.field("flip_probability", flip_probability, 0.4, "probability of the flip",
          {.min = 0, .max = 1, .source = "official code"});
  b.field("align", align, "none",
          "frozen features the discriminator is aligned with: none, precomputed (data.features), or an encoder",
          {.choices = alignments(), .source = "GAT section 3"});
  b.field("align_weights", align_weights, "", "safetensors file of the alignment's encoder", {.free_on_resume = true});
  b.field("align_weight", align_weight, 1.0, "weight of the alignment loss", {.min = 0, .source = "GAT section 3"});
  b.field("align_dim", align_dim, 768, "width of precomputed features", {.min = 1, .source = "DINOv2 ViT-B/14"});
  b.field("align_translation", align_translation, "scaled",
          "how the latents' translation moves the encoder's input: scaled by 224/H, or as the official code does",
          {.choices = {"official", "scaled"}, .source = "official code"});
  b.check("align_weights", [this]() -> std::string {
    return align.starts_with("dinov2") && align_weights.empty() ? cat("align ", align, " needs the file of its weights")
                                                                : "";
  });
}

TransformerGan::TransformerGan(const TransformerGanLoss& config, models::Model& model, const nn::Init& init)
    : loss_(config), model_(dynamic_cast<models::gat::TransformerModel&>(model)) {
  int64_t width = 0;
  if (loss_.align == "precomputed")
    width = loss_.align_dim;
  else if (loss_.align != "none")
    width = pretrained::feature_width(loss_.align);
  model_.build_discriminator(width, init);
}

at::Tensor TransformerGan::generate(const Batch& batch, bool with_graph) {
  at::AutoGradMode grad(with_graph);
  const at::Tensor z = batch.draws->normal("z", {}, {model_.z_dim()});
  const at::Tensor w = model_.transformer().style(z, batch.labels);
  if (with_graph) {
    styles_.push_back(w.detach());
    style_labels_.push_back(batch.labels);
  }
  return model_.transformer().synthesize(w);
}

losses::AugmentDraw TransformerGan::draw_augmentation(const nn::RandomDraws& draws, const std::string& purpose) const {
  if (!loss_.augment) return {};
  const auto uniform = [&](const char* name) { return draws.uniform(purpose + name, {}); };
  const auto places = [&](const char* name, int64_t y_low, int64_t y_high, int64_t x_low, int64_t x_high) {
    return at::stack(
        {draws.integers(purpose + name + ".y", y_low, y_high), draws.integers(purpose + name + ".x", x_low, x_high)},
        1);
  };
  const int64_t h = model_.shape().height, w = model_.shape().width;
  const int64_t ty = losses::translation_range(h), tx = losses::translation_range(w);
  return {uniform(".brightness"),
          uniform(".saturation"),
          uniform(".contrast"),
          draws.chance(purpose + ".colour", loss_.colour_probability),
          places(".translation", -ty, ty, -tx, tx),
          places(".cutout", 0, h - losses::cutout_size(h) % 2, 0, w - losses::cutout_size(w) % 2),
          draws.chance(purpose + ".flip", loss_.flip_probability)};
}

// images [K, B, C, H, W]; the colour means come from the last stage of `original`, so that a perturbed copy shares
// them.
at::Tensor TransformerGan::augmented(const at::Tensor& images, const losses::AugmentDraw& draw,
                                     const at::Tensor& original) const {
  if (!loss_.augment) return images;
  return losses::augment(images, draw, losses::colour_means(original[original.size(0) - 1]));
}

at::Tensor TransformerGan::noised(const at::Tensor& images, const nn::RandomDraws&, const std::string&) {
  return images;
}

Loss TransformerGan::discriminator_loss(const Batch& batch, const at::Tensor& fakes) {
  const nn::RandomDraws& draws = *batch.draws;
  const bool approximate = loss_.penalty == "approximate", exact = loss_.penalty == "exact";
  std::optional<nn::TwiceDifferentiable> twice;
  std::optional<nn::AutocastScope> full;
  if (exact) twice.emplace();
  if (loss_.penalty_precision == "float32") {
    const at::DeviceType device = fakes.device().type();
    full.emplace(device, nn::AutocastState{false, nn::AutocastState::current(device).type});
  }

  const int64_t stages = fakes.size(0), b = batch.images.size(0);
  const at::Tensor real = batch.images.detach().requires_grad_(exact), fake = fakes.detach().requires_grad_(exact);
  const losses::AugmentDraw draw_real = draw_augmentation(draws, "d.aug.real"),
                            draw_fake = draw_augmentation(draws, "d.aug.fake");

  // Real and fake, each with its perturbed copy, go through the discriminator as one batch.
  const at::Tensor real_stage = real.unsqueeze(0);  // [1, B, C, H, W]
  std::vector<at::Tensor> reals{augmented(real_stage, draw_real, real_stage)},
      all_fakes{augmented(fake, draw_fake, fake)};
  if (approximate) {
    const at::IntArrayRef image = real.sizes().slice(1);
    const at::Tensor eps_real = draws.normal("d.penalty.real", {}, image),
                     eps_fake = draws.normal("d.penalty.fake", {stages}, image);
    reals.push_back(augmented(real_stage + loss_.penalty_std * eps_real, draw_real, real_stage));
    all_fakes.push_back(augmented(fake + loss_.penalty_std * eps_fake, draw_fake, fake));
  }
  const at::Tensor real_views = noised(at::cat(reals, 1).expand({stages, -1, -1, -1, -1}), draws, "d.mng.real");
  const at::Tensor fake_views = noised(at::cat(all_fakes, 1), draws, "d.mng.fake");
  const models::gat::DiscriminatorOutput output =
      discriminate(at::cat({real_views, fake_views}, 1), batch.labels, loss_.align == "none" ? 0 : b);

  const std::vector<at::Tensor> logits = output.logits.split(b);  // real, (its copy,) fake, (its copy)
  const at::Tensor on_real = logits[0], on_fake = logits[approximate ? 2 : 1];
  const at::Tensor adversarial = losses::relativistic_discriminator(on_real, on_fake);
  Loss loss{adversarial.mean(), {}};
  add_term(loss, "disc", adversarial);
  if (approximate || exact) {
    const at::Tensor r1 = exact ? losses::exact_penalty(on_real, real)
                                : losses::approximate_penalty(on_real, logits[1], loss_.penalty_std);
    const at::Tensor r2 = exact ? losses::exact_penalty(on_fake, fake)
                                : losses::approximate_penalty(on_fake, logits[3], loss_.penalty_std);
    loss.total = loss.total + loss_.gamma_r1 / 2 * r1.mean() + loss_.gamma_r2 / 2 * r2.mean();
    add_term(loss, "r1", r1);
    add_term(loss, "r2", r2);
  }
  if (output.align_cls.defined()) add_alignment(batch, draw_real, output, loss);
  add_term(loss, "d_total", loss.total);
  add_term(loss, "accuracy_real", (on_real > 0).to(at::kFloat).mean(-1));
  add_term(loss, "accuracy_fake", (on_fake < 0).to(at::kFloat).mean(-1));
  return loss;
}

Loss TransformerGan::generator_loss(const Batch& batch, const at::Tensor& fakes) {
  const nn::RandomDraws& draws = *batch.draws;
  const int64_t stages = fakes.size(0);
  const at::Tensor real = batch.images.unsqueeze(0);
  const at::Tensor fake_views =
      noised(augmented(fakes, draw_augmentation(draws, "g.aug.fake"), fakes), draws, "g.mng.fake");
  const at::Tensor on_fake = discriminate(fake_views, batch.labels, 0).logits;
  at::Tensor on_real;
  {
    at::NoGradGuard no_grad;
    const at::Tensor views =
        augmented(real, draw_augmentation(draws, "g.aug.real"), real).expand({stages, -1, -1, -1, -1});
    on_real = discriminate(noised(views, draws, "g.mng.real"), batch.labels, 0).logits;
  }
  const at::Tensor adversarial = losses::relativistic_generator(on_real, on_fake);
  Loss loss{adversarial.mean(), {}};
  add_term(loss, "gen", adversarial);
  add_generator_losses(fakes, loss);
  add_term(loss, "g_total", loss.total);
  return loss;
}

// Frozen features of the real images, [B, 1 + N, F], of the image as the discriminator saw it.
at::Tensor TransformerGan::features(const Batch& batch, const losses::AugmentDraw& draw) {
  if (loss_.align == "precomputed") {
    if (!batch.features.defined())
      fail<UsageError>("loss.align is precomputed, but the data holds no features: set data.features");
    return batch.features;
  }
  at::NoGradGuard no_grad;
  if (!encoder_) encoder_ = pretrained::make_feature_encoder(loss_.align, loss_.align_weights, batch.images.device());
  const bool pixels = batch.images.size(1) == 3;
  if (!batch.raw.defined() && !pixels)
    fail<UsageError>("loss.align ", loss_.align, " needs RGB images beside the latents; the data holds none");
  const at::Tensor rgb = batch.raw.defined() ? batch.raw : (batch.images + 1) * 127.5;
  const at::Tensor input = losses::encoder_input(rgb, encoder_->input_size());
  if (!loss_.augment) return encoder_->encode(input);
  return encoder_->encode(losses::augment_encoder_input(input, draw.translation, draw.flip, model_.shape().height,
                                                        loss_.align_translation));
}

void TransformerGan::add_alignment(const Batch& batch, const losses::AugmentDraw& draw,
                                   const models::gat::DiscriminatorOutput& output, Loss& loss) {
  const at::Tensor frozen = features(batch, draw).detach();
  const at::Tensor cls = frozen.select(1, 0), patches = frozen.narrow(1, 1, frozen.size(1) - 1);
  const int64_t scales = output.align_cls.size(1);
  at::Tensor align_cls, align_patch;
  for (int64_t k = 0; k < scales; ++k) {
    const at::Tensor& head = output.align_spatial[k];
    const auto [rows, columns] = output.align_grids[k];
    const at::Tensor target = losses::resize_patches(patches, rows, columns);
    const at::Tensor c = losses::align_class(output.align_cls.select(1, k), cls),
                     p = losses::align_patches(head, target);
    align_cls = k == 0 ? c : align_cls + c;
    align_patch = k == 0 ? p : align_patch + p;
  }
  align_cls = align_cls / scales;
  align_patch = align_patch / scales;
  loss.total = loss.total + loss_.align_weight * (align_cls + align_patch).mean();
  add_term(loss, "align_cls", align_cls);
  add_term(loss, "align_patch", align_patch);
}

void TransformerGan::update_buffers(dist::Group& group) {
  if (styles_.empty()) return;
  const at::Tensor w = group.all_gather(at::cat(styles_).to(at::kFloat), "style means");
  const at::Tensor labels = group.all_gather(at::cat(style_labels_), "style labels");
  model_.transformer().update_style_mean(w, labels);
  styles_.clear();
  style_labels_.clear();
}

std::vector<std::pair<std::string, double>> TransformerGan::diagnostics(const at::Tensor& fakes) {
  const at::NoGradGuard no_grad;
  return losses::trajectory_metrics(model_.supervised(fakes), fakes[fakes.size(0) - 1], loss_.trajectory_back());
}

StepCost TransformerGan::cost() const {
  const models::NetworkCost generator = model_.generator_cost(), discriminator = model_.discriminator_cost();
  const double g = generator.flops, d = discriminator.flops;
  const double inputs =
      loss_.penalty == "approximate" ? 4 : 2;  // images of a sample that the discriminator's half sees
  // A backward pass is two forwards; through frozen weights, one. The exact penalty adds a gradient and its own
  // backward.
  const double discriminator_half = loss_.penalty == "exact" ? inputs * d * 9 : inputs * d * 3;
  const double generator_half = 2 * d + d;
  return {3 * g + discriminator_half + generator_half,
          generator.activation_bytes + inputs * discriminator.activation_bytes};
}

}  // namespace gigacat::recipes
