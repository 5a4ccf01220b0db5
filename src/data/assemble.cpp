#include "data/assemble.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "data/prepare.h"
#include "gigacat/core/error.h"
#include "gigacat/io/npy.h"

namespace gigacat::data {

namespace {

int64_t share_of_rank(const LoaderOptions& options) {
  if (options.global_batch <= 0 || options.world <= 0 || options.global_batch % options.world != 0)
    fail<UsageError>("a batch of ", options.global_batch, " cannot be divided among ", options.world, " ranks");
  GIGACAT_CHECK(options.rank >= 0 && options.rank < options.world, options.rank, " of ", options.world);
  return options.global_batch / options.world;
}

int64_t size_of(const Source& source) {
  if (source.size() <= 0) fail<UsageError>("the data set is empty");
  return source.size();
}

std::shared_ptr<void> plain_memory(size_t bytes) {
  constexpr std::align_val_t kCacheLine{64};
  return {::operator new(bytes, kCacheLine), [kCacheLine](void* memory) { ::operator delete(memory, kCacheLine); }};
}

// Readers name the sample themselves; other faults get its name here.
std::string describe(const std::string& name, const std::string& fault) {
  return fault.find(name) == std::string::npos ? cat(name, ": ", fault) : fault;
}

// A leading axis of 1 aside, whether `shape` is that of an array of the batch.
bool same_shape(std::vector<int64_t> shape, const std::vector<int64_t>& wanted) {
  if (shape.size() == wanted.size() + 1 && shape[0] == 1) shape.erase(shape.begin());
  return shape == wanted;
}

// The values of a .npy of the wanted shape. Errors: Error, for values that are not finite too: one of them spoils a
// whole run.
std::vector<float> read_values(const std::string& npy, const std::string& name, const std::vector<int64_t>& wanted) {
  io::FloatArray array = io::read_npy_float(npy, name);
  if (!same_shape(array.shape, wanted)) fail("is [", join(array.shape), "], wanted [", join(wanted), "]");
  if (!std::all_of(array.values.begin(), array.values.end(), [](float v) { return std::isfinite(v); }))
    fail("holds values that are not finite");
  return std::move(array.values);
}

}  // namespace

Assembler::Assembler(std::shared_ptr<const Source> source, const DataConfig& config, const LoaderOptions& options)
    : source_(std::move(source)),
      config_(config),
      options_(options),
      layout_(check_source(*source_, config)),
      order_(options.seed, size_of(*source_)),
      per_rank_(share_of_rank(options)) {
  // As many in a row as the whole set may hold, but for a handful: past that the run is bound to fail.
  constexpr int64_t kHandful = 10;
  const auto tolerated = static_cast<int64_t>(config.max_bad_fraction * static_cast<double>(source_->size()));
  most_in_a_row_ = std::min(source_->size(), std::max(kHandful, tolerated) + 1);
  if (!options_.allocate) options_.allocate = plain_memory;
}

HostBatch Assembler::open(int64_t step) const {
  HostBatch batch;
  batch.step = step;
  batch.count = per_rank_;
  batch.content = layout_.content;
  batch.channels = layout_.channels;
  batch.height = layout_.height;
  batch.width = layout_.width;
  const size_t item = is_latent(layout_.content) ? sizeof(float) : 1;
  batch.bytes = static_cast<size_t>(per_rank_ * layout_.channels * layout_.height * layout_.width) * item;
  batch.values = options_.allocate(batch.bytes);
  batch.labels.assign(per_rank_, 0);
  if (config_.captions) batch.captions.resize(per_rank_);
  const int64_t first = step * options_.global_batch + options_.rank * per_rank_;
  for (int64_t i = 0; i < per_rank_; ++i) batch.positions.push_back(first + i);
  batch.indices.assign(per_rank_, -1);
  batch.feature_tokens = layout_.feature_tokens;
  batch.feature_width = layout_.feature_width;
  batch.features.resize(static_cast<size_t>(per_rank_ * layout_.feature_tokens * layout_.feature_width));
  batch.raw_size = config_.raw_resolution;
  batch.raw.resize(static_cast<size_t>(per_rank_ * 3 * batch.raw_size * batch.raw_size));
  return batch;
}

void Assembler::fill(HostBatch& batch, int64_t i, std::vector<BadSample>& bad) {
  const int64_t wanted = order_(batch.positions[i]);
  for (int64_t tried = 0; tried < most_in_a_row_; ++tried) {
    const int64_t index = (wanted + tried) % source_->size();
    if (known_bad(index, bad)) continue;
    try {
      const RawSample sample = source_->read(index);
      store(sample, batch, i);
      batch.indices[i] = index;
      if (config_.labels) batch.labels[i] = std::max<int64_t>(sample.label, 0);
      if (config_.captions) batch.captions[i] = sample.caption;
      return;
    } catch (const InternalError&) {
      throw;
    } catch (const Error& error) {
      remember(index, describe(source_->name(index), error.what()), bad);
    }
  }
  fail("data: ", most_in_a_row_, " samples in a row cannot be read (of ", source_->size(),
       "), the first: ", bad.front().reason,
       "; mend or remove them (`gigacat data inspect` names them), or give a larger data.max_bad_fraction");
}

bool Assembler::known_bad(int64_t index, std::vector<BadSample>& bad) const {
  if (!any_bad_) return false;
  const std::lock_guard lock(mutex_);
  const auto found = bad_.find(index);
  if (found == bad_.end()) return false;
  bad.push_back({index, found->second});
  return true;
}

void Assembler::remember(int64_t index, const std::string& reason, std::vector<BadSample>& bad) {
  bad.push_back({index, reason});
  const std::lock_guard lock(mutex_);
  bad_.emplace(index, reason);
  any_bad_ = true;
}

void Assembler::store(const RawSample& sample, HostBatch& batch, int64_t i) const {
  const int64_t item = batch.channels * batch.height * batch.width;
  auto* planes = static_cast<uint8_t*>(batch.values.get()) + i * item;
  if (is_latent(batch.content))
    store_latent(sample, batch, i);
  else if (batch.content == Content::pixels)
    place_pixels(sample, source_->pixel_shape(), config_, options_.seed, batch.positions[i], planes);
  else
    decode_sample(sample, config_, options_.seed, batch.positions[i], planes);
  if (batch.raw_size > 0) decode_raw(sample, config_, batch.raw.data() + i * 3 * batch.raw_size * batch.raw_size);
  if (!batch.features.empty()) store_features(sample, batch, i);
}

void Assembler::store_latent(const RawSample& sample, HostBatch& batch, int64_t i) const {
  const std::vector<float> values = read_values(sample.bytes, sample.name, {batch.channels, batch.height, batch.width});
  std::memcpy(static_cast<float*>(batch.values.get()) + i * static_cast<int64_t>(values.size()), values.data(),
              values.size() * sizeof(float));
}

void Assembler::store_features(const RawSample& sample, HostBatch& batch, int64_t i) const {
  const std::vector<float> values =
      read_values(sample.feature_bytes, sample.name, {batch.feature_tokens, batch.feature_width});
  std::copy(values.begin(), values.end(), batch.features.begin() + i * static_cast<int64_t>(values.size()));
}

}  // namespace gigacat::data
