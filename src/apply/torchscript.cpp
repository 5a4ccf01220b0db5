#include "apply/torchscript.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <unistd.h>

#include <optional>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/recipes/draws.h"

namespace gigacat::apply {
namespace {

namespace jit = torch::jit;
using Unit = std::shared_ptr<jit::CompilationUnit>;

const char* const kNamespace = "__torch__.gigacat";
constexpr int64_t kMeanSamples = 256;  // latents of a caption's mean style: the recipe's own

// Names that the functions use: each other, torch, and what Python imports from torch.nn.functional.
class Names : public jit::NativeResolver {
 public:
  explicit Names(Unit unit) : unit_(std::move(unit)) {}
  std::shared_ptr<jit::SugaredValue> resolveValue(const std::string& name, jit::GraphFunction& method,
                                                  const jit::SourceRange& place) override {
    for (const char* builtin : {"layer_norm", "leaky_relu", "linear", "scaled_dot_product_attention", "silu"})
      if (name == builtin)
        return std::make_shared<jit::BuiltinFunction>(c10::Symbol::fromQualString("aten::" + name), std::nullopt);
    if (jit::Function* function = unit_->find_function(c10::QualifiedName(c10::QualifiedName(kNamespace), name)))
      return std::make_shared<jit::FunctionValue>(function);
    return NativeResolver::resolveValue(name, method, place);
  }

 private:
  Unit unit_;
};

// Modules that hold parameters and nothing else, made where a name asks for them.
class Tree {
 public:
  explicit Tree(jit::Module root) : root_(std::move(root)), unit_(root_._ivalue()->compilation_unit()) {
    root_.register_attribute("training", c10::BoolType::get(), false);
  }

  // Registers a tensor under its name with dots. Returns an expression of `self` that gives it back.
  std::string add(const std::string& name, const at::Tensor& tensor) {
    const std::vector<std::string> parts = split(name, '.');
    jit::Module owner = root_;
    std::string path = kNamespace, expression = "self";
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      path += (i == 0 ? ".parts_" : "_") + parts[i];
      if (!owner.hasattr(parts[i])) owner.register_module(parts[i], child(path));
      owner = owner.attr(parts[i]).toModule();
      expression = cat("getattr(", expression, ", \"", parts[i], "\")");
    }
    if (is_buffer(name))
      owner.register_buffer(parts.back(), tensor);
    else
      owner.register_parameter(parts.back(), tensor.detach(), /*is_buffer=*/false);
    return cat("getattr(", expression, ", \"", parts.back(), "\")");
  }

 private:
  static bool is_buffer(const std::string& name) { return name == "w_avg" || name == "truncation_z"; }

  jit::Module child(const std::string& path) {
    const auto type = c10::ClassType::create(c10::QualifiedName(path), unit_, /*is_module=*/true);
    unit_->register_type(type);
    jit::Module made(unit_, type);
    made.register_attribute("training", c10::BoolType::get(), false);
    return made;
  }

  jit::Module root_;
  Unit unit_;
};

std::string methods(const std::vector<std::string>& inputs, const std::string& weights) {
  std::string signature, arguments;
  for (const std::string& input : inputs) {
    signature += ", " + input + ": Tensor";
    arguments += ", " + input;
  }
  return cat("def weights(self) -> Dict[str, Tensor]:\n    return {", weights, "}\n\n", "def forward(self, z: Tensor",
             signature, ", truncation: float = 1.0) -> Tensor:\n    return generate(self.weights(), self.numbers, z",
             arguments, ", truncation)\n");
}

jit::Module build(const Portable& portable, const std::string& config_yaml) {
  jit::Module root(c10::QualifiedName(cat(kNamespace, ".Generator")));
  const Unit unit = root._ivalue()->compilation_unit();
  const auto names = std::make_shared<Names>(unit);
  const std::string& text = portable.functions;
  unit->define(c10::QualifiedName(kNamespace), text.substr(text.find("\ndef ")), names, /*self=*/nullptr);

  nn::TensorMap weights = portable.weights;
  if (portable.architecture == "gigagan") {
    std::vector<int64_t> samples(kMeanSamples);
    for (int64_t i = 0; i < kMeanSamples; ++i) samples[static_cast<size_t>(i)] = i;
    weights["truncation_z"] =
        recipes::StreamDraws(0, 0, samples, at::kCPU).normal("truncation.z", {}, {portable.z_dim});
  }
  Tree tree(root);
  std::vector<std::string> entries;
  for (const auto& [name, tensor] : weights) entries.push_back(cat("\"", name, "\": ", tree.add(name, tensor)));
  c10::Dict<std::string, double> numbers;
  for (const auto& [name, value] : portable.numbers) numbers.insert(name, value);
  root.register_attribute("numbers", c10::DictType::create(c10::StringType::get(), c10::FloatType::get()), numbers);
  root.register_attribute("config", c10::StringType::get(), config_yaml);
  root.define(methods(portable.inputs, join(entries, ",\n            ")), names);
  return root;
}

}  // namespace

void write_torchscript(const Portable& portable, const std::string& config_yaml, const fs::path& out) {
  const jit::Module module = build(portable, config_yaml);
  const fs::path draft = cat(out.string(), ".", ::getpid(), ".tmp");
  try {
    module.save(draft.string());
  } catch (const c10::Error& error) {
    fs::remove(draft);
    fail("cannot write ", out.string(), ": ", split(error.what_without_backtrace(), '\n').front());
  }
  fs::rename(draft, out);
}

}  // namespace gigacat::apply
