#include "gigacat/sample/image_texts.h"

namespace gigacat::sample {

io::PngTexts origin_texts(const run::WeightSource& source) {
  return {{"Software", "gigacat " GIGACAT_VERSION},
          {"checkpoint", run::short_name(source)},
          {"weights_crc32c", source.checksum}};
}

}  // namespace gigacat::sample
