// A sweep: one base config and the settings in which its runs differ from it.
//
//   title: CAT's consistency loss            set:  {train: {steps: 200}}        # for all runs
//   base: ../quickstart/emoji-cat.yaml       grid: {loss: {anchor: [attached, detached]}}
//   seeds: [1, 2, 3]                         zip:  {model: {generator: {hidden: [64, 128], heads: [2, 4]}}}
//   metrics: [rewrite]                       rows: {without: {loss: {consistency: 0}}, with: {loss: {consistency: 1}}}
//   average: 5                               skip: ["loss.anchor=detached model.generator.hidden=64"]
//   higher_is_better: [diversity]            paper: {without: {fid: 5.43}, with: {fid: 4.06}}
//   halving: {metric: rewrite, first: 50, factor: 2}                # the worst runs stop early
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gigacat::sweep {

using Settings = std::vector<std::pair<std::string, std::string>>;  // path of the config -> value, in order

// One training run.
struct Run {
  std::string id;     // twelve digits of the hash of its resolved config, without name and out
  std::string label;  // row and what differs, without the seed: runs of one label are averaged
  Settings settings;  // on top of the base
  int64_t seed = 0;
  std::string config;  // resolved, as YAML
};

// Successive halving (arXiv 1502.07943): after `first` steps, and after each `factor` times as many, the best 1 /
// factor of the labels go on.
struct Halving {
  std::string metric;  // empty: all runs go to their end
  int64_t first = 0, factor = 2;
};

struct Sweep {
  std::string name, title;                             // the file's stem; heading of the report
  std::filesystem::path base;                          // config
  std::filesystem::path folder;                        // that the runs and the report go to
  std::vector<std::string> metrics, higher_is_better;  // names in metrics.jsonl
  int64_t average = 1;                                 // records at the end of a run that a value averages
  std::vector<Run> runs;
  Halving halving;
  int64_t skipped = 0;  // combinations left out by `skip`, and repetitions of a config
  std::map<std::string, std::map<std::string, double>> paper;  // label -> metric -> the paper's value
};

// Rows times zip times grid times seeds, in the order of the file. `out`: folder of all sweeps' results; the sweep's
// own is OUT/NAME. Errors: UsageError with FILE:LINE:COLUMN for unknown keys, lists of different lengths in `zip`,
// conditions that are none, and for any run whose config is wrong (with its label).
Sweep read_sweep(const std::filesystem::path& file, const std::filesystem::path& out);

// Keys in which the runs differ.
std::vector<std::string> varied_keys(const Sweep& sweep);

}  // namespace gigacat::sweep
