#include "data/left_out.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "gigacat/core/text.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

using Endings = std::span<const std::string_view>;

constexpr std::array<std::string_view, 7> kArchives = {"zip", "tar", "npz", "7z", "rar", "gz", "zst"};
// Endings of what lies with pictures and is none; others are looked into.
constexpr std::array<std::string_view, 18> kOthers = {"txt", "json", "jsonl", "npy", "cls", "csv",
                                                      "tsv", "xml",  "yaml",  "yml", "md",  "html",
                                                      "log", "py",   "sh",    "db",  "pt",  "parquet"};
constexpr std::array<std::string_view, 14> kPacked = {".tar.gz",  ".tgz",   ".taz",     ".tar.zst", ".tzst",
                                                      ".tar.xz",  ".txz",   ".tar.bz2", ".tbz2",    ".tbz",
                                                      ".tar.lz4", ".tar.z", ".tar.br",  ".tar.lzma"};

struct Packer {
  std::string_view ending, unpack;
};
constexpr std::array kPackers{Packer{"gz", "gunzip"},    Packer{"tgz", "gunzip"},  Packer{"taz", "gunzip"},
                              Packer{"z", "uncompress"}, Packer{"zst", "zstd -d"}, Packer{"tzst", "zstd -d"},
                              Packer{"xz", "unxz"},      Packer{"txz", "unxz"},    Packer{"bz2", "bunzip2"},
                              Packer{"tbz2", "bunzip2"}, Packer{"tbz", "bunzip2"}, Packer{"lzma", "unlzma"},
                              Packer{"lz4", "lz4 -d"},   Packer{"br", "brotli -d"}};

bool holds(Endings endings, std::string_view ending) {
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

// Whether a file that begins so is a picture.
bool is_picture(std::string_view head) {
  using namespace std::string_view_literals;
  for (const std::string_view magic : {"\xff\xd8\xff"sv, "\x89PNG\r\n"sv, "GIF8"sv, "II*\0"sv, "MM\0*"sv, "\xff\x0a"sv})
    if (head.starts_with(magic)) return true;
  if (head.size() < 12) return false;
  const std::string_view kind = head.substr(4, 8);
  if (head.starts_with("RIFF")) return head.substr(8, 4) == "WEBP";
  return kind == "ftypavif" || kind == "ftypheic" || kind == "ftypmif1" || kind == "ftypheix";
}

}  // namespace

bool is_compressed_tar(std::string_view name) {
  const std::string small = lower(name);
  return std::any_of(kPacked.begin(), kPacked.end(), [&](std::string_view ending) { return small.ends_with(ending); });
}

bool is_array(std::string_view name) { return name.ends_with(".npy") && !name.ends_with(".features.npy"); }

std::string unpack_command(std::string_view name) {
  const std::string ending = io::suffix(name);
  for (const Packer& packer : kPackers)
    if (packer.ending == ending) return std::string(packer.unpack);
  return "unpack";
}

void LeftOutCounter::add(std::string_view reason, std::string_view example, int64_t count) {
  const auto found =
      std::find_if(items_.begin(), items_.end(), [&](const LeftOut& item) { return item.reason == reason; });
  if (found != items_.end())
    found->count += count;
  else
    items_.push_back({std::string(reason), std::string(example), count});
}

void LeftOutCounter::add(const std::vector<LeftOut>& others) {
  for (const LeftOut& item : others) add(item.reason, item.example, item.count);
}

void LeftOutCounter::add_unread(std::string_view name, const std::function<std::string()>& head) {
  const std::string ending = io::suffix(name);
  if (holds(kOthers, ending)) return;
  if (io::is_unread_image(name))
    add(cat("pictures that end in .", ending, ", which is not read (convert them to PNG or JPEG)"), name);
  else if (is_compressed_tar(name) || holds(kArchives, ending))
    add("archives inside of the data (unpack them)", name);
  else if (is_picture(head()))
    add("pictures by content whose names do not end in .jpg, .jpeg, .png, .webp or .bmp (rename them)", name);
}

std::string head_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string head(16, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return head;
}

}  // namespace gigacat::data
