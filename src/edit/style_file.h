// A style on disk: what project() found, and edits take up.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "gigacat/models/style.h"

namespace gigacat::edit {

// Tensors w [1, n, V] and, of models of text, text [1, n, L, D] and mask [1, n, L] of one sample; n 1: all layers
// alike.
void write_style(const std::filesystem::path& file, const models::Style& style,
                 const std::map<std::string, std::string>& about);
// Errors: Error naming the file: no such tensors, or of other dimensions.
models::Style read_style(const std::filesystem::path& file, at::Device device);

}  // namespace gigacat::edit
