#include "text/repair.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "text/html.h"
#include "text/mojibake.h"
#include "text/width_table.h"

namespace gigacat::text {
namespace {

constexpr size_t kLongestSegment = 1'000'000;

constexpr std::pair<char32_t, TextView> kLigatures[] = {
    {U'Ĳ', U"IJ"},      {U'ĳ', U"ij"},      {U'ŉ', U"ʼn"},      {U'Ǳ', U"DZ"},       {U'ǲ', U"Dz"},
    {U'ǳ', U"dz"},      {U'Ǆ', U"DŽ"},      {U'ǅ', U"Dž"},      {U'ǆ', U"dž"},       {U'Ǉ', U"LJ"},
    {U'ǈ', U"Lj"},      {U'ǉ', U"lj"},      {U'Ǌ', U"NJ"},      {U'ǋ', U"Nj"},       {U'ǌ', U"nj"},
    {U'\uFB00', U"ff"}, {U'\uFB01', U"fi"}, {U'\uFB02', U"fl"}, {U'\uFB03', U"ffi"}, {U'\uFB04', U"ffl"},
    {U'\uFB05', U"ſt"}, {U'\uFB06', U"st"}};

bool is_removed_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

void add_standard_form(Text& out, char32_t c) {
  if (c == 0x3000) return out.push_back(U' ');
  if (c == 0xFFE3) out.push_back(U' ');  // a spacing macron
  const bool listed = c >= 0xFF01 && c < 0xFF01 + std::size(kStandardWidth);
  const char32_t standard = listed ? kStandardWidth[c - 0xFF01] : 0;
  out.push_back(standard != 0 ? standard : c);
}

Text fix_ligatures(TextView text) {
  Text out;
  for (const char32_t c : text) {
    const auto* found =
        std::find_if(std::begin(kLigatures), std::end(kLigatures), [c](const auto& l) { return l.first == c; });
    if (found == std::end(kLigatures))
      out.push_back(c);
    else
      out += found->second;
  }
  return out;
}

Text fix_widths(TextView text) {
  Text out;
  for (const char32_t c : text) add_standard_form(out, c);
  return out;
}

Text straighten_quotes(TextView text) {
  Text out(text);
  for (char32_t& c : out) {
    if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) c = U'\'';
    if (c >= 0x201C && c <= 0x201F) c = U'"';
  }
  return out;
}

Text fix_line_breaks(TextView text) {
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == U'\r' && i + 1 < text.size() && text[i + 1] == U'\n') continue;
    out.push_back(c == U'\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? U'\n' : c);
  }
  return out;
}

bool is_ascii_letter(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }

// Length of ESC [ numbers letter at `at`, or 0.
size_t escape_length(TextView text, size_t at) {
  if (text[at] != 0x1B || at + 1 >= text.size() || text[at + 1] != U'[') return 0;
  size_t next = at + 2;
  while (next < text.size() && ((text[next] >= U'0' && text[next] <= U'9') || text[next] == U';')) ++next;
  return next < text.size() && is_ascii_letter(text[next]) ? next + 1 - at : 0;
}

Text remove_escapes(TextView text) {
  Text out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = escape_length(text, at);
    if (length == 0) out.push_back(text[at]);
    at += std::max<size_t>(1, length);
  }
  return out;
}

Text remove_controls(TextView text) {
  Text out(text);
  std::erase_if(out, is_removed_control);
  return out;
}

Text fix_segment(TextView segment, bool html) {
  Text now(segment);
  for (;;) {
    Text next = html ? unescape_complete(now) : now;
    next = fix_c1_controls(fix_encoding(next));
    next = straighten_quotes(fix_widths(fix_ligatures(next)));
    next = remove_controls(remove_escapes(fix_line_breaks(next)));
    next = compose(next);
    if (next == now) return now;
    now = std::move(next);
  }
}

}  // namespace

Text fix_text(TextView text) {
  Text out;
  bool html = true;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(U'\n', at), text.size() - 1) + 1;
    end = std::min(end, at + kLongestSegment);
    const TextView segment = text.substr(at, end - at);
    html = html && segment.find(U'<') == TextView::npos;  // from the first tag on the text is HTML and stays so
    out += fix_segment(segment, html);
    at = end;
  }
  return out;
}

}  // namespace gigacat::text
