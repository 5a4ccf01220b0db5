// Where samples come from: image folders, WebDataset shards, StyleGAN zips, latents, npz.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/data/config.h"
#include "gigacat/io/image.h"

namespace gigacat::data {

// One sample before decoding.
struct RawSample {
  std::string name;    // path below the data's folder, or SHARD/KEY
  std::string bytes;   // encoded image, .npy of latents, or raw pixels (see Source::content)
  int64_t label = -1;  // -1: none
  std::string caption;
  std::string feature_bytes;  // .npy of alignment features, when the source has them
  std::string raw_bytes;      // encoded image that a latent was made from, when `data.raw_resolution` asks for it
};

// What RawSample::bytes holds: an encoded image; a .npy [C, H, W]; a .npy of mean and deviation [2C, H, W]; bytes [H,
// W, C].
enum class Content { image, latent, moments, pixels };

// Whether samples are arrays in a latent space.
constexpr bool is_latent(Content content) { return content == Content::latent || content == Content::moments; }

// Files of a data set that are no samples, by reason.
struct LeftOut {
  std::string reason;   // "pictures that end in .gif, ..."
  std::string example;  // name of one of them
  int64_t count = 0;
  std::string text() const;  // "REASON: COUNT, such as EXAMPLE"
};

// The images below a folder but for the folders `except`, sorted by bytes; what else is a picture by its name or its
// content is counted in `left_out`. Errors: Error when a folder cannot be read.
std::vector<std::string> list_images(const std::filesystem::path& root, std::vector<LeftOut>& left_out,
                                     std::vector<std::filesystem::path> except = {});

// Random access by index; all const members are thread-safe.
class Source {
 public:
  virtual ~Source() = default;
  virtual int64_t size() const = 0;
  // Errors: Error when the sample cannot be read (it is then counted as bad by the loader).
  virtual RawSample read(int64_t index) const = 0;
  // Label without reading the sample; -1: none or unknown.
  virtual int64_t label(int64_t index) const = 0;
  // RawSample::name without reading the sample.
  virtual std::string name(int64_t index) const = 0;
  virtual Content content() const { return Content::image; }
  // Height, width, channels of `pixels` content.
  virtual std::vector<int64_t> pixel_shape() const { return {}; }
  // Whether samples come with alignment features.
  virtual bool has_features() const { return false; }
  // Names of the classes in label order, from the names of folders or classes.txt; empty when unknown.
  virtual const std::vector<std::string>& class_names() const = 0;
  // What the data was taken for, in a line: "folder of images, 3 classes".
  virtual std::string format() const { return ""; }
  // Pictures and labels of the data set that are no samples, with the reason.
  virtual std::vector<LeftOut> left_out() const { return {}; }
  // SHA-256 over names, sizes and labels in order. Computed anew at each call; folders look up every file's size for
  // it.
  virtual std::string listing_digest() const = 0;
  // Changes when a file may have been replaced by one of equal name and size: a digest of times of modification, or of
  // checksums. "" where listing_digest() is of the contents. Computed anew at each call.
  virtual std::string version() const { return ""; }
  // How the data was made (source, filter, crop, sizes), as the JSON text stored with it, or "".
  virtual std::string provenance() const { return ""; }
};

// "NAMES+CONTENTS": listing_digest() and a SHA-256 of the bytes of up to 512 samples spread over all. Equal data sets
// have equal identities, wherever they lie.
std::string identity_of(const Source& source);
// Whether a data set of `identity` is the one known as `known`, which may be of a version that noted the first half
// only.
bool is_same_data(const std::string& identity, const std::string& known);

// Opens what `config.path` names; what it was taken for and what was left out stand in the log. kind auto: a folder
// with images is `folder`, with dataset.json `stylegan` or `latents`, *.tar or a brace range is `webdataset` (`latents`
// where provenance.json says so), .zip `stylegan`, .npz and .npy `npz`. Errors: UsageError when nothing is there or it
// is empty, naming the path, where it was looked for and what was looked for; Error for broken files.
std::unique_ptr<Source> open_source(const DataConfig& config);

// "data-{000000..000127}.tar" and globs to sorted paths. Errors: UsageError for a malformed range or over 1 million
// names.
std::vector<std::string> expand_shards(const std::string& pattern);

// What a batch of a source holds.
struct SampleLayout {
  Content content = Content::image;
  int64_t channels = 0, height = 0, width = 0;    // of a sample in the batch; moments: 2C channels
  int64_t num_classes = 1;                        // 1: no labels
  int64_t feature_tokens = 0, feature_width = 0;  // 0: no alignment features
};

// Checks that the source gives what the config asks for, reading at most a few samples.
// Errors: UsageError for latents or features of another shape, a label that is missing or not below data.num_classes, a
// flip of latents.
SampleLayout check_source(const Source& source, const DataConfig& config);

}  // namespace gigacat::data
