// Results as text and as JSON.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/described.h"
#include "gigacat/core/text.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string side_text(const std::string& name, int64_t images) { return images > 0 ? cat(images, " of ", name) : name; }

// JSON has no infinity: null, and the reason stands in the notes.
nlohmann::json finite_or_null(double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); }

}  // namespace

std::string to_line(const Result& result) {
  if (!result.error.empty()) return cat(result.metric, " could not be computed: ", result.error);
  std::vector<std::string> values;
  for (const auto& [name, value] : result.values) values.push_back(cat(name, " ", number(value)));
  std::string line = join(values, "  ");
  if (!result.protocol.empty()) line += cat("  protocol ", result.protocol);
  if (!result.real.empty()) line += cat("  real ", side_text(result.real, result.real_images));
  line += cat("  fake ", side_text(result.fake, result.fake_images));
  for (const auto& [network, hash] : result.weights) line += cat("  ", network, " ", hash);
  for (const auto& [key, value] : result.description)
    if (key != "provenance" && key != "recipe") line += cat("  ", key, " ", value);
  if (!result.stylegan.empty()) line += cat("  = ", result.stylegan);
  std::vector<std::string> notes;
  for (const auto& [key, text] : result.notes) notes.push_back(text);
  if (!notes.empty()) line += cat("  (", join(notes, "; "), ")");
  return line;
}

nlohmann::json to_json(const Result& result) {
  nlohmann::json json = {{"metric", result.metric},
                         {"fake", result.fake},
                         {"fake_images", result.fake_images},
                         {"seconds", result.seconds},
                         {"weights", nlohmann::json::object()}};
  for (const auto& [name, value] : result.values) json["results"][name] = finite_or_null(value);
  if (!result.error.empty()) {
    json["results"][result.metric] = nullptr;
    json["error"] = result.error;
  }
  if (!result.notes.empty()) json["notes"] = result.notes;
  // StyleGAN's name goes with the first value.
  if (!result.stylegan.empty() && result.error.empty())
    json["results"][result.stylegan] = finite_or_null(result.values.front().second);
  if (!result.protocol.empty()) json["protocol"] = result.protocol;
  if (!result.real.empty()) {
    json["real"] = result.real;
    json["real_images"] = result.real_images;
  }
  for (const auto& [network, hash] : result.weights) json["weights"][network] = hash;
  if (!result.description.empty()) json["description"] = to_json(result.description);
  return json;
}

nlohmann::json to_json(const std::map<std::string, std::string>& description) {
  static const std::set<std::string> numbers = {"downscale", "guidance", "images", "seed", "truncation"};
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [key, text] : description) {
    const nlohmann::json value =
        numbers.contains(key) ? nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false) : nlohmann::json();
    if (value.is_number())
      json[key] = value;
    else
      json[key] = text;
  }
  return json;
}

}  // namespace gigacat::eval
