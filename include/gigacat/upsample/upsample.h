// Upsampling image files with a trained upsampler.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/io/image.h"
#include "gigacat/weights/weights.h"

namespace gigacat::upsample {

struct Tiling;

// How an image is made larger.
struct UpsampleOptions {
  int64_t scale = 4;  // 2 and up, 0: the network's own factor; more than the network's own factor takes several passes,
                      // less is resampled down
  uint64_t seed = 0;
  std::string blend = "feather";  // of tiles: feather, checkerboard, even, plain
  int64_t tile = 0;  // px of the image, a multiple of the network's cells; 0: the size that it was trained at, or as
                     // much less as `memory` asks for
  int64_t overlap = 16;  // px
  uint64_t memory = 0;   // bytes that the program may take besides weights and images; 0: 1 GiB
  std::string prompt;    // of upsamplers trained with captions
};

// One latent and noise that depend on seed and place alone serve a whole image. Letters: H x W image, S scale.
class Upsampler {
 public:
  // AuraSR's folder or its model.safetensors; or a run, a checkpoint or a generator file of recipe upsampler. Errors:
  // as load_aura_sr and find_weights; UsageError for options that do not fit the network, or another recipe.
  Upsampler(const std::filesystem::path& weights, const UpsampleOptions& options,
            const weights::LoadOptions& where = {});
  ~Upsampler();
  // RGB [H, W, 3] -> strips [n, S W, 3] from the top on, as they are done; RGBA keeps its alpha, resampled
  // bicubically. `progress`: share done, 0 to 1.
  void run(const io::Image& image, const std::function<void(const io::Image&)>& strips,
           const std::function<void(double)>& progress = {});
  // The caption of the images that follow; an upsampler trained without text ignores it.
  void set_prompt(const std::string& caption);
  // The whole: [S H, S W, C].
  io::Image operator()(const io::Image& image, const std::function<void(double)>& progress = {});
  // First digits of the weights' SHA-256; reads the whole file.
  std::string hash() const;
  int64_t scale() const { return options_.scale; }
  // px of the tiles that an image W wide is cut into, in one pass.
  int64_t tile(int64_t width) const;

 private:
  struct Network;
  Tiling tiling(int64_t width) const;
  void pass(const at::Tensor& image, int64_t number, const std::function<void(const at::Tensor&)>& rows,
            const std::function<void(int64_t)>& progress);

  UpsampleOptions options_;
  weights::LoadOptions where_;
  std::unique_ptr<Network> network_;
  int64_t passes_ = 0, styled_ = -1;
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
  // Files. kept: there from an earlier call, of the same input; renewed: of the written, those that were there and
  // whose input has changed since.
  int64_t written = 0, kept = 0, renewed = 0;
  std::vector<std::string> failed;  // "name: reason"
  double seconds = 0;
};

// Each file appears complete. An image that cannot be read is named in the report and does not stop the others;
// pictures of other formats in a folder are named in the log. What an earlier call wrote is no input.
// Errors: UsageError for no input, an output of an unknown format, two inputs of one output name, a folder that holds
// images of other settings; Error for weights that cannot be read.
UpsampleReport upsample_files(const UpsampleRequest& request);

}  // namespace gigacat::upsample
