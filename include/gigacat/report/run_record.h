// What a run folder says of its run. Nothing in the folder is changed or locked, so that a run may be under way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gigacat/report/chart.h"

namespace gigacat::report {

// Metric -> its values over the steps: every number of metrics.jsonl, and "eval/NAME" of evaluations.
using Curves = std::map<std::string, std::vector<Point>>;

// The results of one metric at one step.
struct EvaluationRecord {
  int64_t step = 0;
  std::vector<std::pair<std::string, std::string>> figures;  // name, number as text
  std::string real;                                          // what the samples were compared with
  int64_t real_images = 0, fake_images = 0;
};

// What eval.best has chosen.
struct BestCheckpoint {
  std::string metric;  // "": nothing
  double value = 0;
  int64_t step = 0;
};

struct MetricsFile {
  Curves curves;
  std::vector<EvaluationRecord> evaluations;
  int64_t damaged_lines = 0;  // that are no JSON object with a step; the last one may still be being written
};

// A grid of samples: samples/fakes-STEP.png.
struct SampleGrid {
  int64_t step = 0;
  std::filesystem::path file;
};

// One process of the run, from its start or its resumption to its end.
struct Session {
  std::string started, ended;             // "2026-11-30 22:11:03", of its first and last log line
  double seconds = 0;                     // between those
  int64_t first_step = 0, last_step = 0;  // done before it, and the last one that its log names
  std::string end;  // "finished", "stopped on request", "failed: ...", "running", or "" when it was killed
};

// What the log warns of, and what happened to the run, in order of time.
struct Event {
  std::string kind;  // "warning", "error", "resumed", "killed", "stopped"
  std::string time;  // of its first occurrence
  int64_t step = 0;  // the last one that the log names before it
  std::string text;
  int64_t times = 1;  // equal lines but for their numbers
};

struct RunRecord {
  std::string name;  // of the folder
  std::filesystem::path folder;
  std::string config;                       // config.yaml
  std::map<std::string, std::string> info;  // values of run.json by path, as "data.samples"; none: it is not there
  BestCheckpoint best;
  MetricsFile metrics;
  std::vector<SampleGrid> grids;  // ascending
  std::filesystem::path reals;    // the grid of real images; empty when there is none
  std::vector<Session> sessions;
  std::vector<Event> events;
};

// Of metrics.jsonl; nothing when there is no such file. Errors: Error when it cannot be read.
MetricsFile read_metrics(const std::filesystem::path& file);
// Grids in a folder samples/, by step; nothing when there is no such folder.
std::vector<SampleGrid> find_grids(const std::filesystem::path& samples);
// Of log.txt: `alive`: whether the run's last process still runs.
void read_log(const std::string& text, bool alive, std::vector<Session>& sessions, std::vector<Event>& events);
// Errors: UsageError when `folder` is no run folder, Error when a file cannot be read.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace gigacat::report
