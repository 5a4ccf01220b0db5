// Which kind of data set lies at a path.
#include "gigacat/data/source.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/listing.h"
#include "data/sources.h"
#include "data/webdataset/shard_names.h"
#include "gigacat/core/error.h"

namespace gigacat::data {

namespace {

// Ending of the first file below `folder` that samples may come from, or "".
std::string first_ending(const fs::path& folder) {
  std::string ending;
  walk(folder, [&ending](const std::string& name) {
    const bool known =
        suffix(name) == "tar" || is_image(name) || (name.ends_with(".npy") && !name.ends_with(".features.npy"));
    if (known) ending = suffix(name);
    return !known;
  });
  return ending;
}

std::string detect_folder(const fs::path& folder) {
  if (is_folder(folder / "vae-sd")) return "latents";
  const std::string ending = first_ending(folder);
  if (ending.empty())
    fail<UsageError>("data.path: ", folder.string(),
                     " and the folders below it hold no images, shards (.tar) or latents (.npy)");
  if (ending == "npy") return "latents";
  return is_file(folder / "dataset.json") ? "stylegan" : "folder";
}

// Shards that `data encode` wrote hold the images too.
std::string detect_shards(const std::string& path) {
  const std::string text = read_provenance(is_folder(path) ? fs::path(path) : fs::path(path).parent_path());
  const auto provenance = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return provenance.is_object() && provenance.value("kind", "") == "latents" ? "latents" : "webdataset";
}

std::string detect(const std::string& path) {
  if (names_shards(path)) return detect_shards(path);
  if (is_folder(path)) return detect_folder(path);
  const std::string ending = suffix(path);
  if (ending == "zip") return "stylegan";
  if (ending == "npz") return "npz";
  if (!is_file(path)) fail<UsageError>("data.path: there is nothing at ", path);
  fail<UsageError>("data.path: ", path, " is no data set: wanted a folder, .tar shards, a .zip or an .npz");
}

std::unique_ptr<Source> open_emoji(const DataConfig& config) {
  if (!names_shards(config.path))
    fail<UsageError>("data.path: no emoji shards in ", config.path, ": make them with `gigacat data emoji ",
                     config.path, "`");
  return open_webdataset(config, false);
}

std::unique_ptr<Source> open_latents(const DataConfig& config) {
  return names_shards(config.path) ? open_webdataset(config, true) : open_latent_folder(config);
}

std::unique_ptr<Source> open_kind(const std::string& kind, const DataConfig& config) {
  if (kind == "folder") return open_folder(config);
  if (kind == "webdataset") return open_webdataset(config, false);
  if (kind == "stylegan") return open_stylegan(config);
  if (kind == "latents") return open_latents(config);
  if (kind == "npz") return open_npz(config);
  if (kind == "emoji") return open_emoji(config);
  fail<UsageError>("data.kind: ", kind, " is unknown");
}

bool has_shards_on_top(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entries(folder, error); !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    if (suffix(entries->path().filename().string()) == "tar") return true;
  }
  return false;
}

}  // namespace

// Shards with images around them (a contact sheet) are no image folder.
bool names_shards(const std::string& path) {
  if (is_folder(path)) return has_shards_on_top(path) || first_ending(path) == "tar";
  return is_shard_pattern(path);
}

std::unique_ptr<Source> open_source(const DataConfig& config) {
  if (config.path.empty()) fail<UsageError>("data.path is empty: name a folder, a .zip, an .npz or shards");
  std::unique_ptr<Source> source;
  try {
    source = open_kind(config.kind == "auto" ? detect(config.path) : config.kind, config);
  } catch (const UsageError& error) {
    const std::string text = error.what();
    if (fs::path(config.path).is_absolute() || !text.starts_with("data.path")) throw;
    fail<UsageError>(text, " (relative to the working directory ", fs::current_path().string(), ")");
  }
  if (config.features == "none" || config.features.empty() || source->has_features()) return source;
  return with_feature_folder(std::move(source), config.features);
}

}  // namespace gigacat::data
