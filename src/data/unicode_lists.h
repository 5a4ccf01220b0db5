// Unicode's own lists of emoji: emoji-test.txt (sequences, names, groups) and CLDR annotations (keywords).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat::data {

struct EmojiSequence {
  std::vector<uint32_t> code_points;
  std::string name;  // "woman astronaut"
  std::string group, subgroup;
  int64_t group_index = 0;  // place of the group in the list, without Component

  bool has_skin_tone() const;
  std::string utf8() const;
};

struct EmojiList {
  std::string version;              // of Unicode's emoji data, "15.0"
  std::vector<std::string> groups;  // in the order of the file, without Component
  std::vector<EmojiSequence> sequences;
};

// The fully-qualified sequences of `text` in its order. Errors: Error with the line for what is no emoji-test.txt;
// `name` stands for the file.
EmojiList parse_emoji_list(std::string_view text, std::string_view name);

// Keywords by sequence (UTF-8 without U+FE0F, as CLDR writes it).
using Keywords = std::map<std::string, std::vector<std::string>, std::less<>>;

// Adds the keywords of a CLDR annotations file. Errors: Error when `text` holds no annotation or a broken one.
void parse_annotations(std::string_view text, std::string_view name, Keywords& keywords);

// Keywords of a sequence; empty when CLDR has none.
std::vector<std::string> find_keywords(const Keywords& keywords, const EmojiSequence& sequence);

}  // namespace gigacat::data
