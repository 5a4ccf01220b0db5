#include "gigacat/run/weight_source.h"

#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/class_names.h"
#include "gigacat/run/run_folder.h"

namespace gigacat::run {
namespace {

// Of a checkpoint that was verified.
WeightSource of_checkpoint(const fs::path& folder, const std::string& file) {
  return {folder, folder / file, folder / "config.yaml", recorded_checksum(folder, file), read_class_names(folder)};
}

WeightSource of_run(const fs::path& folder, const std::string& file) {
  const fs::path checkpoints = RunFolder::open(folder).checkpoints();
  const auto newest = newest_good_checkpoint(checkpoints, {file});
  if (!newest)
    fail<UsageError>(folder.string(), " holds no checkpoint yet: looked for step-*/COMMIT in ", checkpoints.string());
  return of_checkpoint(*newest, file);
}

WeightSource of_file(const fs::path& file) {
  const fs::path config = fs::absolute(file).parent_path() / "config.yaml";
  if (!fs::exists(config))
    fail<UsageError>("no config.yaml beside ", file.string(), ": it says which model the weights are of");
  return {file, file, config, file_checksum(file), read_class_names(config.parent_path())};
}

}  // namespace

WeightSource find_weights(const fs::path& from, const std::string& weights) {
  if (weights != "ema" && weights != "generator")
    fail<UsageError>("--weights must be ema or generator, not '", weights, "'");
  if (fs::is_regular_file(from) && from.extension() == ".safetensors") return of_file(from);
  const std::string file = weights + ".safetensors";
  if (fs::exists(from / "COMMIT")) {
    const std::string fault = verify_checkpoint(from, {file});
    if (!fault.empty()) fail<UsageError>(from.string(), " is not a whole checkpoint: ", fault);
    return of_checkpoint(from, file);
  }
  if (fs::is_directory(from)) return of_run(from, file);
  fail<UsageError>("nothing to sample from at ", from.string(),
                   ": give a run folder, a checkpoint folder or a generator .safetensors file");
}

std::string short_name(const WeightSource& source) {
  const fs::path weights = fs::absolute(source.weights).lexically_normal(), folder = weights.parent_path();
  if (!fs::exists(folder / "COMMIT")) return weights.filename().string();
  // RUN/checkpoints/step-N, RUN/best, or a checkpoint that was copied away
  const fs::path above =
      folder.parent_path().filename() == "checkpoints" ? folder.parent_path().parent_path() : folder.parent_path();
  return (above.filename() / folder.filename()).string();
}

std::string to_text(const WeightSource& source) {
  const std::vector<std::string> parts = {source.origin.string(), source.weights.string(), source.config.string(),
                                          source.checksum};
  return nlohmann::json{{"parts", parts}, {"classes", source.class_names}}.dump();
}

WeightSource parse_source(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  const auto parts = json.at("parts").get<std::vector<std::string>>();
  return {parts.at(0), parts.at(1), parts.at(2), parts.at(3), json.at("classes").get<std::vector<std::string>>()};
}

bool holds_generator(const fs::path& path) {
  if (fs::is_regular_file(path)) return path.extension() == ".safetensors";
  return fs::exists(path / "COMMIT") || (fs::exists(path / "config.yaml") && fs::is_directory(path / "checkpoints"));
}

}  // namespace gigacat::run
