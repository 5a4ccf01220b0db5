// Drawing samples: plan -> each rank its share -> a folder of PNGs, a grid or an .npz.
#include "gigacat/sample/sample.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/io/enlarge.h"
#include "gigacat/io/folder.h"
#include "gigacat/io/image_file.h"
#include "gigacat/io/npy.h"
#include "gigacat/nn/image_tensor.h"
#include "sample/sample_folder.h"
#include "sample/sample_plan.h"
#include "sample/sample_record.h"

namespace gigacat::sample {
namespace {

// A resumed call may leave one rank with all of the work.
constexpr std::chrono::hours kLongestShare{24};
constexpr int64_t kChannels = 3;  // of images

enum class Output { folder, grid, npz };

Output output_of(const SampleRequest& request) {
  constexpr std::string_view kChoices = "a folder for PNGs, a .png, .jpg or .webp for a grid, or a .npz for all pixels";
  if (request.out.empty()) fail<UsageError>("no output: give ", kChoices);
  const bool is_npz = io::suffix(request.out.string()) == "npz";
  if (is_npz && request.all_stages)
    fail<UsageError>("--all-stages writes several images a sample: give a folder or a .png, not ",
                     request.out.string());
  if (is_npz) return Output::npz;
  return io::output_kind(request.out, "-o", kChoices) == io::PathKind::folder ? Output::folder : Output::grid;
}

// Draws what is missing of a rank's share; the first `show` of it go into the report.
void fill(const Sampler& sampler, SampleStore& store, const std::vector<SampleSpec>& specs, dist::Group& group,
          int64_t show, SampleReport& report) {
  const int64_t rows = sampler.rows();
  const Share share = share_of(std::ssize(specs), rows, group.rank(), group.size());
  Progress progress("sampling", "sample", share.last - share.first);
  for (int64_t first = share.first; first < share.last; first += rows) {
    const int64_t last = std::min(first + rows, share.last);
    std::vector<int64_t> missing;
    for (int64_t i = first; i < last; ++i)
      if (!store.holds(i)) missing.push_back(i);
    report.kept += last - first - std::ssize(missing);
    report.written += std::ssize(missing);
    if (!missing.empty()) {
      // All of a call is drawn, so that an image is the same in an interrupted call and in one that was not.
      const auto drawn =
          sampler.draw(std::span(specs).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
      for (const int64_t i : missing) {
        store.write(i, drawn[static_cast<size_t>(i - first)]);
        if (std::ssize(report.first) < show) report.first.push_back(drawn[static_cast<size_t>(i - first)].back());
      }
    }
    progress.update(last - share.first);
  }
  progress.finish();
  group.barrier("all samples drawn", kLongestShare);
}

void write_npz(const SampleRequest& request, const OpenedSampler& opened, const std::vector<SampleSpec>& specs,
               dist::Group& group, SampleReport& report) {
  const fs::path parts = request.out.string() + ".parts";
  const Sampler& sampler = *opened.sampler;
  const int64_t height = sampler.height(), width = sampler.width();
  dist::on_first(group, "sample folder", [&] {
    sample_folder(parts).prepare(settings_of(request, opened, specs));
    return std::string();
  });
  PixelFile pixels(parts, std::ssize(specs), height * width * kChannels);
  fill(sampler, pixels, specs, group, request.show, report);
  dist::on_first(group, "samples to file", [&] {
    std::vector<int64_t> labels;
    for (const SampleSpec& spec : specs) labels.push_back(spec.label);
    write_atomically(request.out, [&](FileWriter& file) {
      io::NpzImageWriter npz(file, std::ssize(specs), height, width, kChannels);
      for (int64_t i = 0; i < std::ssize(specs); ++i) npz.add(pixels.read(i));
      npz.finish(labels);
    });
    fs::remove_all(parts);
    return std::string();
  });
}

void write_folder(const SampleRequest& request, const OpenedSampler& opened, const std::vector<SampleSpec>& specs,
                  dist::Group& group, SampleReport& report) {
  const Sampler& sampler = *opened.sampler;
  dist::on_first(group, "sample folder", [&] {
    sample_folder(request.out).prepare(settings_of(request, opened, specs));
    return std::string();
  });
  const auto texts = [&](int64_t i, int64_t stage) {
    return texts_of_sample(request, opened, specs[static_cast<size_t>(i)], stage);
  };
  PngFolder folder(request.out, sampler.stages(), sampler.height(), sampler.width(), texts);
  fill(sampler, folder, specs, group, request.show, report);
}

// All images of a grid, of which each rank draws a part.
class MemoryStore : public SampleStore {
 public:
  MemoryStore(int64_t count, const Sampler& sampler)
      : pixels_(at::zeros({count, sampler.stages(), kChannels, sampler.height(), sampler.width()}, at::kByte)) {}
  bool holds(int64_t /*i*/) const override { return false; }
  void write(int64_t i, const std::vector<io::Image>& stages) override {
    for (size_t k = 0; k < stages.size(); ++k) pixels_[i][static_cast<int64_t>(k)] = nn::to_pixels(stages[k]);
  }
  // What the ranks drew, all together.
  void join(dist::Group& group) { group.all_reduce(pixels_, dist::Reduce::sum, "grid"); }
  std::vector<io::Image> read(int64_t i) const {
    std::vector<io::Image> images;
    for (const at::Tensor& stage : pixels_[i].unbind(0)) images.push_back(nn::to_image(stage));
    return images;
  }

 private:
  at::Tensor pixels_;  // [N, K, 3, H, W]
};

// Stages of a sample stand in one row, single images in a square; one image is itself.
io::Image grid_of(const MemoryStore& store, int64_t count) {
  std::vector<io::Image> images;
  int64_t stages = 1;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<io::Image> sample = store.read(i);
    stages = std::ssize(sample);
    std::move(sample.begin(), sample.end(), std::back_inserter(images));
  }
  if (images.size() == 1) return images.front();
  const auto side = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  return io::enlarged_grid(images, stages > 1 ? stages : side);
}

// The conditions that are rows of a grid, in the order in which the user lists them; empty: the grid has none.
std::vector<int64_t> rows_of(const SampleRequest& request, const Conditions& conditions) {
  std::vector<int64_t> rows;
  if (!request.prompts.empty()) {
    for (int64_t i = 0; i < conditions.count; ++i) rows.push_back(i);
  } else if (request.labels != "all") {
    for (const int64_t label : parse_classes(request.labels, "--labels", conditions))
      if (std::find(rows.begin(), rows.end(), label) == rows.end()) rows.push_back(label);
    if (rows.size() == 1) rows.clear();
  }
  return rows;
}

// A row for each prompt or class with all that was drawn for it, and the prompt or the class's name before it.
io::Image grid_of_rows(const MemoryStore& store, const std::vector<SampleSpec>& specs, const Sampler& sampler,
                       const std::vector<int64_t>& order) {
  std::map<int64_t, std::vector<io::Image>> drawn;  // by condition
  size_t columns = 0;
  for (int64_t i = 0; i < std::ssize(specs); ++i) {
    std::vector<io::Image>& row = drawn[specs[static_cast<size_t>(i)].label];
    std::vector<io::Image> sample = store.read(i);
    std::move(sample.begin(), sample.end(), std::back_inserter(row));
    columns = std::max(columns, row.size());
  }
  const Conditions& conditions = sampler.conditions();
  std::vector<io::Image> images;
  std::vector<std::string> captions;
  for (const int64_t condition : order) {
    std::vector<io::Image>& row = drawn[condition];
    if (row.empty()) continue;  // fewer samples than rows
    const io::Image& like = row.front();
    row.resize(columns, io::Image::filled(like.height, like.width, like.channels));
    std::move(row.begin(), row.end(), std::back_inserter(images));
    captions.push_back(conditions.is_text ? sampler.prompts()[static_cast<size_t>(condition)]
                                          : conditions.name_of(condition));
  }
  const io::Image grid = io::enlarged_grid(images, static_cast<int64_t>(columns));
  const bool named = std::any_of(captions.begin(), captions.end(), [](const std::string& c) { return !c.empty(); });
  return named ? io::caption_rows(grid, captions) : grid;
}

void write_grid(const SampleRequest& request, const OpenedSampler& opened, const std::vector<SampleSpec>& specs,
                dist::Group& group, SampleReport& report) {
  MemoryStore store(std::ssize(specs), *opened.sampler);
  fill(*opened.sampler, store, specs, group, request.show, report);
  store.join(group);
  dist::on_first(group, "samples to file", [&] {
    const std::vector<int64_t> rows = rows_of(request, opened.sampler->conditions());
    const io::Image grid =
        rows.empty() ? grid_of(store, std::ssize(specs)) : grid_of_rows(store, specs, *opened.sampler, rows);
    write_atomically(request.out, io::encode_image(grid, io::path_kind(request.out),
                                                   texts_of_grid(request, opened, std::ssize(specs))));
    return std::string();
  });
}

}  // namespace

SampleReport write_samples(const SampleRequest& request, dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  const Output output = output_of(request);
  const OpenedSampler opened = open_sampler(request, group);
  const std::vector<SampleSpec> specs = plan_samples(request, opened.sampler->conditions());
  SampleReport report{.checkpoint = opened.source.origin.string()};
  if (output == Output::npz) write_npz(request, opened, specs, group, report);
  if (output == Output::folder) write_folder(request, opened, specs, group, report);
  if (output == Output::grid) write_grid(request, opened, specs, group, report);
  report.written = std::llround(group.sum(static_cast<double>(report.written), "samples written"));
  report.kept = std::llround(group.sum(static_cast<double>(report.kept), "samples kept"));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::sample
