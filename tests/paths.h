// Where the sources and the built programs are. Functions and not macros, so that no compile command holds a path and a
// compiler cache serves every clone.
#pragma once

namespace gigacat::test {

// The root of the source tree, absolute.
const char* source_dir();

// The folder of the built programs, absolute.
const char* bin_dir();

}  // namespace gigacat::test
