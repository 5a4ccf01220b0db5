// Whole runs of the toy GAN in this process.
#include "gigacat/train/trainer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/image.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/class_names.h"
#include "gigacat/run/run_folder.h"
#include "train/fixtures.h"
#include "train/toy/recipe.h"

namespace gigacat::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// The toy GAN with something that happens in the generator's half of a step (0 first).
std::function<void(int64_t step, recipes::Loss& loss)> event;

class Eventful : public toy::Recipe {
 public:
  using toy::Recipe::Recipe;
  recipes::Loss generator_loss(const recipes::Batch& batch, const at::Tensor& fakes) override {
    recipes::Loss loss = toy::Recipe::generator_loss(batch, fakes);
    event(batch.step, loss);
    return loss;
  }
};

struct EventfulLoss : toy::LossConfig {
  std::unique_ptr<recipes::Recipe> build(models::Model& model, const nn::Init& init) const override {
    return std::make_unique<Eventful>(dynamic_cast<toy::Model&>(model), r1, init);
  }
};

class TrainTest : public ToyTest {
 protected:
  TrainTest() {
    event = [](int64_t, recipes::Loss&) {};
    [[maybe_unused]] static const bool registered = [] {
      recipes::register_recipe("eventful", [] {
        return recipes::GanConfig{std::make_unique<toy::ModelConfig>(), std::make_unique<EventfulLoss>()};
      });
      return true;
    }();
  }
};

const auto kPoison = [](recipes::Loss& loss) {
  loss.total = loss.total * std::numeric_limits<float>::quiet_NaN();
  loss.terms[0].second = loss.total.detach();
};

TEST_F(TrainTest, MakesAWholeRunFolder) {
  const fs::path run = this->run({"train.steps=12", "log.samples_every=6"}, {.command = "gigacat train toy.yaml"});
  EXPECT_EQ(run.filename(), "00000-toy");
  for (const char* name : {"config.yaml", "run.json", "log.txt", "metrics.jsonl", "samples/fakes-0000006.png",
                           "samples/fakes-0000012.png", "samples/reals-0000000.png"})
    EXPECT_TRUE(fs::exists(run / name)) << name;
  EXPECT_THAT(run::list_checkpoints(run / "checkpoints"), ElementsAre(10, 12));
  for (const fs::path& folder : {run, run / "checkpoints/step-0000010", run / "checkpoints/step-0000012"})
    EXPECT_THAT(run::read_class_names(folder), ElementsAre("a", "b"));

  const auto info = nlohmann::json::parse(read_file(run / "run.json"));
  EXPECT_EQ(info["command"], "gigacat train toy.yaml");
  EXPECT_EQ(info["data"]["samples"], 24);
  EXPECT_EQ(info["data"]["identity"].get<std::string>().size(), 129u);
  EXPECT_EQ(run::parse_config(read_file(run / "config.yaml"), "run")->data.num_classes, 2);  // found in the data
  const std::string log = read_file(run / "log.txt");
  for (const char* phase : {"device", "rendezvous", "data index", "networks", "weights broadcast", "first step"})
    EXPECT_THAT(log, HasSubstr(cat(phase, ": ")));

  const std::string png = read_file(run / "samples/fakes-0000012.png");
  EXPECT_EQ(io::probe_image(std::as_bytes(std::span(png)), "grid").width, 2 * 96 + 2);
}

TEST_F(TrainTest, MetricsHoldEveryFigure) {
  const auto lines = metrics_of(run({"train.steps=12", "log.peak_tflops=1"}));
  std::vector<int64_t> steps;
  for (const auto& line : lines) steps.push_back(line["step"]);
  EXPECT_THAT(steps, ElementsAre(1, 5, 10, 12));
  const auto& last = lines.back();
  for (const char* key : {"kimg",
                          "D/loss",
                          "D/adversarial",
                          "D/size",
                          "D/accuracy_real",
                          "D/accuracy_fake",
                          "G/loss",
                          "G/adversarial",
                          "grad_norm/D",
                          "grad_norm/G",
                          "lr/D",
                          "lr/G",
                          "skipped/D",
                          "skipped/G",
                          "brightness",
                          "diversity",
                          "relative_diversity",
                          "images_per_second",
                          "time/data",
                          "time/D",
                          "time/G",
                          "time/other",
                          "memory/resident_gib",
                          "memory/peak_resident_gib",
                          "tflops",
                          "mfu"})
    EXPECT_TRUE(last.contains(key) && last[key].is_number()) << key;
  EXPECT_DOUBLE_EQ(last["kimg"], 12 * 8 / 1000.0);
  EXPECT_DOUBLE_EQ(last["lr/G"], 0.002);
  EXPECT_NEAR(last["time/data"].get<double>() + last["time/D"].get<double>() + last["time/G"].get<double>() +
                  last["time/other"].get<double>(),
              1, 1e-9);
  EXPECT_NEAR(last["D/loss"].get<double>(), last["D/adversarial"].get<double>() + 0.1 * last["D/size"].get<double>(),
              1e-5);
}

