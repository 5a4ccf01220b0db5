// The one walk through folders of people's own files, which every command that reads folders uses.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gigacat::io {

namespace fs = std::filesystem;

// Whether a file or folder is there; false too for what may not be looked at.
bool is_file(const fs::path& path);
bool is_folder(const fs::path& path);

// Ending of a file name after its last dot, in lower case, without the dot.
std::string suffix(std::string_view name);
// Whether a name ends like an image that can be decoded.
bool is_image(std::string_view name);
// Whether a name ends like an image of a format that is not decoded: .gif, .tiff, .heic, .svg and their like.
bool is_unread_image(std::string_view name);
// `name` up to the last dot of its last component.
std::string_view stem(std::string_view name);

// Whether a component of `path` ("/" between them) is what systems and programs leave in folders and archives: hidden
// names ("._photo.png", ".DS_Store", ".ipynb_checkpoints"), Thumbs.db, desktop.ini, __MACOSX, @eaDir and their like.
bool is_leftover(std::string_view path);

// What is passed over on a walk.
struct WalkOptions {
  std::vector<fs::path> except;                 // folders that are not entered, such as one for results
  std::vector<std::string>* results = nullptr;  // gets the folders below the root in which gigacat writes results
};

// Calls `visit` with the path relative to `root` ("/" between components) of each file below it, until it returns
// false; a folder's files and folders come in the order of their bytes. Left out are leftovers, devices, and the
// results of gigacat itself (run folders, samples, upsampled pictures) below the root. Links to folders are followed
// unless they lead back to a folder above. Returns whether it was stopped. Errors: Error when a folder cannot be read.
bool walk(const fs::path& root, const std::function<bool(const std::string&)>& visit, const WalkOptions& options = {});

// Relative paths of the files below `root` that `wanted` accepts, sorted by bytes. Results of gigacat that are left out
// are named in the log.
std::vector<std::string> list_files(const fs::path& root, const std::function<bool(std::string_view)>& wanted,
                                    std::vector<fs::path> except = {});

// Folders directly in `root` but leftovers, sorted.
std::vector<std::string> list_folders(const fs::path& root);

}  // namespace gigacat::io
