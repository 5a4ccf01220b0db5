#include "gigacat/sample/image_texts.h"

namespace gigacat::sample {

void add_origin(io::PngTexts& texts, const run::WeightSource& source) {
  texts.emplace_back("Software", "gigacat " GIGACAT_VERSION);
  texts.emplace_back("checkpoint", run::short_name(source));
  texts.emplace_back("weights_crc32c", source.checksum);
}

}  // namespace gigacat::sample
