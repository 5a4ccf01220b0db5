#include "sample/sample_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::sample {

ResumableFolder sample_folder(const fs::path& path) {
  return {path, "samples.json", {.free = {"checkpoint", "samples"}, .growing = "count"}};
}

PngFolder::PngFolder(fs::path path, int64_t stages, int64_t height, int64_t width, Texts texts)
    : path_(std::move(path)), stages_(stages), height_(height), width_(width), texts_(std::move(texts)) {}

bool PngFolder::holds(int64_t i) const {
  for (int64_t stage = 0; stage < stages_; ++stage) {
    const fs::path path = path_ / png_name(i, stage, stages_);
    if (!fs::exists(path)) return false;
    try {
      const std::string bytes = read_file(path);
      const io::Image image = io::decode_image(std::as_bytes(std::span(bytes)), path.string());
      if (image.height != height_ || image.width != width_) return false;
    } catch (const Error&) {
      return false;  // cut short by the interruption: drawn again
    }
  }
  return true;
}

// No fsync: thousands would cost more than the samples, and `holds` looks into each file.
void PngFolder::write(int64_t i, const std::vector<io::Image>& stages) {
  GIGACAT_CHECK(std::ssize(stages) == stages_, stages.size());
  for (int64_t stage = 0; stage < stages_; ++stage) {
    const fs::path target = path_ / png_name(i, stage, stages_);
    const fs::path temporary = cat(target.string(), ".", ::getpid(), ".tmp");
    FileWriter out(temporary);
    out.write(io::encode_png(stages[static_cast<size_t>(stage)], texts_ ? texts_(i, stage) : io::PngTexts{}));
    out.flush();
    fs::rename(temporary, target);
  }
}

std::string png_name(int64_t i, int64_t stage, int64_t stages) {
  char name[48];
  if (stages == 1)
    std::snprintf(name, sizeof name, "%06lld.png", static_cast<long long>(i));
  else
    std::snprintf(name, sizeof name, "%06lld-%lld.png", static_cast<long long>(i), static_cast<long long>(stage));
  return name;
}

namespace {

int open_or_make(const fs::path& file, int64_t size) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || ::ftruncate(fd, size) != 0) fail("cannot write ", file.string(), ": ", std::strerror(errno));
  return fd;
}

void write_at(int fd, const void* bytes, int64_t size, int64_t offset, const fs::path& file) {
  if (::pwrite(fd, bytes, static_cast<size_t>(size), offset) != size)
    fail("cannot write ", file.string(), ": ", std::strerror(errno));
}

}  // namespace

PixelFile::PixelFile(const fs::path& folder, int64_t count, int64_t size)
    : path_(folder / "pixels"),
      size_(size),
      pixels_(open_or_make(path_, count * size)),
      checksums_(open_or_make(folder / "checksums", count * 8)) {}

PixelFile::~PixelFile() {
  ::close(pixels_);
  ::close(checksums_);
}

// A checksum is written after its pixels, with a mark: zeros are of a sample that is not there.
bool PixelFile::holds(int64_t i) const {
  uint32_t noted[2] = {};
  if (::pread(checksums_, noted, sizeof noted, i * 8) != sizeof noted || noted[0] != 1) return false;
  const std::vector<uint8_t> pixels = read(i);
  return crc32c(std::as_bytes(std::span(pixels))) == noted[1];
}

void PixelFile::write(int64_t i, const std::vector<io::Image>& stages) {
  const std::vector<uint8_t>& pixels = stages.back().pixels;
  GIGACAT_CHECK(std::ssize(pixels) == size_, pixels.size());
  write_at(pixels_, pixels.data(), size_, i * size_, path_);
  const uint32_t noted[2] = {1, crc32c(std::as_bytes(std::span(pixels)))};
  write_at(checksums_, noted, sizeof noted, i * 8, path_);
}

std::vector<uint8_t> PixelFile::read(int64_t i) const {
  std::vector<uint8_t> pixels(static_cast<size_t>(size_));
  if (::pread(pixels_, pixels.data(), pixels.size(), i * size_) != size_)
    fail("cannot read ", path_.string(), ": ", std::strerror(errno));
  return pixels;
}

}  // namespace gigacat::sample
