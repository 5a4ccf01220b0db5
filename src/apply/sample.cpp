// Drawing samples: plan -> a folder of PNGs, each rank its share -> the file that was asked for.
#include "gigacat/apply/sample.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <map>
#include <span>

#include "apply/sample_folder.h"
#include "apply/sample_plan.h"
#include "apply/sampler.h"
#include "apply/weight_source.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/progress.h"
#include "gigacat/io/npy.h"
#include "gigacat/io/sample_grid.h"

namespace gigacat::apply {
namespace {

using dist::on_first;
using nlohmann::json;

// A resumed call may leave one rank with all of the work.
constexpr std::chrono::hours kLongestShare{24};

enum class Output { folder, grid, npz };

Output output_of(const SampleRequest& request) {
  const std::string extension = request.out.extension().string();
  if (request.out.empty()) fail<UsageError>("no output: give a folder, a .png or a .npz");
  if (extension == ".npz" && request.all_stages)
    fail<UsageError>("--all-stages writes several images a sample: give a folder or a .png, not ",
                     request.out.string());
  return extension == ".png" ? Output::grid : extension == ".npz" ? Output::npz : Output::folder;
}

json settings_of(const SampleRequest& request, const WeightSource& source, const Sampler& sampler, size_t count) {
  const MappedFile weights(source.weights);
  json settings = {{"checkpoint", source.origin.string()},
                   {"weights_crc32c", crc32c(weights.bytes())},
                   {"autoencoder", sampler.space()},
                   {"count", count},
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
  return settings;
}

// Draws what is missing of a rank's share.
void fill(const Sampler& sampler, const SampleFolder& folder, const std::vector<Item>& items, const dist::Group& group,
          SampleReport& report) {
  const int64_t count = std::ssize(items), rows = sampler.rows();
  const Share share = share_of(count, rows, group.rank(), group.size());
  Progress progress("sampling", "sample", share.last - share.first);
  for (int64_t first = share.first; first < share.last; first += rows) {
    const int64_t last = std::min(first + rows, share.last);
    std::vector<int64_t> missing;
    for (int64_t i = first; i < last; ++i)
      if (!folder.holds(i)) missing.push_back(i);
    report.kept += last - first - std::ssize(missing);
    report.written += std::ssize(missing);
    if (!missing.empty()) {
      // The whole piece is drawn, so that an image is the same in an interrupted call and in one that was not.
      const auto drawn = sampler.draw(std::span(items).subspan(first, last - first));
      for (int64_t i : missing) folder.write(i, drawn[i - first]);
    }
    progress.update(last - share.first);
  }
  progress.finish();
}

void write_npz(const fs::path& out, const SampleFolder& folder, const std::vector<Item>& items) {
  std::vector<int64_t> labels;
  for (const Item& item : items) labels.push_back(item.label);
  write_atomically(out, [&](FileWriter& file) {
    const io::Image first = folder.read(0).back();
    io::NpzImageWriter npz(file, std::ssize(items), first.height, first.width, first.channels);
    for (int64_t i = 0; i < std::ssize(items); ++i) npz.add(folder.read(i).back().pixels);
    npz.finish(labels);
  });
}

// Stages of a sample stand in one row; single images in a square.
io::Image grid_of(const SampleFolder& folder, int64_t count) {
  std::vector<io::Image> images;
  int64_t stages = 1;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<io::Image> sample = folder.read(i);
    stages = std::ssize(sample);
    std::move(sample.begin(), sample.end(), std::back_inserter(images));
  }
  const auto side = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  return io::sample_grid(images, stages > 1 ? stages : side);
}

// A row for each prompt, behind it all that was drawn of it.
io::Image grid_of_prompts(const SampleFolder& folder, const std::vector<Item>& items,
                          const std::vector<std::string>& prompts) {
  std::map<int64_t, std::vector<io::Image>> rows;  // by number of the prompt
  size_t columns = 0;
  for (int64_t i = 0; i < std::ssize(items); ++i) {
    std::vector<io::Image>& row = rows[items[static_cast<size_t>(i)].label];
    std::vector<io::Image> sample = folder.read(i);
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
  return io::caption_rows(io::sample_grid(images, static_cast<int64_t>(columns)), captions);
}

void assemble(const SampleRequest& request, Output output, const SampleFolder& folder, const std::vector<Item>& items) {
  if (output == Output::folder) return;
  if (output == Output::npz)
    write_npz(request.out, folder, items);
  else
    write_atomically(request.out,
                     io::encode_png(request.prompts.empty() ? grid_of(folder, std::ssize(items))
                                                            : grid_of_prompts(folder, items, request.prompts)));
  fs::remove_all(folder.path());
}

}  // namespace

SampleReport sample(const SampleRequest& request, dist::Group& group) {
  const auto began = std::chrono::steady_clock::now();
  const Output output = output_of(request);
  const fs::path origin =
      dist::on_first(group, "weights", [&] { return find_weights(request.from, request.weights).origin.string(); });
  const WeightSource source = source_of(origin, request.weights);
  const Sampler sampler(source, request, group.device());
  const std::vector<Item> items = plan_samples(request, sampler.num_classes());
  const fs::path path = output == Output::folder ? request.out : fs::path(request.out.string() + ".parts");
  const SampleFolder folder(path, sampler.stages(), sampler.height(), sampler.width());
  dist::on_first(group, "sample folder", [&] {
    folder.prepare(settings_of(request, source, sampler, items.size()));
    return std::string();
  });

  SampleReport report;
  report.checkpoint = origin.string();
  fill(sampler, folder, items, group, report);
  group.barrier("all samples drawn", kLongestShare);
  report.written = std::llround(group.sum(static_cast<double>(report.written), "samples written"));
  report.kept = std::llround(group.sum(static_cast<double>(report.kept), "samples kept"));
  dist::on_first(group, "samples to file", [&] {
    const int64_t shown = std::min(request.show, std::ssize(items));
    for (int64_t i = 0; i < shown; ++i) report.first.push_back(folder.read(i).back());
    assemble(request, output, folder, items);
    return std::string();
  });
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace gigacat::apply
