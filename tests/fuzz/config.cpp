// YAML configs: reading, binding, and the resolved config, which must read back equal.
#include <cstdlib>

#include "core/config_sample.h"
#include "fuzz.h"

FUZZ(bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.find("include") != std::string::npos || text.find("${") != std::string::npos) return;  // files, environment
  gigacat::config::SampleConfig config, again;
  config.read(text);
  const std::string resolved = gigacat::config::to_yaml(config.binder);
  again.read(resolved);
  if (gigacat::config::to_yaml(again.binder) != resolved) std::abort();
}
