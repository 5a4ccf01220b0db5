// The files of an encoded data set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "gigacat/core/files.h"
#include "gigacat/core/resumable_folder.h"
#include "gigacat/dist/group.h"

namespace gigacat::encode {

// A sample as it is stored.
struct EncodedSample {
  int64_t number = 0;    // names its files
  std::string latent;    // .npy
  std::string features;  // .npy; empty: none
  std::string png;       // empty: not kept
  std::string caption;   // empty: none
  int64_t label = -1;    // -1: none
  nlohmann::ordered_json about;
};

// Samples that are written together: a shard, or a range of files.
class PieceWriter {
 public:
  virtual ~PieceWriter() = default;
  virtual void add(const EncodedSample& sample) = 0;
  // After the last sample; with it the piece is there.
  virtual void finish() = 0;
};

// A folder that encoding fills piece by piece, and goes on with.
class EncodeFolder {
 public:
  EncodeFolder(std::filesystem::path out, std::string layout);

  // Makes the folder, or accepts one of the same settings. Errors: UsageError when it holds other files or settings.
  void prepare(const nlohmann::ordered_json& settings) const;
  // What a finished piece said of itself; null while it is not finished.
  nlohmann::ordered_json result(int64_t piece) const;
  std::filesystem::path piece_path(int64_t piece) const;  // of layouts with a file a piece
  std::unique_ptr<PieceWriter> writer(int64_t piece) const;
  // Runs fill(piece, first, last) for a rank's share of the pieces of `piece` samples that are not finished, and notes
  // its result: from there on that piece is finished. Returns when all ranks are done: the sum over ranks of the
  // "samples" that were there before.
  int64_t fill(dist::Group& group, int64_t size, int64_t piece,
               const std::function<nlohmann::ordered_json(int64_t, int64_t, int64_t)>& fill) const;
  // The finished set's own description; null before. Written last.
  nlohmann::ordered_json provenance() const;
  // `labels`: pairs of file and label, for layouts that keep them in one file.
  void complete(const nlohmann::ordered_json& provenance, const nlohmann::ordered_json& labels) const;
  // Name of sample `number` in dataset.json.
  static std::string repa_name(int64_t number);

 private:
  std::filesystem::path root() const;  // of provenance.json
  std::filesystem::path out_;
  std::string layout_;
  ResumableFolder folder_;
};

}  // namespace gigacat::encode
