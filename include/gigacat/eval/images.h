// The images of one side of a comparison: stored ones, or ones that a generator draws when they are asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/data/source.h"
#include "gigacat/io/image.h"

namespace gigacat::eval {

class ImageSet {
 public:
  virtual ~ImageSet() = default;
  // What a result calls the set: a path.
  virtual std::string name() const = 0;
  virtual int64_t size() const = 0;
  // Images first to last - 1, RGB. Errors: Error naming the image.
  virtual std::vector<io::Image> read(int64_t first, int64_t last) const = 0;
  // Whether several threads may read at once, image by image; otherwise one reads whole batches.
  virtual bool is_concurrent() const = 0;
  // Name of an image without its ending, by which pairs are matched.
  virtual std::string image_name(int64_t index) const = 0;
  // Text that belongs to an image, or "".
  virtual std::string caption(int64_t index) const = 0;
  // Equal for equal contents, wherever they lie; "" when that is not known beforehand.
  virtual std::string identity() const = 0;
  // Facts for the result: recipe, truncation, autoencoder, ...
  virtual std::map<std::string, std::string> description() const = 0;
};

// A folder, .tar shards, a StyleGAN .zip or an .npz with arr_0, in the order of its names. Images are read as PIL reads
// them: alpha dropped, EXIF orientation not applied. `captions`: each image must have a text. Errors: as
// data::open_source, UsageError for latents.
std::unique_ptr<ImageSet> open_images(const std::string& path, bool captions = false);

// The samples of an opened source as the training loader gives them: data.resolution, centre crop, not mirrored.
// Errors: UsageError for latents.
std::unique_ptr<ImageSet> loader_images(std::string name, std::shared_ptr<const data::Source> source,
                                        const data::DataConfig& config);

// Images that `draw(first, last)` makes, always in whole batches from one thread at a time.
std::unique_ptr<ImageSet> drawn_images(std::string name, int64_t size,
                                       std::function<std::vector<io::Image>(int64_t, int64_t)> draw,
                                       std::map<std::string, std::string> description);

}  // namespace gigacat::eval