TEST_F(TrainTest, TracesTheStepsThatAreAskedFor) {
  const fs::path run = this->run({"train.steps=6", "train.profile.from=2", "train.profile.steps=2"});
  const auto trace = nlohmann::json::parse(read_file(run / "profile" / "trace-step-3.json"));
  std::map<std::string, int> ranges;
  bool memory = false;
  for (const auto& item : trace.at("traceEvents")) {
    if (item.value("cat", "") == "user_annotation") ++ranges[item.at("name").get<std::string>()];
    memory = memory || item.value("name", "") == "[memory]";
  }
  EXPECT_EQ(ranges, (std::map<std::string, int>{{"D", 2}, {"EMA", 2}, {"G", 2}, {"data", 2}, {"optimizer", 4}}));
  EXPECT_TRUE(memory);
}

TEST_F(TrainTest, TheSameRunTwiceGivesTheSameBits) {
  const auto first = weights_of(run({"train.steps=6"}), 6), second = weights_of(run({"train.steps=6"}), 6);
  EXPECT_EQ(difference(first, second), 0);
  EXPECT_GT(difference(first, weights_of(run({"train.steps=6", "seed=1"}), 6)), 0.1);
}

TEST_F(TrainTest, OneForwardServesBothHalves) {
  const auto shared = weights_of(run({"train.steps=6"}), 6);
  const auto separate = weights_of(run({"train.steps=6", "train.reuse_fakes=false"}), 6);
  EXPECT_EQ(difference(shared, separate), 0);
}

TEST_F(TrainTest, AccumulationGivesTheWholeBatchsGradient) {
  const auto whole = weights_of(run({"train.steps=6"}), 6);
  auto parts = weights_of(run({"train.steps=6", "train.accumulate=4"}), 6);
  // The toy's running mean is that of the last part.
  for (const char* name : {"ema/mean", "generator/mean"}) parts[name] = whole.at(name);
  EXPECT_LT(difference(whole, parts), 1e-4);
}

TEST_F(TrainTest, HalfPrecisionsStayNearFloat32) {
  const auto losses = [this](const char* precision) {
    const auto lines = metrics_of(run({"train.steps=10", cat("train.precision=", precision)}));
    // A float16 run begins with a loss scale that is too large and skips steps until it fits.
    EXPECT_LE(lines.back()["skipped/G"], std::string_view(precision) == "fp16" ? 2 : 0) << precision;
    return lines.back()["D/loss"].get<double>();
  };
  const double full = losses("fp32");
  EXPECT_EQ(losses("tf32"), full);  // TF32 is a thing of GPUs
  EXPECT_NEAR(losses("bf16"), full, 0.02);
  EXPECT_NEAR(losses("fp16"), full, 0.02);
}

TEST_F(TrainTest, LearningRateFollowsTheSchedule) {
  const auto lines =
      metrics_of(run({"train.steps=4", "log.every=1", "optimizer.schedule=warmup", "optimizer.warmup=4"}));
  for (size_t i = 0; i < 4; ++i)
    EXPECT_DOUBLE_EQ(lines[i]["lr/D"].get<double>(), 0.002 * static_cast<double>(i + 1) / 4);
}

TEST_F(TrainTest, AStepThatIsNotFiniteIsSkipped) {
  event = [](int64_t step, recipes::Loss& loss) {
    if (step == 3 || step == 4) kPoison(loss);
  };
  const fs::path run = this->run({"recipe=eventful", "train.steps=8", "log.every=1"});
  const auto lines = metrics_of(run);
  EXPECT_EQ(lines[3]["skipped/G"], 1);
  EXPECT_EQ(lines[7]["skipped/G"], 2);
  EXPECT_EQ(lines[7]["skipped/D"], 0);
  EXPECT_TRUE(lines[3]["G/loss"].is_null());  // JSON has no NaN
  for (const auto& [name, tensor] : weights_of(run, 8)) EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  EXPECT_THAT(read_file(run / "log.txt"), HasSubstr("step 4: the gradient of the generator is not finite"));
}

