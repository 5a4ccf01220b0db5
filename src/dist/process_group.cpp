#include "dist/process_group.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "dist/cuda_abi.h"
#include "dist/rendezvous.h"
#include "dist/sockets.h"
#include "gigacat/core/error.h"
#include "gigacat/core/host.h"
#include "gigacat/core/log.h"
#include "gigacat/core/random.h"
#include "gigacat/dist/device.h"

namespace gigacat::dist {
namespace {

using Milliseconds = std::chrono::milliseconds;
using BackendType = c10d::ProcessGroup::BackendType;
using Native = c10::intrusive_ptr<c10d::ProcessGroup>;

c10d::ReduceOp::RedOpType reduce_op(Reduce op) {
  switch (op) {
    case Reduce::max:
      return c10d::ReduceOp::MAX;
    case Reduce::min:
      return c10d::ReduceOp::MIN;
    case Reduce::sum:
    case Reduce::mean:  // Gloo knows no mean: the sum is divided
      break;
  }
  return c10d::ReduceOp::SUM;
}

// NCCL's own watchdog ends the process without naming the missing rank: the detector comes first.
constexpr std::chrono::seconds kNcclPatience{60};

// First line of a library's error, without the place in its source.
std::string short_reason(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  const size_t end = line.rfind("] ", line.find(" ["));
  return !line.empty() && line[0] == '[' && end != std::string::npos ? line.substr(end + 2) : line;
}

class ProcessGroupImpl : public Group {
 public:
  ProcessGroupImpl(Native native, Rendezvous rendezvous, const Environment& environment, at::Device device,
                   const GroupOptions& options)
      : Group(device),
        native_(std::move(native)),
        rendezvous_(std::move(rendezvous)),
        options_(options),
        detector_(rendezvous_.watch_store, {.rank = environment.rank,
                                            .size = environment.world,
                                            .hosts_store = rendezvous_.hosts_store,
                                            .timeout = options.timeout,
                                            .on_hang = [this](const std::string& message) { give_up(message); }}) {}
  ~ProcessGroupImpl() override { close_gpu(); }

  int rank() const override { return native_->getRank(); }
  int size() const override { return native_->getSize(); }
  Native native() const override { return native_; }
  HangDetector& detector() { return detector_; }

  void all_reduce(at::Tensor& tensor, Reduce op, const char* what) override;
  void broadcast(at::Tensor& tensor, int root, const char* what) override;
  at::Tensor all_gather(const at::Tensor& tensor, const char* what) override;
  void barrier(const char* what, std::chrono::seconds timeout) override;
  void guard(const char* what, const std::function<void()>& work) override;
  const std::set<std::string>& agents() const override { return rendezvous_.agents; }

 private:
  void reduce(at::Tensor& tensor, Reduce op, const char* what, Milliseconds timeout);
  void exchange(const char* what, bool on_gpu, Milliseconds timeout,
                const std::function<c10::intrusive_ptr<c10d::Work>()>& start);
  [[noreturn]] void report(const char* what, const char* reason, Milliseconds waited);
  bool uses_nccl() const { return native_->getBackendType() == BackendType::NCCL; }
  void give_up(const std::string& message);
  void check_alive();
  void watch_gpu(const char* what);
  void close_gpu() noexcept;

