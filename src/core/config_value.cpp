// Between the text of a value and the value.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "config_internal.h"

namespace gigacat::config {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

// Shortest decimal that reads back equal.
std::string number_text(double value) {
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  if (std::isnan(value)) return ".nan";
  std::array<char, 32> digits;
  const auto [end, error] = std::to_chars(digits.begin(), digits.end(), value, std::chars_format::general);
  return std::string(digits.begin(), end);
}

// Whether all of `text` is one number of type T.
template <class T>
std::errc read_number(std::string_view text, T& value) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::errc::invalid_argument;
  return error;
}

// "" or what is wrong; `value` is set only when nothing is.
std::string read(const Scalar& in, bool& value) {
  const std::string word = lower(in.text);
  const bool yes = word == "true" || word == "yes" || word == "on";
  const bool no = word == "false" || word == "no" || word == "off";
  if (in.quoted || !(yes || no)) return cat("expected true or false, got ", shown(in.text));
  value = yes;
  return "";
}

std::string read(const Scalar& in, double& value) {
  double number = 0;
  const std::string word = lower(in.text);
  if (word == ".inf" || word == "+.inf" || word == "-.inf") {
    value = word[0] == '-' ? -HUGE_VAL : HUGE_VAL;
    return in.quoted ? cat("expected a number, got ", shown(in.text)) : "";
  }
  const std::errc error = read_number(in.text, number);
  if (error == std::errc::result_out_of_range) return cat(shown(in.text), " does not fit into a 64-bit number");
  if (in.quoted || error != std::errc()) return cat("expected a number, got ", shown(in.text));
  if (!std::isfinite(number)) return cat("expected a number, got ", shown(in.text));
  value = number;
  return "";
}

// Also 1e6 and 64.0, as long as they are whole.
std::string read(const Scalar& in, int64_t& value) {
  int64_t whole = 0;
  std::errc error = read_number(in.text, whole);
  if (error == std::errc::invalid_argument && !in.quoted) {
    double number = 0;
    const std::errc as_double = read_number(in.text, number);
    if (as_double == std::errc() && std::trunc(number) == number) {
      // Beyond 2^53 not every whole number is a double: what was written might not be what is read.
      error = std::abs(number) <= 0x1p53 ? std::errc() : std::errc::result_out_of_range;
      whole = error == std::errc() ? static_cast<int64_t>(number) : 0;
    } else if (as_double == std::errc::result_out_of_range) {
      error = as_double;
    }
  }
  if (error == std::errc::result_out_of_range) return cat(shown(in.text), " does not fit into a 64-bit whole number");
  if (in.quoted || error != std::errc()) return cat("expected a whole number, got ", shown(in.text));
  value = whole;
  return "";
}

std::string read(const Scalar& in, std::string& value) {
  value = in.text;
  return "";
}

std::string range_text(const Meta& meta, bool with_unit = true) {
  const bool low = std::isfinite(meta.min), high = std::isfinite(meta.max);
  const std::string unit = meta.unit.empty() || !with_unit ? "" : " " + meta.unit;
  if (low && high) return cat(number_text(meta.min), " to ", number_text(meta.max), unit);
  if (low) return cat("at least ", number_text(meta.min), unit);
  return high ? cat("at most ", number_text(meta.max), unit) : "";
}

std::string check(bool, const Meta&) { return ""; }

std::string check(double value, const Meta& meta) {
  if (value >= meta.min && value <= meta.max) return "";
  return cat(number_text(value), " is out of range: ", range_text(meta));
}

std::string check(int64_t value, const Meta& meta) {
  if (static_cast<double>(value) >= meta.min && static_cast<double>(value) <= meta.max) return "";
  return cat(value, " is out of range: ", range_text(meta));
}

std::string check(const std::string& value, const Meta& meta) {
  if (meta.choices.empty() || std::ranges::count(meta.choices, value) > 0) return "";
  const std::string near = nearest(value, meta.choices);
  return cat(shown(value), " is none of ", join(meta.choices), near.empty() ? "" : cat("; did you mean ", near, "?"));
}

template <class T>
std::string check(const std::vector<T>& values, const Meta& meta) {
  for (const T& value : values) {
    if (const std::string wrong = check(value, meta); !wrong.empty()) return wrong;
  }
  return "";
}

template <class T>
std::string read_checked(const Scalar& in, const Meta& meta, T& value) {
  if (in.null) return "no value given";
  T read_value{};
  std::string wrong = read(in, read_value);
  if (wrong.empty()) wrong = check(read_value, meta);
  if (wrong.empty()) value = std::move(read_value);
  return wrong;
}

const char* item_name(const std::vector<int64_t>&) { return "whole numbers"; }
const char* item_name(const std::vector<double>&) { return "numbers"; }
const char* item_name(const std::vector<std::string>&) { return "text"; }

