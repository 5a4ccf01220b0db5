// Where samples go while they are drawn, such that an interrupted call can go on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gigacat/core/resumable_folder.h"
#include "gigacat/io/image.h"

namespace gigacat::sample {

// The folder with samples.json: an interrupted call may go on from another checkpoint of equal weights, with more
// samples.
ResumableFolder sample_folder(const std::filesystem::path& path);

class SampleStore {
 public:
  virtual ~SampleStore() = default;
  // True when sample `i` is there, whole and of the right size.
  virtual bool holds(int64_t i) const = 0;
  // One image for each stage, coarse first. Errors: Error.
  virtual void write(int64_t i, const std::vector<io::Image>& stages) = 0;
};

// 000000.png; with several stages 000000-0.png (coarsest), 000000-1.png, ...
std::string png_name(int64_t i, int64_t stage, int64_t stages);

// A PNG for each image, each complete when it appears.
class PngFolder : public SampleStore {
 public:
  // Texts of sample `i`'s image of `stage`.
  using Texts = std::function<io::PngTexts(int64_t i, int64_t stage)>;
  PngFolder(std::filesystem::path path, int64_t stages, int64_t height, int64_t width, Texts texts = {});
  bool holds(int64_t i) const override;
  void write(int64_t i, const std::vector<io::Image>& stages) override;

 private:
  std::filesystem::path path_;
  int64_t stages_, height_, width_;
  Texts texts_;
};

// Pixels of the last stages in one file, a checksum for each sample in another. Ranks may write different samples.
class PixelFile : public SampleStore {
 public:
  // `size`: bytes of a sample. Errors: Error.
  PixelFile(const std::filesystem::path& folder, int64_t count, int64_t size);
  ~PixelFile() override;
  PixelFile(const PixelFile&) = delete;
  PixelFile& operator=(const PixelFile&) = delete;
  bool holds(int64_t i) const override;
  void write(int64_t i, const std::vector<io::Image>& stages) override;
  std::vector<uint8_t> read(int64_t i) const;

 private:
  std::filesystem::path path_;
  int64_t size_;
  int pixels_ = -1, checksums_ = -1;
};

}  // namespace gigacat::sample
