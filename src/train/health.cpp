#include "train/health.h"

#include <algorithm>
#include <cmath>

namespace gigacat::train {
namespace {

// A loss of ten times what was usual, and a gradient of thirty times, is beyond what a good run shows: there both move
// by factors of two or three. Figures that begin near zero are measured against 1.
constexpr double kLossFactor = 10, kGradientFactor = 30, kLeastUsual = 1;
constexpr double kHopeless = 1e6;  // of any loss, from the first log on
constexpr double kAllRight = 0.999, kWonFactor = 3;

bool is_gradient(const std::string& figure) { return figure.starts_with("grad_norm/"); }

// Penalties alone may rise by powers of ten from nearly nothing: weighted, they are in the losses.
bool is_judged(const std::string& figure) {
  if (is_gradient(figure)) return true;
  if (!figure.starts_with("D/") && !figure.starts_with("G/")) return false;
  const std::string term = figure.substr(2);
  return !term.starts_with("r1") && !term.starts_with("r2") && !term.starts_with("accuracy") &&
         !term.starts_with("psnr");
}

}  // namespace

bool Health::Run::add(bool bad, int64_t step) {
  if (!bad) {
    count = 0;
    return false;
  }
  if (count++ == 0) since = step;
  return count == kSuspect || count == kLasting;
}

double Health::usual(const std::string& figure) const {
  const auto found = first_.find(figure);
  if (found == first_.end() || found->second.empty()) return kLeastUsual;
  std::vector<double> values = found->second;
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return std::max(*middle, kLeastUsual);
}

bool Health::is_beyond(const std::string& figure, double value) const {
  if (!std::isfinite(value)) return !is_gradient(figure);  // those are NonfiniteGuard's
  if (beginning_) return std::abs(value) > kHopeless;
  return std::abs(value) > usual(figure) * (is_gradient(figure) ? kGradientFactor : kLossFactor);
}

std::vector<Fault> Health::judge(int64_t step, const std::vector<std::pair<std::string, double>>& figures) {
  std::vector<Fault> faults;
  double real = 0, fake = 0, loss = 0;
  for (const auto& [name, value] : figures) {
    if (name == "D/accuracy_real") real = value;
    if (name == "D/accuracy_fake") fake = value;
    if (name == "G/loss") loss = value;
    if (name == "relative_diversity") {
      highest_diversity_ = std::max(highest_diversity_, value);
      if (alike_.add(value < collapse_ * highest_diversity_, step))
        faults.push_back({Fault::Kind::collapsed, name, value, highest_diversity_, alike_.count == kLasting});
    }
    if (!is_judged(name)) continue;
    Run& beyond = beyond_[name];
    if (beyond.add(is_beyond(name, value), step))
      faults.push_back({Fault::Kind::diverged, name, value, usual(name), beyond.count == kLasting});
    if (beginning_ && std::isfinite(value)) first_[name].push_back(std::abs(value));
  }
  const bool won = !beginning_ && real >= kAllRight && fake >= kAllRight && loss > kWonFactor * usual("G/loss");
  if (won_.add(won, step) && won_.count == kLasting)
    faults.push_back({Fault::Kind::discriminator_won, "G/loss", loss, usual("G/loss"), true});
  beginning_ = beginning_ && (++logs_ < kBeginning || step < kSteps);
  return faults;
}

std::optional<int64_t> Health::diverging_since() const {
  std::optional<int64_t> first;
  for (const auto& [name, run] : beyond_)
    if (run.count > 0) first = std::min(first.value_or(run.since), run.since);
  return first;
}

}  // namespace gigacat::train
