#include "text/html.h"

#include <algorithm>
#include <map>
#include <string>

#include "text/html_entities.h"
#include "text/mojibake_tables.h"

namespace gigacat::text {
namespace {

constexpr size_t kLongestName = 32;

using Names = std::map<Text, Text, std::less<>>;

const Names& html_names() {
  static const Names names = [] {
    Names all;
    for (const char* part : kHtmlEntities) {
      const Text lines = from_utf8(part);
      for (size_t at = 0; at < lines.size();) {
        const size_t tab = lines.find(U'\t', at),
                     end = lines.find(U'\n', tab + 2);  // a text may be a line break itself
        all[lines.substr(at, tab - at)] = lines.substr(tab + 1, end - tab - 1);
        at = end + 1;
      }
    }
    return all;
  }();
  return names;
}

int digit_of(char32_t c, int base) {
  const int value = c >= U'0' && c <= U'9'   ? static_cast<int>(c - U'0')
                    : c >= U'a' && c <= U'f' ? static_cast<int>(c - U'a') + 10
                    : c >= U'A' && c <= U'F' ? static_cast<int>(c - U'A') + 10
                                             : base;
  return value < base ? value : -1;
}

Text numbered(char32_t value) {
  if (value == 0 || (value >= 0xD800 && value <= 0xDFFF) || value > 0x10FFFF) return U"\uFFFD";
  if (value >= 0x80 && value <= 0x9F) return Text(1, mojibake::kWindows1252[value - 0x80]);
  const bool control = value <= 0x08 || value == 0x0B || (value >= 0x0E && value <= 0x1F) || value == 0x7F;
  const bool no_character = (value >= 0xFDD0 && value <= 0xFDEF) || (value & 0xFFFE) == 0xFFFE;
  return control || no_character ? Text() : Text(1, value);
}

// The reference at text[at] == '&': its length and what it stands for; length 0: none.
size_t number_at(TextView text, size_t at, Text& out) {
  size_t next = at + 2;
  const bool hex = next < text.size() && (text[next] == U'x' || text[next] == U'X');
  const int base = hex ? 16 : 10;
  if (hex) ++next;
  const size_t first = next;
  char32_t value = 0;
  for (; next < text.size() && digit_of(text[next], base) >= 0; ++next)
    value = std::min<char32_t>(0x110000,
                               value * static_cast<char32_t>(base) + static_cast<char32_t>(digit_of(text[next], base)));
  if (next == first) return 0;
  out = numbered(value);
  if (next < text.size() && text[next] == U';') ++next;
  return next - at;
}

size_t name_at(TextView text, size_t at, Text& out) {
  const TextView stops = U"\t\n\f <&#;";
  size_t next = at + 1;
  while (next < text.size() && next - at - 1 < kLongestName && stops.find(text[next]) == TextView::npos) ++next;
  if (next == at + 1) return 0;
  if (next < text.size() && text[next] == U';') ++next;
  const TextView name = text.substr(at + 1, next - at - 1);
  const auto& names = html_names();
  if (const auto found = names.find(name); found != names.end()) return out = found->second, next - at;
  for (size_t length = name.size() - 1; length > 1; --length)
    if (const auto found = names.find(name.substr(0, length)); found != names.end())
      return out = found->second + Text(name.substr(length)), next - at;
  return 0;
}

// Names of lower case in capitals, where those mean nothing else.
const Names& capital_names() {
  static const Names names = [] {
    Names capitals;
    for (const auto& [name, value] : html_names()) {
      if (name.back() != U';' || name != lower(name)) continue;
      const Text entity = U"&" + upper(name);
      if (html_unescape(entity) == entity) capitals[upper(name)] = upper(value);
    }
    return capitals;
  }();
  return names;
}

bool is_alphanumeric(char32_t c) {
  return (c >= U'0' && c <= U'9') || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
}

// End of &#?[0-9A-Za-z]{1,24}; at `at`, or 0.
size_t complete_end(TextView text, size_t at) {
  size_t next = at + 1;
  if (next < text.size() && text[next] == U'#') ++next;
  const size_t first = next;
  while (next < text.size() && next - first < 24 && is_alphanumeric(text[next])) ++next;
  return next > first && next < text.size() && text[next] == U';' ? next + 1 : 0;
}

Text complete_value(TextView reference) {
  const TextView name = reference.substr(1);
  for (const Names* names : {&html_names(), &capital_names()})
    if (const auto found = names->find(name); found != names->end()) return found->second;
  if (!reference.starts_with(U"&#")) return Text(reference);
  const Text value = html_unescape(reference);
  return value.find(U';') != Text::npos ? Text(reference) : value;
}

}  // namespace

Text html_unescape(TextView text) {
  Text out, value;
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    if (text[at] == U'&')
      length = at + 1 < text.size() && text[at + 1] == U'#' ? number_at(text, at, value) : name_at(text, at, value);
    if (length == 0)
      out.push_back(text[at++]);
    else
      out += value, at += length;
  }
  return out;
}

Text unescape_complete(TextView text) {
  Text out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text[at] == U'&' ? complete_end(text, at) : 0;
    if (end == 0)
      out.push_back(text[at++]);
    else
      out += complete_value(text.substr(at, end - at)), at = end;
  }
  return out;
}

}  // namespace gigacat::text
