// What the generator makes of latents that stay the same for the whole run.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "gigacat/io/image.h"
#include "gigacat/pretrained/latent_space.h"
#include "gigacat/recipes/recipe.h"

namespace gigacat::train {

// Images [B, C, H, W] as one picture, about square. One or three channels are grey or RGB in [-1, 1]; of other latents
// the first three channels are shown, three deviations to the edge.
io::Image picture(const at::Tensor& images);

// Mean over all pairs of rows with the same label of the root mean square difference of their values. images [B, C, H,
// W]; 0 when no two share a label.
double mean_distance(const at::Tensor& images, const std::vector<int64_t>& labels);

// Samples first, first + 1, ... of a seed, one for each label (of models of text: number of a prompt), without
// gradient: [B, C, H, W]. The generator's mode is the caller's.
at::Tensor draw_samples(recipes::Recipe& recipe, torch::nn::Module& generator, uint64_t seed, int64_t first,
                        const std::vector<int64_t>& labels, at::Device device, double truncation = 1);

// Images [B, C, H, W] with one or three channels in [-1, 1], as pixels.
std::vector<io::Image> to_images(const at::Tensor& images);

class Snapshot {
 public:
  // `count` samples with labels 0, 1, ... in turn, or of a model of text a row of samples for each of the recipe's
  // prompts, as many as fill the rows; latents of `seed`. `recipe` and `space` must outlive it.
  Snapshot(recipes::Recipe& recipe, const pretrained::LatentSpace& space, int64_t num_classes, int64_t count,
           uint64_t seed, at::Device device);
  // The first samples of the grid, `count` or as many as it has, RGB.
  std::vector<io::Image> first_images(torch::nn::Module& generator, int64_t count) const;
  // The samples of `generator` as a picture.
  io::Image grid(torch::nn::Module& generator) const;
  // mean_distance of a batch of sixteen, four of a class, so that a generator that ignores its latent shows as well.
  double diversity(torch::nn::Module& generator) const;

 private:
  at::Tensor draw(torch::nn::Module& generator, const std::vector<int64_t>& labels) const;
  recipes::Recipe& recipe_;
  const pretrained::LatentSpace& space_;
  uint64_t seed_;
  at::Device device_;
  std::vector<std::string> rows_;                        // captions; empty without text
  std::vector<int64_t> grid_labels_, diversity_labels_;  // of models of text: numbers of prompts
};

}  // namespace gigacat::train
