// What the three batch actions share: the checks of the whole request, in their order, and the two
// lists of the answer.
//
// Threads: any; no state.
#pragma once

#include <string_view>

#include <fmt/format.h>

#include "net/aws/answer_writer.h"
#include "net/sqs/errors.h"
#include "net/sqs/inputs.h"

namespace millrace::net::sqs {

inline constexpr uint32_t kEntriesMax = 10;

// `entry`: "SendMessageBatchRequestEntry". In a form a list that is not given is an empty one.
template <class Entry>
AwsError check_entries(const List<Entry>& entries, std::string_view entry, bool is_form) {
  if (!entries.given && !is_form) return missing_parameter("Entries");
  if (entries.empty())
    return {errors::kEmptyBatchRequest,
            fmt::format("There should be at least one {} in the request.", entry)};
  if (entries.size() > kEntriesMax)
    return {errors::kTooManyEntries,
            fmt::format("Maximum number of entries per request are {}. You have sent {}.",
                        kEntriesMax, entries.size())};
  for (uint32_t i = 0; i < entries.size(); ++i)
    if (entries[i].id.value.empty())
      return missing_parameter(fmt::format("{}.{}.Id", entry, i + 1));
  constexpr size_t kIdBytesMax = 80;
  for (const Entry& one : entries) {
    const std::string_view id = one.id.value;
    const bool good = id.size() <= kIdBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '_' || c == '-';
                      });
    if (!good)
      return {errors::kInvalidBatchEntryId,
              "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
              "It can be at most 80 letters long."};
  }
  for (uint32_t i = 1; i < entries.size(); ++i)
    for (uint32_t j = 0; j < i; ++j)
      if (entries[i].id.value == entries[j].id.value)
        return {errors::kBatchEntryIdsNotDistinct,
                fmt::format("Id {} repeated.", entries[i].id.value)};
  return {};
}

inline constexpr MemberName kFailed{"Failed", "BatchResultErrorEntry"};

// One of kFailed.
inline void write_failure(AnswerWriter& writer, std::string_view id, std::string_view code,
                          std::string_view text, bool senders) {
  writer.begin_item(kFailed);
  writer.plain("Id", id);
  writer.flag("SenderFault", senders);
  writer.plain("Code", code);
  writer.text("Message", text);
  writer.end_item(kFailed);
}

}  // namespace millrace::net::sqs
