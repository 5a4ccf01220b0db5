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
      return eval::mean_trajectory(count, sampler->rows(), ranks, [&](int64_t first, int64_t last) {
        return sampler->diagnostics(
            std::span(*items).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
      });
    };
  return side;
}

bool holds_generator(const fs::path& path) {
  if (fs::is_regular_file(path)) return path.extension() == ".safetensors";
  return fs::exists(path / "COMMIT") || (fs::exists(path / "config.yaml") && fs::is_directory(path / "checkpoints"));
}

}  // namespace gigacat::apply
