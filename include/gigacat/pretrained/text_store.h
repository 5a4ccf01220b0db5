// What a frozen text encoder made of captions, on disk: training reads it instead of running the encoder.
// A folder of text-NNNNNN.safetensors and provenance.json, as `data encode --text` writes it. Letters: B captions, n
// captions of a file, L tokens, F text width, E embedding width.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gigacat/pretrained/text_image.h"

namespace gigacat::pretrained {

// Captions of one file: each once, with its tokens up to end-of-text.
class TextStoreWriter {
 public:
  // Keeps those captions that it does not hold yet; `read` is the encoder's.
  void add(const std::vector<std::string>& captions, const TextImageEncoder::Read& read);
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  // Tensors `hash` [n] I64, `check` [n] I64, `first` [n + 1] I64, `tokens` [sum of lengths, F] and `embedding` [n, E]
  // as `type`. At least one caption was added. Errors: Error for I/O.
  void write(const std::filesystem::path& path, at::ScalarType type) const;

 private:
  std::unordered_map<std::string, int64_t> rows_;
  std::vector<std::string> captions_;
  std::vector<at::Tensor> tokens_, embeddings_;  // float32
};

// What provenance.json says of a folder: no other file is opened. Errors: UsageError when the folder is none, or is not
// finished; Error for a description that is not of text features.
struct TextStoreFacts {
  std::string encoder;
  TextImageSizes sizes;
};
TextStoreFacts text_store_facts(const std::filesystem::path& folder);

// All files of a folder, memory-mapped. A caption is found by two hashes of its bytes.
class TextStore {
 public:
  // Errors: as text_store_facts; Error for files that are not of this format.
  explicit TextStore(const std::filesystem::path& folder);
  const TextStoreFacts& facts() const { return facts_; }
  int64_t size() const { return static_cast<int64_t>(places_.size()); }
  bool contains(const std::string& caption) const { return find(caption) != nullptr; }
  // Tokens behind end-of-text are 0. All captions must be there. [B, L, F], [B], [B, E] on the CPU, float32.
  TextImageEncoder::Read read(const std::vector<std::string>& captions) const;

 private:
  struct File {
    at::Tensor check, first, tokens, embedding;  // over the mapped file
  };
  struct Place {
    int64_t hash;
    int32_t file, row;
  };
  const Place* find(const std::string& caption) const;
  void add(const std::filesystem::path& path);
  std::vector<File> files_;
  std::vector<Place> places_;  // by hash
  TextStoreFacts facts_;
};

// The encoder of `spec`, whose texts come from spec.stored where they are there. The encoder itself is made when a
// caption is not, or an image is to be seen. Errors: as TextStore; UsageError when the store is of another encoder.
std::unique_ptr<TextImageEncoder> make_stored_text_image(const TextImageSpec& spec, at::Device device);

}  // namespace gigacat::pretrained
