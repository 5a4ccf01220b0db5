#include "gigacat/apply/generated.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "apply/sample_plan.h"
#include "apply/sampler.h"
#include "apply/weight_source.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::apply {

namespace {

// Means over the first `count` items, shared among the ranks.
eval::Values trajectory_of(const Sampler& sampler, std::span<const Item> items, dist::Group& group) {
  std::map<std::string, double> sums;
  const int64_t rows = sampler.rows();
  for (int64_t begin = group.rank() * rows; begin < std::ssize(items); begin += group.size() * rows) {
    const int64_t size = std::min(rows, std::ssize(items) - begin);
    for (const auto& [name, value] :
         sampler.diagnostics(items.subspan(static_cast<size_t>(begin), static_cast<size_t>(size))))
      sums[name] += value * static_cast<double>(size);
  }
  eval::Values values;
  for (const char* name : {"discrepancy", "rewrite", "direction"})
    values.emplace_back(name, group.sum(sums[name], "trajectory") / static_cast<double>(items.size()));
  return values;
}

}  // namespace

eval::Side generated_side(const SampleRequest& request, dist::Group& group) {
  const fs::path origin =
      dist::on_first(group, "weights", [&] { return find_weights(request.from, request.weights).origin.string(); });
  const auto sampler = std::make_shared<Sampler>(source_of(origin, request.weights), request, group.device());
  const auto items = std::make_shared<std::vector<Item>>(plan_samples(request, sampler->num_classes()));
  const auto draw = [sampler, items](int64_t first, int64_t last) {
    std::vector<io::Image> images;
    for (int64_t begin = first; begin < last; begin += sampler->rows()) {
      const int64_t end = std::min(begin + sampler->rows(), last);
      for (auto& stages :
           sampler->draw(std::span(*items).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))))
        images.push_back(std::move(stages.back()));
    }
    return images;
  };
  std::map<std::string, std::string> description = {
      {"weights", request.weights},        {"truncation", cat(request.truncation)},
      {"guidance", cat(request.guidance)}, {"autoencoder", sampler->space()},
      {"labels", request.labels},          {"seed", cat(request.seed)}};
  eval::Side side;
  side.name = request.from.string();
  side.images = eval::generated_images(origin.string(), std::ssize(*items), draw, std::move(description));
  if (sampler->has_trajectory())
    side.trajectory = [sampler, items](int64_t count, dist::Group& ranks) {
      return trajectory_of(*sampler, std::span(*items).first(static_cast<size_t>(count)), ranks);
    };
  return side;
}

bool holds_generator(const fs::path& path) {
  if (fs::is_regular_file(path)) return path.extension() == ".safetensors";
  return fs::exists(path / "COMMIT") || (fs::exists(path / "config.yaml") && fs::is_directory(path / "checkpoints"));
}

}  // namespace gigacat::apply
