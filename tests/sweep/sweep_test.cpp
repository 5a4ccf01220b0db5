#include "gigacat/sweep/sweep.h"

#include <gmock/gmock.h>

#include <set>

#include "core/temporary_folder.h"
#include "gigacat/core/error.h"

namespace gigacat::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SweepFile : public ::testing::Test {
 protected:
  SweepFile() { folder_.file("base.yaml", "recipe: cat\nname: base\ndata: {path: images, resolution: 32}\n"); }

  Sweep sweep(const std::string& text) {
    return read_sweep(folder_.file("my.yaml", "base: base.yaml\n" + text), "out");
  }
  std::string refused(const std::string& text) {
    try {
      sweep(text);
    } catch (const UsageError& error) {
      return error.what();
    }
    ADD_FAILURE() << "no error for " << text;
    return "";
  }
  static std::vector<std::string> labels(const Sweep& sweep) {
    std::vector<std::string> all;
    for (const sweep::Run& run : sweep.runs) all.push_back(run.label + " " + std::to_string(run.seed));
    return all;
  }
  TemporaryFolder folder_;
};

TEST_F(SweepFile, RowsTimesGridTimesSeedsInTheOrderOfTheFile) {
  const Sweep made = sweep(
      "rows:\n  without: {loss: {consistency: 0}}\n  base: {}\n"
      "grid: {train: {batch: [8, 16]}}\nseeds: [3, 1]\n");
  EXPECT_THAT(labels(made),
              ElementsAre("without, batch=8 3", "without, batch=8 1", "without, batch=16 3", "without, batch=16 1",
                          "base, batch=8 3", "base, batch=8 1", "base, batch=16 3", "base, batch=16 1"));
  EXPECT_THAT(varied_keys(made), ElementsAre("loss.consistency", "train.batch", "seed"));
  EXPECT_EQ(made.folder, "out/my");
  EXPECT_THAT(made.runs[0].config, HasSubstr("consistency: 0"));
  EXPECT_THAT(made.runs[0].config, HasSubstr("batch: 8"));
}

TEST_F(SweepFile, ZippedValuesGoTogether) {
  const Sweep made = sweep("zip: {model: {generator: {hidden: [64, 128], heads: [2, 4]}}}\n");
  EXPECT_THAT(labels(made), ElementsAre("hidden=64, heads=2 0", "hidden=128, heads=4 0"));
  EXPECT_THAT(refused("zip: {model: {generator: {hidden: [64, 128], heads: [2]}}}\n"), HasSubstr("my.yaml:2:"));
}

TEST_F(SweepFile, ListsOfTheConfigAreValues) {
  const Sweep made = sweep("rows: {equal: {loss: {consistency_weights: [1, 1, 1]}}}\n");
  EXPECT_THAT(made.runs.at(0).config, HasSubstr("consistency_weights: [1, 1, 1]"));
}

TEST_F(SweepFile, SkipsAndRepetitions) {
  const Sweep made = sweep(
      "grid: {train: {batch: [8, 16]}, loss: {consistency: [0, 1]}}\nskip: [\"train.batch=8 loss.consistency=1\"]\n");
  EXPECT_EQ(made.runs.size(), 3u);
  EXPECT_EQ(made.skipped, 1);
  EXPECT_THAT(refused("grid: {train: {batch: [8, 16]}}\nskip: [\"batch\"]\n"), HasSubstr("KEY=VALUE"));
  EXPECT_EQ(sweep("rows: {a: {}, b: {}}\n").runs.size(), 1u) << "the same config twice";
  EXPECT_THAT(refused("grid: {train: {batch: [8]}}\nskip: [\"train.batch=8\"]\n"), HasSubstr("no run is left"));
}

// What a run is called does not change it; what it computes does.
TEST_F(SweepFile, TheContentIsTheIdentity) {
  const Sweep one = sweep("rows: {a: {loss: {consistency: 0}}}\n"),
              same = sweep("rows: {b: {loss: {consistency: 0}}}\n"),
              other = sweep("rows: {a: {loss: {consistency: 1}}}\n"),
              seed = sweep("rows: {a: {loss: {consistency: 0}}}\nseeds: [1]\n");
  EXPECT_EQ(one.runs[0].id, same.runs[0].id);
  EXPECT_EQ((std::set<std::string>{one.runs[0].id, other.runs[0].id, seed.runs[0].id}.size()), 3u);
  EXPECT_EQ(one.runs[0].id.size(), 12u);
}

TEST_F(SweepFile, MistakesAreSaid) {
  EXPECT_THAT(refused("grids: {train: {batch: [8]}}\n"), HasSubstr("did you mean grid?"));
  EXPECT_THAT(refused("grid: {train: {batch: 8}}\n"), HasSubstr("expected a list"));
  EXPECT_THAT(refused("rows: {a: {loss: {consistensy: 0}}}\n"), HasSubstr("run 'a': "));
  EXPECT_THAT(refused("rows: {a: 3}\n"), HasSubstr("a row holds keys"));
  EXPECT_THAT(refused("paper: {a: {fid: low}}\n"), HasSubstr("expected ROW"));
  EXPECT_THAT(refused("average: 0\n"), HasSubstr("average"));
  EXPECT_THAT(refused("metrics: [rewrit]\n"), HasSubstr("did you mean rewrite?"));
  EXPECT_THAT(refused("metrics: [eval/fidd]\n"), HasSubstr("did you mean eval/fid?"));
  EXPECT_THAT(refused("metrics: [eval/nothing_known]\n"), HasSubstr("no run writes"));
  EXPECT_THAT(refused("higher_is_better: [driection]\n"), HasSubstr("did you mean direction?"));
  EXPECT_EQ(sweep("metrics: [G/align_cls, eval/fid@0.9, eval/recall]\n").metrics.size(), 3u);
}

}  // namespace
}  // namespace gigacat::sweep
