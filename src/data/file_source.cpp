#include "data/file_source.h"

#include <optional>
#include <utility>

#include "data/fingerprint.h"
#include "data/left_out.h"
#include "gigacat/core/error.h"
#include "gigacat/core/progress.h"
#include "gigacat/io/folder.h"

namespace gigacat::data {

namespace {

class FileSource : public Source {
 public:
  explicit FileSource(FileSet set) : set_(std::move(set)) {}

  int64_t size() const override { return static_cast<int64_t>(set_.names.size()); }
  int64_t label(int64_t index) const override { return set_.labels.empty() ? -1 : set_.labels.at(index); }
  std::string name(int64_t index) const override { return std::string(set_.names[index]); }
  Content content() const override { return set_.content; }
  const std::vector<std::string>& class_names() const override { return set_.classes; }
  std::string provenance() const override { return set_.provenance; }
  std::string format() const override { return set_.format; }
  std::vector<LeftOut> left_out() const override { return set_.left_out; }

  RawSample read(int64_t index) const override {
    RawSample sample;
    sample.name = name(index);
    sample.bytes = read_file(set_.root / sample.name, kMostSampleBytes);
    sample.label = label(index);
    if (set_.captions.wanted) {
      const std::string file = cat(io::stem(sample.name), set_.captions.ending());
      sample.caption = set_.captions.extract(read_file(set_.root / file, kMostSampleBytes), file);
    }
    if (set_.raw_names.size() > 0)
      sample.raw_bytes = read_file(set_.raw_root / set_.raw_names[index], kMostSampleBytes);
    return sample;
  }

  std::string listing_digest() const override {
    Fingerprint print;
    constexpr int64_t kMostQuiet = 50'000;
    std::optional<Progress> progress;
    if (size() > kMostQuiet) progress.emplace("sizes of files", "file", size());
    for (int64_t i = 0; i < size(); ++i) {
      std::error_code error;
      const uint64_t bytes = fs::file_size(set_.root / set_.names[i], error);
      print.add(set_.names[i], error ? 0 : bytes, label(i));
      if (progress) progress->update(i + 1);
    }
    if (progress) progress->finish();
    return print.digest();
  }

  std::string version() const override {
    Fingerprint print;
    for (int64_t i = 0; i < size(); ++i) print.add(set_.names[i], 0, write_time(set_.root / set_.names[i]));
    return print.digest();
  }

 private:
  FileSet set_;
};

}  // namespace

std::vector<std::string> list_images(const fs::path& root, std::vector<LeftOut>& left_out,
                                     std::vector<fs::path> except) {
  LeftOutCounter counter;
  const auto is_sample = [&](std::string_view name) {
    if (io::is_image(name)) return true;
    if (is_array(name))
      counter.add("arrays (.npy) beside pictures, which are what is read (name them in data.path)", name);
    else if (name.ends_with("/dataset.json"))
      counter.add("dataset.json below the folder, whose labels are not read (give the folder that holds it)", name);
    else
      counter.add_unread(name, [&] { return head_of((root / name).string()); });
    return false;
  };
  std::vector<std::string> names = io::list_files(root, is_sample, std::move(except));
  left_out.insert(left_out.end(), counter.items().begin(), counter.items().end());
  return names;
}

std::unique_ptr<Source> make_file_source(FileSet set) { return std::make_unique<FileSource>(std::move(set)); }

}  // namespace gigacat::data
