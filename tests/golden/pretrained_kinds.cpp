#include <ATen/ATen.h>

#include <cstdlib>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/losses/alignment.h"
#include "gigacat/pretrained/autoencoder_kl.h"
#include "gigacat/pretrained/clip.h"
#include "gigacat/pretrained/dinov2.h"
#include "gigacat/pretrained/inception.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/pretrained/taesd.h"
#include "gigacat/text/tokenizer.h"
#include "golden/kinds.h"

namespace gigacat::golden {
namespace {

// uint8 [H, W, 3] or [N, H, W, 3] -> float [N, 3, H, W], 0..255.
at::Tensor planes(const at::Tensor& pixels) {
  const at::Tensor batch = pixels.dim() == 3 ? pixels.unsqueeze(0) : pixels;
  return batch.permute({0, 3, 1, 2}).to(at::kFloat).contiguous();
}

void compare_taesd(Case& c, pretrained::Taesd& taesd, const at::Tensor& images) {
  const at::Tensor latent = taesd->encode(images);
  const int64_t stride = c.config().value("reconstruction_stride", 1);
  c.compare("output.latent", latent);
  c.compare("output.scaled_latent", (latent / 6 + 0.5).clamp(0, 1));
  c.compare("output.reconstruction",
            taesd->decode(latent).slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride));
}

void check_taesd(Case& c) {
  const at::NoGradGuard no_grad;
  pretrained::Taesd taesd = pretrained::load_taesd({c.weights(), c.name()});
  taesd->to(c.device());
  compare_taesd(c, taesd, c.formula_input("image"));
  c.compare("output.decoded", taesd->decode(c.formula_input("latent")));
}

void check_real_taesd(Case& c) {
  const at::NoGradGuard no_grad;
  weights::Weights all{{}, c.name()};
  for (const std::string file : c.config().at("weight_files"))
    all.tensors.merge(pretrained::taesd_names(weights::read_weights(c.find_file(file))).tensors);
  pretrained::Taesd taesd = pretrained::load_taesd(std::move(all));
  taesd->to(c.device());
  compare_taesd(c, taesd, planes(c.stored("input.photo")) / 255);
}

// TensorFlow 1's bilinear resize without half pixels: source = index * in / out. [N, C, H, W] -> [N, C, size, size].
at::Tensor resize_tf1(const at::Tensor& x, int64_t size) {
  at::Tensor y = x;
  for (const int64_t dim : {2, 3}) {
    const int64_t in = x.size(dim);
    const at::Tensor place = at::arange(size, x.options()) * (static_cast<float>(in) / static_cast<float>(size));
    const at::Tensor low = place.floor().to(at::kLong), high = (low + 1).clamp_max(in - 1);
    const at::Tensor part = dim == 2 ? (place - low).view({-1, 1}) : place - low;
    const at::Tensor a = y.index_select(dim, low), b = y.index_select(dim, high);
    y = a + (b - a) * part;
  }
  return y;
}

void compare_inception(Case& c, pretrained::Inception& inception, const at::Tensor& images, const std::string& suffix) {
  std::vector<at::Tensor> stages;
  const auto out = inception->forward(images, [&](const std::string&, const at::Tensor& y) {
    stages.push_back(y.abs().mean({1, 2, 3}));
  });
  c.compare("output.pool3_" + suffix, out.pool);
  c.compare("output.spatial_" + suffix, out.spatial.unflatten(1, {17, 17, 7}).permute({0, 3, 1, 2}));
  c.compare("output.stage_mean_abs_" + suffix, at::stack(stages, 1));
  c.compare("output.logits_unbiased_" + suffix, out.logits_unbiased);
  if (c.has("output.logits_" + suffix))
    c.compare("output.logits_" + suffix, out.logits_unbiased + inception->class_bias());
}

void check_inception(Case& c) {
  const at::NoGradGuard no_grad;
  pretrained::Inception inception = pretrained::load_inception({c.weights(), c.name()});
  inception->to(c.device());
  const at::Tensor photo = planes(c.stored("input.photo")) / 255, small = planes(c.stored("input.small"));
  compare_inception(c, inception, at::cat({photo, c.formula_input("image_formula")}) * 2 - 1, "299");
  compare_inception(c, inception, at::upsample_bilinear2d(small / 255, {299, 299}, false) * 2 - 1, "small");
  compare_inception(c, inception, (resize_tf1(small, 299) - 128) / 128, "adm");
}

void check_lpips(Case& c) {
  const at::NoGradGuard no_grad;
  const weights::Weights heads = weights::read_weights(c.find_file(c.config().at("head_file")));
  pretrained::Lpips lpips = pretrained::load_lpips({c.weights(), c.name()}, heads);
  lpips->to(c.device());
  const at::Tensor first = planes(c.stored("input.first")), second = planes(c.stored("input.second"));
  const at::Tensor a = first / 127.5 - 1, b = second / 127.5 - 1;
  c.compare("output.distance", lpips(a, b));
  c.compare("output.per_layer", lpips->per_layer(a, b));
  c.compare("output.spatial", lpips->map(a, b));
  c.compare("output.distance_normalize", lpips(first / 255 * 2 - 1, second / 255 * 2 - 1));
  std::vector<at::Tensor> means;
  for (const at::Tensor& tap : lpips->features(a)) means.push_back(tap.abs().mean({1, 2, 3}));
  c.compare("output.feature_mean_abs", at::stack(means, 1));
}

void check_autoencoder_kl(Case& c) {
  const at::NoGradGuard no_grad;
  const int64_t groups = c.config().at("autoencoder").at("norm_num_groups");
  auto network = pretrained::load_autoencoder_kl({c.weights(), c.name()}, {}, groups);
  network->to(c.device());
  const at::Tensor moments = network->encode(c.formula_input("image"), [&](const std::string&, const at::Tensor& y) {
    c.compare("output.encoder_mid_stride", y.slice(1, 0, std::nullopt, 8));
  });
  const pretrained::Moments split = pretrained::split_moments(moments);
  c.compare("output.moments", moments);
  c.compare("output.logvar_clamped", split.logvar);
  c.compare("output.std", at::exp(split.logvar / 2));
  c.compare("output.decoded", network->decode(c.formula_input("latent")));
  c.compare("output.reconstruction_of_mean", network->decode(split.mean));
}

// x[:, ::a, ::b] with config.stride [a, b].
at::Tensor strided(const Case& c, const at::Tensor& x) {
  const auto stride = c.config().value("stride", std::vector<int64_t>{1, 1});
  return x.slice(1, 0, std::nullopt, stride[0]).slice(2, 0, std::nullopt, stride[1]);
}

void check_dinov2(Case& c) {
  const at::NoGradGuard no_grad;
  pretrained::Dinov2 dinov2 = pretrained::load_dinov2({c.weights(), c.name()});
  dinov2->to(c.device());
  const at::Tensor image = c.formula_input("image");
  std::vector<at::Tensor> blocks;
  const auto out = dinov2->forward(image, [&](const std::string&, const at::Tensor& y) {
    blocks.push_back(y.abs().mean({1, 2}));
  });
  const int64_t patch = dinov2->config().patch;
  c.compare("output.x_norm_clstoken", out.cls);
  c.compare("output.x_norm_patchtokens", strided(c, out.patches));
  c.compare("output.x_norm_patchtokens_norm", out.patches.norm(2, -1));
  c.compare("output.pos_embed", strided(c, dinov2->positions(image.size(2) / patch, image.size(3) / patch)));
  c.compare("output.block_mean_abs", at::stack(blocks, 1));
  if (out.registers.size(1) > 0) c.compare("output.x_norm_regtokens", out.registers);
}

void check_dinov2_align(Case& c) {
  const at::NoGradGuard no_grad;
  auto dinov2 = pretrained::load_dinov2({c.weights(), c.name()}, {}, pretrained::GridResampling::gat);
  dinov2->to(c.device());
  const at::Tensor prepared = losses::encoder_input(c.formula_input("image"), 224);
  c.compare("output.prepared_image_stride5", prepared.slice(2, 0, std::nullopt, 5).slice(3, 0, std::nullopt, 5));
  const auto out = dinov2->forward(prepared);
  c.compare("output.pos_embed", strided(c, dinov2->positions(16, 16)));
  c.compare("output.x_norm_clstoken", out.cls);
  c.compare("output.x_norm_patchtokens", strided(c, out.patches));
}

void compare_clip(Case& c, pretrained::Clip& clip) {
  const auto text = clip->text(c.stored("input.input_ids")), image = clip->image(c.formula_input("pixel_values"));
  c.compare("output.text_embeds", text.embedding);
  c.compare("output.image_embeds", image.embedding);
  c.compare("output.text_last_hidden_state", strided(c, text.hidden));
  c.compare("output.text_penultimate", strided(c, text.penultimate));
  c.compare("output.image_last_hidden_state", strided(c, image.hidden));
  c.compare("output.image_penultimate", strided(c, image.penultimate));
  if (!c.has("output.text_eot_state")) return;
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, -1, /*keepdim=*/true); };
  c.compare("output.image_cls_post_layernorm", image.pooled);
  c.compare("output.text_eot_state", text.pooled);
  c.compare("output.logits_per_image", clip->scale() * at::matmul(unit(image.embedding), unit(text.embedding).t()));
}

