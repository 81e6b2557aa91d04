// TagQueue, UntagQueue, ListQueueTags.
#include "net/sqs/actions.h"
#include "net/sqs/queue_settings.h"

namespace millrace::net::sqs {

void tag_queue(Request& request, const TagQueueInput& input) {
  const QueueInfo& queue = *request.queue;
  if (input.tags.empty()) return request.refuse(missing_parameter("Tags"));
  QueueSettings settings;
  if (const auto error = read_tags(input.tags, queue.name, queue.attributes.tags, &settings))
    return request.refuse(error);
  request.port().set_queue(queue.id, settings, request.wait());
}

void untag_queue(Request& request, const UntagQueueInput& input) {
  if (input.tag_keys.empty()) return request.refuse(missing_parameter("TagKeys"));
  QueueSettings settings;
  for (const std::string_view key : input.tag_keys)
    settings.untagged.emplace_back(key);
  request.port().set_queue(request.queue->id, settings, request.wait());
}

void list_queue_tags(Request& request, const QueueInput& /*input*/) {
  constexpr MemberName kTags{"Tags", "Tag"};
  AnswerWriter& writer = request.begin();
  const auto& tags = request.queue->attributes.tags;
  if (!tags.empty()) {
    writer.begin_map(kTags);
    for (const NamedText& tag : tags)
      writer.pair(kTags, tag.name, tag.value, "Key");
    writer.end_map();
  }
  request.finish();
}

}  // namespace millrace::net::sqs
