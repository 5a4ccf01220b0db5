#include "golden/case.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/core/random.h"

namespace gigacat::golden {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Tables that a network builds when the case does not give them.
bool is_position_table(const std::string& name) { return contains(name, "pos_embed"); }

}  // namespace

at::Tensor formula_tensor(const std::string& name, const std::vector<int64_t>& shape, double offset, double scale) {
  at::Tensor out = at::empty(shape, at::kFloat);
  float* values = out.data_ptr<float>();
  const uint64_t base = fnv1a64(name);
  for (int64_t i = 0; i < out.numel(); ++i) {
    uint64_t z = base + static_cast<uint64_t>(i) + 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    const float unit = 2 * (static_cast<float>(z >> 40) * 0x1p-24f) - 1;
    values[i] = static_cast<float>(offset) + static_cast<float>(scale) * unit;
  }
  return out;
}

Case::Case(const std::filesystem::path& folder) : folder_(folder) {
  const auto json = nlohmann::json::parse(read_file(folder / "case.json"), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.contains("case") || !json.contains("config"))
    fail((folder / "case.json").string(), " is no description of a golden case");
  description_ = json;
  name_ = json["case"];
  config_ = json["config"];
  data_ = nn::read_tensors(folder / "data.safetensors");
}

void Case::place(at::Device device) {
  device_ = device;
  for (auto& [name, tensor] : data_) tensor = tensor.to(device);
}

at::Tensor Case::formula(const nlohmann::json& entry) const {
  return formula_tensor(entry["name"], entry["shape"], entry["offset"], entry["scale"]).to(device_);
}

const at::Tensor& Case::stored(const std::string& tensor) const {
  const auto found = data_.find(tensor);
  if (found == data_.end()) fail(name_, " holds no tensor ", tensor);
  return found->second;
}

at::Tensor Case::labels(const std::string& tensor) const { return stored(tensor).to(at::kLong); }

nn::TensorMap Case::weights(const std::string& prefix) {
  nn::TensorMap filled;
  for (const auto& entry : description_["weights"]) {
    const std::string full = entry["name"];
    if (full.rfind(prefix, 0) != 0) continue;
    filled[full.substr(prefix.size())] = formula_tensor(full, entry["shape"], entry["offset"], entry["scale"]);
    used_.insert(full);
  }
  return filled;
}

at::Tensor Case::formula_input(const std::string& input) const {
  for (const auto& entry : description_.at("formula_inputs"))
    if (entry["name"] == input) return formula(entry);
  fail(name_, " has no formula input ", input);
}

std::filesystem::path Case::find_file(const std::string& relative) const {
  for (std::filesystem::path at = std::filesystem::absolute(folder_).lexically_normal();; at = at.parent_path()) {
    if (std::filesystem::exists(at / relative)) return at / relative;
    if (at == at.parent_path()) throw Skip{relative + " is in none of the folders above the case"};
  }
}

void Case::fill(torch::nn::Module& module, const std::string& prefix) {
  at::NoGradGuard no_grad;
  module.to(device_);
  nn::TensorMap state = nn::state_of(module);
  std::vector<std::string> faults;
  for (const auto& entry : description_["weights"]) {
    const std::string full = entry["name"];
    if (full.rfind(prefix, 0) != 0) continue;
    const auto found = state.find(full.substr(prefix.size()));
    if (found == state.end()) {
      faults.push_back("unused weight " + full);
      continue;
    }
    const std::vector<int64_t> shape = entry["shape"];
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      faults.push_back(
          gigacat::cat("weight ", full, " is ", at::IntArrayRef(shape), ", the network's ", found->second.sizes()));
    } else {
      found->second.copy_(formula(entry));
    }
    used_.insert(full);
    state.erase(found);
  }
  for (const auto& [name, tensor] : state)
    if (!is_position_table(name) && name != "w_avg") faults.push_back("no weight for " + prefix + name);
  if (!faults.empty()) fail(name_, ": ", join(faults, "; "));
}

