// Metrics of two sets of images, several in one pass.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gigacat/dist/group.h"
#include "gigacat/eval/images.h"
#include "gigacat/eval/network.h"
#include "gigacat/eval/statistics.h"

namespace gigacat::eval {

struct Request {
  std::vector<std::string> metrics;  // names of metric_names()
  int64_t real_count = 0;            // images of the real side, the first ones; 0: all
  int64_t fake_count = 0;            // of the generated side; 0: all
  int64_t batch = 0;                 // images at once in a network; 0: what suits the device
  int64_t threads = 0;               // that decode; 0: what the machine has to spare
  std::string prompt_prefix;         // before each caption of `clip`: "A photo depicts "
  std::string cache;                 // folder for statistics of real sides; "": none
  bool quiet = false;                // no warning about few images, as during training
};

using Values = std::vector<std::pair<std::string, double>>;  // figures by name

// A side is a set of images, statistics, or missing.
struct Side {
  std::shared_ptr<const ImageSet> images;
  std::optional<StatisticsFile> statistics;
  std::string name;
  // Of a generator: CAT's diagnostics of how its first N samples come about. A collective.
  std::function<Values(int64_t count, dist::Group& group)> trajectory;
};
// A file with mu and sigma, or what open_images takes. Errors: as open_images and read_statistics.
// `captions`: as open_images.
Side open_side(const std::string& path, bool captions = false);

struct Result {
  std::string metric, protocol;
  // The metric's figures: the first is the one it is known by ("fid"; "precision", "recall"; "kid", "kid_std").
  Values values;
  int64_t real_images = 0, fake_images = 0;        // 0: none, or not known
  std::string real, fake;                          // names of the sides
  std::map<std::string, std::string> weights;      // network -> first digits of the hash
  std::string stylegan;                            // its name there ("fid50k_full"), or ""
  std::map<std::string, std::string> description;  // of the generated side: truncation, autoencoder, recipe, ...
  double seconds = 0;                              // of the whole call
};

// Names of all metrics, and one line on what each needs and measures.
std::vector<std::pair<std::string, std::string>> metric_names();
// Whether one of the metrics needs a text for each fake image. Errors: UsageError for an unknown metric.
bool needs_captions(const std::vector<std::string>& metrics);
// Names of those that better samples make larger; of the others smaller.
bool is_larger_better(const std::string& metric);

// All metrics of a request. The shelf's protocol prepares images for Inception. Results are the same on all ranks;
// those of several ranks are those of one but for rounding. A collective. Errors: UsageError for an unknown metric, a
// side that is missing or lacks the statistics, too few images; as run_pass.
std::vector<Result> evaluate(const Request& request, const Side& real, const Side& fake, NetworkShelf& shelf,
                             dist::Group& group);

// Statistics of a set for every feature that metrics on statistics use of the network "inception". A collective.
StatisticsFile measure(const ImageSet& images, const Request& request, NetworkShelf& shelf, dist::Group& group);

// A line for a terminal, and the JSON of a result.
std::string to_line(const Result& result);
nlohmann::json to_json(const Result& result);

}  // namespace gigacat::eval
