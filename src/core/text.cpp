#include "gigacat/core/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "gigacat/core/error.h"

namespace gigacat {
namespace {

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Edit distance in which swapping two neighbours counts once, as in most typing mistakes.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

// Value with three digits, the next prefix taken where rounding would show a fourth.
std::string scaled(double value, double base, const std::vector<const char*>& prefixes) {
  if (!std::isfinite(value)) return formatted("%g", value);
  size_t step = 0;
  while (std::abs(value) >= base - 0.5 && step + 1 < prefixes.size()) {
    value /= base;
    ++step;
  }
  if (step == 0) return cat(formatted("%.3g", value), prefixes[0]);
  const double size = std::abs(value);
  return cat(formatted(size < 9.995 ? "%.2f" : size < 99.95 ? "%.1f" : "%.0f", value), prefixes[step]);
}

int64_t parse_place(std::string_view text, std::string_view what) {
  const int64_t value = parse_int(trim(text), what);
  if (value < 0) fail<UsageError>(what, ": ", value, " is negative; write numbers from 0 like 0,1,4-6");
  return value;
}

}  // namespace

std::string join_first(const std::vector<std::string>& items, size_t most) {
  const size_t shown = std::min(most, items.size());
  const std::string first = join(std::span(items).first(shown));
  return shown == items.size() ? first : cat(first, " and ", items.size() - shown, " more");
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  if (text.empty()) return pieces;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return pieces;
    begin = end + 1;
  }
}

std::string trim(std::string_view text) {
  constexpr std::string_view space = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(space) - first + 1));
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  // The table of distances grows with the product of both lengths: no typing mistake is that long.
  if (word.empty() || word.size() > 200) return "";
  const size_t allowed = std::min(std::max<size_t>(2, word.size() / 3), word.size() - 1);
  std::string best;
  size_t best_distance = allowed + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

std::string human(double value) { return scaled(value, 1000, {"", " k", " M", " G", " T", " P"}); }

std::string human_bytes(double bytes) {
  if (std::abs(bytes) < 1024) return cat(formatted("%.0f", bytes), " B");
  return scaled(bytes, 1024, {" B", " KiB", " MiB", " GiB", " TiB", " PiB"});
}

std::string human_time(double seconds) {
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e15) return "unknown";
  if (seconds < 59.95) return cat(formatted("%.1f", seconds), " s");
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  char text[64];
  if (hours == 0) {
    std::snprintf(text, sizeof text, "%dm %02ds", static_cast<int>(minutes), static_cast<int>(rest));
  } else {
    std::snprintf(text, sizeof text, "%lldh %02dm %02ds", static_cast<long long>(hours), static_cast<int>(minutes),
                  static_cast<int>(rest));
  }
  return text;
}

int64_t parse_int(std::string_view text, std::string_view what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) fail<UsageError>(what, ": ", text, " does not fit into 64 bits");
  if (error != std::errc() || end != text.data() + text.size()) {
    fail<UsageError>(what, ": \"", text, "\" is not a whole number");
  }
  return value;
}

std::vector<int64_t> parse_ranges(std::string_view text, std::string_view what, size_t most) {
  std::vector<int64_t> values;
  for (const std::string& piece : split(text, ',')) {
    const size_t dash = piece.find('-', piece.find_first_not_of(" -"));
    const bool range = dash != std::string::npos && piece.find_first_not_of(' ') != dash;
    const int64_t first = parse_place(range ? piece.substr(0, dash) : piece, what);
    const int64_t last = range ? parse_place(piece.substr(dash + 1), what) : first;
    if (last < first) fail<UsageError>(what, ": the range ", trim(piece), " runs backwards");
    if (static_cast<uint64_t>(last - first) >= most - values.size()) {
      fail<UsageError>(what, ": more than ", most, " values");
    }
    for (int64_t value = first; value <= last; ++value) values.push_back(value);
  }
  if (values.empty()) fail<UsageError>(what, ": empty; write numbers like 0,1,4-6");
  return values;
}

}  // namespace gigacat
