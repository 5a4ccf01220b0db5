// Latents as files: the layout of guided-diffusion and REPA, images/ and vae-sd/ with .npy and dataset.json.
#include "data/latents.h"

#include <algorithm>
#include <span>

#include "data/about.h"
#include "data/array_layout.h"
#include "data/file_source.h"
#include "data/left_out.h"
#include "data/sources.h"
#include "gigacat/core/error.h"
#include "gigacat/io/folder.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

namespace {

fs::path latent_root(const fs::path& path) {
  const fs::path inner = path / "vae-sd";
  return io::is_folder(inner) ? inner : path;
}

// Latents and images are paired by their sorted order: the names of the two differ ("img-mean-std-00000000.npy").
void add_raw_images(FileSet& set) {
  set.raw_root = (set.root.filename() == "vae-sd" ? set.root.parent_path() : set.root) / "images";
  if (!io::is_folder(set.raw_root))
    fail<UsageError>("data.raw_resolution: there is no folder ", set.raw_root.string(),
                     " with the images of the latents");
  for (const std::string& name : list_images(set.raw_root, set.left_out)) set.raw_names.add(name);
  if (set.raw_names.size() != set.names.size())
    fail<UsageError>("data.raw_resolution: ", set.raw_root.string(), " holds ", set.raw_names.size(), " images for ",
                     set.names.size(), " latents");
}

Content content_of_one(std::string_view npy, const std::string& name, const DataConfig& config, bool sure) {
  const io::NpyHeader header = io::parse_npy(std::as_bytes(std::span<const char>(npy)), npy.size(), name);
  std::vector<int64_t> shape = header.shape;
  if (shape.size() == 4 && shape[0] == 1) shape.erase(shape.begin());
  if (shape.size() != 3 || header.kind != 'f')
    fail<UsageError>("data.path: ", name, " is no latent: wanted floats [C, H, W], found ", array_text(header));
  ValueRange range;
  if (!sure) range.add(io::read_npy_float(npy, name).values);
  if (!sure && looks_like_image(shape[0], shape[2], range, config.channels))
    fail<UsageError>("data.path: ", name, " is an image as numbers, ", array_text(header),
                     ", not a latent: store the images as PNG or as one .npz, or say data.kind=latents");
  return latent_content(shape[0], name, config);
}

}  // namespace

Content latent_content(int64_t channels, const std::string& name, const DataConfig& config) {
  if (channels == config.channels) return Content::latent;
  if (channels == 2 * config.channels) return Content::moments;
  fail<UsageError>(
      "data.channels is ", config.channels, " but ", name, " holds ", channels,
      " channels: set data.channels to that for latents, or to half of it for moments (mean and deviation)");
}

Content probe_latents(int64_t count, const std::function<std::string(int64_t)>& name,
                      const std::function<std::string(int64_t)>& read, const DataConfig& config, bool sure) {
  constexpr int64_t kTries = 16;
  std::string reason;
  for (int64_t i = 0; i < std::min(kTries, count); ++i) {
    try {
      return content_of_one(read(i), name(i), config, sure);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      if (reason.empty()) reason = error.what();
    }
  }
  fail("none of the first latents in ", config.path, " can be read: ", reason);
}

std::unique_ptr<Source> open_latent_folder(const DataConfig& config) {
  if (!io::is_folder(config.path)) fail<UsageError>("data.path: ", config.path, " is no folder");
  FileSet set;
  set.root = latent_root(config.path);
  const std::vector<std::string> names = io::list_files(set.root, is_array);
  for (const std::string& name : names) set.names.add(name);
  if (names.empty()) fail<UsageError>("data.path: no latents (.npy) in ", set.root.string());
  const fs::path labels = set.root / "dataset.json";
  if (io::is_file(labels))
    set.labels = parse_dataset_json(read_file(labels, 1ull << 30), labels.string(), names, set.left_out);
  set.provenance = read_provenance(config.path);
  const bool sure = config.kind == "latents" || set.root != config.path || says_latents(set.provenance);
  const auto name_of = [&set](int64_t i) { return std::string(set.names[i]); };
  const auto read = [&](int64_t i) { return read_file(set.root / name_of(i), kMostSampleBytes); };
  set.content = probe_latents(static_cast<int64_t>(names.size()), name_of, read, config, sure);
  set.format = cat("folder of ", set.content == Content::moments ? "moments of latents" : "latents",
                   set.labels.empty() ? " without classes" : ", labels from dataset.json");
  set.classes = read_class_names(config.path);
  if (config.raw_resolution > 0) add_raw_images(set);
  set.captions = CaptionRule(config);
  return make_file_source(std::move(set));
}

}  // namespace gigacat::data
