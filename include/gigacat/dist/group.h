// A group of processes and what they do together. A group of one means the same and needs no special case.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gigacat/dist/environment.h"

namespace c10d {
class ProcessGroup;
}

namespace gigacat::dist {

enum class Reduce { sum, mean, max, min };

struct GroupOptions {
  std::string backend = "auto";          // "gloo", "nccl", "auto": nccl when `device` is a GPU
  std::chrono::seconds timeout{600};     // of each collective; a rank that hangs is an Error, not waited for
  std::chrono::seconds rendezvous{300};  // until all ranks have come
  std::string bind = "";                 // interface or address that rank 0's store listens at; "" is MASTER_ADDR
};

// The processes of a run; tensors of any shape.
class Group {
 public:
  // Joins the other ranks at the TCP store of MASTER_ADDR:MASTER_PORT. World size 1 opens no socket. All ranks must
  // make their groups in the same order. Says in the log which variables of the environment were used. Errors: Error
  // naming the ranks that did not come in time.
  static std::shared_ptr<Group> create(const Environment& environment, at::Device device,
                                       const GroupOptions& options = {});
  virtual ~Group() = default;

  // This process, 0 .. size() - 1.
  virtual int rank() const = 0;
  // How many processes there are.
  virtual int size() const = 0;
  at::Device device() const { return device_; }
  bool is_first() const { return rank() == 0; }

  // In place. Tensors may live on the CPU or the group's device. Errors: Error naming the operation (`what`) and the
  // ranks that are missing from it, on a timeout or a dead peer; InternalError for the mean of whole numbers.
  virtual void all_reduce(at::Tensor& tensor, Reduce op, const char* what) = 0;
  virtual void broadcast(at::Tensor& tensor, int root, const char* what) = 0;
  // Tensors of one shape from all ranks, in rank order, joined on dimension 0 (scalars: [size]); no gradient.
  virtual at::Tensor all_gather(const at::Tensor& tensor, const char* what) = 0;
  // Waits for all. Errors: Error that names the ranks missing after `timeout` (0: the group's).
  virtual void barrier(const char* what, std::chrono::seconds timeout = std::chrono::seconds(0)) = 0;
  // Runs `work`, in which LibTorch itself exchanges with the other ranks (a backward with a GradientReducer); its
  // errors of timeouts and dead peers become the Error that the operations above throw, all others pass.
  virtual void guard(const char* what, const std::function<void()>& work) = 0;
  // One value from rank 0 to all.
  std::string broadcast_text(std::string text, const char* what);
  // Sum of a number over all ranks.
  double sum(double value, const char* what);
  // On rank 0: Environment::agent of all ranks; elsewhere empty.
  virtual const std::set<std::string>& agents() const = 0;
  // The LibTorch group; null when size() is 1.
  virtual c10::intrusive_ptr<c10d::ProcessGroup> native() const = 0;

 protected:
  explicit Group(at::Device device) : device_(device) {}
  at::Device device_;
};

// Runs `make` on rank 0 and gives its text to all, its error to all alike. The others wait for it however long it takes
// (a slow disk is no timeout), and no longer than the group's timeout once rank 0 has died or hangs. `make` must not
// use the group. A collective. Errors: what `make` throws, as UsageError or Error; as Group.
std::string on_first(Group& group, const char* what, const std::function<std::string()>& make);
// The same without a text.
void run_on_first(Group& group, const char* what, const std::function<void()>& work);

// The texts of all ranks, in rank order. Each rank gives as many. A collective.
std::vector<std::string> gather_texts(Group& group, const std::vector<std::string>& texts, const char* what);

// Gradients averaged over ranks in buckets while backward still runs (c10d::Reducer). With one rank it does nothing.
//
//   for each micro-batch but the last: reducer.no_sync(); loss.backward();
//   the last:                          reducer.backward(loss);   // grad = mean over ranks of each rank's sum
class GradientReducer {
 public:
  // `parameters` in registration order, all requiring a gradient now (they may be frozen between backwards); all must
  // get one in each synchronised backward unless `find_unused`. `bf16`: gradients travel as bfloat16. `names` serve the
  // errors. Errors: Error when the ranks' parameters differ in number or shape; InternalError when one requires no
  // gradient.
  GradientReducer(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters, double bucket_mb = 25,
                  bool bf16 = false, bool find_unused = false, std::vector<std::string> names = {});
  ~GradientReducer();
  // The next backward is averaged. `outputs`: the tensors it starts from (needed by find_unused).
  // Errors: as finish(), for the backward before.
  void prepare(const std::vector<at::Tensor>& outputs);
  // Gradients are only accumulated locally until the next prepare().
  void no_sync();
  // After a prepared backward. Errors: Error naming the parameters that it gave no gradient, which were then not
  // averaged.
  void finish();
  // prepare, loss.backward(), finish. Errors: as finish() and as Group's operations.
  void backward(const at::Tensor& loss, const char* what = "gradients");

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Broadcasts parameters and buffers of rank 0, so that all start equal. Errors: as Group; Error when shapes differ.
void broadcast_state(Group& group, const std::vector<at::Tensor>& tensors, const char* what);

}  // namespace gigacat::dist
