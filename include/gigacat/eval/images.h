// The images of one side of a comparison: stored, or generated when they are read.
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
  // Name of the set in results: its path.
  virtual std::string name() const = 0;
  virtual int64_t size() const = 0;
  // Images first to last - 1, RGB. Errors: Error naming the image.
  virtual std::vector<io::Image> read(int64_t first, int64_t last) const = 0;
  // Whether several threads may read single images at once; otherwise one thread reads whole batches.
  virtual bool is_concurrent() const = 0;
  // Name of an image without its file ending; pairs are matched by it.
  virtual std::string image_name(int64_t index) const = 0;
  // Caption of an image, or "". Errors: Error when it cannot be read.
  virtual std::string caption(int64_t index) const = 0;
  // Equal for equal contents at any path; "" when unknown before reading.
  virtual std::string identity() const = 0;
  // As data::Source::version().
  virtual std::string version() const { return ""; }
  // Whether the images are random draws, which belong to no image of another set whatever their names.
  virtual bool is_random() const { return false; }
  // Facts that results repeat: recipe, truncation, autoencoder, ...
  virtual std::map<std::string, std::string> description() const = 0;
};

// A folder, .tar shards, a StyleGAN .zip or an .npz with arr_0, in the order of its names. Images are read as PIL reads
// them: alpha dropped, EXIF orientation not applied. `captions`: ImageSet::caption() is wanted, and is an Error where
// an image has none. Errors: as data::open_source, UsageError for latents.
std::unique_ptr<ImageSet> open_images(const std::string& path, bool captions = false);

// The samples of an opened source as the training loader gives them: data.resolution, centre crop, not mirrored.
// Errors: UsageError for latents.
std::unique_ptr<ImageSet> loader_images(std::string name, std::shared_ptr<const data::Source> source,
                                        const data::DataConfig& config);

// Images that `generate(first, last)` returns; it is called with whole batches, by one thread at a time.
std::unique_ptr<ImageSet> generated_images(std::string name, int64_t size,
                                           std::function<std::vector<io::Image>(int64_t, int64_t)> generate,
                                           std::map<std::string, std::string> description);

}  // namespace gigacat::eval
