// What a file is, whatever its name says.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace gigacat::io {

// What a file is by its first bytes (and, for a zip, the names at its end), to follow "it is ": "a file of torch.save",
// "an HTML page, ...", "a pointer of Git LFS, not the file: run git lfs pull". `bytes`: the whole file. "" when they
// begin like no format that is known here.
std::string content_kind(std::span<const std::byte> bytes);

// Begins as a safetensors file: 8 bytes of length, then JSON.
bool begins_as_safetensors(std::span<const std::byte> bytes);

}  // namespace gigacat::io
