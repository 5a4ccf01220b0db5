// Whether a source gives what a config asks for.
#include <algorithm>
#include <optional>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/data/source.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

namespace {

int64_t count_classes(const Source& source, const DataConfig& config) {
  if (!config.labels) return 1;
  int64_t most = -1, unlabelled = 0, first_unlabelled = -1;
  for (int64_t i = 0; i < source.size(); ++i) {
    const int64_t label = source.label(i);
    if (label < 0 && unlabelled++ == 0) first_unlabelled = i;
    if (config.num_classes > 0 && label >= config.num_classes)
      fail<UsageError>("data.num_classes is ", config.num_classes, " but ", source.name(i), " has the label ", label);
    most = std::max(most, label);
  }
  if (unlabelled == source.size()) return 1;
  if (unlabelled > 0)
    fail<UsageError>("data.labels: ", unlabelled, " of ", source.size(), " samples have no label, such as ",
                     source.name(first_unlabelled), ": label them, or set data.labels=false");
  if (config.num_classes > 0) return config.num_classes;
  return std::max(most + 1, static_cast<int64_t>(source.class_names().size()));
}

// Shape of an array in the first sample that can be read.
std::vector<int64_t> probe_shape(const Source& source, std::string RawSample::*member) {
  constexpr int64_t kTries = 16;
  std::string reason;
  for (int64_t i = 0; i < std::min(kTries, source.size()); ++i) {
    try {
      const RawSample sample = source.read(i);
      const std::string& npy = sample.*member;
      std::vector<int64_t> shape =
          io::parse_npy(std::as_bytes(std::span<const char>(npy)), npy.size(), sample.name).shape;
      if (!shape.empty() && shape[0] == 1 && shape.size() > 2) shape.erase(shape.begin());
      return shape;
    } catch (const InternalError&) {
      throw;
    } catch (const Error& error) {
      if (reason.empty()) reason = error.what();
    }
  }
  fail("none of the first ", std::min(kTries, source.size()), " samples can be read: ", reason);
}

void check_latents(const Source& source, const DataConfig& config, SampleLayout& layout) {
  if (config.flip)
    fail<UsageError>("data.flip: latents are not flipped: set data.flip=false, or encode the flipped images too");
  if (source.content() == Content::moments) layout.channels *= 2;
  const std::vector<int64_t> shape = probe_shape(source, &RawSample::bytes);
  const std::vector<int64_t> wanted = {layout.channels, layout.height, layout.width};
  if (shape != wanted)
    fail<UsageError>("data: latents in ", config.path, " are [", join(shape), "] but the config asks for [",
                     join(wanted), "]: set data.channels and data.resolution, or data.height and data.width");
}

void check_images(const Source& source, const DataConfig& config) {
  if (config.channels != 1 && config.channels != 3)
    fail<UsageError>("data.channels is ", config.channels, "; images have 3 or 1 (grey)");
  if (config.raw_resolution > 0)
    fail<UsageError>("data.raw_resolution: ", config.path, " holds images, not latents: leave it at 0");
  if (source.has_features() && (config.flip || config.crop == "random"))
    fail<UsageError>(
        "data.features: precomputed features fit neither flipped nor randomly cropped images: set data.flip=false and "
        "data.crop=adm, resize or none");
}

}  // namespace

SampleLayout check_source(const Source& source, const DataConfig& config) {
  SampleLayout layout{.content = source.content(),
                      .channels = config.channels,
                      .height = config.target_height(),
                      .width = config.target_width()};
  if (layout.height <= 0 || layout.width <= 0)
    fail<UsageError>("data.resolution is not set, nor are data.height and data.width");
  layout.num_classes = count_classes(source, config);
  if (is_latent(layout.content))
    check_latents(source, config, layout);
  else
    check_images(source, config);
  if (!source.has_features()) return layout;
  const std::vector<int64_t> shape = probe_shape(source, &RawSample::feature_bytes);
  if (shape.size() != 2) fail<UsageError>("data.features: wanted [tokens, width], found [", join(shape), "]");
  layout.feature_tokens = shape[0];
  layout.feature_width = shape[1];
  return layout;
}

}  // namespace gigacat::data
