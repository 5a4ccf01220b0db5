// Metrics that compare two sets of images; several share one reading of the images.
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
  int64_t real_count = 0;            // images of the real side, from the first; 0: all
  int64_t fake_count = 0;            // of the generated side; 0: all
  int64_t batch = 0;                 // images per forward call; 0: 16 on a CPU, 64 on a GPU
  int64_t threads = 0;               // decoding threads; 0: half of LibTorch's
  int64_t kid_subset = 0;            // images in each subset of `kid`; 0: 1,000, or fewer where a side has fewer
  std::string prompt_prefix;         // before each caption of `clip`: "A photo depicts "
  double max_bad_fraction = 0.01;    // a metric fails when more of its images than this cannot be read
  std::string cache;                 // folder that keeps statistics of real sides; "": none
  bool quiet = false;                // no warning about small sample counts (training)
};

using Values = std::vector<std::pair<std::string, double>>;  // name, value

// One side of a comparison: images, stored statistics of images, or nothing.
struct Side {
  std::shared_ptr<const ImageSet> images;
  std::optional<StatisticsFile> statistics;
  std::string name;
  // Generators with stages: CAT's trajectory diagnostics over the first `count` samples. A collective.
  std::function<Values(int64_t count, dist::Group& group)> trajectory;
};
// Opens an .npz with mu and sigma, or what open_images takes. `captions`: as open_images. Errors: as open_images and
// read_statistics.
Side open_side(const std::string& path, bool captions = false);

struct Result {
  std::string metric;
  std::string protocol;     // "unknown" for a statistics file that does not state it
  std::string error;        // why the metric could not be computed, and then `values` is empty; "" otherwise
  bool is_refused = false;  // the error is of the request: the sides or the network do not suit the metric
  // The first value carries the metric's usual name: "fid"; "precision", "recall"; "kid", "kid_std".
  Values values;
  int64_t real_images = 0, fake_images = 0;        // 0: none, or unknown
  std::string real, fake;                          // names of the sides
  std::map<std::string, std::string> weights;      // network -> first digits of the hash
  std::map<std::string, std::string> notes;        // remarks, by the value or setting that they explain
  std::string stylegan;                            // StyleGAN's name of the metric ("fid50k_full"), or ""
  std::map<std::string, std::string> description;  // of the generated side: truncation, autoencoder, recipe, ...
  double seconds = 0;                              // of the whole call
};

// All metrics: name and a line of help.
std::vector<std::pair<std::string, std::string>> metric_names();
// Whether any of the metrics needs a caption for each fake image. Errors: UsageError for an unknown metric.
bool needs_captions(const std::vector<std::string>& metrics);
// Names of the values that results hold, as "fid", "precision", "kid_std"; and the metric that a value belongs to, ""
// for an unknown one.
std::vector<std::string> value_names();
std::string metric_of(const std::string& value);
// Why a metric cannot be had of the random samples of a generator; "" when it can. Errors: as needs_captions.
std::string fault_of_samples(const std::string& metric);
// Whether better samples make the metric larger. Errors: as needs_captions.
bool is_larger_better(const std::string& metric);

// Loads the networks of the metrics, so that weights that are missing are an error before any work. Errors: as
// FeatureNetworks; UsageError for an unknown metric.
void load_networks(const std::vector<std::string>& metrics, FeatureNetworks& networks);

// Computes all metrics of a request; the protocol of `networks` prepares images for Inception. All ranks return the
// same results, equal to those of one rank up to rounding. A metric that fails does not cost the others: its result has
// `error`; so has one that the sides do not suit (statistics that lack its feature or were made in another way, random
// samples, images without captions). A collective. Errors, all before any image is read: UsageError for an unknown
// metric, a missing side, too few images, missing weights; as FeatureNetworks.
std::vector<Result> evaluate(const Request& request, const Side& real, const Side& fake, FeatureNetworks& networks,
                             dist::Group& group);

// Statistics of every Inception feature that a Frechet distance can use. A collective.
StatisticsFile measure(const ImageSet& images, const Request& request, FeatureNetworks& networks, dist::Group& group);

// A result as one line for a terminal, and as JSON.
std::string to_line(const Result& result);
nlohmann::json to_json(const Result& result);

}  // namespace gigacat::eval
