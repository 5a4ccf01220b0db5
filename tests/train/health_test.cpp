#include "train/health.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace gigacat::train {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Figures = std::vector<std::pair<std::string, double>>;

constexpr int kEvery = 20;

// Figures of the log at `index` of a run that is well: losses move by factors up to three, the penalty from nothing to
// one, consistency falls, one log in fifty has a gradient far from the rest.
Figures good(int run, int index) {
  const auto noise = [&](int what) { return std::abs(std::sin(1.7 * run + 12.9898 * index + 78.233 * what)); };
  const double late = std::min(1.0, index / 50.0);
  return {{"D/loss", 0.3 + 0.5 * noise(0)},
          {"D/r1", late * (0.01 + 3 * noise(1))},
          {"D/accuracy_real", 0.6 + 0.4 * noise(2)},
          {"D/accuracy_fake", run % 4 == 0 ? 1.0 : 0.5 + 0.5 * noise(3)},
          {"G/loss", 0.7 + (1 + run % 3) * noise(4)},
          {"G/consistency", 2 - 1.5 * late + 0.4 * noise(5)},
          {"grad_norm/D", 0.5 + 4 * noise(6)},
          {"grad_norm/G", index % 50 == 37 ? 200 : 0.2 + 3 * noise(7)},
          {"relative_diversity", 0.3 + 0.5 * noise(8)}};
}

double& at(Figures& figures, const std::string& name) {
  for (auto& [key, value] : figures)
    if (key == name) return value;
  throw std::out_of_range(name);
}

// "KIND FIGURE STEP", with "!" where the fault lasts.
template <class Change>
std::vector<std::string> faults_of(Health& health, int from, int to, const Change& change) {
  std::vector<std::string> seen;
  for (int index = from; index < to; ++index) {
    Figures figures = good(1, index);
    change(index, figures);
    for (const Fault& fault : health.judge(index * kEvery, figures))
      seen.push_back(std::to_string(static_cast<int>(fault.kind)) + " " + fault.figure + " " +
                     std::to_string(index * kEvery) + (fault.lasts ? "!" : ""));
  }
  return seen;
}

TEST(Health, TwentyGoodRunsAreSilent) {
  for (int run = 0; run < 20; ++run) {
    Health health(0.2);
    for (int index = 1; index < 300; ++index)
      EXPECT_THAT(health.judge(index * kEvery, good(run, index)), IsEmpty()) << "run " << run << ", log " << index;
  }
}

TEST(Health, NamesTheTermThatDiverges) {
  Health health(0.2);
  const auto seen = faults_of(health, 1, 60, [](int index, Figures& figures) {
    if (index >= 17) at(figures, "G/consistency") = 100;
  });
  EXPECT_THAT(seen, ElementsAre("0 G/consistency 380", "0 G/consistency 520!"));
  EXPECT_EQ(health.diverging_since(), 340);
}

TEST(Health, ALossThatIsNoNumberDivergesFromTheFirstLogOn) {
  Health health(0.2);
  const auto seen = faults_of(health, 1, 5, [](int, Figures& figures) {
    at(figures, "G/loss") = std::numeric_limits<double>::quiet_NaN();
    at(figures, "grad_norm/G") = std::numeric_limits<double>::infinity();
  });
  EXPECT_THAT(seen, ElementsAre("0 G/loss 60"));
}

TEST(Health, SeesThatTheDiscriminatorHasWon) {
  Health health(0.2);
  const auto seen = faults_of(health, 1, 40, [](int index, Figures& figures) {
    if (index < 10) return;
    at(figures, "D/accuracy_real") = at(figures, "D/accuracy_fake") = 1;
    at(figures, "G/loss") = 9;
  });
  EXPECT_THAT(seen, ElementsAre("1 G/loss 380!"));
}

TEST(Health, SeesSamplesGrowAlike) {
  Health health(0.2);
  const auto seen = faults_of(health, 1, 40, [](int index, Figures& figures) {
    if (index >= 10) at(figures, "relative_diversity") = 0.05;
  });
  EXPECT_THAT(seen, ElementsAre("2 relative_diversity 240", "2 relative_diversity 380!"));
}

TEST(Health, OneThatIsToldTheRunSoFarJudgesAlike) {
  const auto change = [](int index, Figures& figures) {
    if (index >= 10) at(figures, "grad_norm/G") = 1e4;
  };
  Health whole(0.2), resumed(0.2);
  const auto all = faults_of(whole, 1, 40, change);
  auto parts = faults_of(resumed, 1, 14, change);  // what a resumed run reads from its log
  const auto rest = faults_of(resumed, 14, 40, change);
  parts.insert(parts.end(), rest.begin(), rest.end());
  EXPECT_EQ(parts, all);
  EXPECT_EQ(all.size(), 2u);
}

}  // namespace
}  // namespace gigacat::train
