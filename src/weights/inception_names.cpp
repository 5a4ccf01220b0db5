#include "weights/inception_names.h"

#include <ATen/Functions.h>

#include <utility>

#include "gigacat/core/error.h"

namespace gigacat::weights {
namespace {

using Names = std::vector<std::pair<std::string, std::string>>;  // pytorch-fid's, the script's

// The five kinds of block. Source: TensorFlow's graph (the script's names) and torchvision's inception.py.
const Names kStem = {{"Conv2d_1a_3x3", "conv"},
                     {"Conv2d_2a_3x3", "conv_1"},
                     {"Conv2d_2b_3x3", "conv_2"},
                     {"Conv2d_3b_1x1", "conv_3"},
                     {"Conv2d_4a_3x3", "conv_4"}};
const Names kA = {{"branch1x1", "conv"},
                  {"branch5x5_1", "tower.conv"},
                  {"branch5x5_2", "tower.conv_1"},
                  {"branch3x3dbl_1", "tower_1.conv"},
                  {"branch3x3dbl_2", "tower_1.conv_1"},
                  {"branch3x3dbl_3", "tower_1.conv_2"},
                  {"branch_pool", "tower_2.conv"}};
const Names kB = {{"branch3x3", "conv"},
                  {"branch3x3dbl_1", "tower.conv"},
                  {"branch3x3dbl_2", "tower.conv_1"},
                  {"branch3x3dbl_3", "tower.conv_2"}};
const Names kC = {{"branch1x1", "conv"},
                  {"branch7x7_1", "tower.conv"},
                  {"branch7x7_2", "tower.conv_1"},
                  {"branch7x7_3", "tower.conv_2"},
                  {"branch7x7dbl_1", "tower_1.conv"},
                  {"branch7x7dbl_2", "tower_1.conv_1"},
                  {"branch7x7dbl_3", "tower_1.conv_2"},
                  {"branch7x7dbl_4", "tower_1.conv_3"},
                  {"branch7x7dbl_5", "tower_1.conv_4"},
                  {"branch_pool", "tower_2.conv"}};
const Names kD = {{"branch3x3_1", "tower.conv"},       {"branch3x3_2", "tower.conv_1"},
                  {"branch7x7x3_1", "tower_1.conv"},   {"branch7x7x3_2", "tower_1.conv_1"},
                  {"branch7x7x3_3", "tower_1.conv_2"}, {"branch7x7x3_4", "tower_1.conv_3"}};
const Names kE = {{"branch1x1", "conv"},
                  {"branch3x3_1", "tower_conv"},
                  {"branch3x3_2a", "tower_mixed_conv"},
                  {"branch3x3_2b", "tower_mixed_conv_1"},
                  {"branch3x3dbl_1", "tower_1_conv"},
                  {"branch3x3dbl_2", "tower_1_conv_1"},
                  {"branch3x3dbl_3a", "tower_1_mixed_conv"},
                  {"branch3x3dbl_3b", "tower_1_mixed_conv_1"},
                  {"branch_pool", "tower_2_conv"}};

// All convolutions in the order of the network.
Names all_names() {
  const std::pair<std::string, const Names*> blocks[] = {{"5b", &kA}, {"5c", &kA}, {"5d", &kA}, {"6a", &kB},
                                                         {"6b", &kC}, {"6c", &kC}, {"6d", &kC}, {"6e", &kC},
                                                         {"7a", &kD}, {"7b", &kE}, {"7c", &kE}};
  Names all;
  for (const auto& [own, script] : kStem) all.emplace_back(own, "layers." + script);
  for (size_t i = 0; i < std::size(blocks); ++i)
    for (const auto& [own, script] : *blocks[i].second)
      all.emplace_back(cat("Mixed_", blocks[i].first, ".", own),
                       cat("layers.mixed", i == 0 ? "" : cat("_", i), ".", script));
  return all;
}

}  // namespace

std::vector<std::string> inception_convolutions() {
  std::vector<std::string> names;
  for (const auto& item : all_names()) names.push_back(item.first);
  return names;
}

nn::TensorMap inception_from_torchscript(const nn::TensorMap& script) {
  const auto get = [&script](const std::string& name) {
    const auto found = script.find(name);
    if (found == script.end()) fail("the Inception of a TorchScript file lacks ", name);
    return found->second;
  };
  nn::TensorMap own;
  for (const auto& [name, old] : all_names()) {
    own[name + ".conv.weight"] = get(old + ".weight");
    own[name + ".bn.bias"] = get(old + ".beta");
    own[name + ".bn.weight"] = at::ones_like(own[name + ".bn.bias"]);
    own[name + ".bn.running_mean"] = get(old + ".mean");
    own[name + ".bn.running_var"] = get(old + ".var");
  }
  own["fc.weight"] = get("output.weight");
  own["fc.bias"] = get("output.bias");
  return own;
}

}  // namespace gigacat::weights
