#include "gigacat/run/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <fstream>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/run/class_names.h"
#include "gigacat/run/weight_source.h"
#include "train/fixtures.h"

namespace gigacat::run {
namespace {

using data::error_of;
using data::TempFolder;
using train::flip_bit;
using train::toy_yaml;
using train::ToyTest;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Checkpoint checkpoint_of(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.tensors["generator"] = {{"weight", at::full({3, 2}, static_cast<float>(step))},
                                     {"mean", at::arange(4.0f)}};
  checkpoint.tensors["optimizer_generator"] = {{"step", at::full({}, static_cast<float>(step))}};
  checkpoint.state = {{"step", step}, {"images", 8 * step}};
  checkpoint.config_yaml = "recipe: toy\n";
  return checkpoint;
}

class CheckpointTest : public testing::Test {
 protected:
  fs::path written(int64_t step) {
    CheckpointWriter writer(folder(), 10, 0);
    writer.write(checkpoint_of(step));
    writer.wait();
    return checkpoint_path(folder(), step);
  }
  fs::path folder() const { return temp_.path("checkpoints"); }
  std::vector<std::string> hidden() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder()))
      if (entry.path().filename().string().starts_with(".")) names.push_back(entry.path().filename().string());
    return names;
  }
  TempFolder temp_;
};

TEST_F(CheckpointTest, ReadsBackWhatWasWritten) {
  const fs::path path = written(12);
  EXPECT_EQ(path.filename(), "step-0000012");
  EXPECT_EQ(verify_checkpoint(path), "");
  const Checkpoint read = read_checkpoint(path), wanted = checkpoint_of(12);
  EXPECT_EQ(read.step, 12);
  EXPECT_EQ(read.state, wanted.state);
  EXPECT_EQ(read.config_yaml, wanted.config_yaml);
  ASSERT_EQ(read.tensors.size(), 2u);
  for (const auto& [stem, tensors] : wanted.tensors)
    for (const auto& [name, tensor] : tensors)
      EXPECT_TRUE(read.tensors.at(stem).at(name).equal(tensor)) << stem << name;
  EXPECT_EQ(read_checkpoint(path, {"generator"}).tensors.size(), 1u);
  EXPECT_THROW(read_checkpoint(path, {"nothing"}), Error);
}

TEST_F(CheckpointTest, NamesOfClassesGoWithItAndWithTheWeights) {
  EXPECT_FALSE(fs::exists(written(5) / "classes.json"));
  EXPECT_THAT(find_weights(written(6), "generator").class_names, IsEmpty());
  Checkpoint named = checkpoint_of(7);
  named.class_names = {"cat", "sea horse", "caf\xe9"};  // a folder of Latin-1
  CheckpointWriter writer(folder(), 9, 0);
  writer.write(named);
  writer.wait();
  const fs::path path = checkpoint_path(folder(), 7);
  const auto known = ElementsAre("cat", "sea horse", "caf\xef\xbf\xbd");
  EXPECT_EQ(verify_checkpoint(path), "");
  EXPECT_THAT(read_checkpoint(path).class_names, known);
  const WeightSource source = find_weights(path, "generator");
  EXPECT_THAT(source.class_names, known);
  EXPECT_THAT(parse_source(to_text(source)).class_names, known);
  EXPECT_EQ(parse_source(to_text(source)).checksum, source.checksum);
  EXPECT_THAT(find_weights(path / "generator.safetensors", "ema").class_names, known);
  EXPECT_EQ(short_name(source), short_name(find_weights(path / "generator.safetensors", "ema")));
  EXPECT_THAT(short_name(source), testing::EndsWith("/step-0000007"));
  write_atomically(path / "classes.json", "[\"cat\"]");
  EXPECT_THAT(verify_checkpoint(path), HasSubstr("classes.json"));
}

