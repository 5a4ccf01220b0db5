// The Python functions of exported generators, as the folders of the models keep them (exported.py).
#pragma once

#include <string>

namespace gigacat::models {

// The text of src/models/FOLDER/exported.py. Errors: InternalError for a folder without one.
std::string exported_functions(const std::string& folder);

}  // namespace gigacat::models
