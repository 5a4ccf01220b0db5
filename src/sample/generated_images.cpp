#include "gigacat/sample/generated_images.h"

#include <algorithm>
#include <map>
#include <span>

#include "gigacat/core/error.h"
#include "sample/sample_plan.h"

namespace gigacat::sample {
namespace {

using Specs = std::vector<SampleSpec>;

// Means over the first `count` samples, shared among the ranks.
eval::Values trajectory_of(const Sampler& sampler, std::span<const SampleSpec> specs, dist::Group& group) {
  std::map<std::string, double> sums;
  const int64_t rows = sampler.rows();
  for (int64_t begin = group.rank() * rows; begin < std::ssize(specs); begin += group.size() * rows) {
    const int64_t size = std::min(rows, std::ssize(specs) - begin);
    for (const auto& [name, value] :
         sampler.trajectory(specs.subspan(static_cast<size_t>(begin), static_cast<size_t>(size))))
      sums[name] += value * static_cast<double>(size);
  }
  eval::Values values;
  for (const char* name : {"discrepancy", "rewrite", "direction"})
    values.emplace_back(name, group.sum(sums[name], "trajectory") / static_cast<double>(specs.size()));
  return values;
}

}  // namespace

eval::Side generated_side(std::shared_ptr<const Sampler> sampler, Specs specs, const std::string& origin,
                          std::map<std::string, std::string> description) {
  const auto all = std::make_shared<const Specs>(std::move(specs));
  const auto draw = [sampler, all](int64_t first, int64_t last) {
    return sampler->draw_last(std::span(*all).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
  };
  eval::Side side;
  side.name = origin;
  side.images = eval::generated_images(origin, std::ssize(*all), draw, std::move(description));
  if (sampler->has_trajectory())
    side.trajectory = [sampler, all](int64_t count, dist::Group& ranks) {
      return trajectory_of(*sampler, std::span(*all).first(static_cast<size_t>(count)), ranks);
    };
  return side;
}

eval::Side generated_side(const SampleRequest& request, dist::Group& group) {
  const auto [source, sampler] = open_sampler(request, group);
  std::map<std::string, std::string> description = {{"weights", request.weights},
                                                    {"truncation", cat(request.truncation)},
                                                    {"guidance", cat(request.guidance)},
                                                    {"autoencoder", sampler->space()},
                                                    {"seed", cat(request.seed)}};
  if (sampler->conditions().has_classes()) description["labels"] = request.labels;
  eval::Side side = generated_side(sampler, plan_samples(request, sampler->conditions()), source.origin.string(),
                                   std::move(description));
  side.name = request.from.string();
  return side;
}

}  // namespace gigacat::sample