  Native native_;
  const Rendezvous rendezvous_;
  const GroupOptions options_;
  std::mutex mutex_;
  std::string hang_;  // what the detector has found, or ""
  std::atomic<bool> failed_ = false;
  HangDetector detector_;
};

void ProcessGroupImpl::report(const char* what, const char* reason, Milliseconds waited) {
  const std::string text = short_reason(reason);
  const bool slow = text.find("imed out") != std::string::npos || text.find("imeout") != std::string::npos;
  failed_ = true;
  const std::string missing = detector_.diagnose();
  fail(what, " failed on rank ", rank(), slow ? cat(" after ", waited.count() / 1000, " s") : "", ": ", missing, " (",
       text, ")");
}

// On the detector's thread, while this rank may be waiting for the GPU: aborting NCCL ends that.
void ProcessGroupImpl::give_up(const std::string& message) {
  log::error(message);
  failed_ = true;
  {
    const std::lock_guard lock(mutex_);
    hang_ = message;
  }
  if (uses_nccl()) native_->getBackend(BackendType::NCCL)->abort();
}

// After an abort the values on the GPU are not those of a collective.
void ProcessGroupImpl::check_alive() {
  const std::lock_guard lock(mutex_);
  if (!hang_.empty()) throw Error(hang_);
}

// A backward returns before NCCL's kernels have ended; what waits for a missing rank is then the next synchronisation,
// wherever it is.
void ProcessGroupImpl::watch_gpu(const char* what) {
  if (!uses_nccl()) return;
  const auto event = std::make_shared<c10::Event>(at::kCUDA);
  event->record(c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device()));
  detector_.watch(what, [event] { return event->query(); });
}

// NCCL has to be shut down before it is destroyed. After a failure, and when an error ends this rank, its peers may
// never come: nothing is waited for.
void ProcessGroupImpl::close_gpu() noexcept {
  if (!uses_nccl()) return;
  try {
    const auto backend = native_->getBackend(BackendType::NCCL);
    failed_ || std::uncaught_exceptions() > 0 ? backend->abort() : backend->shutdown();
  } catch (const std::exception& error) {
    log::debug("closing NCCL: ", error.what());
  }
}

void ProcessGroupImpl::exchange(const char* what, bool on_gpu, Milliseconds timeout,
                                const std::function<c10::intrusive_ptr<c10d::Work>()>& start) {
  check_alive();
  const ActiveCollective active(detector_, what);
  try {
    // Gloo keeps the time itself. NCCL, given a time, waits for the end of the exchange and not only for its launch,
    // so that a late rank is an error here.
    start()->wait(on_gpu ? timeout : kNoTimeout);
  } catch (const gloo::Exception& error) {
    report(what, error.what(), timeout);
  } catch (const c10::Error& error) {
    report(what, error.what_without_backtrace(), timeout);
  }
}

void ProcessGroupImpl::guard(const char* what, const std::function<void()>& work) {
  check_alive();
  const ActiveCollective active(detector_, what);
  try {
    work();
    watch_gpu(what);
  } catch (const gloo::Exception& error) {
    report(what, error.what(), options_.timeout);
  } catch (const c10::DistError& error) {
    report(what, error.what_without_backtrace(), options_.timeout);
  }
}

void ProcessGroupImpl::reduce(at::Tensor& tensor, Reduce op, const char* what, Milliseconds timeout) {
  check_reducible(tensor, op, what);
  if (tensor.numel() == 0) return;
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> list{tensor.contiguous()};
  c10d::AllreduceOptions options;
  options.reduceOp = reduce_op(op);
  options.timeout = timeout;
  exchange(what, tensor.is_cuda(), timeout, [&] { return native_->allreduce(list, options); });
  if (op == Reduce::mean) list[0].div_(size());
  if (!list[0].is_same(tensor)) tensor.copy_(list[0]);
}

void ProcessGroupImpl::all_reduce(at::Tensor& tensor, Reduce op, const char* what) {
  reduce(tensor, op, what, options_.timeout);
}

void ProcessGroupImpl::broadcast(at::Tensor& tensor, int root, const char* what) {
  check_root(root, size(), what);
  if (tensor.numel() == 0) return;
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> list{tensor.contiguous()};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  options.timeout = options_.timeout;
  exchange(what, tensor.is_cuda(), options_.timeout, [&] { return native_->broadcast(list, options); });
  if (!list[0].is_same(tensor)) tensor.copy_(list[0]);
}

at::Tensor ProcessGroupImpl::all_gather(const at::Tensor& tensor, const char* what) {
  at::Tensor input = tensor.detach().contiguous();
  if (input.dim() == 0) input = input.reshape({1});
  std::vector<int64_t> sizes = input.sizes().vec();
  sizes[0] *= size();
  at::Tensor output = at::empty(sizes, input.options());
  if (input.numel() == 0) return output;
  c10d::AllgatherOptions options;
  options.timeout = options_.timeout;
  exchange(what, tensor.is_cuda(), options_.timeout, [&] { return native_->_allgather_base(output, input, options); });
  return output;
}

void ProcessGroupImpl::barrier(const char* what, std::chrono::seconds timeout) {
  at::Tensor present = at::ones({1});
  reduce(present, Reduce::sum, what, timeout.count() > 0 ? Milliseconds(timeout) : options_.timeout);
}

using GlooOptions = c10::intrusive_ptr<c10d::ProcessGroupGloo::Options>;

// The address at which other ranks reach this one. Gloo by itself takes the one that this machine's name stands for,
// which is often 127.0.1.1: of use to no other machine.
std::string gloo_address(const Environment& environment) {
  const std::string address = address_towards(environment.master_address, environment.master_port);
  const bool one_machine = environment.local_world == environment.world;
  return one_machine || !is_loopback(address) ? address : address_towards(kExternalAddress, environment.master_port);
}

GlooOptions gloo_options(const Environment& environment, const GroupOptions& options) {
  using Gloo = c10d::ProcessGroupGloo;
  if (std::getenv("GLOO_SOCKET_IFNAME") != nullptr) return Gloo::Options::create_default(options.timeout);
  GlooOptions gloo = Gloo::Options::create(options.timeout);
  gloo->devices.push_back(is_interface(options.bind) ? Gloo::createDeviceForInterface(options.bind)
                                                     : Gloo::createDeviceForHostname(gloo_address(environment)));
  return gloo;
}

c10::intrusive_ptr<c10d::Backend> make_gloo(const Environment& environment, const GroupOptions& options,
                                            const c10::intrusive_ptr<c10d::Store>& store) {
  return c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store),
                                                     environment.rank, environment.world,
                                                     gloo_options(environment, options));
}

