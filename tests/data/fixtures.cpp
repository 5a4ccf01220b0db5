#include "data/fixtures.h"

#include <unistd.h>

#include <cstdlib>

#include "gigacat/core/files.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

TempFolder::TempFolder() {
  std::string name = (fs::temp_directory_path() / "gigacat-data-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail("cannot make a temporary folder");
  root_ = name;
}

TempFolder::~TempFolder() {
  std::error_code error;
  fs::remove_all(root_, error);
}

std::string TempFolder::write(const std::string& name, std::string_view bytes) const {
  const fs::path file = root_ / name;
  fs::create_directories(file.parent_path());
  FileWriter out(file);
  out.write(bytes);
  out.flush();
  return file.string();
}

std::string solid_png(int64_t height, int64_t width, uint8_t red, uint8_t green, uint8_t blue) {
  io::Image image{.height = height, .width = width, .channels = 3};
  for (int64_t i = 0; i < height * width; ++i) image.pixels.insert(image.pixels.end(), {red, green, blue});
  return io::encode_png(image);
}

std::string pattern_png(int64_t height, int64_t width) {
  io::Image image{.height = height, .width = width, .channels = 3};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x)
      image.pixels.insert(image.pixels.end(),
                          {static_cast<uint8_t>(x * 7), static_cast<uint8_t>(y * 11), static_cast<uint8_t>(x + y)});
  }
  return io::encode_png(image);
}

std::string npy_f32(const std::vector<int64_t>& shape, const std::vector<float>& values) {
  std::string bytes = io::npy_header("<f4", shape);
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

namespace {

template <class Writer>
std::string archive(const Members& members, const fs::path& scratch) {
  const fs::path file = scratch / "scratch.archive";
  {
    FileWriter out(file);
    Writer writer(out);
    for (const auto& [name, content] : members) writer.add(name, content);
    writer.finish();
    out.flush();
  }
  std::string bytes = read_file(file);
  fs::remove(file);
  return bytes;
}

}  // namespace

std::string tar_of(const Members& members, const fs::path& scratch) { return archive<io::TarWriter>(members, scratch); }
std::string zip_of(const Members& members, const fs::path& scratch) { return archive<io::ZipWriter>(members, scratch); }

DataConfig config_for(const std::string& path, int64_t resolution) {
  auto config = config::defaults<DataConfig>();
  config.path = path;
  config.resolution = resolution;
  config.cache = "none";
  return config;
}

std::string reasons_of(const std::vector<LeftOut>& items) {
  std::string text;
  for (const LeftOut& item : items) text += item.text() + "\n";
  return text;
}

}  // namespace gigacat::data
