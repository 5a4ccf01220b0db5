#include "gigacat/pretrained/text_store.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/provenance.h"
#include "gigacat/core/random.h"
#include "gigacat/nn/state.h"

// Letters as in the header.
namespace gigacat::pretrained {
namespace {

int64_t hash_of(const std::string& caption) { return static_cast<int64_t>(fnv1a64(caption)); }
int64_t check_of(const std::string& caption) { return crc32c(std::as_bytes(std::span(caption))); }

}  // namespace

void TextStoreWriter::add(const std::vector<std::string>& captions, const TextImageEncoder::Read& read) {
  const at::Tensor end = read.end.to(at::kCPU), tokens = read.tokens.to(at::kCPU, at::kFloat),
                   embedding = read.embedding.to(at::kCPU, at::kFloat);
  for (size_t i = 0; i < captions.size(); ++i) {
    if (!rows_.try_emplace(captions[i], size()).second) continue;
    const auto row = static_cast<int64_t>(i);
    captions_.push_back(captions[i]);
    tokens_.push_back(tokens[row].narrow(0, 0, end[row].item<int64_t>() + 1).clone());
    embeddings_.push_back(embedding[row].clone());
  }
}

void TextStoreWriter::write(const std::filesystem::path& path, at::ScalarType type) const {
  GIGACAT_CHECK(!captions_.empty(), "no caption for ", path.string());
  std::vector<int64_t> hash, check, first{0};
  for (size_t i = 0; i < captions_.size(); ++i) {
    hash.push_back(hash_of(captions_[i]));
    check.push_back(check_of(captions_[i]));
    first.push_back(first.back() + tokens_[i].size(0));
  }
  nn::write_tensors(path, {{"hash", at::tensor(hash, at::kLong)},
                           {"check", at::tensor(check, at::kLong)},
                           {"first", at::tensor(first, at::kLong)},
                           {"tokens", at::cat(tokens_).to(type)},
                           {"embedding", at::stack(embeddings_).to(type)}});
}

TextStoreFacts text_store_facts(const std::filesystem::path& folder) {
  const fs::path provenance = provenance_file(folder);
  if (!fs::exists(provenance))
    fail<UsageError>(folder.string(), " holds no finished text features: make them by `gigacat data encode DATA ",
                     folder.string(), " --text`");
  try {
    const nlohmann::json about = nlohmann::json::parse(read_file(provenance, 1 << 24));
    return {about.at("encoder"), {about.at("text_width"), about.at("length"), about.at("layer_widths")}};
  } catch (const nlohmann::json::exception& error) {
    fail(provenance.string(), ": no description of text features: ", error.what());
  }
}

TextStore::TextStore(const std::filesystem::path& folder) : facts_(text_store_facts(folder)) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) add(path);
  // Of a caption in several files the first one counts.
  std::stable_sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.hash < b.hash; });
}

void TextStore::add(const std::filesystem::path& path) {
  nn::TensorMap tensors = nn::read_tensors(path);
  for (const char* name : {"hash", "check", "first", "tokens", "embedding"})
    if (!tensors.contains(name)) fail(path.string(), ": not a file of text features: it has no ", name);
  const at::Tensor hash = tensors["hash"];
  File kept{tensors["check"], tensors["first"], tensors["tokens"], tensors["embedding"]};
  const int64_t n = hash.numel();
  const bool fits = hash.dim() == 1 && kept.check.sizes() == hash.sizes() && kept.first.dim() == 1 &&
                    kept.first.numel() == n + 1 && kept.tokens.dim() == 2 &&
                    kept.tokens.size(1) == facts_.sizes.text_width && kept.embedding.dim() == 2 &&
                    kept.embedding.size(0) == n && hash.scalar_type() == at::kLong &&
                    kept.check.scalar_type() == at::kLong && kept.first.scalar_type() == at::kLong;
  if (!fits) fail(path.string(), ": shapes are not those of text features ", facts_.sizes.text_width, " wide");
  const at::Tensor lengths = kept.first.diff();
  if (n > 0 && (kept.first[0].item<int64_t>() != 0 || kept.first[n].item<int64_t>() != kept.tokens.size(0) ||
                lengths.min().item<int64_t>() < 1 || lengths.max().item<int64_t>() > facts_.sizes.length))
    fail(path.string(), ": `first` names tokens that are not there");
  const int64_t* values = hash.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < n; ++row)
    places_.push_back({values[row], static_cast<int32_t>(files_.size()), static_cast<int32_t>(row)});
  files_.push_back(std::move(kept));
}

