#include "gigacat/dist/group.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <cstring>
#include <optional>

#include "dist/process_group.h"
#include "gigacat/core/error.h"
#include "gigacat/dist/launcher.h"

namespace gigacat::dist {
namespace {

// One process: every operation leaves things as they are.
class SingleGroup : public Group {
 public:
  explicit SingleGroup(at::Device device) : Group(device) {}
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
  std::shared_ptr<Group> twin() override { return std::make_shared<SingleGroup>(at::kCPU); }
  c10::intrusive_ptr<c10d::ProcessGroup> native() const override { return {}; }
};

}  // namespace

std::shared_ptr<Group> Group::create(const Environment& environment, at::Device device, const GroupOptions& options) {
  if (options.backend != "auto" && options.backend != "gloo" && options.backend != "nccl")
    fail<UsageError>("backend \"", options.backend, "\": expected auto, gloo or nccl");
  if (options.backend == "nccl" && !device.is_cuda())
    fail<UsageError>("backend nccl needs a GPU; the device is ", device.str());
  end_with_launcher();
  if (environment.world == 1) return std::make_shared<SingleGroup>(device);
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

std::string on_first(Group& group, const char* what, const std::function<std::string()>& make,
                     std::chrono::seconds timeout) {
  if (group.size() == 1) return make();
  std::string message;
  if (group.is_first()) {
    try {
      message = "+" + make();
    } catch (const UsageError& error) {
      message = cat("?", error.what());
    } catch (const std::exception& error) {
      message = cat("!", error.what());
    }
  }
  if (timeout.count() > 0) group.barrier(what, timeout);
  message = group.broadcast_text(message, what);
  if (message.at(0) == '?') throw UsageError(message.substr(1));
  if (message.at(0) == '!') throw Error(message.substr(1));
  return message.substr(1);
}

}  // namespace gigacat::dist
