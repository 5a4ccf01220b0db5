// One file over HTTP.
#pragma once

#include "gigacat/core/files.h"
#include "gigacat/weights/known_weights.h"

namespace gigacat::weights {

// Brings `url` to `part`, going on where `part` ends; synced at the end. `title`: for the progress line.
// Errors: Error naming the URL and what the server or the network said.
void fetch(const std::string& url, const fs::path& part, const std::string& title, const DownloadOptions& options);

}  // namespace gigacat::weights