const char* plain_name(bool) { return "true or false"; }
const char* plain_name(int64_t) { return "a whole number"; }
const char* plain_name(double) { return "a number"; }
const char* plain_name(const std::string&) { return "text"; }
template <class T>
std::string plain_name(const std::vector<T>& values) {
  return cat("a list of ", item_name(values));
}

// One problem at most for a scalar.
template <class T>
std::vector<Problem> set(T& value, const Entry& entry, const Meta& meta) {
  std::string wrong = entry.is_list ? cat("expected ", plain_name(value), ", got a list") : "";
  if (wrong.empty()) wrong = read_checked(entry, meta, value);
  if (wrong.empty()) return {};
  return {{entry.origin, entry.path, wrong}};
}

template <class T>
std::vector<Problem> set(std::vector<T>& value, const Entry& entry, const Meta& meta) {
  if (!entry.is_list) {
    const std::string got =
        entry.null ? "no value given" : cat("got ", shown(entry.text), "; write [", entry.text.substr(0, 60), "]");
    return {{entry.origin, entry.path, cat("expected a list of ", item_name(value), ", ", got)}};
  }
  std::vector<Problem> problems;
  std::vector<T> items;
  for (const Scalar& item : entry.items) {
    T read_item{};
    const std::string wrong = item.failed ? "" : read_checked(item, meta, read_item);
    if (!wrong.empty()) problems.push_back({item.origin, entry.path, cat("item ", items.size() + 1, ": ", wrong)});
    items.push_back(std::move(read_item));
  }
  if (problems.empty()) value = std::move(items);
  return problems;
}

// Words and forms that YAML readers take for something else than text.
bool looks_like_other(std::string_view text) {
  static const std::array<std::string_view, 12> words = {"true", "false", "yes",  "no",   "on",   "off",
                                                         "y",    "n",     "null", ".inf", ".nan", "~"};
  double number = 0;
  return std::ranges::count(words, lower(text)) > 0 || read_number(text, number) != std::errc::invalid_argument;
}

bool plain_is_enough(std::string_view text) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  if (text.empty() || text.find_first_not_of(cat(letters, "0123456789/.@+-")) != std::string_view::npos) return false;
  return cat(letters, "/.").find(text[0]) != std::string::npos && !looks_like_other(text);
}

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(int64_t value) { return cat(value); }
std::string text_of(double value) { return number_text(value); }

std::string text_of(const std::string& value) {
  if (plain_is_enough(value)) return value;
  std::string text = "\"";
  for (size_t i = 0; i < value.size(); ++i) {
    const auto byte = static_cast<unsigned char>(value[i]);
    if (byte == '"' || byte == '\\') {
      text += '\\';
      text += value[i];
    } else if (byte == '\n') {
      text += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      text += cat("\\u00", kDigits[byte >> 4], kDigits[byte & 15]);
    } else {
      if (value.compare(i, 2, "${") == 0) text += '$';  // read back as it is, not as a variable
      text += value[i];
    }
  }
  return text + "\"";
}

template <class T>
std::string text_of(const std::vector<T>& values) {
  std::vector<std::string> items;
  for (const T& value : values) items.push_back(text_of(value));
  return cat("[", join(items), "]");
}

}  // namespace

std::string shown(std::string_view text) {
  constexpr size_t most = 60;
  std::string result = "\"";
  for (size_t i = 0; i < text.size() && i < most; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    result +=
        byte < 0x20 || byte == 0x7F ? cat("\\x", kDigits[byte >> 4], kDigits[byte & 15]) : std::string(1, text[i]);
  }
  return result + (text.size() > most ? "...\"" : "\"");
}

std::vector<Problem> set_value(Field& field, const Entry& entry) {
  if (entry.failed) return {};
  const std::vector<Problem> problems =
      std::visit([&](auto* value) { return set(*value, entry, field.meta); }, field.value);
  if (field.meta.unit == kPathUnit && problems.empty()) {
    auto& text = *std::get<std::string*>(field.value);
    text = resolve_path(text, entry.origin);
  }
  return problems;
}

std::string type_name(const Storage& storage) {
  return std::visit([](const auto* value) { return std::string(plain_name(*value)); }, storage);
}

std::string limits(const Field& field) {
  return field.meta.choices.empty() ? range_text(field.meta, /*with_unit=*/false) : join(field.meta.choices);
}

std::string out_of_limits(const Field& field) {
  return std::visit([&](const auto* value) { return check(*value, field.meta); }, field.value);
}

std::string value_text(const Field& field) {
  return std::visit([](const auto* value) { return text_of(*value); }, field.value);
}

}  // namespace gigacat::config
