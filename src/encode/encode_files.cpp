#include "encode/encode_files.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "gigacat/core/error.h"
#include "gigacat/core/provenance.h"
#include "gigacat/io/archive.h"

namespace gigacat::encode {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::hours kLongestShare{24 * 30};  // one rank may have far more left to do than another

std::string numbered(const char* pattern, int64_t number) {
  char name[64];
  std::snprintf(name, sizeof name, pattern, static_cast<long long>(number));
  return name;
}

// OUT/latents-000012.tar, which appears with its last sample.
class ShardWriter : public PieceWriter {
 public:
  explicit ShardWriter(const fs::path& path)
      : path_(path), temporary_(path.string() + ".tmp"), file_(temporary_), tar_(file_) {}
  ~ShardWriter() override {
    std::error_code gone;
    fs::remove(temporary_, gone);
  }

  void add(const EncodedSample& sample) override {
    const std::string key = numbered("%09lld", sample.number);
    tar_.add(key + ".npy", sample.latent);
    if (!sample.features.empty()) tar_.add(key + ".features.npy", sample.features);
    if (!sample.png.empty()) tar_.add(key + ".png", sample.png);
    if (sample.label >= 0) tar_.add(key + ".cls", cat(sample.label));
    if (!sample.caption.empty()) tar_.add(key + ".txt", sample.caption);
    tar_.add(key + ".json", sample.about.dump());
  }

  void finish() override {
    tar_.finish();
    file_.flush(/*durable=*/true);
    fs::rename(temporary_, path_);
    sync_folder(path_.parent_path());
  }

 private:
  fs::path path_, temporary_;
  FileWriter file_;
  io::TarWriter tar_;
};

// The layout of guided-diffusion and REPA: files by thousands.
class RepaWriter : public PieceWriter {
 public:
  explicit RepaWriter(fs::path out) : out_(std::move(out)) {}

  void add(const EncodedSample& sample) override {
    store(out_ / "vae-sd" / EncodeFolder::repa_name(sample.number), sample.latent);
    if (!sample.png.empty())
      store(out_ / "images" / numbered("%05lld", sample.number / 1000) / numbered("img%08lld.png", sample.number),
            sample.png);
  }
  void finish() override {}

 private:
  static void store(const fs::path& path, const std::string& bytes) {
    fs::create_directories(path.parent_path());
    FileWriter file(path);  // the piece counts only with its note, so that a half-written file is written again
    file.write(bytes);
    file.flush();
  }
  fs::path out_;
};

}  // namespace

EncodeFolder::EncodeFolder(fs::path out, std::string layout)
    : out_(std::move(out)), layout_(std::move(layout)), folder_(out_, ".encode/settings.json") {}

std::string EncodeFolder::repa_name(int64_t number) {
  return numbered("%05lld", number / 1000) + numbered("/img-mean-std-%08lld.npy", number);
}

fs::path EncodeFolder::root() const { return layout_ == "repa" ? out_ / "vae-sd" : out_; }

ordered_json EncodeFolder::provenance() const { return read_json_file(provenance_file(root())); }

void EncodeFolder::prepare(const ordered_json& settings) const {
  const ordered_json finished = provenance();
  folder_.prepare(settings, finished.is_object() ? finished.value("settings", ordered_json()) : ordered_json());
}

ordered_json EncodeFolder::result(int64_t piece) const { return folder_.note(numbered("piece-%06lld", piece)); }

fs::path EncodeFolder::piece_path(int64_t piece) const {
  return out_ / numbered(layout_ == "text" ? "text-%06lld.safetensors" : "latents-%06lld.tar", piece);
}

std::unique_ptr<PieceWriter> EncodeFolder::writer(int64_t piece) const {
  if (layout_ == "repa") return std::make_unique<RepaWriter>(out_);
  return std::make_unique<ShardWriter>(piece_path(piece));
}

int64_t EncodeFolder::fill(dist::Group& group, int64_t size, int64_t piece,
                           const std::function<ordered_json(int64_t, int64_t, int64_t)>& fill) const {
  int64_t kept = 0;
  for (int64_t p = group.rank(); p * piece < size; p += group.size()) {
    if (const ordered_json before = result(p); before.is_object())
      kept += before.at("samples").get<int64_t>();
    else
      folder_.write_note(numbered("piece-%06lld", p), fill(p, p * piece, std::min(size, (p + 1) * piece)));
  }
  group.barrier("all pieces encoded", kLongestShare);
  return std::llround(group.sum(static_cast<double>(kept), "samples kept"));
}

void EncodeFolder::complete(const ordered_json& provenance, const ordered_json& labels) const {
  fs::create_directories(root());
  if (layout_ == "repa") write_atomically(root() / "dataset.json", ordered_json{{"labels", labels}}.dump() + "\n");
  write_atomically(root() / kProvenanceFile, provenance.dump(2) + "\n");
  folder_.remove_notes();
}

}  // namespace gigacat::encode
