#include "apply/weight_source.h"

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/train/checkpoint.h"
#include "gigacat/train/run_folder.h"

namespace gigacat::apply {
namespace {

WeightSource from_checkpoint(const fs::path& folder, const std::string& weights) {
  const std::string fault = train::verify_checkpoint(folder);
  if (!fault.empty()) fail<UsageError>(folder.string(), " is not a whole checkpoint: ", fault);
  return source_of(folder, weights);
}

WeightSource from_run(const fs::path& folder, const std::string& weights) {
  const fs::path checkpoints = train::RunFolder::open(folder).checkpoints();
  const auto newest = train::newest_good_checkpoint(checkpoints);
  if (!newest)
    fail<UsageError>(folder.string(), " holds no checkpoint yet: looked for step-*/COMMIT in ", checkpoints.string());
  return from_checkpoint(*newest, weights);
}

WeightSource from_file(const fs::path& file) {
  WeightSource source = source_of(file, "");
  if (!fs::exists(source.config))
    fail<UsageError>("no config.yaml beside ", file.string(), ": it says which model the weights are of");
  return source;
}

}  // namespace

WeightSource source_of(const fs::path& origin, const std::string& weights) {
  if (fs::is_directory(origin)) return {origin, origin / (weights + ".safetensors"), origin / "config.yaml"};
  return {origin, origin, fs::absolute(origin).parent_path() / "config.yaml"};
}

WeightSource find_weights(const fs::path& from, const std::string& weights) {
  if (weights != "ema" && weights != "generator")
    fail<UsageError>("--weights must be ema or generator, not '", weights, "'");
  if (fs::is_regular_file(from) && from.extension() == ".safetensors") return from_file(from);
  if (fs::exists(from / "COMMIT")) return from_checkpoint(from, weights);
  if (fs::is_directory(from)) return from_run(from, weights);
  fail<UsageError>("nothing to sample from at ", from.string(),
                   ": give a run folder, a checkpoint folder or a generator .safetensors file");
}

}  // namespace gigacat::apply
