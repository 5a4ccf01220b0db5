// The style whose image is nearest to a given one: edits of real images begin with it.
// Source: StyleGAN2 (arXiv 1912.04958) appendix D, with an image pyramid where no perceptual network is given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"

namespace gigacat::edit {

struct ProjectRequest {
  std::filesystem::path from, image, out;  // as SampleRequest's; an image file; a .safetensors
  std::string prompt;                      // of a model of text: what the image shows
  std::string label;                       // of a model of classes: a number or a name; empty: class 0
  int64_t steps = 300, seed = 0;
  double lr = 0.1;          // of Adam, in units of the styles' deviation
  bool each_layer = false;  // a style of its own for each layer: nearer, less apt for edits
  std::string lpips;        // weights of the backbone and of the heads, as files or known names, with a comma between
  std::string weights = "ema";
  std::vector<std::string> overrides;  // of the model's config, path=value
};

// How near it came.
struct ProjectReport {
  double first = 0, last = 0;  // distance of the mean style's image and of the one found
  double seconds = 0;
  std::string checkpoint;
};

// Minimises by Adam, from the condition's mean style, the distance of the generator's image and the given one, cut to a
// centred square and resized: pixels at three scales, their edges and, where weights are given, LPIPS. Writes the style
// to OUT, which edits take as --styles, and beside it a .png of the image and what was found. Errors: UsageError for a
// model of latents or one whose networks have no styles, another kind of output, and as sample().
ProjectReport project(const ProjectRequest& request, at::Device device);

}  // namespace gigacat::edit
