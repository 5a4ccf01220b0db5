#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>

#include "core/temporary_folder.h"
#include "eval/networks.h"
#include "eval/toy_network.h"
#include "gigacat/core/error.h"
#include "gigacat/nn/state.h"
#include "gigacat/weights/torch_file.h"

namespace gigacat::eval {
namespace {

using ::testing::HasSubstr;

class OwnNetwork : public ::testing::Test {
 protected:
  // A TorchScript program of this body, with the attribute `size` where that is not 0.
  std::string program(const std::string& name, const std::string& body, int64_t size) {
    torch::jit::Module module("Own");
    if (size > 0) module.register_attribute("size", c10::IntType::get(), size);
    module.define("def forward(self, x):\n    " + body + "\n");
    module.save((folder_ / name).string());
    return (folder_ / name).string();
  }
  std::string refused(const std::string& file, int64_t size = 0) {
    try {
      make_own_network(file, size, at::kCPU)->run(at::zeros({2, 3, 5, 5}));
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "no error for " << file;
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(OwnNetwork, TorchScriptProgramsGiveFeaturesAndLogits) {
  WeightFiles files;
  files.use_own(program("judge.pt", "return x.mean([2, 3]), x.flatten(1)", 5), 0);
  FeatureNetworks networks(files, "adm", at::kCPU);
  EXPECT_EQ(networks.protocol(), "bicubic-5");
  EXPECT_EQ(networks.label("inception"), "judge.pt");
  EXPECT_EQ(networks.label("clip"), "clip");
  FeatureNetwork& network = networks.get("inception");
  EXPECT_EQ(network.weights().size(), 8u);
  EXPECT_FALSE(network.has("spatial"));
  at::Tensor planes = at::empty({1, 3, 5, 5});
  network.prepare(toy_image(0, 1), 1, planes.data_ptr<float>());
  EXPECT_GE(planes.min().item<float>(), -0.5f);
  EXPECT_LE(planes.max().item<float>(), 1.5f);
  const FeatureMap features = network.run(planes);
  EXPECT_TRUE(features.at("pool").equal(planes.mean(at::IntArrayRef({2, 3}))));
  EXPECT_EQ(features.at("logits").size(1), 75);
}

TEST_F(OwnNetwork, OneTensorIsTheFeaturesAndTheSizeCanBeGiven) {
  const std::string file = program("plain.pt", "return x.sum([2, 3], True)", 0);
  EXPECT_THAT(refused(file), HasSubstr("--network-size"));
  const auto network = make_own_network(file, 7, at::kCPU);
  EXPECT_EQ(network->input_shape()[2], 7);
  EXPECT_EQ(network->run(at::ones({2, 3, 7, 7})).at("pool").sizes(), at::IntArrayRef({2, 3}));
}

TEST_F(OwnNetwork, WhatDoesNotFitIsNamed) {
  EXPECT_THAT(refused(program("maps.pt", "return x", 5)), HasSubstr("wanted [2, features]"));
  EXPECT_THAT(refused(program("list.pt", "return [x]", 5)), HasSubstr("wanted features, or (features, logits)"));
  EXPECT_THAT(refused(program("fails.pt", "return x.view(1, 7)", 5)), HasSubstr("the TorchScript program failed"));
  EXPECT_THAT(refused(folder_.file("text.pt", "no program").string()), HasSubstr("is no TorchScript program"));
  nn::write_tensors(folder_ / "tensors.pt", {{"a", at::zeros({2})}});
  EXPECT_THAT(refused((folder_ / "tensors.pt").string()), HasSubstr("it is a safetensors file"));
  weights::TorchWriter writer;
  writer.write(folder_ / "saved.pt", *writer.tensors({{"a", at::zeros({2})}}, {"a"}));
  EXPECT_THAT(refused((folder_ / "saved.pt").string()), HasSubstr("it is a file of torch.save"));
  EXPECT_THAT(refused(folder_.file("a.onnx", "x").string()), HasSubstr("neither a TorchScript program"));
  EXPECT_THAT(refused((folder_ / "missing.pt").string()), HasSubstr("there is no file"));
}

}  // namespace
}  // namespace gigacat::eval