TEST(ClassNames, AreAListOrNone) {
  const TempFolder temp;
  EXPECT_THAT(read_class_names(temp.path("")), IsEmpty());
  write_class_names(temp.path(""), {"a", "b"});
  EXPECT_THAT(read_class_names(temp.path("")), ElementsAre("a", "b"));
  for (const char* other : {"{\"a\": 1}", "[1, 2]", "[\"a\"", ""}) {
    temp.write("classes.json", other);
    EXPECT_THAT(read_class_names(temp.path("")), IsEmpty()) << other;
  }
  write_class_names(temp.path(""), {});
  EXPECT_FALSE(fs::exists(temp.path("classes.json")));
}

TEST_F(CheckpointTest, KeepsTheNewestAndTheMultiples) {
  CheckpointWriter writer(folder(), 2, 20);
  for (int64_t step = 5; step <= 50; step += 5) writer.write(checkpoint_of(step));
  writer.wait();
  EXPECT_THAT(list_checkpoints(folder()), ElementsAre(20, 40, 45, 50));
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(CheckpointTest, ReplacesAStepThatIsThereAlready) {
  const fs::path path = written(5);
  std::ofstream(path / "stray.txt") << "of the old one";
  Checkpoint other = checkpoint_of(5);
  other.tensors["generator"]["weight"].fill_(-1);
  CheckpointWriter writer(folder(), 3, 0);
  writer.write(other);
  writer.wait();
  EXPECT_EQ(read_checkpoint(path).tensors["generator"]["weight"][0][0].item<float>(), -1);
  EXPECT_FALSE(fs::exists(path / "stray.txt"));
  EXPECT_THAT(hidden(), IsEmpty());
}

TEST_F(CheckpointTest, CheckpointsOfALaterStepDoNotCountAsNewer) {
  written(30);
  CheckpointWriter writer(folder(), 1, 0);
  writer.write(checkpoint_of(10));
  writer.write(checkpoint_of(20));
  writer.wait();
  EXPECT_THAT(list_checkpoints(folder()), ElementsAre(20, 30));
}

TEST_F(CheckpointTest, RemovesWhatAKilledWriterLeft) {
  written(5);
  fs::create_directories(folder() / ".tmp-step-0000010-999");
  std::ofstream(folder() / ".tmp-step-0000010-999" / "generator.safetensors") << "half";
  CheckpointWriter writer(folder(), 3, 0);
  EXPECT_THAT(hidden(), IsEmpty());
  EXPECT_THAT(list_checkpoints(folder()), ElementsAre(5));
}

TEST_F(CheckpointTest, AWriteThatFailsIsThrownAtTheNext) {
  CheckpointWriter writer(folder(), 3, 0);
  fs::remove_all(folder());
  std::ofstream(folder()) << "a file where the folder was";
  writer.write(checkpoint_of(1));
  EXPECT_THAT(error_of<Error>([&] { writer.write(checkpoint_of(2)); }), HasSubstr("cannot write a checkpoint"));
}

TEST_F(CheckpointTest, KnowsHowLongAWriteTakes) {
  CheckpointWriter writer(folder(), 2, 0);
  EXPECT_EQ(writer.seconds_of_last(), 0);
  EXPECT_EQ(writer.seconds_left(), 0);
  writer.write(checkpoint_of(1));
  writer.wait();
  EXPECT_GT(writer.seconds_of_last(), 0);
  writer.write(checkpoint_of(2));
  EXPECT_LE(writer.seconds_left(), writer.seconds_of_last());
  writer.wait();
  EXPECT_EQ(writer.seconds_left(), 0);
}

TEST_F(CheckpointTest, NoFolderHoldsNoCheckpoint) {
  EXPECT_THAT(list_checkpoints(folder()), IsEmpty());
  EXPECT_EQ(newest_good_checkpoint(folder()), std::nullopt);
}

// What may happen to a file on disk, and what is said about it.
struct Damage {
  const char* name;
  void (*apply)(const fs::path&);
  const char* message;
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class DamagedCheckpoint : public CheckpointTest, public testing::WithParamInterface<Damage> {};

TEST_P(DamagedCheckpoint, IsNamedAndTheOneBeforeIsUsed) {
  const fs::path before = written(10), path = written(20);
  ASSERT_EQ(newest_good_checkpoint(folder()), path);
  GetParam().apply(path);
  EXPECT_THAT(verify_checkpoint(path), HasSubstr(GetParam().message));
  EXPECT_EQ(newest_good_checkpoint(folder()), before);
  EXPECT_THAT(error_of<Error>([&] { read_checkpoint(path); }), HasSubstr(GetParam().message));
}

const fs::path kWeights = "generator.safetensors";

INSTANTIATE_TEST_SUITE_P(
    Checkpoint, DamagedCheckpoint,
    testing::Values(
        Damage{"cut", [](const fs::path& p) { fs::resize_file(p / kWeights, fs::file_size(p / kWeights) - 1); },
               "bytes instead of"},
        Damage{"emptied", [](const fs::path& p) { fs::resize_file(p / kWeights, 0); }, "0 bytes instead of"},
        Damage{"grown", [](const fs::path& p) { std::ofstream(p / kWeights, std::ios::app) << "x"; },
               "bytes instead of"},
        Damage{"flipped_first", [](const fs::path& p) { flip_bit(p / kWeights, 0); },
               "checksum of generator.safetensors differs"},
        Damage{"flipped_last", [](const fs::path& p) { flip_bit(p / kWeights, fs::file_size(p / kWeights) - 1); },
               "checksum"},
        Damage{"flipped_state", [](const fs::path& p) { flip_bit(p / "state.json", 12); },
               "checksum of state.json differs"},
        Damage{"flipped_config", [](const fs::path& p) { flip_bit(p / "config.yaml", 1); },
               "checksum of config.yaml differs"},
        Damage{"file_gone", [](const fs::path& p) { fs::remove(p / kWeights); }, "generator.safetensors is missing"},
        Damage{"commit_gone", [](const fs::path& p) { fs::remove(p / "COMMIT"); }, "never finished (no COMMIT)"},
        Damage{"commit_cut", [](const fs::path& p) { fs::resize_file(p / "COMMIT", 40); }, "COMMIT is damaged"},
        Damage{"commit_empty", [](const fs::path& p) { fs::resize_file(p / "COMMIT", 0); }, "COMMIT is damaged"},
        Damage{"commit_of_another",
               [](const fs::path& p) {
                 std::string commit = read_file(p / "COMMIT");
                 commit.replace(commit.find("\"step\": 20"), 10, "\"step\": 21");
                 write_atomically(p / "COMMIT", commit);
               },
               "COMMIT speaks of step 21"},
        Damage{"commit_is_a_list", [](const fs::path& p) { write_atomically(p / "COMMIT", "[1, 2]"); },
               "COMMIT is damaged"},
        Damage{"commit_without_sizes",
               [](const fs::path& p) {
                 write_atomically(p / "COMMIT", R"({"step": 20, "files": {"state.json": {"size": -1}}})");
               },
               "COMMIT says nothing sensible of state.json"}),
    [](const auto& tested) { return std::string(tested.param.name); });

// Any single bit, anywhere.
TEST_F(CheckpointTest, EveryFlippedBitIsFound) {
  const fs::path path = written(7);
  for (const char* name : {"generator.safetensors", "optimizer_generator.safetensors", "state.json", "config.yaml"}) {
    const uint64_t size = fs::file_size(path / name);
    for (uint64_t offset = 0; offset < size; offset += 1 + size / 16) {
      flip_bit(path / name, offset);
      EXPECT_NE(verify_checkpoint(path), "") << name << " byte " << offset;
      flip_bit(path / name, offset);
    }
  }
  EXPECT_EQ(verify_checkpoint(path), "");
}

}  // namespace
}  // namespace gigacat::run