void Case::check_all_used() const {
  for (const auto& entry : description_["weights"])
    if (!used_.contains(entry["name"])) fail(name_, ": weight ", entry["name"], " belongs to no network of the case");
}

std::vector<std::string> Case::order(const std::string& network) const {
  if (!network.empty()) return description_.at("order").at(network);
  std::vector<std::string> names;
  for (const auto& entry : description_["weights"]) names.push_back(entry["name"]);
  return names;
}

// Rows that the case says are not to be compared: {"D": ["name"]} for the step cases, ["grad_*: name"] elsewhere.
std::vector<bool> Case::skipped_rows(const std::string& output, int64_t rows) const {
  std::vector<bool> skipped(rows, false);
  const auto& tolerance = description_["tolerance"];
  if (!tolerance.contains("not_compared")) return skipped;
  const auto mark = [&](const std::vector<std::string>& names, const std::string& unwanted) {
    for (size_t i = 0; i < names.size() && static_cast<int64_t>(i) < rows; ++i)
      if (names[i] == unwanted) skipped[i] = true;
  };
  const auto& rule = tolerance["not_compared"];
  if (rule.is_object()) {
    for (const auto& [network, names] : rule.items())
      if (contains(output, "." + network + "."))
        for (const std::string name : names) mark(order(network), name);
  } else {
    for (const std::string text : rule) {  // "grad_*: NAME" covers output.grad_norm, not output.exact_grad_norm
      const size_t colon = text.find(": ");
      if (output.rfind("output." + text.substr(0, text.find('*')), 0) == 0) mark(order(), text.substr(colon + 2));
    }
  }
  return skipped;
}

// Share of the output's largest value that a difference may have; for kinds of outputs with a bound of their own, that.
double Case::factor_of(const std::string& output, bool by_entry_or_row) const {
  const auto& tolerance = description_["tolerance"];
  if (tolerance.contains("per_tensor") && tolerance["per_tensor"].contains(output))
    return tolerance["per_tensor"][output];
  if (tolerance.contains("exact")) return 0;
  if (tolerance.contains("relative_to_max")) return tolerance["relative_to_max"];
  return tolerance[by_entry_or_row ? "entry_or_row" : "max_abs_over_scale"];
}

void Case::compare(const std::string& output, const at::Tensor& computed) {
  compared_.insert(output);
  const at::Tensor expected = stored(output).to(at::kCPU, at::kDouble);
  const at::Tensor actual = computed.detach()
                                .to(at::kCPU, at::kDouble)
                                .reshape(computed.numel() == expected.numel() ? expected.sizes() : computed.sizes());
  if (actual.sizes() != expected.sizes()) {
    problems_.push_back(gigacat::cat(output, " is ", actual.sizes(), ", expected ", expected.sizes()));
    return;
  }
  const nlohmann::json& rule = description_["tolerance"];
  if (rule.contains("exact") || (rule.contains("abs") && rule.contains("rel"))) {
    const double size = expected.numel() ? expected.abs().max().item<double>() : 0;
    const double by = expected.numel() ? (actual - expected).abs().max().item<double>() : 0;
    judge(output, by, rule.value("abs", 0.0) + rule.value("rel", 1e-7) * size);
    return;
  }
  const bool vectors = description_["tolerance"].contains("entry_or_row");
  const bool by_entry = vectors && ends_with(output, "norm"), by_row = vectors && ends_with(output, "head");
  const double factor = factor_of(output, by_entry || by_row);

  const at::Tensor difference = (actual - expected).abs();
  const double largest = expected.numel() ? expected.abs().max().item<double>() : 0;
  at::Tensor off, allowed;  // per entry, per row, or one
  if (by_entry) {
    off = difference;
    allowed = factor * expected.abs() + 1e-7 * largest;
  } else if (by_row) {
    off = difference.amax(-1);
    allowed = factor * expected.abs().amax(-1) + 1e-7 * largest;
  } else {
    off = difference.max().view({1});
    allowed = at::full({1}, factor * largest, at::kDouble);
  }
  const size_t change = output.find("change_");
  if (change != std::string::npos) {  // a change is the difference of two stored float32 values
    std::string after = output;
    const at::Tensor size = stored(after.replace(change, 7, "after_")).to(at::kCPU, at::kDouble).abs();
    allowed = allowed + 3e-7 * (by_row ? size.amax(-1) : size);
  }
  const bool adam = change != std::string::npos || contains(output, "after_");
  int64_t may_fail = adam ? static_cast<int64_t>(std::ceil(0.02 * static_cast<double>(off.numel()))) : 0;

  const std::vector<bool> skipped =
      by_entry || by_row ? skipped_rows(output, off.numel()) : std::vector<bool>(off.numel(), false);
  std::vector<std::string> faults;
  for (int64_t i = 0; i < off.numel(); ++i) {
    if (skipped[i]) continue;
    const double by = off[i].item<double>(), most = allowed[i].item<double>();
    if (std::isfinite(by) && by <= most) {
      if (most > 0) worst_ = std::max(worst_, by / most);
    } else {
      faults.push_back(gigacat::cat(output, by_entry || by_row ? gigacat::cat("[", i, "]") : "", " is off by ", by,
                                    ", allowed ", most));
    }
  }
  if (static_cast<int64_t>(faults.size()) > may_fail) problems_.insert(problems_.end(), faults.begin(), faults.end());
}

