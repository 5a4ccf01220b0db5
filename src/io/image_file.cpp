#include "gigacat/io/image_file.h"

#include <algorithm>
#include <array>

#include "gigacat/core/error.h"
#include "gigacat/io/folder.h"

namespace gigacat::io {
namespace {

// Endings of files that a user may expect, but that are no images.
constexpr std::array<std::string_view, 32> kOtherFiles = {
    "npy",  "npz", "zip",  "tar",  "gz",  "tgz", "bz2", "xz",          "zst",  "7z",     "rar",
    "pdf",  "eps", "mp4",  "webm", "avi", "mov", "mkv", "txt",         "csv",  "tsv",    "json",
    "yaml", "yml", "html", "md",   "pt",  "pth", "pkl", "safetensors", "onnx", "parquet"};

}  // namespace

PathKind path_kind(const std::filesystem::path& path) {
  if (is_folder(path)) return PathKind::folder;
  const std::string ending = suffix(path.string());
  if (ending == "png") return PathKind::png;
  if (ending == "jpg" || ending == "jpeg") return PathKind::jpeg;
  if (ending == "webp") return PathKind::webp;
  const bool known = is_image(path.string()) || is_unread_image(path.string()) ||
                     std::find(kOtherFiles.begin(), kOtherFiles.end(), ending) != kOtherFiles.end();
  return known ? PathKind::other : PathKind::folder;
}

PathKind output_kind(const std::filesystem::path& path, std::string_view option, std::string_view choices) {
  const PathKind kind = path_kind(path);
  if (kind == PathKind::other)
    fail<UsageError>(option, ": ", path.string(), ": no .", suffix(path.string()), " is written: give ", choices);
  return kind;
}

std::string encode_image(const Image& image, PathKind kind, const PngTexts& texts) {
  if (kind == PathKind::png) return encode_png(image, texts);
  if (kind == PathKind::jpeg) return encode_jpeg(image);
  GIGACAT_CHECK(kind == PathKind::webp, "no kind of image");
  return encode_webp(image);
}

}  // namespace gigacat::io
