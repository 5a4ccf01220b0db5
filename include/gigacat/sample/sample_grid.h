// The grid of samples that a run draws again and again, of latents that stay the same.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "gigacat/io/image.h"
#include "gigacat/sample/sampler.h"

namespace gigacat::sample {

// Images [B, C, H, W] as one, about square. One or three channels are grey or RGB in [-1, 1]; of other latents the
// first three channels are shown, three deviations to the edge.
io::Image image_grid(const at::Tensor& images);

// Mean over all pairs of rows with the same label of the root mean square difference of their values. images [B, C, H,
// W]; 0 when no two share a label.
double mean_distance(const at::Tensor& images, const std::vector<int64_t>& labels);

// How far samples of a class are apart.
struct Diversity {
  double distance;  // mean_distance
  double
      relative;  // to the deviation of all values from their mean, which a run that diverges raises as well; below 1.5
};

// Which samples the grid and the diversity are of.
class SampleGrid {
 public:
  // `count` samples with labels 0, 1, ... in turn, or of a model of text a row of samples for each prompt, as many as
  // fill the rows; latents of `seed`. `like`: a sampler of the model.
  SampleGrid(const Sampler& like, int64_t count, int64_t seed);
  io::Image draw(const Sampler& sampler) const;
  // The first `count` samples of the grid, or as many as it has, as RGB images.
  std::vector<io::Image> first_images(const Sampler& sampler, int64_t count) const;
  // Of sixteen samples, four of a class, so that a generator that ignores its latent shows as well.
  Diversity diversity(const Sampler& sampler) const;

 private:
  std::vector<SampleSpec> grid_, diversity_;
  std::vector<std::string> rows_;  // captions; empty without text
};

}  // namespace gigacat::sample
