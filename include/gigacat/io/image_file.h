// Image files by the endings of their names, for commands that write what the user's path asks for.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "gigacat/io/image.h"

namespace gigacat::io {

// What a path asks for by its ending, in capitals or not.
enum class PathKind {
  folder,  // no ending, or one that no kind of file has ("samples.v2"); any folder that is there
  png,
  jpeg,  // .jpg, .jpeg
  webp,
  other,  // the ending of a file of another kind: .bmp, .gif, .npz, .zip, .txt, ...
};
PathKind path_kind(const std::filesystem::path& path);

// The same for a path that a command would write. Errors: UsageError for PathKind::other: "OPTION: PATH: no .bmp is
// written: give CHOICES".
PathKind output_kind(const std::filesystem::path& path, std::string_view option, std::string_view choices);

// The bytes of an image file. A JPEG or WebP is of quality 95 and carries no texts. Errors: InternalError for a kind
// that is no image, and as encode_png(), encode_jpeg() and encode_webp().
std::string encode_image(const Image& image, PathKind kind, const PngTexts& texts = {});

}  // namespace gigacat::io
