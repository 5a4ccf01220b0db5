#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/temporary_folder.h"
#include "gigacat/core/files.h"
#include "gigacat/pretrained/autoencoder_kl.h"
#include "gigacat/pretrained/clip.h"
#include "gigacat/pretrained/dinov2.h"
#include "gigacat/pretrained/features.h"
#include "gigacat/pretrained/inception.h"
#include "gigacat/pretrained/lpips.h"
#include "gigacat/weights/torch_file.h"
#include "pretrained/helpers.h"

namespace gigacat::pretrained {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::random_state;

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  return ((actual - expected).abs().max() / expected.abs().max()).item<double>();
}

const AutoencoderKlConfig kSmallKl{.widths = {8, 16}, .layers = 1, .latent_channels = 3, .norm_groups = 4};

TEST(AutoencoderKl, TilesOfASingleCellsFunctionAreExact) {
  const at::Tensor x = at::rand({1, 2, 37, 50});
  const Tiling up{.tile = 16, .overlap = 4, .scale = 2, .shrink = false};
  const at::Tensor twice = blend_tiles(x, up, [](const at::Tensor& tile) {
    return at::upsample_nearest2d(tile, {2 * tile.size(2), 2 * tile.size(3)});
  });
  EXPECT_LT(relative_error(twice, at::upsample_nearest2d(x, {74, 100})), 1e-6);
  const at::Tensor y = at::rand({1, 1, 64, 48});
  const Tiling down{.tile = 32, .overlap = 8, .scale = 4, .shrink = true};
  const at::Tensor small = blend_tiles(y, down, [](const at::Tensor& tile) { return at::avg_pool2d(tile, {4, 4}); });
  EXPECT_LT(relative_error(small, at::avg_pool2d(y, {4, 4})), 1e-6);
}

TEST(AutoencoderKl, SmallImagesAreNotTiled) {
  const at::NoGradGuard no_grad;
  AutoencoderKl network = load_autoencoder_kl({random_state(*AutoencoderKl(kSmallKl)), "state"}, {}, 4);
  const at::Tensor images = at::rand({1, 3, 16, 24}), moments = network->encode(images);
  EXPECT_EQ(moments.sizes(), at::IntArrayRef({1, 6, 8, 12}));
  EXPECT_TRUE(at::equal(network->encode_tiled(images, 24), moments));
  EXPECT_TRUE(at::equal(network->encode_tiled(images, 0), moments));
  EXPECT_EQ(network->encode_tiled(images, 12).sizes(), moments.sizes());
  EXPECT_EQ(network->decode_tiled(split_moments(moments).mean, 8).sizes(), images.sizes());
}

TEST(AutoencoderKl, OldAttentionNames) {
  const at::NoGradGuard no_grad;
  const nn::TensorMap state = random_state(*AutoencoderKl(kSmallKl));
  nn::TensorMap old;
  for (const auto& [official, tensor] : state) {
    std::string name = official;
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}})
      if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
    old[name] = tensor;
  }
  ASSERT_TRUE(old.contains("decoder.mid_block.attentions.0.proj_attn.bias"));
  const at::Tensor images = at::rand({1, 3, 8, 8});
  EXPECT_TRUE(at::equal(load_autoencoder_kl({old, "old"}, {}, 4)->encode(images),
                        load_autoencoder_kl({state, "new"}, {}, 4)->encode(images)));
}

TEST(AutoencoderKl, ThroughTheInterface) {
  const TemporaryFolder folder;
  nn::write_tensors(folder / "vae.safetensors", random_state(*AutoencoderKl(kSmallKl)));
  AutoencoderConfig config;
  config.kind = "kl";
  config.weights = folder.path().string();
  EXPECT_THAT(error_of([&] { make_autoencoder(config, at::kCPU); }), HasSubstr("not divisible by 32 norm groups"));
  write_atomically(folder / "config.json", R"({"norm_num_groups": 4})");
  const auto kl = make_autoencoder(config, at::kCPU);
  EXPECT_EQ(kl->channels(), 3);
  EXPECT_EQ(kl->factor(), 2);
  const Moments moments = kl->moments(at::rand({9, 3, 8, 8}));
  ASSERT_EQ(moments.logvar.sizes(), at::IntArrayRef({9, 3, 4, 4}));
  const at::Tensor noise = at::randn({9, 3, 4, 4});
  EXPECT_LT(relative_error(moments.sample(noise), moments.mean + (moments.logvar / 2).exp() * noise), 1e-6);
  write_atomically(folder / "config.json", R"({"norm_num_groups": "four"})");
  EXPECT_THAT(error_of([&] { make_autoencoder(config, at::kCPU); }), HasSubstr("norm_num_groups \"four\" is no count"));
}

