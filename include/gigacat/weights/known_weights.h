// Released weight files: where they come from, how they are recognised, and where they lie on this machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gigacat::weights {

// A file that the project knows of. None comes with it.
struct WeightFile {
  std::string name;     // "dinov2-b14", as on the command line
  std::string file;     // name of the file in the cache, as published where that is unambiguous
  std::string purpose;  // what it is for
  std::string licence;  // "not seen" where none was found
  std::string url;
  std::string sha256;  // 64 digits; 8 where only the file's own name tells them; "" where none is known
  int64_t bytes = 0;   // 0: not known
};

// All known files, by area: encoders, evaluators, autoencoders, upsamplers.
const std::vector<WeightFile>& known_weights();
// Errors: UsageError with the nearest name.
const WeightFile& find_weight_file(const std::string& name);

// The cache folder's weights/. Errors: UsageError when there is no cache folder.
std::filesystem::path weight_folder();
// Where a file lies or would lie.
std::filesystem::path weight_path(const WeightFile& file);

// How a file on this machine stands to what it should be.
enum class WeightState {
  missing,
  whole,     // its SHA-256 is the published one
  recorded,  // no hash is published; it is what it was at first use
  unseen,    // no hash is published and none was recorded yet
  wrong,     // its SHA-256 differs from the published or the recorded one
};
struct Verdict {
  WeightState state = WeightState::missing;
  std::string sha256;  // of the file on disk; "" when missing
  std::string wanted;  // published or recorded; "" when unseen
};
// Reads the whole file. With `record`, the hash of an unseen file is written beside it, FILE.sha256, and counts from
// then on. Errors: Error when it cannot be read.
Verdict verify(const WeightFile& file, bool record);

struct DownloadOptions {
  double connect_seconds = 30;  // until a connection stands
  double stall_seconds = 60;    // without a kilobyte a second: given up
  int attempts = 3;             // of one call, each going on where the one before broke off
};
// Downloads a file unless it is there whole, checks and names it: the bytes go to FILE.part, are gone on with after an
// interruption, synced, checked and renamed. Proxies by curl's variables (https_proxy, no_proxy, ...). With
// $GIGACAT_WEIGHTS_MIRROR, URLs become MIRROR/FILE: a folder of the files on a server of one's own. Returns its path.
// Errors: Error for a server that refuses or hangs (with what to do by hand), a size or hash that differs (FILE.part is
// removed), a full disk.
std::filesystem::path download(const WeightFile& file, const DownloadOptions& options = {});

// The file behind a name of the table, or a path as it is. Checked against its hash on first use in a process.
// Errors: Error when it is not there (with the command that gets it and the folder to put it in) or is not what it
// should be.
std::filesystem::path locate(const std::string& name_or_path);

}  // namespace gigacat::weights