c10::intrusive_ptr<c10d::Backend> make_nccl(const Environment& environment, const GroupOptions& options,
                                            const c10::intrusive_ptr<c10d::Store>& store) {
  const auto make = reinterpret_cast<cuda_abi::MakeNcclGroup*>(cuda_symbol("gigacat_make_nccl_group"));
  return make(c10::make_intrusive<c10d::PrefixStore>("nccl", store), environment.rank, environment.world,
              Milliseconds(options.timeout + kNcclPatience).count());
}

Native join_processes(const Environment& environment, at::Device device, const GroupOptions& options,
                      const Rendezvous& rendezvous) {
  auto group = c10::make_intrusive<c10d::ProcessGroup>(rendezvous.store, environment.rank, environment.world);
  const auto gloo = make_gloo(environment, options, rendezvous.store);
  group->setBackend(at::kCPU, BackendType::GLOO, gloo);
  group->setDefaultBackend(BackendType::GLOO);
  if (!device.is_cuda()) return group;
  if (options.backend == "gloo") {
    group->setBackend(at::kCUDA, BackendType::GLOO, gloo);
    return group;
  }
  group->setBoundDeviceId(device);
  group->setBackend(at::kCUDA, BackendType::NCCL, make_nccl(environment, options, rendezvous.store));
  group->setDefaultBackend(BackendType::NCCL);
  return group;
}

std::shared_ptr<Group> connect(const Rendezvous& rendezvous, const Environment& environment, at::Device device,
                               const GroupOptions& options) {
  try {
    return std::make_shared<ProcessGroupImpl>(join_processes(environment, device, options, rendezvous), rendezvous,
                                              environment, device, options);
  } catch (const gloo::Exception& error) {
    fail("cannot connect rank ", environment.rank, " to the others: ", short_reason(error.what()));
  } catch (const c10::Error& error) {
    fail("cannot connect rank ", environment.rank, " to the others: ", short_reason(error.what_without_backtrace()));
  }
}

// NCCL gives two ranks of one GPU an "invalid usage" at the first exchange.
void check_own_gpus(Group& group, at::Device device) {
  const std::string address = gpu_address(device);
  if (address.empty()) return;
  const auto mine = static_cast<int64_t>(fnv1a64(cat(host_name(), " ", address)));
  const at::Tensor all = group.all_gather(at::full({1}, mine, at::kLong), "GPUs of the ranks");
  for (int rank = 0; rank < group.size(); ++rank)
    if (rank != group.rank() && all[rank].item<int64_t>() == mine)
      fail<UsageError>("device: ranks ", std::min(rank, group.rank()), " and ", std::max(rank, group.rank()),
                       " share one GPU (", address,
                       "), and NCCL needs one for each: start fewer ranks, or set train.backend=gloo");
}

}  // namespace

std::shared_ptr<Group> make_process_group(const Environment& environment, at::Device device,
                                          const GroupOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  auto group = connect(join_rendezvous(environment, options), environment, device, options);
  if (device.is_cuda() && options.backend != "gloo") check_own_gpus(*group, device);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (environment.rank == 0)
    log::info("rendezvous: ", environment.world, " ranks at ", environment.master_address, ":", environment.master_port,
              " in ", human_time(took.count()));
  return group;
}

HangDetector* hang_detector_of(Group& group) {
  const auto several = dynamic_cast<ProcessGroupImpl*>(&group);
  return several == nullptr ? nullptr : &several->detector();
}

}  // namespace gigacat::dist
