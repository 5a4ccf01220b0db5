#include "dist/worker.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "gigacat/dist/environment.h"
#include "gigacat/dist/launcher.h"

namespace gigacat::test {
namespace {

using dist::Group;
using dist::Reduce;
using GroupPointer = std::shared_ptr<Group>;

void collectives(const GroupPointer& group) {
  const int rank = group->rank(), size = group->size();
  at::Tensor sum = at::full({3}, rank + 1.0), mean = at::full({2}, rank), high = at::tensor({rank, -rank}),
             low = high.clone();
  mean = mean.to(at::kDouble);
  group->all_reduce(sum, Reduce::sum, "sum");
  group->all_reduce(mean, Reduce::mean, "mean");
  group->all_reduce(high, Reduce::max, "max");
  group->all_reduce(low, Reduce::min, "min");
  expect(sum.eq(size * (size + 1) / 2.0).all().item<bool>(), "sum");
  expect(mean.eq((size - 1) / 2.0).all().item<bool>(), "mean");
  expect(high.equal(at::tensor({size - 1, 0})) && low.equal(at::tensor({0, 1 - size})), "max and min");
  expect(group->sum(0.5, "number") == size * 0.5, "sum of a number");
}

void views_and_types(const GroupPointer& group) {
  const int rank = group->rank(), size = group->size();
  at::Tensor whole = at::full({4, 4}, rank, at::kFloat), column = whole.select(1, 2);
  group->all_reduce(column, Reduce::sum, "column");
  expect(whole.select(1, 2).eq(size * (size - 1) / 2).all().item<bool>(), "column summed in place");
  expect(whole.select(1, 1).eq(rank).all().item<bool>(), "the other columns as before");
  for (const auto type : {at::kBFloat16, at::kHalf, at::kDouble, at::kInt, at::kLong, at::kByte}) {
    at::Tensor one = at::ones({5}, type);
    group->all_reduce(one, Reduce::sum, "type");
    expect(one.eq(size).all().item<bool>(), cat("sum of ", one.toString()));
  }
  at::Tensor scalar = at::scalar_tensor(rank), leaf = at::full({2}, rank + 1.0).requires_grad_();
  group->all_reduce(scalar, Reduce::sum, "scalar");
  group->all_reduce(leaf, Reduce::mean, "leaf");
  expect(scalar.dim() == 0 && leaf.is_leaf() && leaf.requires_grad(), "shape and gradient as before");
  expect(leaf[0].item<double>() == (size + 1) / 2.0, "mean of a leaf");
}

void broadcasts(const GroupPointer& group) {
  const int rank = group->rank(), size = group->size();
  for (int root = 0; root < size; ++root) {
    at::Tensor value = at::full({2, 3}, rank);
    group->broadcast(value, root, "value");
    expect(value.eq(root).all().item<bool>(), cat("value of rank ", root));
  }
  expect(group->broadcast_text(rank == 0 ? "lines\n\0of" : "", "text") == std::string("lines\n\0of"), "text");
  expect(group->broadcast_text("", "text").empty(), "empty text");
  const at::Tensor rows = group->all_gather(at::full({2, 1}, 1.0 * rank).requires_grad_(), "rows");
  expect(rows.sizes() == at::IntArrayRef({2 * size, 1}) && !rows.requires_grad(), "rows' shape");
  expect(rows[2 * size - 1].item<int>() == size - 1 && rows[0].item<int>() == 0, "rows in rank order");
  const std::vector<std::string> texts{std::string(static_cast<size_t>(3 * rank), 'x'), "", "\0\n"};
  const std::vector<std::string> all = gather_texts(*group, texts, "texts");
  expect(std::ssize(all) == 3 * size, "texts of all");
  for (int r = 0; r < size; ++r)
    expect(all[3 * r].size() == static_cast<size_t>(3 * r) && all[3 * r + 1].empty() && all[3 * r + 2] == texts[2],
           "texts");
  at::Tensor nothing = at::empty({0, 3});
  group->all_reduce(nothing, Reduce::sum, "nothing");
  expect(group->all_gather(nothing, "nothing").sizes() == at::IntArrayRef({0, 3}), "nothing from all");
  expect(group->all_gather(at::scalar_tensor(rank, at::kFloat), "scalars").equal(at::arange(size, at::kFloat)),
         "scalars");
  group->barrier("end");
}

// Rank 0 works for longer than the timeout; its errors reach all.
void busy(const GroupPointer& group) {
  const std::string text = dist::on_first(*group, "slow work", [] {
    std::this_thread::sleep_for(std::chrono::seconds(5));
    return std::string("done");
  });
  expect(text == "done", "rank 0's text");
  try {
    dist::run_on_first(*group, "failing work", [] { fail<UsageError>("no luck"); });
    expect(false, "an error");
  } catch (const UsageError& error) {
    expect(std::string(error.what()) == "no luck", "rank 0's error");
  }
}

void state(const GroupPointer& group) {
  const double mine = group->rank();
  const at::Tensor weight = at::full({300, 7}, mine).requires_grad_(), count = at::full({}, group->rank(), at::kLong);
  const at::Tensor mask = at::full({3}, group->rank() == 0, at::kBool), half = at::full({9}, mine, at::kBFloat16);
  const at::Tensor turned = at::full({4, 3}, mine).t();
  dist::broadcast_state(*group, {weight, count, mask, half, turned}, "weights");
  expect(weight.eq(0).all().item<bool>() && count.item<int64_t>() == 0 && mask.all().item<bool>(), "rank 0's state");
  expect(half.eq(0).all().item<bool>() && turned.eq(0).all().item<bool>() && weight.is_leaf(), "rank 0's other state");
}

void state_mismatch(const GroupPointer& group) {
  dist::broadcast_state(*group, {at::zeros({2 + group->rank(), 3})}, "weights");
}

// The last rank goes missing in one way or another; what the others say is the test's to check.
bool last(const Group& group) { return group.rank() == group.size() - 1; }

void exchange_twice(const GroupPointer& group) {
  at::Tensor value = at::ones({1000});
  group->all_reduce(value, Reduce::sum, "first step");
  group->all_reduce(value, Reduce::sum, "second step");
}

void die(const GroupPointer& group) {
  group->barrier("start");
  if (last(*group)) ::raise(SIGKILL);
  exchange_twice(group);
}

void die_first(const GroupPointer& group) {
  group->barrier("start");
  if (group->is_first()) ::raise(SIGKILL);
  exchange_twice(group);
}

void stop(const GroupPointer& group) {
  group->barrier("start");
  if (last(*group)) ::raise(SIGSTOP);
  exchange_twice(group);
}

void hang(const GroupPointer& group) {
  group->barrier("start");
  if (last(*group)) std::this_thread::sleep_for(std::chrono::seconds(60));
  exchange_twice(group);
}

void late_barrier(const GroupPointer& group) {
  if (last(*group)) std::this_thread::sleep_for(std::chrono::seconds(60));
  group->barrier("checkpoint", std::chrono::seconds(1));
}

void mixed_up(const GroupPointer& group) {
  at::Tensor value = at::ones({8});
  if (last(*group)) group->broadcast(value, group->rank(), "weights");
  group->all_reduce(value, Reduce::sum, "losses");
}

void meet_only(const GroupPointer& group) { group->barrier("start"); }

std::map<std::string, Scenario> scenarios() {
  std::map<std::string, Scenario> all = gradient_scenarios();
  all.merge(std::map<std::string, Scenario>{{"collectives", collectives},
                                            {"views_and_types", views_and_types},
                                            {"broadcasts", broadcasts},
                                            {"busy", busy},
                                            {"state", state},
                                            {"state_mismatch", state_mismatch},
                                            {"die", die},
                                            {"die_first", die_first},
                                            {"stop", stop},
                                            {"hang", hang},
                                            {"late_barrier", late_barrier},
                                            {"mixed_up", mixed_up},
                                            {"meet", meet_only}});
  return all;
}

// Scenarios of the launcher alone, without a group.
int print_lines() {
  std::printf("one\ntwo without end");
  std::fprintf(stderr, "to error\n");
  return 0;
}

int print_variables() {
  for (const char* name : {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "OMP_NUM_THREADS"})
    std::printf("%s=%s\n", name, std::getenv(name));
  return 0;
}

volatile std::sig_atomic_t received = 0;

// Ends with 128 + the signal that it gets; rank 1 takes a second longer.
int wait_for_signal(bool stubborn) {
  for (const int number : {SIGINT, SIGTERM, SIGUSR1})
    std::signal(number, [](int got) { received = received * 100 + got; });
  dist::end_with_launcher();
  std::fprintf(stderr, "waiting %d\n", static_cast<int>(::getpid()));
  while (received == 0 || stubborn) ::usleep(10000);
  const bool slow = std::string(std::getenv("RANK")) == "1";
  if (slow) std::this_thread::sleep_for(std::chrono::seconds(1));
  std::fprintf(stderr, "got %d%s\n", static_cast<int>(received), slow ? " and is done" : "");
  return 128 + received;
}

// Rank 1 fails; the others do not care for SIGTERM.
int fail_stubborn() {
  if (std::string(std::getenv("RANK")) != "1") return wait_for_signal(true);
  std::fprintf(stderr, "loading\nerror: out of luck\n");
  return 7;
}

int run_scenario(const std::string& name, int timeout, int rendezvous) {
  if (name == "lines") return print_lines();
  if (name == "variables") return print_variables();
  if (name == "signal") return wait_for_signal(false);
  if (name == "stubborn") return fail_stubborn();
  const dist::Environment environment = dist::Environment::detect();
  dist::GroupOptions options;
  options.timeout = std::chrono::seconds(timeout);
  options.rendezvous = std::chrono::seconds(rendezvous);
  const GroupPointer group = Group::create(environment, at::kCPU, options);
  for (const std::string& each : split(name, ',')) {
    scenarios().at(each)(group);
    std::printf("%s: rank %d ok\n", each.c_str(), group->rank());
  }
  return 0;
}

int number(int count, char** arguments, int i, int otherwise) {
  return i < count ? std::atoi(arguments[i]) : otherwise;
}

}  // namespace
}  // namespace gigacat::test

// dist_worker launch RANKS SCENARIO,... | dist_worker SCENARIO,... [TIMEOUT [RENDEZVOUS]]
int main(int count, char** arguments) {
  using namespace gigacat;
  try {
    const std::string name = count > 1 ? arguments[1] : "";
    if (name != "launch")
      return test::run_scenario(name, test::number(count, arguments, 2, 20), test::number(count, arguments, 3, 20));
    dist::LaunchOptions options;
    options.ranks = test::number(count, arguments, 2, 0);
    options.grace_seconds = 2;
    return dist::launch_local({arguments + 3, arguments + count}, options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
