// The file in which a folder made by gigacat says how it was made: source, filter, sizes, encoder.
#pragma once

#include <filesystem>
#include <system_error>

namespace gigacat {

// Its name, and the name that versions before 0.2 gave it, which is read too.
inline constexpr const char* kProvenanceFile = "provenance.json";
inline constexpr const char* kOldProvenanceFile = "recipe.json";

// The one of them that `folder` holds; kProvenanceFile where it holds neither.
inline std::filesystem::path provenance_file(const std::filesystem::path& folder) {
  std::error_code error;  // what cannot be looked at is not there
  const std::filesystem::path file = folder / kProvenanceFile, old = folder / kOldProvenanceFile;
  return !std::filesystem::exists(file, error) && std::filesystem::exists(old, error) ? old : file;
}

}  // namespace gigacat
