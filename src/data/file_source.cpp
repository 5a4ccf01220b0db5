#include "data/file_source.h"

#include "data/fingerprint.h"
#include "data/listing.h"
#include "gigacat/core/error.h"

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

  RawSample read(int64_t index) const override {
    RawSample sample;
    sample.name = name(index);
    sample.bytes = read_file(set_.root / sample.name, kMostSampleBytes);
    sample.label = label(index);
    if (set_.captions.wanted) {
      const std::string file = cat(stem(sample.name), set_.captions.ending());
      sample.caption = set_.captions.extract(read_file(set_.root / file, kMostSampleBytes), file);
    }
    if (set_.raw_names.size() > 0)
      sample.raw_bytes = read_file(set_.raw_root / set_.raw_names[index], kMostSampleBytes);
    return sample;
  }

  std::string identity() const override {
    Fingerprint print;
    for (int64_t i = 0; i < size(); ++i) {
      std::error_code error;
      const uint64_t bytes = fs::file_size(set_.root / set_.names[i], error);
      print.add(set_.names[i], error ? 0 : bytes, label(i));
    }
    return print.digest();
  }

 private:
  FileSet set_;
};

}  // namespace

std::unique_ptr<Source> make_file_source(FileSet set) { return std::make_unique<FileSource>(std::move(set)); }

}  // namespace gigacat::data
