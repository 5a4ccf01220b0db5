// Generators as TorchScript: files that torch.jit.load runs in Python and torch::jit::load in C++.
#pragma once

#include <filesystem>
#include <string>

#include "export/exported.h"

namespace gigacat::exports {

// A module of forward(z, INPUTS..., truncation=1.0) -> images [B, C, H, W], float32, for any B. Parameters under their
// own names; attributes `config` (YAML) and `numbers`. The file appears complete. Errors: Error.
void write_torchscript(const Exported& exported, const std::filesystem::path& out);

}  // namespace gigacat::exports
