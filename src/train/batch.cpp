#include "train/batch.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <numeric>
#include <utility>

#include "gigacat/core/error.h"
#include "gigacat/dist/device.h"

namespace gigacat::train {
namespace {

bool is_bytes(data::Content content) { return content == data::Content::image || content == data::Content::pixels; }

// The whole batch as a tensor over the host memory, which it keeps alive.
at::Tensor wrap(const data::HostBatch& host) {
  const auto type = is_bytes(host.content) ? at::kByte : at::kFloat;
  return at::from_blob(
      host.values.get(), {host.count, host.channels, host.height, host.width}, [memory = host.values](void*) {}, type);
}

// A tensor that takes over the values; undefined when there are none.
template <class T>
at::Tensor adopt(std::vector<T>& values, at::IntArrayRef shape, at::ScalarType type) {
  if (values.empty()) return {};
  auto memory = std::make_shared<std::vector<T>>(std::move(values));
  T* const data = memory->data();
  return at::from_blob(
      data, shape, [memory](void*) {}, type);
}

template <class T>
std::vector<T> run_of(const std::vector<T>& rows, int64_t first, int64_t count) {
  if (rows.empty()) return {};
  return {rows.begin() + first, rows.begin() + first + count};
}

// Rows of all ranks and their draws, where losses look at all of them.
std::shared_ptr<const recipes::WholeBatch> whole_batch(const data::HostBatch& host, const BatchOptions& options) {
  const bool alone = options.group == nullptr || options.group->size() == 1;
  if (host.captions.empty() || (alone && options.parts == 1)) return nullptr;
  const int64_t rank = alone ? 0 : options.group->rank(), ranks = alone ? 1 : options.group->size();
  std::vector<int64_t> positions(static_cast<size_t>(ranks * host.count));
  std::iota(positions.begin(), positions.end(), host.positions.front() - rank * host.count);
  std::vector<std::string> captions =
      alone ? host.captions : dist::gather_texts(*options.group, host.captions, "captions");
  return std::make_shared<const recipes::WholeBatch>(recipes::WholeBatch{
      std::move(captions), nn::StreamDraws(options.seed, host.step, std::move(positions), at::kCPU)});
}

void check_labels(const data::HostBatch& host, int64_t num_classes) {
  for (size_t i = 0; i < host.labels.size(); ++i)
    if (host.labels[i] < 0 || host.labels[i] >= num_classes)
      fail("sample ", host.indices[i], " of the data has label ", host.labels[i], ", but data.num_classes is ",
           num_classes);
}

at::Tensor to_images(const at::Tensor& values, data::Content content, const nn::RandomDraws& draws,
                     const BatchOptions& options) {
  if (is_bytes(content)) return values.to(at::kFloat).div_(127.5).sub_(1);
  if (content == data::Content::latent) return (values - options.latent_shift).mul_(options.latent_scale);
  const auto halves = values.chunk(2, 1);  // mean, deviation: [B, C, H, W] each
  const at::Tensor noise = draws.normal("data.moments", {}, halves[0].sizes().slice(1));
  return (halves[0] + halves[1] * noise).sub_(options.latent_shift).mul_(options.latent_scale);
}

}  // namespace

std::vector<MicroBatch> to_device(data::HostBatch host, const BatchOptions& options) {
  GIGACAT_CHECK(host.count % options.parts == 0, host.count, " rows, ", options.parts, " parts");
  check_labels(host, options.num_classes);
  const at::Tensor values = wrap(host);
  const at::Tensor features = adopt(host.features, {host.count, host.feature_tokens, host.feature_width}, at::kFloat);
  const at::Tensor raw = adopt(host.raw, {host.count, 3, host.raw_size, host.raw_size}, at::kByte);
  const int64_t count = host.count / options.parts;
  const auto part = [&](const at::Tensor& rows, int64_t m) {
    return rows.narrow(0, m * count, count).to(options.device, /*non_blocking=*/true);
  };
  const auto whole = whole_batch(host, options);
  std::vector<MicroBatch> parts(static_cast<size_t>(options.parts));
  for (int64_t m = 0; m < options.parts; ++m) {
    MicroBatch& micro = parts[static_cast<size_t>(m)];
    micro.draws = std::make_unique<nn::StreamDraws>(options.seed, host.step, run_of(host.positions, m * count, count),
                                                    options.device);
    recipes::Batch& batch = micro.batch;
    batch.draws = micro.draws.get();
    batch.step = host.step;
    batch.group = options.group;
    batch.whole = whole;
    batch.first = ((options.group ? options.group->rank() : 0) * options.parts + m) * count;
    const at::Tensor rows = part(values, m);
    batch.images = to_images(rows, host.content, *micro.draws, options);
    if (is_bytes(host.content) && host.channels == 3) batch.raw = rows;
    if (raw.defined()) batch.raw = part(raw, m);
    batch.labels = dist::send(at::tensor(run_of(host.labels, m * count, count), at::kLong), options.device);
    if (features.defined()) batch.features = part(features, m);
    batch.captions = run_of(host.captions, m * count, count);
  }
  return parts;
}

std::function<std::shared_ptr<void>(size_t)> batch_memory(at::Device device) {
  if (device.is_cpu()) return {};
  return [](size_t bytes) -> std::shared_ptr<void> {
    auto memory = std::make_shared<c10::DataPtr>(at::globalContext().getPinnedMemoryAllocator()->allocate(bytes));
    return {memory, memory->get()};
  };
}

}  // namespace gigacat::train
