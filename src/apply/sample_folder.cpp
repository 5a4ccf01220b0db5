#include "apply/sample_folder.h"

#include <unistd.h>

#include <cstdio>
#include <span>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::apply {
namespace {

using nlohmann::json;

// Where two settings differ, apart from what may.
std::string difference(const json& before, const json& now) {
  for (const auto& [key, value] : now.items()) {
    if (key == "count" || key == "checkpoint") continue;
    if (!before.contains(key)) return cat(key, ": none -> ", value.dump());
    if (before.at(key) != value) return cat(key, ": ", before.at(key).dump(), " -> ", value.dump());
  }
  return "";
}

json read_settings(const fs::path& file) {
  json settings = json::parse(read_file(file, 1 << 20), nullptr, false);
  if (!settings.is_object() || !settings.value("count", json()).is_number_integer())
    fail<UsageError>(file.string(), " is not the settings of a sample folder: choose another folder");
  return settings;
}

void check_same(const fs::path& folder, const json& before, const json& now) {
  const std::string other = difference(before, now);
  if (!other.empty())
    fail<UsageError>(folder.string(), " holds samples of other settings (", other, "): choose another folder");
  if (before.at("count") > now.at("count"))
    fail<UsageError>(folder.string(), " holds ", before.at("count").dump(), " samples, more than the ",
                     now.at("count").dump(), " asked for: choose another folder");
}

}  // namespace

SampleFolder::SampleFolder(fs::path path, int64_t stages, int64_t height, int64_t width)
    : path_(std::move(path)), stages_(stages), height_(height), width_(width) {}

void SampleFolder::prepare(const json& settings) const {
  std::error_code problem;
  fs::create_directories(path_, problem);
  if (!fs::is_directory(path_)) fail<UsageError>("cannot make the folder ", path_.string(), ": ", problem.message());
  const fs::path file = path_ / "samples.json";
  if (fs::exists(file))
    check_same(path_, read_settings(file), settings);
  else if (!fs::is_empty(path_))
    fail<UsageError>(path_.string(), " holds files but no samples.json: choose another folder");
  write_atomically(file, settings.dump(2) + "\n");
}

bool SampleFolder::holds(int64_t i) const {
  for (int64_t stage = 0; stage < stages_; ++stage)
    if (!fs::exists(file(i, stage))) return false;
  try {
    for (const io::Image& image : read(i))
      if (image.height != height_ || image.width != width_) return false;
  } catch (const Error&) {
    return false;  // cut short by the interruption: drawn again
  }
  return true;
}

// No fsync: thousands would cost more than the samples, and `holds` looks into each file.
void SampleFolder::write(int64_t i, const std::vector<io::Image>& stages) const {
  GIGACAT_CHECK(static_cast<int64_t>(stages.size()) == stages_, stages.size());
  for (int64_t stage = 0; stage < stages_; ++stage) {
    const fs::path target = file(i, stage);
    const fs::path temporary = cat(target.string(), ".", ::getpid(), ".tmp");
    FileWriter out(temporary);
    out.write(io::encode_png(stages[stage]));
    out.flush();
    fs::rename(temporary, target);
  }
}

std::vector<io::Image> SampleFolder::read(int64_t i) const {
  std::vector<io::Image> images;
  for (int64_t stage = 0; stage < stages_; ++stage) {
    const fs::path path = file(i, stage);
    const std::string bytes = read_file(path);
    images.push_back(io::decode_image(std::as_bytes(std::span(bytes)), path.string()));
  }
  return images;
}

fs::path SampleFolder::file(int64_t i, int64_t stage) const {
  char name[48];
  if (stages_ == 1)
    std::snprintf(name, sizeof name, "%06lld.png", static_cast<long long>(i));
  else
    std::snprintf(name, sizeof name, "%06lld-%lld.png", static_cast<long long>(i), static_cast<long long>(stage));
  return path_ / name;
}

}  // namespace gigacat::apply
