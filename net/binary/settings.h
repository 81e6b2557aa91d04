// The names and values of queues, topics and subscriptions: TextItems (millrace/wire.h).
//
// Threads: any; no state.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/engine.h"
#include "millrace/wire.h"

namespace millrace::net {

// Reads what stands behind a SettingsBody, to the frame's end. `name` is a view of `texts`. False
// if the counts do not fit the bytes.
bool take_settings(const wire::SettingsBody& head, Bytes texts, std::string_view* name,
                   QueueSettings* settings);

// Reads `count` items, and takes their bytes off `rest`. False if there are not so many whole ones.
bool take_items(Bytes* rest, uint16_t count, std::vector<NamedText>* items);
// Appends them; returns how many.
uint16_t add_items(std::string* to, std::span<const NamedText> items);

// The item of a queue and, after each other, its name, and `with_details` its attributes and tags.
// Its times are not there: the item says whether they are to follow.
wire::QueueItem queue_item(const QueueInfo& queue, bool with_details, std::string* texts);

wire::QueueTimesItem times_item(const QueueTimes& times);

}  // namespace millrace::net
