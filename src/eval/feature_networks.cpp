#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "eval/networks.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/eval/network.h"
#include "gigacat/pretrained/inception.h"
#include "gigacat/weights/known_weights.h"

namespace gigacat::eval {
namespace {

const std::vector<std::string> kWeightNames = {"inception", "clip", "clip-l14", "vocabulary", "lpips", "lpips-heads"};

// Their names in `gigacat weights list`.
const std::map<std::string, std::string> kReleased = {{"inception", "inception"},   {"clip", "clip-b32"},
                                                      {"clip-l14", "clip-l14-336"}, {"vocabulary", "clip-vocabulary"},
                                                      {"lpips", "alexnet"},         {"lpips-heads", "lpips-alex"}};

// A network with what describes its file.
template <class Network>
struct WithHash {
  Network network;
  std::string hash;
};
using SharedInception = std::shared_ptr<WithHash<pretrained::Inception>>;

class InceptionNetwork : public FeatureNetwork {
 public:
  InceptionNetwork(SharedInception inception, std::string protocol, at::Device device)
      : inception_(std::move(inception)), protocol_(std::move(protocol)), device_(device) {}
  std::string weights() const override { return inception_->hash; }
  std::array<int64_t, 3> input_shape() const override {
    return {3, pretrained::InceptionImpl::kSize, pretrained::InceptionImpl::kSize};
  }
  void prepare(const io::Image& image, int64_t index, float* planes) const override {
    prepare_inception(protocol_, image, index, planes);
  }
  FeatureMap run(const at::Tensor& planes) override {
    const pretrained::InceptionOutput out = inception_->network->forward(planes.to(device_));
    return {{"pool", out.pool}, {"spatial", out.spatial}, {"logits", out.logits_unbiased}};
  }

 private:
  SharedInception inception_;
  std::string protocol_;
  at::Device device_;
};

}  // namespace

void WeightFiles::give(const std::string& text, const std::string& standard) {
  const size_t sign = text.find('=');
  const std::string name = sign == std::string::npos ? standard : text.substr(0, sign);
  if (name == "network") return use_own(text.substr(sign + 1), 0);
  if (std::find(kWeightNames.begin(), kWeightNames.end(), name) == kWeightNames.end())
    fail<UsageError>("--weights: there is no network '", name, "' (known: ", join(kWeightNames), ")");
  given_[name] = sign == std::string::npos ? text : text.substr(sign + 1);
}

void WeightFiles::use_own(fs::path file, int64_t size) {
  own_ = std::move(file);
  own_size_ = size;
}

fs::path WeightFiles::find(const std::string& network) const {
  if (const auto given = given_.find(network); given != given_.end()) return weights::locate(given->second.string());
  const fs::path own = weights::weight_folder() / (network + ".safetensors");
  if (fs::exists(own)) return own;
  const std::string released = kReleased.at(network);
  if (!fs::exists(weights::weight_path(weights::find_weight_file(released))))
    fail<UsageError>("no weights of ", network, ": gigacat weights get ", released, ", or put them at ", own.string(),
                     ", or give --weights ", network, "=FILE");
  return weights::locate(released);
}

struct FeatureNetworks::Loaded {
  SharedInception inception;
};

FeatureNetworks::FeatureNetworks(WeightFiles files, std::string protocol, at::Device device)
    : files_(std::move(files)), protocol_(std::move(protocol)), device_(device), loaded_(std::make_unique<Loaded>()) {
  const std::vector<std::string>& known = protocol_names();
  if (std::find(known.begin(), known.end(), protocol_) == known.end())
    fail<UsageError>("there is no protocol '", protocol_, "' (known: ", join(known), ")");
  if (files_.own().empty()) return;
  put("inception", make_own_network(files_.own(), files_.own_size(), device_));
  protocol_ = cat("bicubic-", get("inception").input_shape()[1]);
}

FeatureNetworks::~FeatureNetworks() = default;

PairNetwork& FeatureNetworks::lpips() {
  if (!lpips_) lpips_ = make_lpips_network(files_, device_);
  return *lpips_;
}

std::string FeatureNetworks::label(const std::string& network) const {
  return network == "inception" && !files_.own().empty() ? files_.own().filename().string() : network;
}

void FeatureNetworks::put(const std::string& name, std::unique_ptr<FeatureNetwork> network) {
  networks_[name] = std::move(network);
}

FeatureNetwork& FeatureNetworks::get(const std::string& name) {
  if (const auto found = networks_.find(name); found != networks_.end()) return *found->second;
  if (name.starts_with("clip")) {
    put(name, make_clip_network(files_, name, device_));
    return *networks_.at(name);
  }
  GIGACAT_CHECK(name == "inception" || name == "patch", name);
  if (!loaded_->inception) {
    const fs::path file = files_.find("inception");
    const weights::Weights weights = weights::read_weights(file);
    loaded_->inception = std::make_shared<WithHash<pretrained::Inception>>(WithHash<pretrained::Inception>{
        pretrained::load_inception(weights, {.device = device_}), weights::short_hash({file})});
  }
  put(name, std::make_unique<InceptionNetwork>(loaded_->inception, name == "patch" ? "patch" : protocol_, device_));
  return *networks_.at(name);
}

}  // namespace gigacat::eval
