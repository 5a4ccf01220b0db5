#include "gigacat/data/config.h"

#include <algorithm>

#include "gigacat/core/cpus.h"

namespace gigacat::data {

namespace {

void bind_location(DataConfig& c, config::Binder& b) {
  b.field("kind", c.kind, "auto", "what lies at path; emoji: shards made by `gigacat data emoji`",
          {.choices = {"auto", "folder", "webdataset", "stylegan", "latents", "npz", "emoji"}});
  b.field("path", c.path, "", "folder, .zip, .npz, or shards: \"data-{000000..000127}.tar\", globs, a folder of .tar",
          {.unit = "path", .free_on_resume = true});
  b.field(
      "cache", c.cache, "",
      "folder for shard indexes; empty: $GIGACAT_CACHE, $XDG_CACHE_HOME/gigacat or ~/.cache/gigacat; none: no cache",
      {.unit = "path", .free_on_resume = true});
  b.field("features", c.features, "none",
          "precomputed alignment features: a folder with NAME.features.npy for each sample, or shards with "
          "KEY.features.npy",
          {.unit = "path"});
}

void bind_shape(DataConfig& c, config::Binder& b) {
  b.field("resolution", c.resolution, 0, "height and width, where those are 0; of latents: cells",
          {.min = 0, .max = 16384, .unit = "px"});
  b.field("height", c.height, 0, "height; 0: resolution", {.min = 0, .max = 16384, .unit = "px"});
  b.field("width", c.width, 0, "width; 0: resolution", {.min = 0, .max = 16384, .unit = "px"});
  b.field("channels", c.channels, 3, "3 or 1 (grey) for images; of latents: C, also where files hold 2C moments",
          {.min = 1, .max = 4096});
  b.field("raw_resolution", c.raw_resolution, 0,
          "side of the RGB images read with latents, for alignment on the fly; 0: not read",
          {.min = 0, .max = 16384, .unit = "px"});
  b.field("latent_scale", c.latent_scale, 0.18215, "factor on latents after the shift",
          {.source = "Stable Diffusion VAE"});
  b.field("latent_shift", c.latent_shift, 0, "subtracted from latents before they are scaled");
}

void bind_content(DataConfig& c, config::Binder& b) {
  b.field("labels", c.labels, true, "use class labels where the data has them");
  b.field("num_classes", c.num_classes, 0, "classes; 0: from the data", {.min = 0});
  b.field("captions", c.captions, false, "read captions; a sample without one counts as bad");
  b.field("caption_column", c.caption_column, "", "key of the sample's .json that holds the caption; empty: its .txt");
  b.field("crop", c.crop, "adm",
          "adm: short side resized, centre cut; random: short side to 1..1.25 times, random window; window: random "
          "window of the image as it is, enlarged where it is too small; resize: aspect ignored; none: sizes must fit",
          {.choices = {"adm", "random", "window", "resize", "none"}, .source = "guided-diffusion image_datasets"});
  b.field("flip", c.flip, false, "mirror images with probability 1/2");
  b.field("background", c.background, "white", "what transparent pixels are laid on", {.choices = {"white", "black"}});
}

void bind_reading(DataConfig& c, config::Binder& b) {
  b.field("max_pixels", c.max_pixels, 100'000'000, "larger images are refused before decoding",
          {.min = 1, .unit = "px"});
  b.field("max_bad_fraction", c.max_bad_fraction, 0.01, "a run fails when more of its samples than this cannot be read",
          {.min = 0, .max = 1, .free_on_resume = true});
  b.field("workers", c.workers, 2, "decoding threads of a rank; -1: one less than the cores",
          {.min = -1, .max = 1024, .free_on_resume = true});
  b.field("prefetch", c.prefetch, 3, "batches in memory ahead of the step",
          {.min = 1, .max = 1024, .free_on_resume = true});
}

}  // namespace

void DataConfig::bind(config::Binder& b) {
  bind_location(*this, b);
  bind_shape(*this, b);
  bind_content(*this, b);
  bind_reading(*this, b);
  b.check("resolution", [this]() -> std::string {
    if (target_height() > 0 && target_width() > 0) return "";
    return "the size of a sample is not set: give data.resolution, or data.height and data.width";
  });
  b.check("workers", [this]() -> std::string {
    return workers == 0 ? "0 workers read nothing: give at least 1, or -1 for one less than the cores" : "";
  });
  b.check("caption_column", [this]() -> std::string {
    return !caption_column.empty() && !captions ? "a caption column is given but data.captions is false" : "";
  });
}

int64_t DataConfig::worker_count() const {
  if (workers > 0) return workers;
  return std::max<int64_t>(1, usable_cpus() - 1);
}

}  // namespace gigacat::data
