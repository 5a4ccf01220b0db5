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

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/io/enlarge.h"
#include "gigacat/io/npy.h"
#include "gigacat/nn/image_tensor.h"
#include "sample/sample_folder.h"
#include "sample/sample_plan.h"

namespace gigacat::sample {
namespace {

using json = nlohmann::ordered_json;

// A resumed call may leave one rank with all of the work.
constexpr std::chrono::hours kLongestShare{24};
constexpr int64_t kChannels = 3;  // of images

enum class Output { folder, grid, npz };

Output output_of(const SampleRequest& request) {
  const std::string extension = request.out.extension().string();
  if (request.out.empty()) fail<UsageError>("no output: give a folder, a .png or a .npz");
  if (extension == ".npz" && request.all_stages)
    fail<UsageError>("--all-stages writes several images a sample: give a folder or a .png, not ",
                     request.out.string());
  return extension == ".png" ? Output::grid : extension == ".npz" ? Output::npz : Output::folder;
}

// What an interrupted call must have in common with this one, and a list of the samples.
json settings_of(const SampleRequest& request, const OpenedSampler& opened, const std::vector<SampleSpec>& specs) {
  const Sampler& sampler = *opened.sampler;
  json settings = {{"checkpoint", opened.source.origin.string()},
                   {"weights_crc32c", opened.source.checksum},
                   {"autoencoder", sampler.space()},
                   {"count", specs.size()},
                   {"labels", request.labels},
                   {"truncation", request.truncation},
                   {"guidance", request.guidance},
                   {"all_stages", request.all_stages}};
  if (!request.prompts.empty()) settings["prompts"] = request.prompts;
  if (sampler.upsampler()) {
    settings["upsampler"] = sampler.upsampler()->hash();
    settings["scale"] = sampler.upsampler()->scale();
  }
  if (request.seeds.empty())
    settings["seed"] = request.seed;
  else
    settings["seeds"] = request.seeds;
  json& list = settings["samples"] = json::array();
  const int64_t stages = sampler.stages();
  for (const SampleSpec& spec : specs) {
    json entry = {{"file", png_name(std::ssize(list), stages - 1, stages)}, {"seed", spec.seed}, {"index", spec.index}};
    if (sampler.prompts().empty())
      entry["class"] = spec.label;
    else
      entry["prompt"] = sampler.prompts().at(static_cast<size_t>(spec.label));
    list.push_back(std::move(entry));
  }
  return settings;
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
  PngFolder folder(request.out, sampler.stages(), sampler.height(), sampler.width());
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

// A row for each prompt with all that was drawn for it.
io::Image grid_of_prompts(const MemoryStore& store, const std::vector<SampleSpec>& specs,
                          const std::vector<std::string>& prompts) {
  std::map<int64_t, std::vector<io::Image>> rows;  // by number of the prompt
  size_t columns = 0;
  for (int64_t i = 0; i < std::ssize(specs); ++i) {
    std::vector<io::Image>& row = rows[specs[static_cast<size_t>(i)].label];
    std::vector<io::Image> sample = store.read(i);
    std::move(sample.begin(), sample.end(), std::back_inserter(row));
    columns = std::max(columns, row.size());
  }
  std::vector<io::Image> images;
  std::vector<std::string> captions;
  for (auto& [prompt, row] : rows) {
    const io::Image& like = row.front();
    row.resize(columns, io::Image::filled(like.height, like.width, like.channels));
    std::move(row.begin(), row.end(), std::back_inserter(images));
    captions.push_back(prompts[static_cast<size_t>(prompt)]);
  }
  return io::caption_rows(io::enlarged_grid(images, static_cast<int64_t>(columns)), captions);
}

void write_grid(const SampleRequest& request, const OpenedSampler& opened, const std::vector<SampleSpec>& specs,
                dist::Group& group, SampleReport& report) {
  MemoryStore store(std::ssize(specs), *opened.sampler);
  fill(*opened.sampler, store, specs, group, request.show, report);
  store.join(group);
  dist::on_first(group, "samples to file", [&] {
    write_atomically(request.out,
                     io::encode_png(request.prompts.empty() ? grid_of(store, std::ssize(specs))
                                                            : grid_of_prompts(store, specs, request.prompts)));
    return std::string();
  });
}

}  // namespace

SampleReport write_samples(const SampleRequest& request, dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  const Output output = output_of(request);
  const OpenedSampler opened = open_sampler(request, group);
  const std::vector<SampleSpec> specs = plan_samples(request, opened.sampler->num_conditions());
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
