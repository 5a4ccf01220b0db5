// What expected.json says of each file beside it, and where the reader judges otherwise.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gigacat/core/error.h"
#include "gigacat/core/files.h"
#include "gigacat/io/safetensors.h"

namespace gigacat::io {

struct Verdicts {
  int accepted = 0, rejected = 0;   // files that were judged as expected
  std::vector<std::string> faults;  // a line for each of the others
};

inline std::string python_dtype(Dtype dtype) {
  static const std::map<std::string_view, std::string> names{{"BOOL", "bool"},
                                                             {"U8", "uint8"},
                                                             {"I8", "int8"},
                                                             {"U16", "uint16"},
                                                             {"I16", "int16"},
                                                             {"U32", "uint32"},
                                                             {"I32", "int32"},
                                                             {"U64", "uint64"},
                                                             {"I64", "int64"},
                                                             {"F16", "float16"},
                                                             {"BF16", "bfloat16"},
                                                             {"F32", "float32"},
                                                             {"F64", "float64"},
                                                             {"F8_E4M3", "float8_e4m3fn"},
                                                             {"F8_E5M2", "float8_e5m2"}};
  return names.at(dtype_name(dtype));
}

// How an accepted file's content differs from what is expected, or "".
inline std::string content_fault(const SafetensorsFile& file, const nlohmann::json& expected) {
  if (file.metadata() != expected.at("metadata").get<std::map<std::string, std::string>>()) return "metadata differ";
  if (file.tensors().size() != expected.at("tensors").size()) return "another number of tensors";
  for (const auto& [name, tensor] : expected.at("tensors").items()) {
    if (!file.contains(name)) return "no tensor " + name;
    const TensorView& view = file.at(name);
    if (python_dtype(view.dtype) != tensor.at("dtype").get<std::string>())
      return name + " has dtype " + python_dtype(view.dtype);
    if (view.shape != tensor.at("shape").get<std::vector<int64_t>>()) return name + " has another shape";
    if (sha256(view.bytes) != tensor.at("sha256_of_bytes").get<std::string>()) return name + " has other bytes";
  }
  return "";
}

// Reads every file that FOLDER/expected.json names.
inline Verdicts safetensors_verdicts(const fs::path& folder) {
  Verdicts verdicts;
  const auto expected = nlohmann::json::parse(read_file(folder / "expected.json"));
  for (const auto& one : expected.at("files")) {
    const std::string name = one.at("file");
    const bool wanted = one.at("verdict") == "accept";
    std::string fault;
    try {
      const SafetensorsFile file(folder / name);
      fault = wanted ? content_fault(file, one) : "was accepted: " + one.at("reason").get<std::string>();
    } catch (const InternalError& error) {
      fault = cat("an internal error: ", error.what());
    } catch (const Error& error) {
      const bool explained =
          std::string(error.what()).find(name + ": not a valid safetensors file: ") != std::string::npos;
      if (wanted || !explained) fault = cat("was refused: ", error.what());
    }
    if (!fault.empty())
      verdicts.faults.push_back(name + ": " + fault);
    else
      (wanted ? verdicts.accepted : verdicts.rejected) += 1;
  }
  return verdicts;
}

}  // namespace gigacat::io
