// CreateQueue, DeleteQueue, PurgeQueue, GetQueueUrl, ListQueues, ListDeadLetterSourceQueues.
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/queue_attributes.h"
#include "net/aws/page_token.h"
#include "net/sqs/actions.h"
#include "net/sqs/queue_settings.h"

namespace millrace::net::sqs {
namespace {

constexpr MemberName kQueueUrls{"QueueUrls", "QueueUrl"};
constexpr MemberName kSourceUrls{"queueUrls", "QueueUrl"};
constexpr uint32_t kPageMax = 1'000;

AwsError bad_name(std::string_view text) {
  return {errors::kInvalidParameterValue, std::string(text)};
}

AwsError check_name(const Text& name, bool fifo) {
  if (!name.given)
    return bad_name("Value for parameter QueueName is invalid. Reason: Must specify a queue name.");
  if (name.value.empty()) return bad_name("Queue name cannot be empty");
  if (engine::check_queue_name(name.value, fifo)) return {};
  return bad_name(fifo ? "The name of a FIFO queue can only include alphanumeric characters, "
                         "hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in "
                         "length"
                       : "Can only include alphanumeric characters, hyphens, or underscores. 1 to "
                         "80 in length");
}

std::string queue_url(std::string_view base, std::string_view account, std::string_view name) {
  return fmt::format("{}/{}/{}", base, account, name);
}

void answer_url(Answer& answer, std::string_view url) {
  answer.begin().text("QueueUrl", url);
  answer.finish();
}

// --- pages of a list: a token is the last name there was ---

struct Page {
  std::string after{};
  uint32_t max = kPageMax;
  bool asked = false;  // for pages: else there is no token
};
template <class Input>
AwsError read_page(const Input& input, Page* page) {
  page->asked = input.max_results.given;
  if (page->asked) {
    const int64_t max = input.max_results.value;
    if (max < 1 || max > kPageMax)
      return {errors::kInvalidParameterValue,
              "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer "
              "between 1 and 1000."};
    page->max = static_cast<uint32_t>(max);
  }
  if (!input.next_token.given) return {};
  auto name = read_page_token(input.next_token.value);
  if (!name) return {errors::kInvalidParameterValue, "Invalid or expired next token."};
  page->after = std::move(*name);
  return {};
}

void write_page(Reply& reply, MemberName list, std::string_view base, const Page& page,
                const std::vector<std::string>& names) {
  const size_t count = std::min<size_t>(names.size(), page.max);
  AnswerWriter& writer = reply.begin();
  if (count > 0) {
    writer.begin_list(list);
    for (size_t i = 0; i < count; ++i)
      writer.item(list, queue_url(base, reply.settings().account, names[i]));
    writer.end_list();
  }
  const bool more = names.size() > count;
  if (page.asked && more) writer.plain("NextToken", page_token(names[count - 1]));
  reply.finish();
}

// --- queues that name one as their dead-letter queue: all queues are looked through ---

struct Search {
  std::string base;
  std::string target;
  Page page;
  std::vector<std::string> found;
};

void keep_search(std::string& kept, const Search& search) {
  kept.clear();
  keep_text(kept, search.base);
  keep_text(kept, search.target);
  keep(kept, search.page.max);
  keep(kept, search.page.asked);
  for (const std::string& name : search.found)
    keep_text(kept, name);
}

Search read_search(KeptReader kept) {
  Search search;
  search.base = kept.text();
  search.target = kept.text();
  search.page.max = kept.take<uint32_t>();
  search.page.asked = kept.take<bool>();
  while (!kept.empty())
    search.found.emplace_back(kept.text());
  return search;
}

}  // namespace

// --- one queue ---

void create_queue(Request& request, const CreateQueueInput& input) {
  const bool fifo = asks_for_fifo(input.attributes);
  if (const auto error = check_name(input.queue_name, fifo)) return request.refuse(error);
  const std::string_view name = input.queue_name.value;
  QueueSettings settings;
  const SettingsContext context{request.port(), request.settings(), name, nullptr, fifo};
  if (const auto error = read_attributes(input.attributes, context, &settings))
    return request.refuse(error);
  if (const auto error = read_tags(input.tags, name, {}, &settings)) return request.refuse(error);
  const std::string url = queue_url(request.url_base(), request.settings().account, name);
  if (const QueueInfo* known = request.port().find_queue(name)) {
    QueueAttributes wanted = known->attributes;
    std::string detail;
    const bool valid =
        engine::apply_settings({.attributes = settings.attributes}, true, &wanted, &detail)
            .has_value();
    if (valid && wanted == known->attributes) return answer_url(request, url);
    const std::string_view other =
        valid ? engine::first_difference(wanted, known->attributes) : "FifoQueue";
    return request.refuse({errors::kQueueNameExists,
                           fmt::format("A queue already exists with the same name and a different "
                                       "value for attribute {}",
                                       other)});
  }
  if (request.shared().deleted_lately(name, request.port().now(),
                                      request.settings().recreate_wait_ms))
    return request.refuse({errors::kQueueDeletedRecently,
                           "You must wait 60 seconds after deleting a queue before you can create "
                           "another with the same name."});
  keep_text(request.kept(), url);
  request.port().create_queue(name, settings, request.wait());
}

void queue_created(Reply& reply, const QueueReply& from_shard) {
  if (from_shard.error != Errc::ok)
    return reply.refuse(error_of(from_shard.error, from_shard.detail));
  answer_url(reply, reply.request.text());
}

void delete_queue(Request& request, const QueueInput& /*input*/) {
  keep_text(request.kept(), request.queue->name);
  request.port().delete_queue(request.queue->id, request.wait());
}

void queue_deleted(Reply& reply, const QueueReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  reply.shared().note_deleted(reply.request.text(), reply.port().now(),
                              reply.settings().recreate_wait_ms);
  reply.finish_void();
}

void purge_queue(Request& request, const QueueInput& /*input*/) {
  const QueueInfo& queue = *request.queue;
  if (!request.shared().try_purge(queue.id, request.port().now(), request.settings().purge_wait_ms))
    return request.refuse(
        {errors::kPurgeQueueInProgress,
         fmt::format("Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                     queue.name)});
  request.port().purge_queue(queue.id, request.wait());
}

void queue_changed(Reply& reply, const QueueReply& from_shard) {
  if (from_shard.error != Errc::ok)
    return reply.refuse(error_of(from_shard.error, from_shard.detail));
  reply.finish_void();
}

void get_queue_url(Request& request, const GetQueueUrlInput& input) {
  if (!input.queue_name.given) return request.refuse(check_name(input.queue_name, false));
  const QueueInfo* queue = request.port().find_queue(input.queue_name.value);
  if (queue == nullptr) return request.refuse(queue_does_not_exist());
  answer_url(request, queue_url(request.url_base(), request.settings().account, queue->name));
}

// --- lists ---

void list_queues(Request& request, const ListQueuesInput& input) {
  Page page;
  if (const auto error = read_page(input, &page)) return request.refuse(error);
  keep_text(request.kept(), request.url_base());
  keep(request.kept(), page.max);
  keep(request.kept(), page.asked);
  // One more than asked for, to know whether there are more; a list has no more than kPageMax.
  request.port().list_queues(input.queue_name_prefix.value, page.after, page.max + 1,
                             request.wait());
}

void queues_listed(Reply& reply, const QueueReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  const std::string_view base = reply.request.text();
  Page page;
  page.max = reply.request.take<uint32_t>();
  page.asked = reply.request.take<bool>();
  std::vector<std::string> names;
  for (const QueueInfo& queue : from_shard.queues)
    names.push_back(queue.name);
  write_page(reply, kQueueUrls, base, page, names);
}

void list_sources(Request& request, const ListSourcesInput& input) {
  Search search{request.url_base(), request.queue->name, {}, {}};
  if (const auto error = read_page(input, &search.page)) return request.refuse(error);
  keep_search(request.kept(), search);
  request.port().list_queues({}, search.page.after, kPageMax, request.wait());
}

void sources_listed(Reply& reply, const QueueReply& from_shard) {
  if (from_shard.error != Errc::ok) return reply.refuse(error_of(from_shard.error));
  Search search = read_search(reply.request);
  for (const QueueInfo& queue : from_shard.queues)
    if (queue.attributes.dead_letter_queue == search.target &&
        search.found.size() <= search.page.max)
      search.found.push_back(queue.name);
  const bool more = from_shard.queues.size() == kPageMax && search.found.size() <= search.page.max;
  if (!more) return write_page(reply, kSourceUrls, search.base, search.page, search.found);
  const std::string last = from_shard.queues.back().name;
  keep_search(reply.kept(), search);
  reply.port().list_queues({}, last, kPageMax, reply.wait());
}

}  // namespace millrace::net::sqs
