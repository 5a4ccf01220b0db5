// Weights of a module by name (nn/state.h), and files of them.
#include "gigacat/nn/state.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "train/fixtures.h"

namespace gigacat::nn {
namespace {

using data::error_of;
using testing::AllOf;
using testing::HasSubstr;

struct Net : torch::nn::Module {
  Net() {
    weight = register_parameter("weight", at::arange(6.0f).view({2, 3}));
    register_parameter("bias", at::ones({2}));
    register_buffer("mean", at::zeros({2}));
    register_buffer("count", at::zeros({}, at::kLong));
  }
  at::Tensor weight;
};

TEST(State, HoldsParametersAndFloatingPointBuffers) {
  const Net net;
  const TensorMap state = state_of(net);
  EXPECT_EQ(state.size(), 3u);
  EXPECT_TRUE(state.contains("mean") && !state.contains("count"));
}

TEST(State, LoadsByName) {
  Net net;
  load_state(net, {{"weight", at::zeros({2, 3})}, {"bias", at::zeros({2})}, {"mean", at::ones({2})}}, "a file");
  EXPECT_EQ(net.weight.sum().item<float>(), 0);
  EXPECT_TRUE(net.weight.requires_grad());
}

TEST(State, SaysAllThatDoesNotFit) {
  Net net;
  const TensorMap wrong{{"weight", at::zeros({3, 2})}, {"bias", at::zeros({2})}, {"scale", at::ones({2})}};
  EXPECT_THAT(error_of<Error>([&] { load_state(net, wrong, "a file"); }),
              AllOf(HasSubstr("a file does not fit"), HasSubstr("missing: mean"), HasSubstr("not known: scale"),
                    HasSubstr("weight [3, 2] for [2, 3]")));
  EXPECT_EQ(net.weight[1][2].item<float>(), 5);  // nothing was loaded
}

TEST(State, FilesKeepEveryTypeAndShape) {
  const data::TempFolder temp;
  const std::string path = temp.path("t.safetensors");
  TensorMap tensors{{"scalar", at::full({}, 3, at::kLong)},
                    {"bytes", at::arange(3, at::kByte)},  // odd size: what follows need not be aligned
                    {"half", at::ones({5}, at::kHalf)},
                    {"brain", at::full({2, 2}, 1.5, at::kBFloat16)},
                    {"double", at::arange(3, at::kDouble)},
                    {"empty", at::empty({0, 4})},
                    {"turned", at::arange(6.0f).view({2, 3}).t()},
                    {"truth", at::ones({3}, at::kBool)}};
  const uint32_t crc = write_tensors(path, tensors, {{"step", "3"}});
  EXPECT_EQ(crc, crc32c(MappedFile(path).bytes()));
  const TensorMap read = read_tensors(path);
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(read.at(name).equal(tensor)) << name;
  }
}

TEST(State, TensorsOutliveTheFileObject) {
  const data::TempFolder temp;
  write_tensors(temp.path("t.safetensors"), {{"x", at::arange(1000.0f)}});
  const at::Tensor x = read_tensors(temp.path("t.safetensors")).at("x");
  EXPECT_EQ(x.sum().item<float>(), 499500);
}

}  // namespace
}  // namespace gigacat::nn
