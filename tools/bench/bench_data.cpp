// Speed of decoding and of the loader, over a folder of images or over pictures made here.
//
//   bench_data [--images DIR] [--workers 2] [--size 256] [--batch 32] [--benchmark_filter=loader ...]
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/data/loader.h"
#include "gigacat/io/image.h"

namespace fs = std::filesystem;
using namespace gigacat;

namespace {

constexpr int64_t kMost = 65536;  // of any option

struct Options {
  std::string images;
  int64_t workers = 2, size = 256, batch = 32;
};

// A folder of JPEGs with smooth areas and fine detail, gone when the program ends.
class Pictures {
 public:
  Pictures() : folder_(fs::temp_directory_path() / cat("gigacat-bench-", ::getpid())) {
    fs::create_directories(folder_);
    for (int i = 0; i < 64; ++i) write_atomically(folder_ / cat(i, ".jpg"), io::encode_jpeg(draw(i)));
  }
  ~Pictures() {
    std::error_code ignored;  // a folder left in the temporary files is no failure of a benchmark
    fs::remove_all(folder_, ignored);
  }
  Pictures(const Pictures&) = delete;
  Pictures& operator=(const Pictures&) = delete;
  std::string folder() const { return folder_.string(); }

 private:
  static io::Image draw(int seed) {
    io::Image image{.height = 288, .width = 384, .channels = 3, .pixels = std::vector<uint8_t>(288 * 384 * 3)};
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 0; x < image.width * 3; ++x) {
        const double wave = std::sin(0.01 * static_cast<double>(x + y) + seed) * 90;
        const double detail = std::sin(0.9 * static_cast<double>(x)) * std::cos(0.7 * static_cast<double>(y)) * 30;
        image.row(y)[x] = static_cast<uint8_t>(127 + wave + detail);
      }
    return image;
  }

  fs::path folder_;
};

data::DataConfig config_of(const Options& options) {
  auto config = config::defaults<data::DataConfig>();
  config.path = options.images;
  config.resolution = options.size;
  config.workers = options.workers;
  config.flip = true;
  return config;
}

// Samples decoded, cropped and flipped in one thread.
void decode(benchmark::State& state, const data::Source& source, const data::DataConfig& config) {
  std::vector<uint8_t> planes(static_cast<size_t>(3 * config.resolution * config.resolution));
  int64_t position = 0;
  for (auto _ : state) {
    const data::RawSample sample = source.read(position % source.size());
    data::decode_sample(sample, config, 0, position++, planes.data());
    benchmark::DoNotOptimize(planes.data());
  }
  state.SetItemsProcessed(state.iterations());
}

// Whole batches in random order, the first few not timed.
void load(benchmark::State& state, const std::shared_ptr<const data::Source>& source, const data::DataConfig& config,
          int64_t batch) {
  data::Loader loader(source, config, {.global_batch = batch});
  for (int i = 0; i < 4; ++i) loader.next();
  for (auto _ : state) benchmark::DoNotOptimize(loader.next().values.get());
  state.SetItemsProcessed(state.iterations() * batch);
}

void run(Options options) {
  std::unique_ptr<Pictures> pictures;
  if (options.images.empty()) {
    pictures = std::make_unique<Pictures>();
    options.images = pictures->folder();
  }
  const data::DataConfig config = config_of(options);
  const std::shared_ptr<const data::Source> source = data::open_source(config);
  benchmark::RegisterBenchmark("decode", [&](benchmark::State& state) { decode(state, *source, config); });
  benchmark::RegisterBenchmark(cat("loader/workers:", options.workers).c_str(),
                               [&](benchmark::State& state) { load(state, source, config, options.batch); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  Options options;
  CLI::App app("Speed of decoding and of the loader; takes Google Benchmark's flags as well");
  app.add_option("--images", options.images, "folder of images; made here when it is not given");
  app.add_option("--workers", options.workers, "decoding threads")->check(CLI::Range(int64_t{1}, kMost));
  app.add_option("--size", options.size, "px of the square crop")->check(CLI::Range(int64_t{1}, kMost));
  app.add_option("--batch", options.batch, "images of a batch")->check(CLI::Range(int64_t{1}, kMost));
  try {
    app.parse(argc, argv);
    run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_data: %s\n", error.what());
    return 1;
  }
  return 0;
}
