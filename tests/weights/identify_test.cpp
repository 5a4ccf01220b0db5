#include "gigacat/weights/identify.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "gigacat/core/error.h"
#include "weights/inception_names.h"

namespace gigacat::weights {
namespace {

using nn::TensorMap;
using ::testing::HasSubstr;

TensorMap named(const std::vector<std::pair<std::string, std::vector<int64_t>>>& shapes) {
  TensorMap tensors;
  for (const auto& [name, shape] : shapes) tensors[name] = at::zeros(shape);
  return tensors;
}

IdentifiedWeights one(TensorMap tensors) {
  auto found = identify(std::move(tensors));
  if (!found) throw Error("not recognised");
  return *found;
}

TensorMap openai_clip() {
  return named({{"visual.conv1.weight", {768, 3, 32, 32}},
                {"visual.class_embedding", {768}},
                {"visual.positional_embedding", {50, 768}},
                {"visual.transformer.resblocks.0.ln_1.weight", {768}},
                {"visual.transformer.resblocks.1.ln_1.weight", {768}},
                {"transformer.resblocks.0.ln_1.weight", {512}},
                {"token_embedding.weight", {100, 512}},
                {"text_projection", {512, 512}},
                {"input_resolution", {}}});
}

TEST(Recognise, ClipInBothNamings) {
  const IdentifiedWeights openai = one(openai_clip());
  EXPECT_EQ(openai.kind, "clip");
  EXPECT_THAT(openai.what, HasSubstr("2 layers of width 768, patch 32, input 224 px"));
  EXPECT_FALSE(openai.tensors.contains("input_resolution")) << "a constant of the TorchScript file";
  const IdentifiedWeights hf = one(named({{"vision_model.embeddings.patch_embedding.weight", {64, 3, 8, 8}},
                                          {"vision_model.embeddings.position_ids", {1, 17}},
                                          {"vision_model.encoder.layers.0.layer_norm1.bias", {64}},
                                          {"text_model.embeddings.token_embedding.weight", {99, 48}},
                                          {"visual_projection.weight", {36, 64}}}));
  EXPECT_EQ(hf.architecture["names"], "huggingface");
  EXPECT_EQ(hf.architecture["embed_dim"], 36);
  EXPECT_FALSE(hf.tensors.contains("vision_model.embeddings.position_ids"));
}

TEST(Recognise, WrappersAreTakenOff) {
  TensorMap wrapped;
  for (const auto& [name, tensor] : openai_clip()) wrapped["state_dict.module." + name] = tensor;
  EXPECT_TRUE(one(wrapped).tensors.contains("visual.conv1.weight"));
}

TEST(Recognise, Dinov2) {
  const TensorMap base = named({{"cls_token", {1, 1, 384}},
                                {"patch_embed.proj.weight", {384, 3, 14, 14}},
                                {"blocks.0.ls1.gamma", {384}},
                                {"blocks.1.ls1.gamma", {384}}});
  EXPECT_THAT(one(base).what, HasSubstr("ViT-S/14: 2 layers of width 384, no registers"));
  TensorMap registers = base;
  registers["register_tokens"] = at::zeros({1, 4, 384});
  EXPECT_THAT(one(registers).what, HasSubstr("4 registers"));
  TensorMap timm = base;
  timm["reg_token"] = at::zeros({1, 4, 384});
  EXPECT_THROW(identify(timm), Error);
}

TEST(Recognise, OlderAutoencodersGetTodaysNames) {
  const IdentifiedWeights found = one(named({{"decoder.conv_in.weight", {512, 4, 3, 3}},
                                             {"decoder.conv_norm_out.weight", {128}},
                                             {"decoder.up_blocks.0.resnets.0.conv1.weight", {8, 8, 3, 3}},
                                             {"decoder.up_blocks.1.resnets.0.conv1.weight", {8, 8, 3, 3}},
                                             {"decoder.mid_block.attentions.0.query.weight", {512, 512, 1, 1}},
                                             {"decoder.mid_block.attentions.0.proj_attn.bias", {512}}}));
  EXPECT_EQ(found.kind, "autoencoder-kl");
  EXPECT_EQ(found.tensors.at("decoder.mid_block.attentions.0.to_q.weight").dim(), 2);
  EXPECT_TRUE(found.tensors.contains("decoder.mid_block.attentions.0.to_out.0.bias"));
}

TEST(Recognise, TaesdInItsNamings) {
  const IdentifiedWeights encoder =
      one(named({{"0.weight", {64, 3, 3, 3}}, {"1.conv.0.weight", {64, 64, 3, 3}}, {"14.weight", {16, 64, 3, 3}}}));
  EXPECT_THAT(encoder.what, HasSubstr("(encoder): 16 latent channels"));
  EXPECT_TRUE(encoder.tensors.contains("encoder.1.conv.0.weight"));
  const IdentifiedWeights decoder = one(
      named({{"1.weight", {64, 32, 3, 3}}, {"3.conv.0.weight", {64, 64, 3, 3}}, {"3.pool.0.weight", {256, 64, 1, 1}}}));
  EXPECT_THAT(decoder.what, HasSubstr("(decoder): 32 latent channels, with pooling branches"));
  const IdentifiedWeights both = one(named({{"encoder.layers.0.weight", {64, 3, 3, 3}},
                                            {"encoder.layers.1.conv.0.weight", {64, 64, 3, 3}},
                                            {"decoder.layers.0.weight", {64, 4, 3, 3}},
                                            {"decoder.layers.2.conv.0.weight", {64, 64, 3, 3}}}));
  EXPECT_THAT(both.what, HasSubstr("encoder and decoder"));
  EXPECT_TRUE(both.tensors.contains("decoder.1.weight")) << "diffusers leaves the clamp out of the numbers";
  EXPECT_TRUE(both.tensors.contains("decoder.3.conv.0.weight"));
}

// The TorchScript file's names, from the shapes of pytorch-fid's.
TEST(Recognise, InceptionOfTheTorchScript) {
  TensorMap script = named({{"output.weight", {1008, 2048}}, {"output.bias", {1008}}});
  const auto add = [&script](const std::string& name) {
    script[name + ".weight"] = at::zeros({2, 2, 1, 1});
    for (const char* part : {".beta", ".mean", ".var"}) script[name + part] = at::zeros({2});
  };
  for (const char* name : {"conv", "conv_1", "conv_2", "conv_3", "conv_4"}) add(cat("layers.", name));
  const std::vector<std::string> a = {"conv",           "tower.conv",     "tower.conv_1", "tower_1.conv",
                                      "tower_1.conv_1", "tower_1.conv_2", "tower_2.conv"},
                                 b = {"conv", "tower.conv", "tower.conv_1", "tower.conv_2"},
                                 c = {"conv",           "tower.conv",     "tower.conv_1",   "tower.conv_2",
                                      "tower_1.conv",   "tower_1.conv_1", "tower_1.conv_2", "tower_1.conv_3",
                                      "tower_1.conv_4", "tower_2.conv"},
                                 d = {"tower.conv",     "tower.conv_1",   "tower_1.conv",
                                      "tower_1.conv_1", "tower_1.conv_2", "tower_1.conv_3"},
                                 e = {"conv",         "tower_conv",     "tower_mixed_conv",   "tower_mixed_conv_1",
                                      "tower_1_conv", "tower_1_conv_1", "tower_1_mixed_conv", "tower_1_mixed_conv_1",
                                      "tower_2_conv"};
  const std::vector<const std::vector<std::string>*> blocks = {&a, &a, &a, &b, &c, &c, &c, &c, &d, &e, &e};
  for (size_t i = 0; i < blocks.size(); ++i)
    for (const std::string& name : *blocks[i]) add(cat("layers.mixed", i == 0 ? "" : cat("_", i), ".", name));
  script["layers.mixed_10.tower_1_mixed_conv_1.beta"] = at::full({2}, 9);
  const IdentifiedWeights found = one(script);
  EXPECT_EQ(found.kind, "inception");
  EXPECT_EQ(inception_convolutions().size(), 94u);
  EXPECT_EQ(found.tensors.size(), 94u * 5 + 2);
  EXPECT_EQ(found.tensors.at("Mixed_7c.branch3x3dbl_3b.bn.bias")[0].item<float>(), 9);
  EXPECT_EQ(found.tensors.at("Conv2d_1a_3x3.bn.weight")[0].item<float>(), 1);
  script.erase("layers.mixed_4.tower_1.conv_3.var");
  EXPECT_THROW(identify(script), Error);
}

TEST(Recognise, BackbonesHeadsAndNothing) {
  EXPECT_EQ(one(named({{"features.0.weight", {64, 3, 3, 3}}, {"features.28.weight", {512, 512, 3, 3}}})).kind, "vgg16");
  EXPECT_EQ(one(named({{"features.0.weight", {64, 3, 11, 11}}, {"features.10.weight", {256, 256, 3, 3}}})).kind,
            "alexnet");
  EXPECT_EQ(one(named({{"lin0.model.1.weight", {1, 64, 1, 1}},
                       {"lin1.model.1.weight", {1, 192, 1, 1}},
                       {"lin4.model.1.weight", {1, 256, 1, 1}}}))
                .architecture["net"],
            "alex");
  EXPECT_FALSE(identify(named({{"layer1.0.conv1.weight", {64, 64, 3, 3}}, {"fc.weight", {1000, 512}}})).has_value());
  EXPECT_FALSE(identify({}).has_value());
}

}  // namespace
}  // namespace gigacat::weights
