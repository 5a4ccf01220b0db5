// Upsampling image files with a trained upsampler.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gigacat/io/image.h"
#include "gigacat/pretrained/aura_sr.h"

namespace gigacat::apply {

// How an image is made larger.
struct UpsampleOptions {
  int64_t scale = 4;  // 2 and up; more than the network's own factor takes several passes, less is resampled down
  uint64_t seed = 0;
  std::string blend = "feather";  // of tiles: feather, checkerboard, even, plain
  int64_t tile = 0;               // px of the image, a multiple of 8; 0: the size that the network was trained at
  int64_t overlap = 16;           // px
  uint64_t memory = 0;            // bytes that tiles may take at once; 0: 1 GiB
};

// One latent and noise that depend on seed and place alone serve a whole image. Letters: H x W image, S scale.
class Upsampler {
 public:
  // Errors: as load_aura_sr; UsageError for options that do not fit the network.
  Upsampler(const std::filesystem::path& weights, const UpsampleOptions& options,
            const pretrained::LoadOptions& where = {});
  // RGB [H, W, 3] -> [S H, S W, 3]; RGBA keeps its alpha, resampled bicubically. `progress`: share done, 0 to 1.
  io::Image operator()(const io::Image& image, const std::function<void(double)>& progress = {});
  // First digits of the weights' SHA-256; reads the whole file.
  std::string hash() const { return pretrained::short_hash({file_}); }

 private:
  at::Tensor pass(const at::Tensor& image, int64_t number, const std::function<void(int64_t)>& progress);

  UpsampleOptions options_;
  pretrained::LoadOptions where_;
  pretrained::AuraSr network_{nullptr};
  std::filesystem::path file_;  // of the weights
  int64_t passes_ = 0, batch_ = 1, folded_ = -1;
};

// Files in and out.
struct UpsampleRequest {
  std::vector<std::string> inputs;  // files and folders; "-" is standard input
  std::string out;                  // a file for one image, else a folder; "-" is standard output
  std::string weights, device = "auto", precision = "fp32";
  std::string extension = "auto", suffix;  // of files in a folder: NAME + suffix + extension; auto: the input's own
  UpsampleOptions options;
};

struct UpsampleReport {
  int64_t written = 0, kept = 0;    // files; kept: already there from an interrupted call
  std::vector<std::string> failed;  // "name: reason"
  double seconds = 0;
};

// Each file appears complete. An image that cannot be read is named in the report and does not stop the others.
// Errors: UsageError for no input, an output of an unknown format, two inputs of one output name, a folder that holds
// images of other settings; Error for weights that cannot be read.
UpsampleReport upsample(const UpsampleRequest& request);

}  // namespace gigacat::apply
