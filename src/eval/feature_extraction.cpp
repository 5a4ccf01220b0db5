// Letters: N images, B images of a batch, D features.
#include "eval/feature_extraction.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "eval/prefetch.h"
#include "gigacat/core/error.h"
#include "gigacat/core/log.h"
#include "gigacat/core/progress.h"
#include "gigacat/core/text.h"

namespace gigacat::eval {
namespace {

// Errors: Error naming the first image of a batch with a feature that is not finite.
void check_finite(const at::Tensor& features, const FeatureName& name, const ImageSet& images,
                  const std::vector<int64_t>& indices) {
  const at::Tensor finite = features.isfinite().all(1);
  if (finite.all().item<bool>()) return;
  const auto broken = finite.logical_not().nonzero()[0][0].item<int64_t>();
  fail(name.network, " gives ", name.feature, " features that are not finite for ", images.name(), "/",
       images.image_name(indices[static_cast<size_t>(broken)]),
       ": the weights are damaged or belong to another network");
}

// Adds rows of logits by runs of consecutive images.
void add_logits(InceptionScore& inception, const at::Tensor& logits, const std::vector<int64_t>& indices) {
  for (size_t begin = 0, end = 0; begin < indices.size(); begin = end) {
    for (end = begin + 1; end < indices.size() && indices[end] == indices[end - 1] + 1;) ++end;
    inception.add(logits.slice(0, static_cast<int64_t>(begin), static_cast<int64_t>(end)), indices[begin]);
  }
}

// `indices`: the images of the rows.
void collect(CollectedFeature& collected, const FeatureRequest& wanted, const at::Tensor& features,
             const std::vector<int64_t>& indices) {
  collected.width = features.size(1);
  if (wanted.moments) collected.moments.add(features);
  const auto end = std::lower_bound(indices.begin(), indices.end(), wanted.most_rows);
  if (const int64_t kept = end - indices.begin(); wanted.rows && kept > 0)
    collected.waiting.push_back(
        features.narrow(0, 0, kept).to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true));
  if (!wanted.pieces.empty()) {
    if (!collected.inception) collected.inception.emplace(wanted.pieces, collected.width);
    add_logits(*collected.inception, features, indices);
  }
}

void collect_cosines(CollectedFeature& collected, FeatureNetwork& network, const at::Tensor& embeddings,
                     const ImageSet& images, const std::vector<int64_t>& indices, const std::string& prefix) {
  std::vector<std::string> texts;
  for (const int64_t i : indices) texts.push_back(prefix + caption_of(images, i));
  collected.waiting_cosines.push_back(clip_scores(embeddings, network.read(texts)).to(at::kCPU));
}

// What is known of the images of one rank.
struct Facts {
  std::vector<int64_t> hashes;
  at::Tensor least = at::full({2}, INT64_MAX, at::kLong), most = at::zeros({2}, at::kLong);  // height, width

  void add(const ImageFacts& image) {
    hashes.push_back(static_cast<int64_t>(image.hash));
    const at::Tensor size = at::tensor({image.height, image.width}, at::kLong);
    least = at::minimum(least, size);
    most = at::maximum(most, size);
  }
};

void merge(Facts& facts, ExtractedFeatures& result, dist::Group& group) {
  group.all_reduce(facts.least, dist::Reduce::min, "image sizes");
  group.all_reduce(facts.most, dist::Reduce::max, "image sizes");
  result.least_height = facts.least[0].item<int64_t>();
  result.least_width = facts.least[1].item<int64_t>();
  result.most_height = facts.most[0].item<int64_t>();
  result.most_width = facts.most[1].item<int64_t>();
  const at::Tensor own = at::tensor(facts.hashes, at::kLong).unsqueeze(1);
  const at::Tensor all = gather_rows(own, 1, at::kLong, group).flatten();
  result.images = all.numel();
  result.duplicates = all.numel() - std::get<0>(at::_unique(all)).numel();
}

void merge(CollectedFeature& collected, const FeatureRequest& wanted, dist::Group& group) {
  collected.width = static_cast<int64_t>([&] {
    at::Tensor width = at::full({1}, collected.width, at::kLong);
    group.all_reduce(width, dist::Reduce::max, "width of features");
    return width.item<int64_t>();
  }());
  if (wanted.moments) collected.moments.merge(group, collected.width);
  if (wanted.rows) {
    const at::Tensor own = collected.waiting.empty() ? at::Tensor() : at::cat(std::exchange(collected.waiting, {}));
    collected.rows = gather_rows(own, collected.width, at::kFloat, group);
  }
  if (wanted.texts) {
    const at::Tensor own = collected.waiting_cosines.empty()
                               ? at::Tensor()
                               : at::cat(std::exchange(collected.waiting_cosines, {})).unsqueeze(1);
    collected.cosines = gather_rows(own, 1, at::kDouble, group).squeeze(1);
  }
  if (!wanted.pieces.empty()) {
    if (!collected.inception) collected.inception.emplace(wanted.pieces, collected.width);
    collected.inception->merge(group);
  }
}

}  // namespace

