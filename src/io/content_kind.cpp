#include "gigacat/io/content_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "bytes.h"
#include "gigacat/core/text.h"

namespace gigacat::io {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view start, kind;
};

constexpr std::array kMagics{
    Magic{"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, not the file: run git lfs pull"},
    Magic{"\x1f\x8b", "compressed by gzip: unpack it with gunzip"},
    Magic{"BZh", "compressed by bzip2: unpack it with bunzip2"},
    Magic{"\xfd"
          "7zXZ",
          "compressed by xz: unpack it with unxz"},
    Magic{"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it with zstd -d"},
    Magic{"\x04\x22\x4d\x18", "compressed by lz4: unpack it with lz4 -d"},
    Magic{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
    Magic{"Rar!\x1a", "a rar archive"},
    Magic{"\x93NUMPY", "an array of numpy (.npy)"},
    Magic{"\x89HDF\r\n", "an HDF5 file, as Keras writes"},
    Magic{"GGUF", "a GGUF file, as llama.cpp reads"},
    Magic{"\x89PNG\r\n", "a PNG picture"},
    Magic{"\xff\xd8\xff", "a JPEG picture"},
    Magic{"GIF8", "a GIF picture"},
    Magic{"%PDF", "a PDF document"},
    Magic{"\x7f"
          "ELF",
          "a program or library"},
    Magic{"PAR1", "a Parquet file"},
    Magic{"SQLite format 3", "an SQLite database"},
    Magic{"\x80\x02\x8a\x0a"sv, "a file of torch.save in its older form"},
};

bool holds(Bytes bytes, std::string_view text) { return as_text(bytes).find(text) != std::string_view::npos; }

std::string zip_kind(Bytes bytes) {
  constexpr size_t kNames = 1 << 20;  // of the directory at the end
  const Bytes end = bytes.last(std::min(kNames, bytes.size()));
  if (holds(end, "/constants.pkl")) return "a TorchScript program";
  if (holds(end, "data.pkl")) return "a file of torch.save";
  return holds(end, ".npy") ? "a zip archive of numpy arrays (.npz)" : "a zip archive";
}

// An ONNX model is a message of protobuf whose first field is the version of the format; a text or a number of the
// producer's, the graph or the operators follow.
bool is_onnx(std::string_view start) {
  return start.size() > 2 && start[0] == 8 && start[1] > 0 && start[1] < 32 &&
         "\x12\x1a\x22\x2a\x32\x3a\x42"sv.find(start[2]) != std::string_view::npos;
}

std::string text_kind(std::string_view start) {
  const size_t first = start.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first == std::string_view::npos) return "";
  std::string head(start.substr(first, 15));
  std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
  if (head.starts_with("<!doctype html") || head.starts_with("<html") || head.starts_with("<head"))
    return "an HTML page, as servers send in the place of a file";
  if (head.starts_with("<?xml")) return "an XML text, as servers send in the place of a file";
  if (head.starts_with("{\"") || head.starts_with("[{")) return "a JSON text";
  const bool is_text = std::all_of(start.begin(), start.end(), [](unsigned char c) {
    return c >= 0x80 || std::isprint(c) != 0 || std::isspace(c) != 0;
  });
  return is_text ? cat("a text: \"", shown(start.substr(first, start.find_first_of("\r\n", first) - first)), "\"") : "";
}

}  // namespace

bool begins_as_safetensors(Bytes bytes) {
  return bytes.size() > 8 && bytes[8] == std::byte{'{'} && load_le<uint64_t>(bytes, 0) <= 100'000'000;
}

std::string content_kind(Bytes bytes) {
  if (bytes.empty()) return "an empty file";
  if (begins_as_safetensors(bytes)) return "a safetensors file";
  const std::string_view start = as_text(bytes.first(std::min<size_t>(bytes.size(), 64)));
  for (const Magic& magic : kMagics)
    if (start.starts_with(magic.start)) return std::string(magic.kind);
  if (start.starts_with("PK\3\4") || start.starts_with("PK\5\6")) return zip_kind(bytes);
  if (start.starts_with("RIFF") && start.substr(std::min<size_t>(8, start.size())).starts_with("WEBP"))
    return "a WebP picture";
  if (bytes.size() > 262 && as_text(bytes.subspan(257, 5)) == "ustar") return "a tar archive";
  if (start[0] == '\x80' && start.size() > 1 && start[1] >= 2 && start[1] <= 5) return "a pickle of Python";
  if (is_onnx(start)) return "an ONNX model";
  if (bytes.size() >= 16 && std::all_of(start.begin(), start.end(), [](char c) { return c == 0; }))
    return "a file that begins with zeros, as downloads that broke off leave";
  return text_kind(start);
}

}  // namespace gigacat::io
