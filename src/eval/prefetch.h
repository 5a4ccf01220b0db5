// Threads that decode and prepare batches of images ahead of the networks.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gigacat/eval/images.h"
#include "gigacat/eval/network.h"

namespace gigacat::eval {

struct ImageFacts {
  int64_t height = 0, width = 0;
  uint64_t hash = 0;  // of size and pixels
};

struct PreparedBatch {
  int64_t first = 0, count = 0;     // images first .. first + count - 1 of the set
  std::vector<int64_t> indices;     // numbers of those that could be read, ascending
  std::vector<at::Tensor> planes;   // for each network [indices, input_shape()]
  std::vector<std::string> errors;  // for each network: why it cannot use an image of the batch, or ""
  std::vector<ImageFacts> facts;    // of each image that could be read
  std::vector<std::string> bad;     // why the others could not
};

// Why image `index` cannot be used, with its name.
std::string named_fault(const ImageSet& images, int64_t index, const std::string& error);

class Prefetcher {
 public:
  // Images [first, last) of `images` in batches of `batch`; `threads` are used where the set allows several.
  Prefetcher(const ImageSet& images, int64_t first, int64_t last, std::vector<const FeatureNetwork*> networks,
             int64_t batch, int64_t threads);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next batch, valid until the next call; false at the end. Errors: as ImageSet::read, of sets that are not
  // concurrent.
  bool next(PreparedBatch& batch);

 private:
  static constexpr int64_t kAhead = 3;  // batches in memory

  struct Slot {
    std::vector<at::Tensor> planes;
    std::vector<std::string> errors;
    std::vector<ImageFacts> facts;
    std::vector<std::string> bad;  // for each image: why it cannot be read, or ""
    int64_t left = 0;              // images that are not ready
  };

  int64_t batches() const { return (last_ - first_ + batch_ - 1) / batch_; }
  int64_t count_of(int64_t batch) const;
  Slot& slot_of(int64_t batch) { return slots_[static_cast<size_t>(batch % kAhead)]; }
  void work();
  std::vector<io::Image> read(int64_t begin, int64_t end);
  void prepare(int64_t begin, int64_t end);
  static void fill(const Slot& slot, PreparedBatch& batch);

  const ImageSet& images_;
  int64_t first_, last_, batch_, unit_;
  std::vector<const FeatureNetwork*> networks_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t begun_, done_ = 0, given_ = 0;  // next image to make; batches that are free again; batches handed out
  bool stop_ = false;
  std::exception_ptr read_error_;
  std::vector<std::jthread> threads_;
};

}  // namespace gigacat::eval
