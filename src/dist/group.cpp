#include "gigacat/dist/group.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "dist/process_group.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/dist/launcher.h"

namespace gigacat::dist {
namespace {

// One process: every operation leaves things as they are.
class SingleGroup : public Group {
 public:
  SingleGroup(at::Device device, const std::string& agent) : Group(device) {
    if (!agent.empty()) agents_.insert(agent);
  }
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce(at::Tensor& tensor, Reduce op, const char* what) override { check_reducible(tensor, op, what); }
  void broadcast(at::Tensor&, int root, const char* what) override { check_root(root, 1, what); }
  at::Tensor all_gather(const at::Tensor& tensor, const char*) override {
    const at::Tensor own = tensor.detach().clone();
    return own.dim() == 0 ? own.reshape({1}) : own;
  }
  void barrier(const char*, std::chrono::seconds) override {}
  void guard(const char*, const std::function<void()>& work) override { work(); }
  const std::set<std::string>& agents() const override { return agents_; }
  c10::intrusive_ptr<c10d::ProcessGroup> native() const override { return {}; }

 private:
  std::set<std::string> agents_;
};

// Takes part in the others' waiting as long as rank 0's main thread is busy. They count those that are.
class BusySignal {
 public:
  BusySignal(Group& group, const char* what) : group_(group), what_(what), thread_([this] { run(); }) {}
  ~BusySignal() {
    if (thread_.joinable()) stop();
  }
  BusySignal(const BusySignal&) = delete;
  BusySignal& operator=(const BusySignal&) = delete;

  // The work is done. Errors: as Group.
  void finish() {
    stop();
    if (error_) std::rethrow_exception(error_);
    group_.sum(0, what_);
  }

 private:
  void run() {
    const auto began = std::chrono::steady_clock::now();
    auto next_warning = kWarnAfter;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::seconds(1), [this] { return done_; })) {
      try {
        group_.sum(1, what_);
      } catch (...) {
        error_ = std::current_exception();
        return;
      }
      if (std::chrono::steady_clock::now() - began < next_warning) continue;
      log::warn(what_, ": rank 0 has been busy for ", human_time(static_cast<double>(next_warning.count())),
                ", and the other ranks wait");
      next_warning *= 2;
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  static constexpr std::chrono::seconds kWarnAfter{60};
  Group& group_;
  const char* what_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace

std::shared_ptr<Group> Group::create(const Environment& environment, at::Device device, const GroupOptions& options) {
  if (options.backend != "auto" && options.backend != "gloo" && options.backend != "nccl")
    fail<UsageError>("backend \"", options.backend, "\": expected auto, gloo or nccl");
  if (options.backend == "nccl" && !device.is_cuda())
    fail<UsageError>("backend nccl needs a GPU; the device is ", device.str());
  end_with_launcher();
  if (environment.rank == 0 && !environment.origin.empty()) log::info("processes: ", environment.origin);
  if (environment.world == 1) return std::make_shared<SingleGroup>(device, environment.agent);
  return make_process_group(environment, device, options);
}

std::string Group::broadcast_text(std::string text, const char* what) {
  at::Tensor length = at::empty({1}, at::kLong).fill_(static_cast<int64_t>(text.size()));
  broadcast(length, 0, what);
  text.resize(static_cast<size_t>(length.item<int64_t>()));
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  if (text.empty()) return text;
  std::memcpy(bytes.data_ptr(), text.data(), text.size());
  broadcast(bytes, 0, what);
  std::memcpy(text.data(), bytes.data_ptr(), text.size());
  return text;
}

std::vector<std::string> gather_texts(Group& group, const std::vector<std::string>& texts, const char* what) {
  at::Tensor lengths = at::empty({std::ssize(texts)}, at::kLong);
  std::string own;
  for (size_t i = 0; i < texts.size(); ++i) {
    lengths[static_cast<int64_t>(i)] = std::ssize(texts[i]);
    own += texts[i];
  }
  lengths = group.all_gather(lengths, what);  // [ranks * n]
  const int64_t longest = lengths.view({group.size(), -1}).sum(1).max().item<int64_t>();
  at::Tensor bytes = at::zeros({1, std::max<int64_t>(longest, 1)}, at::kByte);
  std::memcpy(bytes.data_ptr(), own.data(), own.size());
  bytes = group.all_gather(bytes, what);  // [ranks, longest]
  std::vector<std::string> all;
  for (int64_t i = 0, at = 0; i < lengths.size(0); ++i) {
    if (i % std::ssize(texts) == 0) at = i / std::ssize(texts) * bytes.size(1);
    const auto length = lengths[i].item<int64_t>();
    all.emplace_back(static_cast<const char*>(bytes.const_data_ptr()) + at, static_cast<size_t>(length));
    at += length;
  }
  return all;
}

double Group::sum(double value, const char* what) {
  at::Tensor total = at::empty({1}, at::kDouble).fill_(value);
  all_reduce(total, Reduce::sum, what);
  return total.item<double>();
}

void broadcast_state(Group& group, const std::vector<at::Tensor>& tensors, const char* what) {
  if (group.size() == 1 || tensors.empty()) return;
  check_same_shapes(group, tensors, what);
  const at::NoGradGuard no_grad;
  constexpr size_t kBuffer = 64 << 20;  // bytes sent at once
  group.guard(what, [&] { c10d::broadcast_coalesced(group.native(), tensors, kBuffer); });
}

void check_same_shapes(Group& group, const std::vector<at::Tensor>& tensors, const char* what) {
  group.guard(what, [&] {
    try {
      c10d::verify_params_across_processes(group.native(), tensors, std::nullopt);
    } catch (const c10::DistError&) {
      throw;
    } catch (const c10::Error& error) {
      fail(what, ": the ranks hold different tensors: ", error.what_without_backtrace());
    }
  });
}

void check_reducible(const at::Tensor& tensor, Reduce op, const char* what) {
  GIGACAT_CHECK(tensor.defined(), what, ": no tensor");
  GIGACAT_CHECK(op != Reduce::mean || tensor.is_floating_point(), what, ": mean of ", tensor.toString());
}

void check_root(int root, int size, const char* what) {
  GIGACAT_CHECK(root >= 0 && root < size, what, ": rank ", root, " of ", size);
}

std::string on_first(Group& group, const char* what, const std::function<std::string()>& make) {
  if (group.size() == 1) return make();
  std::string message;
  if (group.is_first()) {
    BusySignal busy(group, what);
    try {
      message = "+" + make();
    } catch (const UsageError& error) {
      message = cat("?", error.what());
    } catch (const c10::Error& error) {
      message = cat("!", error.what_without_backtrace());
    } catch (const std::exception& error) {
      message = cat("!", error.what());
    }
    busy.finish();
  } else {
    while (group.sum(0, what) > 0) continue;
  }
  message = group.broadcast_text(message, what);
  if (message.at(0) == '?') throw UsageError(message.substr(1));
  if (message.at(0) == '!') throw Error(message.substr(1));
  return message.substr(1);
}

void run_on_first(Group& group, const char* what, const std::function<void()>& work) {
  on_first(group, what, [&work] {
    work();
    return std::string();
  });
}

}  // namespace gigacat::dist