std::pair<int64_t, int64_t> share_of(int64_t count, int64_t batch, int rank, int world) {
  const int64_t batches = (count + batch - 1) / batch;
  const auto end = [&](int64_t r) { return std::min(count, batches * r / world * batch); };
  return {end(rank), end(rank + 1)};
}

at::Tensor gather_rows(const at::Tensor& rows, int64_t width, at::ScalarType type, dist::Group& group) {
  const at::Tensor own = rows.defined() ? rows : at::empty({0, width}, type);
  if (group.size() == 1) return own;
  const at::Tensor counts = group.all_gather(at::full({1}, own.size(0), at::kLong), "number of rows");
  const auto most = counts.max().item<int64_t>();
  at::Tensor padded = at::zeros({most, width}, type);
  padded.narrow(0, 0, own.size(0)).copy_(own);
  const at::Tensor all = group.all_gather(padded, "features");
  std::vector<at::Tensor> parts;
  for (int64_t r = 0; r < group.size(); ++r) parts.push_back(all.narrow(0, r * most, counts[r].item<int64_t>()));
  return at::cat(parts);
}

std::string first_error(const std::string& own, dist::Group& group) {
  if (group.size() == 1) return own;
  const at::Tensor counts = group.all_gather(at::full({1}, std::ssize(own), at::kLong), "errors");
  if (counts.max().item<int64_t>() == 0) return "";
  at::Tensor bytes = at::empty({std::ssize(own), 1}, at::kByte);
  std::copy(own.begin(), own.end(), bytes.data_ptr<uint8_t>());
  const at::Tensor all = gather_rows(bytes, 1, at::kByte, group).contiguous();
  const char* text = reinterpret_cast<const char*>(all.const_data_ptr<uint8_t>());
  for (int64_t rank = 0; rank < group.size(); ++rank)
    if (const auto length = counts[rank].item<int64_t>(); length > 0) return {text, static_cast<size_t>(length)};
  return "";
}

std::string caption_of(const ImageSet& images, int64_t index) {
  std::string text, why;
  try {
    text = trim(images.caption(index));
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    why = cat(" (", error.what(), ")");
  }
  if (text.empty()) fail(images.name(), "/", images.image_name(index), " has no caption to compare it with", why);
  return text;
}

std::string unreadable_text(int64_t bad, const std::string& first_reason, int64_t count, const std::string& what,
                            double most, dist::Group& group) {
  const auto all = static_cast<int64_t>(group.sum(static_cast<double>(bad), "unreadable images"));
  if (all == 0) return "";
  std::string text =
      cat(all, " of ", count, " ", what, " cannot be read, the first: ", first_error(first_reason, group));
  if (all == count) fail(text);
  if (static_cast<double>(all) > most * static_cast<double>(count))
    fail(text, "; more than a share of ", most,
         " (--max-bad-fraction, data.max_bad_fraction of a run): mend or remove ",
         "them, `gigacat data inspect` names them");
  return text;
}

