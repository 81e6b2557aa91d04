// The tags of a queue or a topic, as a change of them leaves them.
//
// Threads: any; no state.
#pragma once

#include <string>
#include <vector>

#include "millrace/options.h"
#include "millrace/result.h"

namespace millrace::engine {

// Takes away what `settings` untag, puts what they tag. `tags` are sorted by name, and at most
// kTagsMax. Error: invalid_argument; `detail` then says what a tag may be. `tags` are then of no
// use any more.
Status apply_tags(const QueueSettings& settings, std::vector<NamedText>* tags, std::string* detail);

}  // namespace millrace::engine