TEST(Lpips, GradientIsFiniteWhereFeaturesAreZero) {
  Lpips network(LpipsNet::vgg);
  nn::TensorMap state = random_state(*network);
  for (auto& [name, tensor] : state)
    if (name.ends_with(".bias")) tensor.fill_(-1);  // black images: no feature at all
  nn::TensorMap heads;
  for (int k = 0; k < 5; ++k)
    heads[cat("lin", k, ".model.1.weight")] = state.at(cat("lin", k, ".model.1.weight")).abs();
  network = load_lpips({state, "backbone"}, {heads, "heads"});
  const at::Tensor black = at::full({1, 3, 32, 32}, -0.03);
  at::Tensor grey = black.clone();
  grey.narrow(3, 16, 16).add_(0.8);
  grey.requires_grad_(true);
  const at::Tensor distance = network(grey, black);
  EXPECT_EQ(distance.sizes(), at::IntArrayRef({1}));
  const at::Tensor gradient = torch::autograd::grad({distance.sum()}, {grey})[0];
  EXPECT_TRUE(gradient.isfinite().all().item<bool>());
  EXPECT_EQ(network(black, black).item<float>(), 0);
}

TEST(Lpips, BackboneAndHeadsMustFit) {
  nn::TensorMap alex = random_state(*Lpips(LpipsNet::alex)), vgg_heads;
  for (const auto& [name, tensor] : random_state(*Lpips(LpipsNet::vgg)))
    if (name.starts_with("lin")) vgg_heads[name] = tensor;
  EXPECT_THAT(error_of([&] {
                load_lpips({alex, "a.safetensors"}, {vgg_heads, "h.safetensors"});
              }),
              HasSubstr("the LPIPS backbone AlexNet with heads of h.safetensors is wanted"));
  EXPECT_THAT(error_of([&] {
                load_lpips({vgg_heads, "h.safetensors"}, {vgg_heads, "h.safetensors"});
              }),
              HasSubstr("h.safetensors holds the linear heads of LPIPS v0.1 (vgg), where an LPIPS backbone (VGG16 or "
                        "AlexNet) is wanted"));
  EXPECT_EQ(error_of([&] { load_lpips({alex, "a"}, {alex, "a"}); }), "");
}

const Dinov2Config kSmallDino{.width = 64, .depth = 2, .heads = 1, .hidden = 96, .patch = 14, .grid = 4};

TEST(Dinov2, TimmNamesOfRegisters) {
  Dinov2Config config = kSmallDino;
  config.registers = 2;
  const nn::TensorMap official = random_state(*Dinov2(config));
  nn::TensorMap timm = official;
  timm["reg_token"] = timm.at("register_tokens");
  timm.erase("register_tokens");
  timm["cls_token"] = official.at("cls_token") + official.at("pos_embed").narrow(1, 0, 1);
  timm["pos_embed"] = official.at("pos_embed").narrow(1, 1, 16).contiguous();
  const at::Tensor images = at::rand({2, 3, 28, 42});
  const Dinov2Output a = load_dinov2({official, "official"})->forward(images),
                     b = load_dinov2({timm, "timm"})->forward(images);
  EXPECT_EQ(a.patches.sizes(), at::IntArrayRef({2, 6, 64}));
  EXPECT_EQ(a.registers.sizes(), at::IntArrayRef({2, 2, 64}));
  EXPECT_LT(relative_error(b.cls, a.cls), 1e-5);
  EXPECT_LT(relative_error(b.patches, a.patches), 1e-5);
}

TEST(Dinov2, WeightsStayInTheFile) {
  const TemporaryFolder folder;
  nn::write_tensors(folder / "d.safetensors", random_state(*Dinov2(kSmallDino)));
  const weights::Weights weights = weights::read_weights(folder / "d.safetensors");
  const Dinov2 network = load_dinov2(weights);
  EXPECT_EQ(network->named_parameters()["blocks.1.attn.qkv.weight"].const_data_ptr(),
            weights.tensors.at("blocks.1.attn.qkv.weight").const_data_ptr());
  EXPECT_FALSE(network->named_parameters()["norm.bias"].requires_grad());
}

TEST(Dinov2, FilesOfTorchAreRead) {
  const TemporaryFolder folder;
  const nn::TensorMap state = random_state(*Dinov2(kSmallDino));
  std::vector<std::string> names;
  for (const auto& item : state) names.push_back(item.first);
  weights::TorchWriter writer;
  writer.write(folder / "d.pth", *writer.tensors(state, names));
  const at::Tensor images = at::rand({1, 3, 28, 28});
  EXPECT_TRUE(at::equal(load_dinov2(weights::read_weights(folder / "d.pth"))->forward(images).cls,
                        load_dinov2({state, "state"})->forward(images).cls));
}

TEST(Dinov2, HalfPrecision) {
  const weights::Weights weights{random_state(*Dinov2(kSmallDino)), "state"};
  const at::Tensor images = at::rand({1, 3, 28, 28});
  const at::Tensor exact = load_dinov2(weights)->forward(images).cls,
                   rough = load_dinov2(weights, {.dtype = at::kBFloat16})->forward(images).cls;
  EXPECT_EQ(rough.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(rough.to(at::kFloat), exact), 0.1);
}

