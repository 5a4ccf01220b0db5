// Mistakes in the form of a YAML text, those that yaml-cpp lets pass among them.
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>

#include "config_internal.h"

namespace gigacat::config {
namespace {

// Continuation bytes after `first` in UTF-8, or -1 when no character begins with it.
int continuation_bytes(unsigned char first) {
  if (first < 0x80) return first == 0 ? -1 : 0;
  if (first < 0xC2 || first > 0xF4) return -1;
  return first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
}

std::string place(const YAML::Mark& mark) { return cat(mark.line + 1, ":", mark.column + 1); }

std::string place_of_byte(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, byte);
  const size_t line_start = before.rfind('\n') + 1;
  return cat(1 + std::ranges::count(before, '\n'), ":", 1 + byte - line_start);
}

// Takes in the events of a parse what find_fault() asks for.
class Outline : public YAML::EventHandler {
 public:
  YAML::Mark document, last_scalar;
  void OnDocumentStart(const YAML::Mark& mark) override { document = mark; }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override {
    last_scalar = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Whether the scalar at `start`, if it begins with a quote, also ends with one.
bool is_closed(std::string_view text, size_t start) {
  if (start >= text.size() || (text[start] != '"' && text[start] != '\'')) return true;
  const char quote = text[start];
  for (size_t i = start + 1; i < text.size(); ++i) {
    const bool escaped = quote == '"' ? text[i] == '\\' : text[i] == '\'' && text.substr(i + 1, 1) == "'";
    if (escaped) {
      ++i;
    } else if (text[i] == quote) {
      return true;
    }
  }
  return false;
}

Fault find_parse_fault(std::string_view text) {
  std::istringstream in{std::string(text)};
  YAML::Parser parser(in);
  Outline outline;
  if (!parser.HandleNextDocument(outline)) return {};
  // Only the last scalar can lack its quote: it runs to the end, which yaml-cpp takes for a close after a line's end.
  const auto start = static_cast<size_t>(std::max(outline.last_scalar.pos, 0));
  if (!is_closed(text, start)) return {place(outline.last_scalar), "not valid YAML: a quote is not closed"};
  if (!parser.HandleNextDocument(outline)) return {};
  return {place(outline.document), "not valid YAML: more than one document, or text that belongs to none"};
}

// Place of the first tab in front of a line's text, or "".
std::string place_of_tab(std::string_view text) {
  for (size_t line = 0; line < text.size(); line = std::min(text.find('\n', line), text.size() - 1) + 1) {
    const size_t first = text.find_first_not_of(' ', line);
    if (first != std::string_view::npos && text[first] == '\t') return place_of_byte(text, first);
  }
  return "";
}

}  // namespace

size_t first_bad_byte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const int more = continuation_bytes(static_cast<unsigned char>(text[i]));
    if (more < 0 || i + static_cast<size_t>(more) >= text.size()) return i;
    for (int k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + static_cast<size_t>(k)]) & 0xC0) != 0x80) return i;
    }
    i += static_cast<size_t>(more) + 1;
  }
  return std::string_view::npos;
}

Fault find_fault(std::string_view text) {
  if (const size_t bad = first_bad_byte(text); bad != std::string_view::npos) {
    return {place_of_byte(text, bad), "not UTF-8 text"};
  }
  try {
    return find_parse_fault(text);
  } catch (const YAML::DeepRecursion& error) {
    return {place(error.mark), "not valid YAML: nested too deeply"};
  } catch (const YAML::Exception& error) {
    if (const std::string tab = place_of_tab(text); !tab.empty())
      return {tab, "not valid YAML: a tab in the indentation; indent with spaces"};
    return {place(error.mark), cat("not valid YAML: ", error.msg)};
  }
}

}  // namespace gigacat::config