void Case::compare_within(const std::string& output, const at::Tensor& computed, double allowed) {
  compared_.insert(output);
  const at::Tensor expected = stored(output).to(at::kCPU, at::kDouble),
                   actual = computed.detach().to(at::kCPU, at::kDouble);
  if (actual.sizes() != expected.sizes()) {
    problems_.push_back(gigacat::cat(output, " is ", actual.sizes(), ", expected ", expected.sizes()));
    return;
  }
  judge(output, (actual - expected).abs().max().item<double>(), allowed);
}

void Case::compare_relative(const std::string& output, const at::Tensor& computed, double allowed) {
  compare_within(output, computed, allowed * stored(output).to(at::kDouble).abs().max().item<double>());
}

void Case::compare_relative(const std::string& output, const at::Tensor& computed) {
  compare_relative(output, computed, tolerance("relative"));
}

double Case::tolerance(const std::string& key, const std::string& below) const {
  const nlohmann::json& all = description_.at("tolerance");
  if (!all.contains(key) || (!below.empty() && !all[key].contains(below)))
    fail(name_, " has no tolerance ", key, below.empty() ? "" : "/", below);
  return below.empty() ? all[key] : all[key][below];
}

void Case::judge(const std::string& output, double off, double allowed) {
  compared_.insert(output);
  if (!(std::isfinite(off) && off <= allowed))
    problems_.push_back(gigacat::cat(output, " is off by ", off, ", allowed ", allowed));
  else if (allowed > 0)
    worst_ = std::max(worst_, off / allowed);
}

void Case::compare_vectors(const std::string& prefix, const std::vector<at::Tensor>& values) {
  at::Tensor norms = at::zeros({static_cast<int64_t>(values.size())}, at::kDouble);
  at::Tensor heads = at::zeros({static_cast<int64_t>(values.size()), 8}, at::kDouble);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].defined()) continue;
    const at::Tensor flat = values[i].detach().to(at::kCPU, at::kDouble).flatten();
    const int64_t index = static_cast<int64_t>(i), count = std::min<int64_t>(8, flat.numel());
    norms[index] = flat.norm();
    heads[index].narrow(0, 0, count).copy_(flat.narrow(0, 0, count));
  }
  compare(prefix + "_norm", norms);
  compare(prefix + "_head", heads);
}

std::vector<std::string> Case::finish() {
  for (const auto& [name, tensor] : data_)
    if (name.rfind("output.", 0) == 0 && !compared_.contains(name))
      problems_.push_back(name + " was compared with nothing");
  return problems_;
}

}  // namespace gigacat::golden