namespace {

// Unreadable images of this rank, named in the log.
class BadImages {
 public:
  explicit BadImages(const ExtractionOptions& options)
      : most_(options.max_bad_fraction * static_cast<double>(options.count)) {}
  void add(const std::vector<std::string>& reasons) {
    constexpr int64_t kMostNamed = 20;
    for (const std::string& reason : reasons) {
      if (count++ == 0) first = reason;
      if (count <= kMostNamed) log::warn("left out: ", reason);
      if (count == kMostNamed) log::warn("further unreadable images are counted, not named");
    }
  }
  // Whatever the other ranks find.
  bool too_many() const { return static_cast<double>(count) > most_; }

  int64_t count = 0;
  std::string first;

 private:
  double most_;
};

// Runs one network on a batch and collects what is requested of its features. What fails stands in their `error`.
void extract_batch(const std::string& network_name, FeatureNetwork& network, const at::Tensor& planes,
                   const std::string& prepare_error, const ImageSet& images, const std::vector<int64_t>& indices,
                   const FeatureRequests& requests, const std::string& prompt_prefix,
                   std::map<FeatureName, CollectedFeature>& collected) {
  const auto is_needed = [&](const FeatureName& name) {
    return name.network == network_name && collected[name].error.empty();
  };
  if (std::none_of(requests.begin(), requests.end(), [&](const auto& item) { return is_needed(item.first); })) return;
  FeatureMap features;
  std::string error = prepare_error;
  try {
    if (error.empty()) features = network.run(planes);
  } catch (const std::exception& failed) {
    error = cat(network_name, ": ", split(failed.what(), '\n').front());
  }
  for (const auto& [name, request] : requests) {
    if (!is_needed(name)) continue;
    CollectedFeature& feature = collected[name];
    feature.error = error;
    if (!error.empty()) continue;
    try {
      const auto found = features.find(name.feature);
      if (found == features.end()) fail("the network gives no ", name.feature, " features");
      check_finite(found->second, name, images, indices);
      collect(feature, request, found->second, indices);
      if (request.texts) collect_cosines(feature, network, found->second, images, indices, prompt_prefix);
    } catch (const std::exception& failed) {
      feature.error = failed.what();
    }
  }
}

}  // namespace

ExtractedFeatures extract_features(const ImageSet& images, const FeatureRequests& requests, FeatureNetworks& networks,
                                   const ExtractionOptions& options, dist::Group& group) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> names;  // of the networks
  for (const auto& [name, request] : requests)
    if (std::find(names.begin(), names.end(), name.network) == names.end()) names.push_back(name.network);
  std::vector<const FeatureNetwork*> used;
  for (const std::string& name : names) used.push_back(&networks.get(name));

  const auto [first, last] = share_of(options.count, options.batch, group.rank(), group.size());
  ExtractedFeatures result;
  Facts facts;
  BadImages bad(options);
  std::string read_error;
  try {
    Prefetcher prefetcher(images, first, last, used, options.batch, options.threads);
    Progress progress(options.title, "image", last - first);
    for (PreparedBatch batch; !bad.too_many() && prefetcher.next(batch);) {
      bad.add(batch.bad);
      for (size_t n = 0; n < names.size() && !batch.indices.empty(); ++n)
        extract_batch(names[n], networks.get(names[n]), batch.planes[n], batch.errors[n], images, batch.indices,
                      requests, options.prompt_prefix, result.features);
      for (const ImageFacts& image : batch.facts) facts.add(image);
      progress.update(batch.first + batch.count - first);
    }
    progress.finish();
  } catch (const std::exception& error) {
    read_error = error.what();
  }
  if (const std::string error = first_error(read_error, group); !error.empty()) throw Error(error);
  result.unreadable = unreadable_text(bad.count, bad.first, options.count, cat("images of ", images.name()),
                                      options.max_bad_fraction, group);
  for (const auto& [name, request] : requests) {
    CollectedFeature& feature = result.features[name];
    feature.error = first_error(feature.error, group);
    if (feature.error.empty()) merge(feature, request, group);
  }
  merge(facts, result, group);
  return result;
}

}  // namespace gigacat::eval