const TextStore::Place* TextStore::find(const std::string& caption) const {
  const int64_t hash = hash_of(caption), check = check_of(caption);
  auto place = std::lower_bound(places_.begin(), places_.end(), hash,
                                [](const Place& a, int64_t wanted) { return a.hash < wanted; });
  for (; place != places_.end() && place->hash == hash; ++place)
    if (files_[static_cast<size_t>(place->file)].check.const_data_ptr<int64_t>()[place->row] == check) return &*place;
  return nullptr;
}

TextImageEncoder::Read TextStore::read(const std::vector<std::string>& captions) const {
  const int64_t b = std::ssize(captions);
  TextImageEncoder::Read out{
      at::zeros({b, facts_.sizes.length, facts_.sizes.text_width}), at::zeros({b}, at::kLong), {}};
  std::vector<at::Tensor> embeddings;
  for (int64_t i = 0; i < b; ++i) {
    const Place* place = find(captions[static_cast<size_t>(i)]);
    GIGACAT_CHECK(place, "no features of \"", captions[static_cast<size_t>(i)], "\"");
    const File& file = files_[static_cast<size_t>(place->file)];
    const int64_t* first = file.first.const_data_ptr<int64_t>() + place->row;
    const int64_t length = first[1] - first[0];
    out.tokens[i].narrow(0, 0, length).copy_(file.tokens.narrow(0, first[0], length));
    out.end.data_ptr<int64_t>()[i] = length - 1;
    embeddings.push_back(file.embedding[place->row].to(at::kFloat));
  }
  out.embedding = at::stack(embeddings);
  return out;
}

namespace {

class StoredTextImage : public TextImageEncoder {
 public:
  StoredTextImage(const TextImageSpec& spec, at::Device device) : store_(spec.stored), spec_(spec), device_(device) {
    if (store_.facts().encoder != spec.name)
      fail<UsageError>(spec.stored, " holds features of the encoder ", store_.facts().encoder, ", not of ", spec.name);
    spec_.stored.clear();
  }

  Read read(const std::vector<std::string>& captions) override {
    const auto missing = std::find_if(captions.begin(), captions.end(),
                                      [&](const std::string& caption) { return !store_.contains(caption); });
    if (missing != captions.end()) {
      try {
        return encoder().read(captions);
      } catch (const UsageError& error) {
        fail<UsageError>("the stored text features have none of \"", *missing, "\", and to make them ", error.what());
      }
    }
    const Read kept = store_.read(captions);
    return {kept.tokens.to(device_), kept.end.to(device_), kept.embedding.to(device_)};
  }
  int64_t text_width() const override { return store_.facts().sizes.text_width; }
  int64_t length() const override { return store_.facts().sizes.length; }
  Seen look(const at::Tensor& images) override { return encoder().look(images); }
  std::vector<int64_t> layer_widths() const override { return store_.facts().sizes.layer_widths; }
  double scale() const override { return encoder().scale(); }

 private:
  TextImageEncoder& encoder() const {
    if (!encoder_) encoder_ = make_text_image_encoder(spec_, device_);
    return *encoder_;
  }
  TextStore store_;
  TextImageSpec spec_;
  at::Device device_;
  mutable std::unique_ptr<TextImageEncoder> encoder_;
};

}  // namespace

std::unique_ptr<TextImageEncoder> make_stored_text_image(const TextImageSpec& spec, at::Device device) {
  return std::make_unique<StoredTextImage>(spec, device);
}

}  // namespace gigacat::pretrained
