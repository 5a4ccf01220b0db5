// Whether a run diverges, its discriminator has won, or its samples are all alike: judged from the figures of its log.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gigacat::train {

// What is wrong: which figure, what it is now and what it was when the run began.
struct Fault {
  enum class Kind { diverged, discriminator_won, collapsed } kind;
  std::string figure;  // "G/consistency"
  double value, usual;
  bool lasts;  // for kLasting logs: reason enough to stop, where the config wants that
};

// Takes the figures of each log interval in turn and keeps nothing else, so that a run that is resumed comes to the
// same judgement from its metrics.jsonl.
class Health {
 public:
  static constexpr int kBeginning = 5, kSteps = 100;  // logs, and steps, that say what is usual
  static constexpr int kSuspect = 3, kLasting = 10;   // logs in a row until a fault counts, and until it lasts

  // collapse: the samples are alike where relative_diversity is below this share of its highest value.
  explicit Health(double collapse) : collapse_(collapse) {}
  // figures: "D/..." and "G/..." losses, "grad_norm/...", "relative_diversity"; a loss that is not finite counts as
  // beyond all bounds. Returns each fault twice: when it begins to count and when it lasts.
  std::vector<Fault> judge(int64_t step, const std::vector<std::pair<std::string, double>>& figures);
  // The first step of a divergence that is under way or has just begun to show; checkpoints from it on may be no good.
  std::optional<int64_t> diverging_since() const;

 private:
  struct Run {  // logs in a row
    int count = 0;
    int64_t since = 0;
    // Adds a log, or begins again where it is not `bad`; whether the count has come to kSuspect or kLasting.
    bool add(bool bad, int64_t step);
  };
  double usual(const std::string& figure) const;
  bool is_beyond(const std::string& figure, double value) const;
  double collapse_, highest_diversity_ = 0;
  int logs_ = 0;
  bool beginning_ = true;
  std::map<std::string, std::vector<double>> first_;  // sizes of figures in the beginning
  std::map<std::string, Run> beyond_;
  Run won_, alike_;
};

}  // namespace gigacat::train
