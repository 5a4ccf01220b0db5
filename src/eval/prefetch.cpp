#include "eval/prefetch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/core/text.h"

namespace gigacat::eval {
namespace {

// Multiplies and mixes eight bytes at a time.
uint64_t hash_of(const io::Image& image) {
  constexpr uint64_t kFactor = 0x9FB21C651E98DF25ull;
  uint64_t hash = static_cast<uint64_t>(image.height) * kFactor + static_cast<uint64_t>(image.width);
  const size_t size = image.pixels.size();
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, image.pixels.data() + i, std::min<size_t>(8, size - i));
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

std::string named_fault(const ImageSet& images, int64_t index, const std::string& error) {
  const std::string name = images.image_name(index);
  return error.find("/" + name) != std::string::npos ? error : cat(images.name(), "/", name, ": ", error);
}

Prefetcher::Prefetcher(const ImageSet& images, int64_t first, int64_t last, std::vector<const FeatureNetwork*> networks,
                       int64_t batch, int64_t threads)
    : images_(images),
      first_(first),
      last_(last),
      batch_(batch),
      unit_(images.is_concurrent() ? 1 : batch),
      networks_(std::move(networks)),
      slots_(kAhead),
      begun_(first) {
  GIGACAT_CHECK(first >= 0 && first <= last && batch > 0 && threads > 0, first, " ", last, " ", batch, " ", threads);
  for (int64_t i = 0; i < kAhead; ++i) {
    Slot& slot = slots_[static_cast<size_t>(i)];
    for (const FeatureNetwork* network : networks_) {
      const auto [channels, height, width] = network->input_shape();
      slot.planes.push_back(at::empty({batch, channels, height, width}, at::kFloat));
    }
    slot.errors.resize(networks_.size());
    slot.facts.resize(static_cast<size_t>(batch));
    slot.bad.resize(static_cast<size_t>(batch));
    slot.left = count_of(i);
  }
  if (!images.is_concurrent()) threads = 1;
  for (int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
}

int64_t Prefetcher::count_of(int64_t batch) const {
  return std::clamp<int64_t>(last_ - first_ - batch * batch_, 0, batch_);
}

void Prefetcher::work() {
  std::unique_lock lock(mutex_);
  while (begun_ < last_ && !stop_) {
    // Another thread may take the image while this one waits.
    const auto has_room = [this] { return (begun_ - first_) / batch_ < done_ + kAhead; };
    if (!has_room()) {
      changed_.wait(lock);
      continue;
    }
    const int64_t begin = begun_, end = std::min(begin + unit_, last_);
    begun_ = end;
    lock.unlock();
    std::exception_ptr error;
    try {
      prepare(begin, end);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slot_of((begin - first_) / batch_).left -= end - begin;
    if (error) {
      if (!read_error_) read_error_ = error;
      stop_ = true;
    }
    changed_.notify_all();
  }
}

// Empty for an image that cannot be read: its slot has the reason.
std::vector<io::Image> Prefetcher::read(int64_t begin, int64_t end) {
  try {
    std::vector<io::Image> images = images_.read(begin, end);
    GIGACAT_CHECK(std::ssize(images) == end - begin, images.size());
    return images;
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    if (end - begin > 1 || !images_.is_concurrent()) throw;
    slot_of((begin - first_) / batch_).bad[static_cast<size_t>((begin - first_) % batch_)] =
        named_fault(images_, begin, error.what());
    return {};
  }
}

void Prefetcher::prepare(int64_t begin, int64_t end) {
  const std::vector<io::Image> images = read(begin, end);
  if (images.empty()) return;
  Slot& slot = slot_of((begin - first_) / batch_);
  for (int64_t i = begin; i < end; ++i) {
    const io::Image& image = images[static_cast<size_t>(i - begin)];
    const int64_t place = (i - first_) % batch_;
    slot.facts[static_cast<size_t>(place)] = {image.height, image.width, hash_of(image)};
    for (size_t n = 0; n < networks_.size(); ++n) {
      try {
        networks_[n]->prepare(image, i, slot.planes[n].data_ptr<float>() + place * slot.planes[n].stride(0));
      } catch (const Error& error) {
        const std::lock_guard lock(mutex_);
        slot.errors[n] = cat(images_.name(), "/", images_.image_name(i), ": ", error.what());
      }
    }
  }
}

bool Prefetcher::next(PreparedBatch& batch) {
  std::unique_lock lock(mutex_);
  if (given_ > done_) {  // the batch handed out before is done with: its slot takes the batch after those in memory
    Slot& slot = slot_of(done_);
    slot.left = count_of(done_ + kAhead);
    std::fill(slot.errors.begin(), slot.errors.end(), std::string());
    std::fill(slot.bad.begin(), slot.bad.end(), std::string());
    ++done_;
    changed_.notify_all();
  }
  if (given_ == batches()) return false;
  Slot& slot = slot_of(given_);
  changed_.wait(lock, [&] { return slot.left == 0 || read_error_; });
  if (read_error_) std::rethrow_exception(read_error_);
  batch.first = first_ + given_ * batch_;
  batch.count = count_of(given_);
  fill(slot, batch);
  ++given_;
  return true;
}

void Prefetcher::fill(const Slot& slot, PreparedBatch& batch) {
  batch.errors = slot.errors;
  batch.indices.clear();
  batch.planes.clear();
  batch.facts.clear();
  batch.bad.clear();
  std::vector<int64_t> places;
  for (int64_t place = 0; place < batch.count; ++place) {
    if (const std::string& reason = slot.bad[static_cast<size_t>(place)]; !reason.empty()) {
      batch.bad.push_back(reason);
      continue;
    }
    places.push_back(place);
    batch.indices.push_back(batch.first + place);
    batch.facts.push_back(slot.facts[static_cast<size_t>(place)]);
  }
  for (const at::Tensor& planes : slot.planes)
    batch.planes.push_back(batch.bad.empty() ? planes.narrow(0, 0, batch.count)
                                             : planes.index_select(0, at::tensor(places, at::kLong)));
}

}  // namespace gigacat::eval
