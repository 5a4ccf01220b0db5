#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/log.h"
#include "gigacat/nn/state.h"
#include "gigacat/run/checkpoint.h"
#include "gigacat/run/class_names.h"

namespace gigacat::run {
namespace {

constexpr const char* kTemporary = ".tmp-";

nlohmann::json entry_of(const fs::path& file, uint32_t crc) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", crc);
  return {{"size", fs::file_size(file)}, {"crc32c", text}};
}

nlohmann::json write_text(const fs::path& file, const std::string& text) {
  write_atomically(file, text);
  return entry_of(file, crc32c(std::as_bytes(std::span(text))));
}

// All files, COMMIT last. Each is synced, and the folder with it, before the next begins.
void write_files(const fs::path& folder, const Checkpoint& checkpoint) {
  nlohmann::json files;
  for (const auto& [stem, tensors] : checkpoint.tensors) {
    const fs::path file = folder / (stem + ".safetensors");
    files[file.filename().string()] = entry_of(file, nn::write_tensors(file, tensors));
  }
  files["config.yaml"] = write_text(folder / "config.yaml", checkpoint.config_yaml);
  if (!checkpoint.class_names.empty())
    files[kClassFile] = write_text(folder / kClassFile, to_json(checkpoint.class_names));
  files["state.json"] = write_text(folder / "state.json", checkpoint.state.dump(2) + "\n");
  write_atomically(folder / "COMMIT", nlohmann::json{{"step", checkpoint.step}, {"files", files}}.dump(2) + "\n");
  sync_folder(folder);
}

// Moves a finished folder to its place; an older one there changes places with it, so that at each moment one of the
// two stands there.
void put_in_place(const fs::path& temporary, const fs::path& place) {
  if (fs::exists(place)) {
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) {
      sync_folder(place.parent_path());
      fs::remove_all(temporary);
      return;
    }
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
      fail("cannot replace ", place.string(), ": ", std::strerror(errno));
    const fs::path aside = place.parent_path() / cat(kTemporary, "old-", place.filename().string());
    fs::remove_all(aside);
    fs::rename(place, aside);
    fs::rename(temporary, place);
    sync_folder(place.parent_path());
    fs::remove_all(aside);
    return;
  }
  fs::rename(temporary, place);
  sync_folder(place.parent_path());
}

// Takes a checkpoint out of sight by rename before its files go, so that a kill leaves no half of one behind.
void remove_checkpoint(const fs::path& checkpoint) {
  const fs::path aside = checkpoint.parent_path() / cat(kTemporary, "gone-", checkpoint.filename().string());
  fs::rename(checkpoint, aside);
  fs::remove_all(aside);
}

// Which checkpoints stay: the newest ones, multiples, and the newest before a step.
struct Kept {
  int64_t last, every;
  std::optional<int64_t> before;
};

// Checkpoints past `newest` were left by a run that was resumed from before them: they are replaced when their step
// comes.
void prune(const fs::path& folder, int64_t newest, const Kept& keep) {
  auto steps = list_checkpoints(folder);
  std::erase_if(steps, [newest](int64_t step) { return step > newest; });
  int64_t good = -1;
  for (const int64_t step : steps)
    if (keep.before && step < *keep.before) good = step;
  const int64_t surplus = static_cast<int64_t>(steps.size()) - keep.last;
  for (int64_t i = 0; i < surplus; ++i) {
    const bool kept = keep.every > 0 && steps[i] % keep.every == 0;
    if (!kept && steps[i] != good) remove_checkpoint(checkpoint_path(folder, steps[i]));
  }
}

// Errors say that it was a checkpoint that could not be written, and std::filesystem's become ours.
template <class F>
void with_our_errors(const fs::path& folder, const F& work) {
  try {
    work();
  } catch (const std::exception& error) {
    fail("cannot write a checkpoint in ", folder.string(), ": ", error.what());
  }
}

// Returns the seconds that it took.
double write_checkpoint(const fs::path& folder, const Checkpoint& checkpoint, const Kept& keep) {
  const auto began = std::chrono::steady_clock::now();
  const fs::path place = checkpoint_path(folder, checkpoint.step);
  const fs::path temporary = folder / cat(kTemporary, place.filename().string(), "-", ::getpid());
  with_our_errors(folder, [&] {
    fs::remove_all(temporary);
    fs::create_directory(temporary);
    write_files(temporary, checkpoint);
    put_in_place(temporary, place);
    prune(folder, checkpoint.step, keep);
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  log::info("checkpoint ", place.string(), " written in ", human_time(took.count()));
  return took.count();
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path folder, int64_t keep_last, int64_t keep_every)
    : folder_(std::move(folder)), keep_last_(keep_last), keep_every_(keep_every) {
  with_our_errors(folder_, [this] {
    fs::create_directories(folder_);
    std::vector<fs::path> leftovers;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().filename().string().starts_with(kTemporary)) leftovers.push_back(entry.path());
    for (const fs::path& leftover : leftovers) fs::remove_all(leftover);
  });
}

CheckpointWriter::~CheckpointWriter() {
  try {
    wait();
  } catch (const std::exception& error) {
    log::error(error.what());
  }
}

void CheckpointWriter::write(Checkpoint checkpoint) {
  wait();
  began_ = std::chrono::steady_clock::now();
  const Kept keep{keep_last_, keep_every_, keep_before_};
  pending_ = std::async(std::launch::async, [this, keep, checkpoint = std::move(checkpoint)] {
    seconds_of_last_ = write_checkpoint(folder_, checkpoint, keep);
  });
}

void CheckpointWriter::wait() {
  if (pending_.valid()) pending_.get();
}

double CheckpointWriter::seconds_left() const {
  if (!pending_.valid() || pending_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) return 0;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began_;
  return std::max(seconds_of_last_ - passed.count(), 0.0);
}

}  // namespace gigacat::run
