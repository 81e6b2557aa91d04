// TagResource, UntagResource, ListTagsForResource.
#include <algorithm>

#include "net/sns/actions.h"
#include "net/sns/tag_check.h"

namespace millrace::net::sns {

AwsError read_tags(const List<Pair>& tags, std::span<const NamedText> has,
                   TopicSettings* settings) {
  size_t fresh = 0;
  for (const Pair& tag : tags) {
    const auto is_same = [&](const NamedText& one) { return one.name == tag.name; };
    if (std::any_of(settings->tags.begin(), settings->tags.end(), is_same))
      return invalid_parameter("Duplicated keys are not allowed.");
    fresh += std::none_of(has.begin(), has.end(), is_same);
    settings->tags.push_back({std::string(tag.name), std::string(tag.value)});
  }
  if (has.size() + fresh > kTagsMax)
    return {errors::kTagLimitExceeded,
            "Could not complete request: tag quota of per resource exceeded"};
  return {};
}

void tag_resource(Request& request, const TagResourceInput& input) {
  if (!input.tags.given) return request.refuse(value_is_null("tags"));
  const TopicInfo& topic = *request.topic;
  TopicSettings settings;
  if (const auto error = read_tags(input.tags, topic.attributes.tags, &settings))
    return request.refuse(error);
  request.topics().set(topic.id, settings, request.wait());
}

void untag_resource(Request& request, const UntagResourceInput& input) {
  if (!input.tag_keys.given) return request.refuse(value_is_null("tagKeys"));
  TopicSettings settings;
  for (const std::string_view key : input.tag_keys)
    settings.untagged.emplace_back(key);
  request.topics().set(request.topic->id, settings, request.wait());
}

void list_tags(Request& request, const ResourceInput& /*input*/) {
  AnswerWriter& writer = request.begin();
  writer.begin_list("Tags");
  for (const NamedText& tag : request.topic->attributes.tags) {
    writer.begin_item("Tags");
    writer.text("Value", tag.value);
    writer.text("Key", tag.name);
    writer.end_item("Tags");
  }
  writer.end_list();
  request.finish();
}

}  // namespace millrace::net::sns
