// Files that come with the program: presets, and in the wheel the emoji font with Unicode's lists.
#pragma once

#include <filesystem>
#include <vector>

namespace gigacat {

// $GIGACAT_SHARE, else share/gigacat of the prefix that the running program lies in, else the source tree of a program
// in build/PRESET/bin; empty when none of them holds a folder configs.
std::filesystem::path share_folder();

// The presets' files relative to configs/ of the share folder, sorted; those that others include are among them.
std::vector<std::filesystem::path> preset_files();

// `file` where it exists; else the preset of that name, with or without "configs/" before it and ".yaml" behind it.
// Errors: UsageError that says where was looked and names the nearest preset.
std::filesystem::path find_config(const std::filesystem::path& file);

}  // namespace gigacat