void check_clip(Case& c) {
  const at::NoGradGuard no_grad;
  const auto &text = c.config().at("text"), &vision = c.config().at("vision");
  const pretrained::ClipOverrides overrides{.text_heads = text.at("num_attention_heads"),
                                            .image_heads = vision.at("num_attention_heads"),
                                            .quick_gelu = text.at("hidden_act") == "quick_gelu"};
  pretrained::Clip clip = pretrained::load_clip({c.weights(), c.name()}, {}, overrides);
  clip->to(c.device());
  compare_clip(c, clip);
}

void check_open_clip(Case& c) {
  const at::NoGradGuard no_grad;
  const auto &text = c.config().at("text_cfg"), &vision = c.config().at("vision_cfg");
  const pretrained::ClipOverrides overrides{
      .text_heads = text.at("heads"),
      .image_heads = vision.at("width").get<int64_t>() / vision.at("head_width").get<int64_t>(),
      .quick_gelu = c.config().at("quick_gelu")};
  pretrained::Clip clip = pretrained::load_clip({c.weights(), c.name()}, {}, overrides);
  clip->to(c.device());
  compare_clip(c, clip);
}

// The vocabulary is no part of the cases: it lies above them, or where GIGACAT_CLIP_VOCABULARY says.
std::filesystem::path vocabulary_of(const Case& c) {
  const char* given = std::getenv("GIGACAT_CLIP_VOCABULARY");
  const std::filesystem::path path = given ? given : c.find_file("bpe_simple_vocab_16e6.txt.gz");
  const std::string hash = sha256_file(path);
  if (hash != c.config().at("vocabulary").at("sha256").get<std::string>())
    fail(path.string(), " is not the case's vocabulary: its SHA-256 is ", hash);
  return path;
}

