#include "data/unicode_lists.h"

#include <algorithm>
#include <charconv>

#include "gigacat/core/error.h"

namespace gigacat::data {

namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;
constexpr uint32_t kVariationSelector16 = 0xFE0F;

void append_utf8(std::string& out, uint32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

std::string to_utf8(const std::vector<uint32_t>& code_points, bool with_selectors) {
  std::string out;
  for (const uint32_t code : code_points) {
    if (with_selectors || code != kVariationSelector16) append_utf8(out, code);
  }
  return out;
}

bool parse_number(std::string_view text, int base, uint32_t& value) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return fault == std::errc() && end == text.data() + text.size() && value > 0 && value <= kLastCodePoint;
}

// Text after `prefix`, trimmed; false when the line does not begin with it.
bool after_prefix(std::string_view line, std::string_view prefix, std::string& value) {
  if (!line.starts_with(prefix)) return false;
  value = trim(line.substr(prefix.size()));
  return true;
}

// "1F469 200D 1F680 ; fully-qualified # (emoji) E4.0 woman astronaut"
EmojiSequence parse_sequence(std::string_view line, std::string_view where) {
  EmojiSequence sequence;
  for (const std::string& word : split(trim(line.substr(0, line.find(';'))), ' ')) {
    if (word.empty()) continue;
    uint32_t code = 0;
    if (!parse_number(word, 16, code)) fail(where, ": \"", word, "\" is no code point");
    sequence.code_points.push_back(code);
  }
  const size_t hash = line.find('#');
  const size_t version = hash == line.npos ? hash : line.find(" E", hash);
  const size_t name = version == line.npos ? version : line.find(' ', version + 1);
  if (name != line.npos) sequence.name = trim(line.substr(name));
  if (sequence.code_points.empty() || sequence.name.empty()) fail(where, ": no sequence with its name here");
  return sequence;
}

std::string decode_entity(std::string_view entity, std::string_view where) {
  static const std::map<std::string_view, char> named = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  if (const auto found = named.find(entity); found != named.end()) return {found->second};
  uint32_t code = 0;
  const bool is_hex = entity.starts_with("#x");
  if (!entity.starts_with('#') || !parse_number(entity.substr(is_hex ? 2 : 1), is_hex ? 16 : 10, code)) {
    fail(where, ": unknown XML entity \"&", entity, ";\"");
  }
  std::string out;
  append_utf8(out, code);
  return out;
}

std::string decode_xml(std::string_view text, std::string_view where) {
  std::string out;
  while (!text.empty()) {
    const size_t begin = text.find('&');
    out += text.substr(0, begin);
    if (begin == text.npos) break;
    const size_t end = text.find(';', begin);
    if (end == text.npos) fail(where, ": XML entity without its semicolon");
    out += decode_entity(text.substr(begin + 1, end - begin - 1), where);
    text.remove_prefix(end + 1);
  }
  return out;
}

struct Annotation {
  std::string sequence, text;
  bool is_name = false;  // type="tts": the short name, not keywords
};

// Takes the first <annotation ...>text</annotation> off `text`; false when none is left.
bool next_annotation(std::string_view& text, std::string_view where, Annotation& annotation) {
  constexpr std::string_view kOpen = "<annotation ", kKey = "cp=\"", kClose = "</annotation>";
  const size_t begin = text.find(kOpen);
  if (begin == text.npos) return false;
  text.remove_prefix(begin + kOpen.size());
  const size_t tag_end = text.find('>');
  const size_t end = text.find(kClose);
  if (end == text.npos || tag_end > end) fail(where, ": annotation without its end tag");
  const std::string_view attributes = text.substr(0, tag_end);
  const size_t key = attributes.find(kKey);
  const size_t key_end = key == text.npos ? key : attributes.find('"', key + kKey.size());
  if (key_end == text.npos) fail(where, ": annotation without cp=\"...\"");
  annotation.sequence = decode_xml(attributes.substr(key + kKey.size(), key_end - key - kKey.size()), where);
  annotation.text = decode_xml(text.substr(tag_end + 1, end - tag_end - 1), where);
  annotation.is_name = attributes.find("type=\"tts\"") != text.npos;
  text.remove_prefix(end + kClose.size());
  return true;
}

}  // namespace

bool EmojiSequence::has_skin_tone() const {
  return std::ranges::any_of(code_points, [](uint32_t code) { return code >= 0x1F3FB && code <= 0x1F3FF; });
}

std::string EmojiSequence::utf8() const { return to_utf8(code_points, true); }

EmojiList parse_emoji_list(std::string_view text, std::string_view name) {
  EmojiList list;
  std::string group, subgroup;
  int64_t number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (after_prefix(line, "# group:", group)) {
      if (group != "Component") list.groups.push_back(group);
    } else if (!after_prefix(line, "# subgroup:", subgroup) && !after_prefix(line, "# Version:", list.version) &&
               !line.starts_with('#') && line.find("; fully-qualified") != line.npos) {
      const std::string where = cat(name, ":", number);
      if (list.groups.empty()) fail(where, ": a sequence before the first \"# group:\"");
      EmojiSequence sequence = parse_sequence(line, where);
      sequence.group = group;
      sequence.subgroup = subgroup;
      sequence.group_index = static_cast<int64_t>(list.groups.size()) - 1;
      list.sequences.push_back(std::move(sequence));
    }
  }
  if (list.sequences.empty()) fail(name, ": no fully-qualified sequence in it; is this Unicode's emoji-test.txt?");
  return list;
}

void parse_annotations(std::string_view text, std::string_view name, Keywords& keywords) {
  Annotation annotation;
  bool found = false;
  while (next_annotation(text, name, annotation)) {
    found = true;
    if (annotation.is_name) continue;
    std::vector<std::string>& words = keywords[annotation.sequence];
    words.clear();
    for (const std::string& word : split(annotation.text, '|')) words.push_back(trim(word));
  }
  if (!found) fail(name, ": no <annotation> in it; is this a CLDR annotations file?");
}

std::vector<std::string> find_keywords(const Keywords& keywords, const EmojiSequence& sequence) {
  const auto found = keywords.find(to_utf8(sequence.code_points, false));
  return found == keywords.end() ? std::vector<std::string>() : found->second;
}

}  // namespace gigacat::data
