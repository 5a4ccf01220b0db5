#include "export/torchscript.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <unistd.h>

#include <optional>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"

namespace gigacat::exports {
namespace {

namespace jit = torch::jit;
using Unit = std::shared_ptr<jit::CompilationUnit>;

const char* const kNamespace = "__torch__.gigacat";

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
  Tree(jit::Module root, std::set<std::string> buffers)
      : root_(std::move(root)), buffers_(std::move(buffers)), unit_(root_._ivalue()->compilation_unit()) {
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
    if (buffers_.contains(name))
      owner.register_buffer(parts.back(), tensor);
    else
      owner.register_parameter(parts.back(), tensor.detach(), /*is_buffer=*/false);
    return cat("getattr(", expression, ", \"", parts.back(), "\")");
  }

 private:
  jit::Module child(const std::string& path) {
    const auto type = c10::ClassType::create(c10::QualifiedName(path), unit_, /*is_module=*/true);
    unit_->register_type(type);
    jit::Module made(unit_, type);
    made.register_attribute("training", c10::BoolType::get(), false);
    return made;
  }

  jit::Module root_;
  std::set<std::string> buffers_;
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

jit::Module build(const Exported& exported) {
  jit::Module root(c10::QualifiedName(cat(kNamespace, ".Generator")));
  const Unit unit = root._ivalue()->compilation_unit();
  const auto names = std::make_shared<Names>(unit);
  const std::string& text = exported.generator.functions;
  unit->define(c10::QualifiedName(kNamespace), text.substr(text.find("\ndef ")), names, /*self=*/nullptr);

  nn::TensorMap weights = exported.weights;
  std::set<std::string> buffers = exported.buffers;
  for (const auto& [name, tensor] : exported.generator.constants) {
    weights[name] = tensor;
    buffers.insert(name);
  }
  Tree tree(root, std::move(buffers));
  std::vector<std::string> entries;
  for (const auto& [name, tensor] : weights) entries.push_back(cat("\"", name, "\": ", tree.add(name, tensor)));
  c10::Dict<std::string, double> numbers;
  for (const auto& [name, value] : exported.generator.numbers) numbers.insert(name, value);
  root.register_attribute("numbers", c10::DictType::create(c10::StringType::get(), c10::FloatType::get()), numbers);
  root.register_attribute("config", c10::StringType::get(), exported.config->to_yaml());
  root.define(methods(exported.generator.inputs, join(entries, ",\n            ")), names);
  return root;
}

}  // namespace

void write_torchscript(const Exported& exported, const fs::path& out) {
  const jit::Module module = build(exported);
  const fs::path draft = cat(out.string(), ".", ::getpid(), ".tmp");
  try {
    module.save(draft.string());
  } catch (const c10::Error& error) {
    fs::remove(draft);
    fail("cannot write ", out.string(), ": ", split(error.what_without_backtrace(), '\n').front());
  }
  fs::rename(draft, out);
}

}  // namespace gigacat::exports