TEST_F(TrainTest, StopsWithADiagnosisAfterTooManyInARow) {
  event = [](int64_t step, recipes::Loss& loss) {
    if (step >= 12) kPoison(loss);
  };
  const std::string error = error_of<Error>([&] { run({"recipe=eventful", "train.nonfinite_limit=3"}); });
  EXPECT_THAT(error, AllOf(HasSubstr("step 15"), HasSubstr("3 steps in a row"), HasSubstr("adversarial nan"),
                           HasSubstr("loss term adversarial")));
  EXPECT_THAT(read_file(newest_run(out()) / "log.txt"), HasSubstr(error));
  EXPECT_THAT(run::list_checkpoints(newest_run(out()) / "checkpoints"), ElementsAre(10));
}

TEST_F(TrainTest, ASignalGivesACheckpointAndItsOwnCode) {
  for (const auto& [signal, code] :
       {std::pair(SIGINT, kExitInterrupted), {SIGTERM, kExitTerminated}, {SIGUSR1, kExitTimeLimit}}) {
    event = [signal = signal](int64_t step, recipes::Loss&) {
      if (step == 2) raise(signal);
    };
    const fs::path run = this->run({"recipe=eventful"}, {}, code);
    EXPECT_THAT(run::list_checkpoints(run / "checkpoints"), ElementsAre(3)) << "signal " << signal;
    EXPECT_THAT(read_file(run / "log.txt"), HasSubstr("stopped on request after step 3"));
  }
}

TEST_F(TrainTest, WarnsWhenSamplesGrowAlike) {
  event = [](int64_t, recipes::Loss&) {};
  const fs::path run = this->run({"train.steps=10", "log.every=1", "optimizer.lr=0.5", "log.diversity_warning=1"});
  EXPECT_THAT(read_file(run / "log.txt"), HasSubstr("the samples have grown alike"));
}

TEST_F(TrainTest, StopsWhenItDivergesAndKeepsTheLastGoodCheckpoint) {
  event = [](int64_t step, recipes::Loss& loss) {
    if (step > 120) loss.total = loss.total * 1e4;
  };
  const std::vector<std::string> often{"recipe=eventful", "train.steps=150", "log.every=2", "checkpoint.every=10",
                                       "checkpoint.keep_last=1"};
  const fs::path warned = this->run(often);
  EXPECT_THAT(read_file(warned / "log.txt"), AllOf(HasSubstr("the run diverges: "), HasSubstr("lower optimizer.lr")));
  EXPECT_THAT(run::list_checkpoints(warned / "checkpoints"), ElementsAre(120, 150));

  std::vector<std::string> stopping = often;
  stopping.emplace_back("train.stop_on=[nonfinite,diverged]");
  const std::string message = error_of<Error>([&] { this->run(stopping); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("step 140: the run diverges"), HasSubstr("train.stop_on"), HasSubstr("step-0000120")));
  EXPECT_THAT(run::list_checkpoints(newest_run(out()) / "checkpoints"), ElementsAre(120, 130));
}

TEST_F(TrainTest, ErrorsOfTheUserComeBeforeAnythingIsMade) {
  EXPECT_THAT(error_of<UsageError>([&] { run({"data.path=" + folder_.path("nowhere")}); }), HasSubstr("nowhere"));
  EXPECT_THAT(error_of<UsageError>([&] { run({"train.device=cuda:99"}); }), HasSubstr("cuda"));
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(TrainTest, DryRunTellsWhatWouldHappen) {
  const auto loaded = config({"train.batch=24", "train.accumulate=3"});
  const std::string report = dry_run(*loaded, 4);
  EXPECT_THAT(report, AllOf(HasSubstr("24 = 4 ranks x 3 parts x 2 samples"),
                            HasSubstr("24 samples, 2 classes; first [3, 8, 8], label "), HasSubstr("[3, 8, 8]"),
                            HasSubstr("parameters"), HasSubstr("memory")));
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_THAT(error_of<UsageError>([&] { dry_run(*loaded, 7); }), HasSubstr("not divisible by 7 ranks"));
  EXPECT_THROW(dry_run(*loaded, 0), UsageError);
  const std::string plain = dry_run(*config({"data.labels=false"}), 1);
  EXPECT_THAT(plain, HasSubstr("24 samples; first [3, 8, 8]\n"));
  EXPECT_THAT(plain, AllOf(Not(HasSubstr("class")), Not(HasSubstr("label"))));
}

}  // namespace
}  // namespace gigacat::train