TEST(Features, EncodersByName) {
  const TemporaryFolder folder;
  Dinov2Config config{.width = 384, .depth = 1, .heads = 6, .hidden = 64, .patch = 14, .grid = 37};
  nn::write_tensors(folder / "s.safetensors", random_state(*Dinov2(config)));
  const std::string file = (folder / "s.safetensors").string();
  const auto encoder = make_feature_encoder("dinov2-s", file, at::kCPU);
  EXPECT_EQ(encoder->width(), feature_width("dinov2-s"));
  EXPECT_EQ(encoder->encode(at::rand({1, 3, 224, 224})).sizes(), at::IntArrayRef({1, 257, 384}));
  EXPECT_THAT(error_of([&] { make_feature_encoder("dinov2-b", file, at::kCPU); }), HasSubstr("holds dinov2-s"));
  EXPECT_THAT(error_of([&] { make_feature_encoder("dinov2-b", "", at::kCPU); }),
              HasSubstr("needs its safetensors file"));
  EXPECT_THAT(error_of([&] { feature_width("dinov3"); }), HasSubstr("known: fake, dinov2-s"));
}

TEST(Clip, OneTowerAlone) {
  const ClipConfig both{.text = {64, 2, 1, 96},
                        .image = {64, 1, 1, 80},
                        .context = 8,
                        .vocabulary = 30,
                        .size = 28,
                        .patch = 14,
                        .embedding = 20};
  const nn::TensorMap state = random_state(*Clip(both));
  nn::TensorMap text;
  for (const auto& [name, tensor] : state)
    if (name.starts_with("text_model.")) text[name] = tensor;
  text["text_model.embeddings.position_ids"] = at::arange(8);
  const at::Tensor ids = at::tensor({28, 3, 29, 0, 28, 29, 29, 29}, at::kLong).view({2, 4});
  Clip whole = load_clip({state, "whole"}), half = load_clip({text, "text"});
  const ClipOutput a = whole->text(ids), b = half->text(ids);
  EXPECT_TRUE(at::equal(a.pooled, b.pooled));
  EXPECT_TRUE(at::equal(a.pooled[1], a.hidden[1][1]));  // padded with the end token: the first counts
  EXPECT_EQ(a.embedding.sizes(), at::IntArrayRef({2, 20}));
  EXPECT_FALSE(b.embedding.defined());
  EXPECT_THAT(error_of([&] { half->image(at::rand({1, 3, 28, 28})); }), HasSubstr("no image tower"));
}

TEST(WrongFiles, AreNamed) {
  const weights::Weights dino{random_state(*Dinov2(kSmallDino)), "d.safetensors"};
  EXPECT_THAT(error_of([&] { load_clip(dino); }), HasSubstr("d.safetensors holds a DINOv2"));
  EXPECT_THAT(error_of([&] { load_inception(dino); }), HasSubstr("where the FID Inception-v3 is wanted"));
  EXPECT_THAT(error_of([&] { load_autoencoder_kl(dino); }), HasSubstr("where an AutoencoderKL is wanted"));
  weights::Weights cut = dino;
  cut.tensors.erase("blocks.1.ls2.gamma");
  cut.tensors["norm.bias"] = at::zeros({3});
  const std::string fault = error_of([&] { load_dinov2(cut); });
  EXPECT_THAT(fault, HasSubstr("missing: blocks.1.ls2.gamma"));
  EXPECT_THAT(fault, HasSubstr("norm.bias [3] for [64]"));
  EXPECT_THAT(error_of([&] { weights::read_weights("absent.pth"); }), HasSubstr("absent.pth"));
}

TEST(Inception, FoldsBatchNorm) {
  nn::TensorMap tensors{{"u.conv.weight", at::full({2, 1, 1, 1}, 3.0)},
                        {"u.bn.weight", at::full({2}, 2.0)},
                        {"u.bn.bias", at::full({2}, 0.5)},
                        {"u.bn.running_mean", at::full({2}, 1.0)},
                        {"u.bn.running_var", at::full({2}, 4 - 1e-3)},
                        {"AuxLogits.fc.weight", at::zeros({1})},
                        {"u.bn.num_batches_tracked", at::zeros({})}};
  const weights::Weights folded = fold_batch_norm({tensors, "x"});
  ASSERT_EQ(folded.tensors.size(), 2u);
  EXPECT_FLOAT_EQ(folded.tensors.at("u.weight")[1].item<float>(), 3);  // 3 * 2 / 2
  EXPECT_FLOAT_EQ(folded.tensors.at("u.bias")[0].item<float>(), -0.5);
  tensors.erase("u.bn.running_var");
  EXPECT_THAT(error_of([&] { fold_batch_norm({tensors, "x"}); }), HasSubstr("it has no tensor u.bn.running_var"));
}

}  // namespace
}  // namespace gigacat::pretrained
