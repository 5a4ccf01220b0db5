#include "data/about.h"

#include <nlohmann/json.hpp>

#include "gigacat/core/files.h"
#include "gigacat/core/provenance.h"
#include "gigacat/core/text.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

std::string read_optional(const std::filesystem::path& file, uint64_t most) {
  return io::is_file(file) ? read_file(file, most) : "";
}

}  // namespace

std::string read_provenance(const std::filesystem::path& root) { return read_optional(provenance_file(root), 1 << 20); }

bool says_latents(const std::string& provenance) {
  const auto parsed = nlohmann::json::parse(provenance, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() && parsed.contains("kind") && parsed["kind"] == "latents";
}

std::vector<std::string> parse_class_names(std::string_view text) {
  std::vector<std::string> names = split(text, '\n');
  for (std::string& name : names) name = trim(name);
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

std::vector<std::string> read_class_names(const std::filesystem::path& root) {
  return parse_class_names(read_optional(root / kClassFile, 1 << 24));
}

}  // namespace gigacat::data
