// The built-in data set: image-text pairs from the system's Noto Color Emoji font and Unicode's lists.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gigacat::data {

// `own` in the folder emoji of what is installed with the program, where it is there; else `system`, Debian's path.
std::filesystem::path emoji_file(const std::filesystem::path& own, const std::filesystem::path& system);

// What goes into the set and how it is drawn.
struct EmojiOptions {
  std::filesystem::path font = emoji_file("NotoColorEmoji.ttf", "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf");
  std::filesystem::path list = emoji_file("emoji-test.txt", "/usr/share/unicode/emoji/emoji-test.txt");
  std::filesystem::path keywords =
      emoji_file("annotations/en.xml", "/usr/share/unicode/cldr/common/annotations/en.xml");
  std::string skin_tones = "default";  // "default": no skin-tone variants, "all": every fully qualified sequence
  int64_t size = 128;                  // px, square; the glyph is fitted with a margin and composited on `background`
  int64_t shard_size = 1000;           // samples in a shard
  std::string background = "white";    // "white", "black", "transparent"
  std::vector<std::string> only;       // lower-case words: emoji whose name has one of them; empty: all
};

// What was written; `skipped`: sequences of the list that the font does not have.
struct EmojiReport {
  int64_t written = 0, skipped = 0, shards = 0, classes = 0;
};

// Writes OUT/emoji-000000.tar ... (KEY.png, KEY.cls group, KEY.txt name, KEY.json with name, group, subgroup, keywords,
// code points) and OUT/provenance.json, classes.txt. An existing complete set with the same options is kept. Errors:
// UsageError when the font or a list is missing (with the package that holds it), Error for I/O.
EmojiReport make_emoji(const std::filesystem::path& out, const EmojiOptions& options);

}  // namespace gigacat::data
