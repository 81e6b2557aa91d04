// Names and values as frames carry them: TextItems (millrace/wire.h), of queues, topics and
// subscriptions.
//
// Threads: any; no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/options.h"
#include "millrace/types.h"
#include "millrace/wire.h"

namespace millrace::client {

void add_texts(std::string* to, std::span<const NamedText> texts);
// The name and texts that lie behind a SettingsBody.
std::string texts_of(std::string_view name, const QueueSettings& settings);
wire::SettingsBody settings_body(size_t name_bytes, const QueueSettings& settings);
// Whether so many bytes of texts, behind what else there is, are within the bound of a body.
bool fit_a_frame(const QueueSettings& settings, size_t texts_bytes, size_t bytes_max);

// Reads `count` TextItems off `rest`; false if they do not fit.
bool take_texts(Bytes* rest, uint16_t count, std::vector<NamedText>* texts);

}  // namespace millrace::client
