#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "eval/described.h"
#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/eval/statistics.h"
#include "gigacat/io/archive.h"
#include "gigacat/io/npy.h"

namespace gigacat::eval {
namespace {

constexpr const char* kDescription = "gigacat.json";

// The ending that marks a feature's arrays: "" for mu, "_s" for mu_s.
std::string ending_of(const std::string& feature) {
  if (feature == "pool") return "";
  return feature == "spatial" ? "_s" : "_" + feature;
}

std::string feature_of(const std::string& ending) {
  if (ending.empty()) return "pool";
  return ending == "_s" ? "spatial" : ending.substr(1);
}

std::string npy(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU, at::kDouble).contiguous();
  const std::span<const int64_t> shape(values.sizes().data(), values.sizes().size());
  std::string out = io::npy_header("<f8", shape);
  out.append(static_cast<const char*>(values.const_data_ptr()), static_cast<size_t>(values.nbytes()));
  return out;
}

at::Tensor read_array(const io::ZipFile& zip, const std::string& name, const std::string& file) {
  const int64_t found = zip.find(name + ".npy");
  if (found < 0) fail<UsageError>(file, " holds no ", name);
  const std::string where = file + "/" + name;
  const io::DoubleArray array = io::read_npy_double(zip.read(zip.entries()[static_cast<size_t>(found)]), where);
  for (const double value : array.values)
    if (!std::isfinite(value)) fail(where, " holds a value that is not finite");
  return at::tensor(array.values, at::kDouble).reshape(array.shape);
}

// Errors: Error for what no features have as their covariance, beyond the rounding of single precision.
void check_covariance(const at::Tensor& sigma, const std::string& what) {
  constexpr double kRounding = 1e-4, kRoundingOfSum = 1e-5, kLeast = 1e-300;
  const double largest = sigma.diagonal().abs().max().item<double>();
  if ((sigma - sigma.t()).abs().max().item<double>() > kRounding * largest)
    fail(what, " is not symmetric: it is the covariance of no features");
  // A covariance has no negative eigenvalue, so that with a little on its diagonal it has a Cholesky factor.
  const double shift = kRoundingOfSum * sigma.trace().abs().item<double>() + kLeast;
  const at::Tensor shifted = (sigma + sigma.t()) / 2 + shift * at::eye(sigma.size(0), at::kDouble);
  if (std::get<1>(at::linalg_cholesky_ex(shifted)).item<int>() != 0)
    fail(what, " has negative eigenvalues: it is the covariance of no features");
}

Gaussian read_gaussian(const io::ZipFile& zip, const std::string& ending, const std::string& file) {
  Gaussian g{read_array(zip, "mu" + ending, file), read_array(zip, "sigma" + ending, file)};
  const int64_t width = g.mean.numel();
  if (g.mean.dim() != 1 || width == 0 || g.covariance.sizes() != at::IntArrayRef({width, width}))
    fail(file, ": mu", ending, " is ", g.mean.sizes(), " and sigma", ending, " is ", g.covariance.sizes(),
         "; wanted [D] and [D, D]");
  check_covariance(g.covariance, cat(file, ": sigma", ending));
  return g;
}

std::map<std::string, std::string> read_description(const io::ZipFile& zip, const std::string& file) {
  const int64_t found = zip.find(kDescription);
  if (found < 0) return {};
  const auto json = nlohmann::json::parse(zip.read(zip.entries()[static_cast<size_t>(found)]), nullptr, false);
  if (!json.is_object()) fail(file, ": ", kDescription, " is no JSON object");
  std::map<std::string, std::string> description;
  for (const auto& [key, value] : json.items())
    description[key] = value.is_string() ? value.get<std::string>() : value.dump();
  return description;
}

}  // namespace

void write_statistics(const std::filesystem::path& path, const StatisticsFile& file) {
  write_atomically(path, [&](FileWriter& out) {
    io::ZipWriter zip(out);
    for (const auto& [feature, gaussian] : file.gaussians) {
      zip.add(cat("mu", ending_of(feature), ".npy"), npy(gaussian.mean));
      zip.add(cat("sigma", ending_of(feature), ".npy"), npy(gaussian.covariance));
    }
    if (!file.description.empty()) zip.add(kDescription, to_json(file.description).dump(1));
    zip.finish();
  });
}

StatisticsFile read_statistics(const std::filesystem::path& path) {
  const io::ZipFile zip(path);
  StatisticsFile file;
  for (const auto& entry : zip.entries()) {
    if (!entry.name.starts_with("mu") || !entry.name.ends_with(".npy")) continue;
    const std::string ending = entry.name.substr(2, entry.name.size() - 6);
    if (!ending.empty() && ending[0] != '_') continue;
    file.gaussians[feature_of(ending)] = read_gaussian(zip, ending, path.string());
  }
  if (file.gaussians.empty()) fail<UsageError>(path.string(), " holds no mu and sigma: it is no statistics file");
  file.description = read_description(zip, path.string());
  return file;
}

bool holds_statistics(const std::filesystem::path& path) {
  const io::ZipFile zip(path);
  return zip.find("mu.npy") >= 0 || (zip.find(kDescription) >= 0 && zip.find("arr_0.npy") < 0);
}

}  // namespace gigacat::eval
