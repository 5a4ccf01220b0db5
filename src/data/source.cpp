// Which kind of data set lies at a path.
#include "gigacat/data/source.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include "data/about.h"
#include "data/file_source.h"
#include "data/fingerprint.h"
#include "data/left_out.h"
#include "data/sources.h"
#include "data/webdataset/shard_names.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace fs = std::filesystem;

namespace {

// What a folder holds that samples may come from.
struct FolderLook {
  bool top_shards = false;  // shards directly in it
  bool shards = false, images = false, latents = false;
  std::string packed;  // a shard that is compressed, or an archive
};

// An image decides, so the walk ends there.
FolderLook look_into(const fs::path& folder) {
  FolderLook look;
  io::walk(folder, [&look](const std::string& name) {
    const std::string ending = io::suffix(name);
    if (ending == "tar") {
      look.shards = true;
      look.top_shards |= name.find('/') == std::string::npos;
    } else if (is_compressed_tar(name) || ending == "zip" || ending == "npz") {
      if (look.packed.empty()) look.packed = name;
    } else if (is_array(name)) {
      look.latents = true;
    }
    look.images |= io::is_image(name);
    return !look.images && !look.top_shards;
  });
  return look;
}

bool has_shards_on_top(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entries(folder, error); !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    if (io::suffix(entries->path().filename().string()) == "tar") return true;
  }
  return false;
}

std::string detect_folder(const fs::path& folder) {
  if (io::is_folder(folder / "vae-sd")) return "latents";
  const FolderLook look = look_into(folder);
  if (look.images) return io::is_file(folder / "dataset.json") ? "stylegan" : "folder";
  if (look.latents) return "latents";
  if (is_compressed_tar(look.packed))
    fail<UsageError>("data.path: the shards in ", folder.string(), " are compressed, such as ", look.packed,
                     "; samples are read in any order, so unpack them: ", unpack_command(look.packed), " ",
                     look.packed);
  if (!look.packed.empty())
    fail<UsageError>("data.path: ", folder.string(), " holds no images but ", look.packed,
                     ": give data.path=", (folder / look.packed).string());
  std::vector<LeftOut> left_out;
  list_images(folder, left_out);
  fail<UsageError>("data.path: ", folder.string(),
                   " and the folders below it hold no images, shards (.tar) or latents (.npy)",
                   left_out.empty() ? "" : "; " + left_out.front().text());
}

// Shards that `data encode` wrote hold the images too.
std::string detect_shards(const std::string& path) {
  const fs::path folder = io::is_folder(path) ? fs::path(path) : fs::path(path).parent_path();
  return says_latents(read_provenance(folder)) ? "latents" : "webdataset";
}

std::string detect(const std::string& path) {
  if (names_shards(path)) return detect_shards(path);
  if (io::is_folder(path)) return detect_folder(path);
  const std::string ending = io::suffix(path);
  if (ending == "zip") return "stylegan";
  if (ending == "npz" || ending == "npy") return "npz";
  if (io::is_image(path))
    fail<UsageError>("data.path: ", path, " is a single image: give the folder that holds the images");
  fail<UsageError>("data.path: ", path, " is no data set: wanted a folder, .tar shards, a .zip, .npz or .npy");
}

std::unique_ptr<Source> open_emoji(const DataConfig& config) {
  if (!names_shards(config.path))
    fail<UsageError>("data.path: no emoji shards in ", config.path, ": make them with `gigacat data emoji ",
                     config.path, "`");
  return open_webdataset(config, false);
}

std::unique_ptr<Source> open_latents(const DataConfig& config) {
  if (io::is_file(config.path) && (config.path.ends_with(".npz") || config.path.ends_with(".npy")))
    return open_npz(config);
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

// Patterns are looked up later. Errors: UsageError that says where the path was looked for.
void check_there(const std::string& path) {
  std::error_code error;
  if (path.find_first_of("{*?[") != std::string::npos || fs::exists(path, error)) return;
  const fs::path looked = fs::absolute(path).lexically_normal();
  fs::path above = looked.parent_path();
  while (!fs::exists(above, error) && above.has_relative_path()) above = above.parent_path();
  const std::string missing =
      above == looked.parent_path() ? "" : cat("; the first part that is there is ", above.string());
  if (fs::path(path).is_absolute()) fail<UsageError>("data.path: there is nothing at ", path, missing);
  fail<UsageError>("data.path: there is nothing at ", path, " (looked for ", looked.string(),
                   ": a relative path starts at the working directory or, in a config, at the file's folder)", missing);
}

}  // namespace

std::string LeftOut::text() const { return cat(reason, ": ", count, ", such as ", example); }

// Shards with images around them (a contact sheet) are no image folder.
bool names_shards(const std::string& path) {
  if (!io::is_folder(path)) return is_shard_pattern(path);
  if (has_shards_on_top(path)) return true;
  const FolderLook look = look_into(path);
  return look.shards && !look.images;
}

std::string identity_of(const Source& source) {
  constexpr int64_t kLooks = 512;
  Fingerprint contents;
  const int64_t looks = std::min(source.size(), kLooks);
  for (int64_t i = 0; i < looks; ++i) {
    const int64_t index = i * source.size() / looks;
    std::string bytes;
    try {
      bytes = source.read(index).bytes;
    } catch (const Error&) {  // counted as bad where it is used
    }
    contents.add(sha256(std::as_bytes(std::span<const char>(bytes))), bytes.size(), index);
  }
  return cat(source.listing_digest(), "+", contents.digest());
}

bool is_same_data(const std::string& identity, const std::string& known) {
  return identity == known ||
         (known.find('+') == std::string::npos && !known.empty() && identity.starts_with(known + "+"));
}

std::unique_ptr<Source> open_source(const DataConfig& config) {
  if (config.path.empty()) fail<UsageError>("data.path is empty: name a folder, a .zip, an .npz or shards");
  check_there(config.path);
  std::unique_ptr<Source> source = open_kind(config.kind == "auto" ? detect(config.path) : config.kind, config);
  log::info("data: ", config.path, ": ", source->size(), " samples, ", source->format());
  for (const LeftOut& item : source->left_out()) log::warn("data: left out: ", item.text());
  if (config.features == "none" || config.features.empty() || source->has_features()) return source;
  return with_feature_folder(std::move(source), config.features);
}

}  // namespace gigacat::data
