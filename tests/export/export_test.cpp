#include "gigacat/export/export.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/nn/state.h"
#include "gigacat/pretrained/text_image.h"
#include "gigacat/run/config.h"
#include "text/vocabulary.h"
#include "train/toy/recipe.h"

namespace gigacat::exports {
namespace {

using testing::HasSubstr;

const char* const kTransformer =
    "name: tiny\ndata: {resolution: 8, num_classes: 3}\nmodel:\n"
    "  generator: {depth: 4, hidden: 32, heads: 2, patch: 2, z_dim: 16}\n"
    "  discriminator: {depth: 2, hidden: 32, heads: 2, patch: 2, cmap_dim: 32, projector_dim: 32}\n";

const char* const kText =
    "recipe: gigagan\nname: tiny\ndata: {resolution: 16, captions: true, labels: false}\nmodel:\n"
    "  text: {width: 16, layers: 2, heads: 2, length: 6, vocabulary: 64}\n"
    "  generator: {z_dim: 8, w_dim: 16, mapping_layers: 2, channel_base: 256, channel_max: 16, blocks: [1, 2, 1],\n"
    "              bank: [1, 2, 4], attention: [0, 1, 2], head_dim: 8}\n"
    "  discriminator: {channel_base: 256, channel_max: 16, blocks: [1, 1, 2], attention: [8]}\n";

// A generator with random weights, in a file and as a network.
class ExportTest : public testing::Test {
 protected:
  ExportTest() : root_(fs::path(testing::TempDir()) / cat("gigacat-export-", ::getpid())) {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~ExportTest() override { fs::remove_all(root_); }

  void make(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
    config_ = run::parse_config(yaml, "test", overrides);
    model_ = config_->build_model(nn::Init(3, "G"));
    torch::manual_seed(5);
    nn::TensorMap state = nn::state_of(model_->generator());
    for (auto& [name, tensor] : state) tensor = tensor.detach() + 0.1 * at::randn_like(tensor);
    nn::load_state(model_->generator(), state, "test");
    nn::write_tensors(root_ / "g.safetensors", state);
    write_atomically(root_ / "config.yaml", config_->to_yaml());
  }

  ExportReport run(ExportRequest request) const {
    request.from = root_ / "g.safetensors";
    return export_run(request);
  }

  at::Tensor wanted(const at::Tensor& z, const at::Tensor& labels, double truncation,
                    const std::vector<std::string>& captions = {}) const {
    models::SampleOptions options{.truncation = truncation, .captions = captions};
    return model_->sample(model_->generator(), z, labels, options)[0];
  }

  // The file gives what the network gives, for several batches.
  void expect_labels_agree(const fs::path& file, double tolerance, bool clamped = true) const {
    torch::jit::Module loaded = torch::jit::load(file.string());
    const at::NoGradGuard no_grad;
    for (const int64_t b : {1, 3})
      for (const double psi : {1.0, 0.6}) {
        const at::Tensor z = at::randn({b, 16}), labels = at::arange(b, at::kLong);
        at::Tensor want = wanted(z, labels, psi);
        if (clamped) want = want.clamp(-1, 1);
        const at::Tensor got = loaded.forward({z, labels, psi}).toTensor();
        EXPECT_EQ(got.scalar_type(), at::kFloat);
        EXPECT_GT(want.std().item<double>(), 0.05);
        EXPECT_LT((got - want).abs().max().item<double>(), tolerance) << b << " " << psi;
      }
  }

  fs::path root_;
  std::unique_ptr<run::RunConfig> config_;
  std::unique_ptr<models::Model> model_;
};

TEST_F(ExportTest, TorchScriptOfGatAndCat) {
  for (const char* recipe : {"gat", "cat"})
    for (const char* qk_norm : {"true", "false"}) {
      make(cat("recipe: ", recipe, "\n", kTransformer), {cat("model.generator.qk_norm=", qk_norm)});
      run({.out = root_ / "g.pt", .to = "torchscript"});
      expect_labels_agree(root_ / "g.pt", 1e-5);
    }
}

TEST_F(ExportTest, TorchScriptOfLatentsIsNotClamped) {
  make(cat("recipe: gat\n", kTransformer), {"data.channels=4", "data.kind=latents"});
  run({.out = root_ / "g.pt", .to = "torchscript"});
  expect_labels_agree(root_ / "g.pt", 1e-5, /*clamped=*/false);
}

TEST_F(ExportTest, TorchScriptOfGigaGan) {
  const std::vector<std::string> captions{"Red heart", "", "a small blue circle on grey paper"};
  for (const auto& choices : std::vector<std::vector<std::string>>{
           {}, {"model.generator.cross_logits=l2", "model.generator.null_as=kv", "model.generator.tied=false"}}) {
    make(kText, choices);
    run({.out = root_ / "g.pt", .to = "torchscript"});
    torch::jit::Module loaded = torch::jit::load((root_ / "g.pt").string());
    const pretrained::TokenIds tokens = pretrained::word_ids(captions, 6, 64);
    const at::NoGradGuard no_grad;
    for (const double psi : {1.0, 0.6}) {
      const at::Tensor z = at::randn({3, 8});
      const at::Tensor want = wanted(z, at::zeros({3}, at::kLong), psi, captions).clamp(-1, 1);
      const at::Tensor got = loaded.forward({z, tokens.ids, tokens.end, psi}).toTensor();
      EXPECT_GT(want.std().item<double>(), 0.05);
      EXPECT_LT((got - want).abs().max().item<double>(), 1e-5) << psi;
    }
  }
}

TEST_F(ExportTest, TorchScriptCarriesConfigNamesAndMeans) {
  make(cat("recipe: cat\n", kTransformer));
  run({.out = root_ / "g.pt", .to = "torchscript"});
  const torch::jit::Module loaded = torch::jit::load((root_ / "g.pt").string());
  EXPECT_EQ(loaded.attr("config").toStringRef(), config_->to_yaml());
  nn::TensorMap found;
  for (const auto& item : loaded.named_parameters()) found[item.name] = item.value;
  for (const auto& item : loaded.named_buffers()) {
    EXPECT_EQ(item.name, "w_avg");
    found[item.name] = item.value;
  }
  const nn::TensorMap own = nn::state_of(model_->generator());
  ASSERT_EQ(found.size(), own.size());
  for (const auto& [name, tensor] : own) EXPECT_TRUE(at::equal(found.at(name), tensor)) << name;
}

TEST_F(ExportTest, HalfTypes) {
  make(cat("recipe: cat\n", kTransformer));
  run({.out = root_ / "g.pt", .to = "torchscript", .dtype = "fp16"});
  expect_labels_agree(root_ / "g.pt", 0.02);
  run({.out = root_ / "g.pt", .to = "torchscript", .dtype = "bf16"});
  expect_labels_agree(root_ / "g.pt", 0.1);
}

TEST_F(ExportTest, HuggingFaceFolder) {
  make(cat("recipe: cat\n", kTransformer));
  run({.out = root_ / "hub", .to = "huggingface", .dtype = "bf16", .license = "mit"});
  const nlohmann::json json = nlohmann::json::parse(read_file(root_ / "hub/config.json"));
  EXPECT_EQ(json["architecture"], "cat");
  EXPECT_EQ(json["dtype"], "bfloat16");
  EXPECT_EQ(json["image"], (std::vector<int>{3, 8, 8}));
  EXPECT_EQ(nn::read_tensors(root_ / "hub/model.safetensors").at("w_avg").scalar_type(), at::kBFloat16);
  const std::string card = read_file(root_ / "hub/README.md");
  EXPECT_THAT(card, HasSubstr("license: mit\n"));
  EXPECT_THAT(card, HasSubstr("| architecture | cat |"));
  EXPECT_THAT(read_file(root_ / "hub/gigacat_generator.py"), HasSubstr("class Generator"));
}

TEST_F(ExportTest, FolderOfAModelOfTextSaysHowCaptionsAreRead) {
  make(kText);
  const auto text_of = [&] {
    run({.out = root_ / "hub", .to = "huggingface"});
    return nlohmann::json::parse(read_file(root_ / "hub/config.json"))["text"];
  };
  EXPECT_EQ(text_of(),
            nlohmann::json::parse(R"({"encoder": "embedded", "tokenizer": "words", "length": 6, "vocabulary": 64})"));
  std::string yaml = config_->to_yaml();
  const std::string none = "clip_vocabulary: \"\"";
  write_atomically(root_ / "bpe.txt", text::vocabulary());
  yaml.replace(yaml.find(none), none.size(), "clip_vocabulary: " + (root_ / "bpe.txt").string());
  write_atomically(root_ / "config.yaml", yaml);
  EXPECT_EQ(text_of()["tokenizer"], "bpe");
}

// A GAN that a program brings is exported by what its model says of itself.
TEST_F(ExportTest, TorchScriptOfAToyGan) {
  recipes::register_recipe("toy", toy::make);
  make("recipe: toy\nname: tiny\ndata: {resolution: 8, num_classes: 3}\nmodel: {latent: 16}\n");
  run({.out = root_ / "g.pt", .to = "torchscript"});
  expect_labels_agree(root_ / "g.pt", 1e-5);
  run({.out = root_ / "hub", .to = "huggingface"});
  EXPECT_EQ(nlohmann::json::parse(read_file(root_ / "hub/config.json"))["architecture"], "toy");
}

TEST_F(ExportTest, Refusals) {
  make(cat("recipe: cat\n", kTransformer));
  EXPECT_THROW(run({.out = root_ / "x", .to = "onnx"}), UsageError);
  EXPECT_THROW(run({.out = root_ / "x", .dtype = "int8"}), UsageError);
  EXPECT_THROW(run({.out = root_ / "g.safetensors", .to = "huggingface"}), UsageError);
  EXPECT_THROW(run({.out = root_ / "missing/../g.safetensors/x.pt", .to = "torchscript"}), std::exception);
}

}  // namespace
}  // namespace gigacat::exports
