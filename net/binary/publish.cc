// PUBLISH.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "millrace/properties.h"
#include "net/binary/answers.h"
#include "net/binary/handlers.h"
#include "net/binary/topic_items.h"

namespace millrace::net {
namespace {

// Reads `count` messages that fill `rest`; false if they do not. Their properties are whole.
bool take_entries(Bytes rest, uint32_t count, std::vector<PublishEntry>* entries) {
  for (uint32_t i = 0; i < count; ++i) {
    if (rest.size() < sizeof(wire::PublishItem)) return false;
    const auto item = take<wire::PublishItem>(rest.data());
    rest = rest.subspan(sizeof item);
    const uint64_t bytes =
        uint64_t{item.properties_bytes} + item.subject_bytes + item.message_bytes;
    const bool clear = std::all_of(std::begin(item.reserved), std::end(item.reserved),
                                   [](uint8_t byte) { return byte == 0; });
    if (padded8(bytes) > rest.size() || item.structured > 1 || !clear) return false;
    PublishEntry entry;
    entry.properties = rest.first(item.properties_bytes);
    entry.subject = as_text(rest.subspan(item.properties_bytes, item.subject_bytes));
    entry.message = as_text(
        rest.subspan(size_t{item.properties_bytes} + item.subject_bytes, item.message_bytes));
    entry.structured = item.structured == 1;
    PropertyReader reader(entry.properties);
    while (reader.next()) {
    }
    if (!reader.whole()) return false;
    entries->push_back(entry);
    rest = rest.subspan(padded8(bytes));
  }
  return rest.empty();
}

}  // namespace

void Handlers::publish(Session& session, const Frame& frame) {
  if (!has_topics(session, frame)) return;
  const auto body = take<wire::PublishBody>(frame.body.data());
  const Bytes rest = frame.body.subspan(sizeof body);
  const uint64_t correlation = frame.header.correlation;
  if (body.count == 0 || body.count > wire::kPublishMessagesMax) {
    session.refuse(correlation, body.count == 0 ? Errc::batch_empty : Errc::batch_too_large,
                   fmt::format("a PUBLISH of {} messages; allowed are 1 to {}", body.count,
                               wire::kPublishMessagesMax));
    return;
  }
  std::vector<PublishEntry> entries;
  if (padded8(body.topic_bytes) > rest.size() || body.reserved != 0 ||
      !take_entries(rest.subspan(padded8(body.topic_bytes)), body.count, &entries))
    return session.fail_connection(
        Errc::malformed,
        fmt::format("the topic's name or the {} messages of a PUBLISH do not fit the {} bytes they "
                    "have, or reserved bytes are not 0",
                    body.count, rest.size()));
  const std::string_view name = as_text(rest.first(body.topic_bytes));
  if (!session.allows_named(correlation, rights::kPublish, name)) return;
  if (find_topic(session, frame, name) == nullptr) return;
  const ReplyTo reply = session.open_request(frame, 0, body.count);
  session.setting_.topics->publish(name, entries, session, reply.token);
}

void Session::on_published(uint64_t token, const PublishOutcome& outcome) {
  const PendingRequest request = close_request(token);
  if (outcome.error != Errc::ok) {
    refuse_pending(request, outcome.error, kWholeRequest, outcome.detail);
    return;
  }
  answer_published(output_, request.correlation, outcome.results);
  mark_dirty();
}

}  // namespace millrace::net