void check_tokenizer(Case& c) {
  const text::Tokenizer tokenizer(vocabulary_of(c));
  std::vector<std::string> texts, faults;
  for (const auto& one : c.description().at("cases")) {
    texts.push_back(one.at("text"));
    const std::vector<int64_t> ids = tokenizer.encode(texts.back());
    if (ids != one.at("ids").get<std::vector<int64_t>>())
      faults.push_back(cat("\"", texts.back(), "\" is ", join(ids), ", expected ", one.at("ids").dump()));
  }
  if (!faults.empty()) fail(faults.size(), " of ", texts.size(), " strings differ: ", join(faults, "; "));
  c.compare("output.tokens", tokenizer.tokens(texts, c.config().at("context")));
}

}  // namespace

std::vector<Kind> pretrained_kinds() {
  return {{"taesd", check_taesd},
          {"taef2_real", check_real_taesd},
          {"inception_fid", check_inception},
          {"lpips", check_lpips},
          {"autoencoder_kl", check_autoencoder_kl},
          {"dinov2", check_dinov2},
          {"dinov2_gat_align", check_dinov2_align},
          {"clip", check_clip},
          {"clip_tokenizer", check_tokenizer, kOnHost},
          {"openclip", check_open_clip}};
}

}  // namespace gigacat::golden
