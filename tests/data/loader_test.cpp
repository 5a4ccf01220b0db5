#include "gigacat/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "data/fixtures.h"
#include "data/order.h"

namespace gigacat::data {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;

constexpr int64_t kSide = 4;

// Images of one colour, the index; what must go wrong is given by index.
class FakeSource : public Source {
 public:
  explicit FakeSource(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  int64_t label(int64_t index) const override { return index % 5; }
  std::string name(int64_t index) const override { return cat("fake/", index); }
  const std::vector<std::string>& class_names() const override { return none_; }
  std::string listing_digest() const override { return "fake"; }
  RawSample read(int64_t index) const override {
    if (delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    if (on_read) on_read(index);
    const auto bad = broken.find(index);
    const auto colour = static_cast<uint8_t>(index);
    return {.name = name(index),
            .bytes = bad != broken.end() ? bad->second : solid_png(kSide, kSide, colour, 7, colour),
            .label = label(index),
            .caption = cat("colour ", index)};
  }
  std::map<int64_t, std::string> broken;
  std::function<void(int64_t)> on_read;
  int64_t delay_ms = 0;

 private:
  int64_t size_;
  std::vector<std::string> none_;
};

DataConfig fake_config(int64_t workers = 2) {
  DataConfig config = config_for("fake", kSide);
  config.workers = workers;
  return config;
}

std::string bytes_of(const HostBatch& batch) { return {static_cast<const char*>(batch.values.get()), batch.bytes}; }

// The next `count` batches as one text for each: everything but the time waited.
std::vector<std::string> read_batches(const std::shared_ptr<const Source>& source, const DataConfig& config,
                                      const LoaderOptions& options, int count) {
  Loader loader(source, config, options);
  std::vector<std::string> batches;
  for (int i = 0; i < count; ++i) {
    const HostBatch batch = loader.next();
    batches.push_back(cat(batch.step, "|", join(batch.positions), "|", join(batch.indices), "|", join(batch.labels),
                          "|", join(batch.captions), "|", bytes_of(batch)));
  }
  return batches;
}

TEST(Loader, BatchHoldsWhatTheOrderSays) {
  const auto source = std::make_shared<FakeSource>(10);
  DataConfig config = fake_config();
  config.captions = true;
  Loader loader(source, config, {.seed = 5, .global_batch = 4});
  const Order order(5, 10);
  for (int64_t step = 0; step < 6; ++step) {
    const HostBatch batch = loader.next();
    EXPECT_EQ(batch.step, step);
    ASSERT_EQ(batch.count, 4);
    ASSERT_EQ(batch.bytes, 4u * 3 * kSide * kSide);
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t index = order(step * 4 + i);
      EXPECT_EQ(batch.positions[i], step * 4 + i);
      EXPECT_EQ(batch.indices[i], index);
      EXPECT_EQ(batch.labels[i], index % 5);
      EXPECT_EQ(batch.captions[i], cat("colour ", index));
      const std::string planes = bytes_of(batch).substr(i * 3 * kSide * kSide, 3 * kSide * kSide);
      EXPECT_THAT(planes.substr(0, kSide * kSide), Each(static_cast<char>(index)));
      EXPECT_THAT(planes.substr(kSide * kSide, kSide * kSide), Each('\x07'));
    }
  }
  EXPECT_EQ(loader.layout().num_classes, 5);
}

TEST(Loader, EpochsAreWholeForEveryWorld) {
  const auto source = std::make_shared<FakeSource>(24);
  for (const int world : {1, 2, 4}) {
    std::map<int64_t, int> seen;
    for (int rank = 0; rank < world; ++rank) {
      Loader loader(source, fake_config(), {.seed = 1, .global_batch = 8, .rank = rank, .world = world});
      for (int step = 0; step < 6; ++step) {
        for (const int64_t index : loader.next().indices) ++seen[index];
      }
    }
    EXPECT_EQ(seen.size(), 24u);
    for (const auto& [index, times] : seen) EXPECT_EQ(times, 2) << index;
  }
}

TEST(Loader, WorldsShareTheGlobalBatch) {
  const auto source = std::make_shared<FakeSource>(30);
  Loader whole(source, fake_config(), {.seed = 1, .global_batch = 8});
  std::vector<std::unique_ptr<Loader>> parts;
  for (int rank = 0; rank < 4; ++rank)
    parts.push_back(std::make_unique<Loader>(source, fake_config(),
                                             LoaderOptions{.seed = 1, .global_batch = 8, .rank = rank, .world = 4}));
  for (int step = 0; step < 9; ++step) {
    const HostBatch wanted = whole.next();
    std::string values;
    std::vector<int64_t> positions;
    for (const auto& part : parts) {
      const HostBatch batch = part->next();
      values += bytes_of(batch);
      positions.insert(positions.end(), batch.positions.begin(), batch.positions.end());
    }
    EXPECT_EQ(values, bytes_of(wanted));
    EXPECT_EQ(positions, wanted.positions);
  }
}

TEST(Loader, SameBatchesForAnyWorkers) {
  auto source = std::make_shared<FakeSource>(40);
  for (const int64_t index : {3, 4, 17}) source->broken[index] = "garbage";
  DataConfig config = fake_config(1);
  config.flip = true;
  config.crop = "random";
  config.captions = true;
  config.max_bad_fraction = 0.1;
  const LoaderOptions options{.seed = 2, .global_batch = 12};
  const auto wanted = read_batches(source, config, options, 8);
  for (const int64_t workers : {2, 5, 9}) {
    config.workers = workers;
    config.prefetch = workers;
    EXPECT_EQ(read_batches(source, config, options, 8), wanted) << workers;
  }
}

TEST(Loader, StartsAnywhereWithoutReadingWhatCameBefore) {
  auto source = std::make_shared<FakeSource>(1000);
  LoaderOptions options{.seed = 2, .global_batch = 6};
  const auto all = read_batches(source, fake_config(), options, 9);
  options.first_step = 7;
  options.last_step = 8;
  std::atomic<int> reads{0};
  source->on_read = [&](int64_t) { ++reads; };
  EXPECT_EQ(read_batches(source, fake_config(), options, 2), std::vector<std::string>(all.begin() + 7, all.end()));
  EXPECT_EQ(reads, 12);
  options.first_step = options.last_step = int64_t{1} << 40;
  EXPECT_EQ(read_batches(source, fake_config(), options, 1).size(), 1u);
}

TEST(Loader, NothingAfterTheLastStep) {
  Loader loader(std::make_shared<FakeSource>(9), fake_config(), {.global_batch = 3, .last_step = 1});
  loader.next();
  loader.next();
  EXPECT_THROW(loader.next(), InternalError);
}

TEST(Loader, PrefetchIsBounded) {
  auto source = std::make_shared<FakeSource>(1000);
  std::atomic<int> reads{0};
  source->on_read = [&](int64_t) { ++reads; };
  DataConfig config = fake_config(3);
  config.prefetch = 2;
  Loader loader(source, config, {.global_batch = 10});
  const auto settle = [&] {
    for (int before = -1; before != reads;) {
      before = reads;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return reads.load();
  };
  EXPECT_EQ(settle(), 20);
  loader.next();
  EXPECT_EQ(settle(), 30);
}

TEST(Loader, BadSamplesAreReplacedByTheNextGoodOnes) {
  auto source = std::make_shared<FakeSource>(20);
  const std::string png = solid_png(32, 32, 1, 2, 3);
  io::Image image{.height = 32, .width = 32, .channels = 3, .pixels = std::vector<uint8_t>(32 * 32 * 3, 90)};
  const std::string jpeg = io::encode_jpeg(image);
  source->broken = {{4, ""},
                    {5, png.substr(0, png.size() / 2)},
                    {6, "garbage that is no image"},
                    {12, jpeg.substr(0, jpeg.size() - 30)},
                    {19, png.substr(0, 20)}};
  DataConfig config = fake_config();
  config.max_bad_fraction = 0.25;
  Loader loader(source, config, {.seed = 1, .global_batch = 20});
  const Order order(1, 20);
  for (int epoch = 0; epoch < 3; ++epoch) {
    const HostBatch batch = loader.next();
    for (int64_t i = 0; i < 20; ++i) {
      const int64_t wanted = order(batch.positions[i]);
      const std::map<int64_t, int64_t> instead = {{4, 7}, {5, 7}, {6, 7}, {12, 13}, {19, 0}};
      const int64_t index = instead.contains(wanted) ? instead.at(wanted) : wanted;
      EXPECT_EQ(batch.indices[i], index);
      EXPECT_EQ(batch.labels[i], index % 5);
      EXPECT_EQ(bytes_of(batch)[i * 3 * kSide * kSide], static_cast<char>(index));
    }
  }
  const LoaderReport report = loader.report();
  EXPECT_EQ(report.bad, 5);
  EXPECT_EQ(report.read, 65);
  ASSERT_EQ(report.first_bad.size(), 5u);
  for (const int index : {4, 5, 6, 12, 19})
    EXPECT_THAT(report.first_bad, Contains(HasSubstr(cat("fake/", index, ":")))) << index;
}

TEST(Loader, ABadSampleIsReadOnce) {
  auto source = std::make_shared<FakeSource>(8);
  source->broken[2] = "garbage";
  std::atomic<int> reads{0};
  source->on_read = [&](int64_t index) { reads += index == 2; };
  DataConfig config = fake_config(1);
  config.max_bad_fraction = 0.5;
  Loader loader(source, config, {.global_batch = 8});
  for (int epoch = 0; epoch < 4; ++epoch) loader.next();
  EXPECT_EQ(reads, 1);
}

TEST(Loader, FailsPastTheFraction) {
  for (const int64_t workers : {1, 3}) {
    auto source = std::make_shared<FakeSource>(200);
    for (int64_t i = 0; i < 200; i += 10) source->broken[i] = "garbage";
    DataConfig config = fake_config(workers);
    config.max_bad_fraction = 0.05;
    Loader loader(source, config, {.seed = 1, .global_batch = 20});
    int64_t batches = 0;
    std::string error;
    while (error.empty() && batches < 50) {
      error = error_of<Error>([&] { loader.next(); });
      ++batches;
    }
    EXPECT_THAT(error, HasSubstr("data.max_bad_fraction = 0.05"));
    EXPECT_THAT(error, HasSubstr("of "));
    // The eleventh bad sample is met at the same step on any number of workers.
    int64_t wanted = 0, bad = 0;
    for (const Order order(1, 200); bad <= 10; ++wanted) bad += source->broken.contains(order(wanted)) ? 1 : 0;
    EXPECT_EQ(batches, (wanted + 19) / 20);
    EXPECT_EQ(error_of<Error>([&] { loader.next(); }), error);
  }
}

TEST(Loader, AFewBadOnesOfASmallSetAreTolerated) {
  auto source = std::make_shared<FakeSource>(100);
  source->broken[0] = "garbage";
  DataConfig config = fake_config();
  config.max_bad_fraction = 0.01;
  Loader loader(source, config, {.global_batch = 50});
  for (int step = 0; step < 4; ++step) loader.next();
  EXPECT_EQ(loader.report().bad, 1);
}

TEST(Loader, NothingGoodAtAll) {
  auto source = std::make_shared<FakeSource>(5);
  for (int64_t i = 0; i < 5; ++i) source->broken[i] = "";
  DataConfig config = fake_config();
  config.max_bad_fraction = 1;
  Loader loader(source, config, {.global_batch = 2});
  EXPECT_THAT(error_of<Error>([&] { loader.next(); }), HasSubstr("5 samples in a row cannot be read (of 5)"));
}

TEST(Loader, ErrorsOfWorkersReachTheCaller) {
  auto source = std::make_shared<FakeSource>(50);
  source->on_read = [](int64_t index) {
    if (index == 30) fail<InternalError>("broken inside");
  };
  Loader loader(source, fake_config(3), {.global_batch = 10});
  std::string error;
  for (int step = 0; step < 5 && error.empty(); ++step) error = error_of<InternalError>([&] { loader.next(); });
  EXPECT_EQ(error, "broken inside");
  EXPECT_EQ(error_of<InternalError>([&] { loader.next(); }), error);
}

TEST(Loader, AllocatorIsUsedAndMayFail) {
  const auto source = std::make_shared<FakeSource>(10);
  std::vector<size_t> sizes;
  std::mutex mutex;
  LoaderOptions options{.global_batch = 2};
  options.allocate = [&](size_t bytes) -> std::shared_ptr<void> {
    const std::lock_guard lock(mutex);
    sizes.push_back(bytes);
    if (sizes.size() > 2) throw Error("no pinned memory left");
    return std::make_shared<std::vector<char>>(bytes);
  };
  options.allocate = [inner = options.allocate](size_t bytes) -> std::shared_ptr<void> {
    auto block = std::static_pointer_cast<std::vector<char>>(inner(bytes));
    return {block, block->data()};
  };
  Loader loader(source, fake_config(1), options);
  loader.next();
  loader.next();
  EXPECT_THAT(error_of<Error>([&] { loader.next(); }), HasSubstr("no pinned memory"));
  const std::lock_guard lock(mutex);
  EXPECT_THAT(sizes, Each(2u * 3 * kSide * kSide));
}

TEST(Loader, StopsPromptly) {
  auto source = std::make_shared<FakeSource>(1000);
  source->delay_ms = 20;
  const auto began = std::chrono::steady_clock::now();
  { Loader loader(source, fake_config(4), {.global_batch = 500}); }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
}

TEST(Loader, BadRequestsAreRefused) {
  const auto source = std::make_shared<FakeSource>(10);
  EXPECT_THAT(error_of<UsageError>([&] { Loader(source, fake_config(), {.global_batch = 9, .world = 2}); }),
              HasSubstr("9"));
  EXPECT_THROW(Loader(source, fake_config(), {.global_batch = 0}), UsageError);
  EXPECT_THROW(Loader(std::make_shared<FakeSource>(0), fake_config(), {.global_batch = 1}), UsageError);
  DataConfig config = fake_config();
  config.channels = 4;
  EXPECT_THROW(Loader(source, config, {.global_batch = 1}), UsageError);
  config = fake_config();
  config.resolution = 0;
  EXPECT_THROW(Loader(source, config, {.global_batch = 1}), UsageError);
}

TEST(Loader, RealFilesOnDisk) {
  TempFolder folder;
  for (int i = 0; i < 12; ++i) folder.write(cat(i % 3, "/", i, ".png"), pattern_png(16 + i, 40 - i));
  folder.write("1/broken.jpg", "garbage");
  folder.write("2/empty.png", "");
  DataConfig config = config_for(folder.path(), 8);
  config.max_bad_fraction = 0.2;
  Loader loader(open_source(config), config, {.global_batch = 14});
  std::map<int64_t, int> labels;
  for (const int64_t label : loader.next().labels) ++labels[label];
  EXPECT_EQ(labels.size(), 3u);
  EXPECT_EQ(loader.report().bad, 2);
  EXPECT_THAT(loader.report().first_bad, Contains(HasSubstr("1/broken.jpg")));
}

}  // namespace
}  // namespace gigacat::data
