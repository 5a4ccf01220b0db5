// Features of one side of a comparison, from its images or from stored statistics.
#pragma once

#include <map>
#include <set>
#include <string>

#include "eval/feature_extraction.h"
#include "eval/resolved_request.h"
#include "gigacat/eval/evaluate.h"

namespace gigacat::eval {

enum class Role { real, fake };

// Reads or computes what the request's metrics need of `side`. What fails stands in SideFeatures::error or in the
// feature's error. A collective.
SideFeatures features_of(const Side& side, Role role, const ResolvedRequest& resolved, FeatureNetworks& networks,
                         dist::Group& group);

// Every feature of the networks `names` that statistics files hold.
FeatureRequests statistics_requests(const std::set<std::string>& names, FeatureNetworks& networks);

// The features of `images` as a statistics file.
StatisticsFile to_statistics(const SideFeatures& side, const std::set<std::string>& names, const ImageSet& images,
                             FeatureNetworks& networks);

// Runs the networks over the first `count` images. A collective. Errors: as extract_features.
SideFeatures extract_side(const ImageSet& images, const std::string& title, const FeatureRequests& requests,
                          const Request& request, int64_t count, FeatureNetworks& networks, dist::Group& group);

}  // namespace gigacat::eval
