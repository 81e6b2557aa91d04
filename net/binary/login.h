// What a session knows of its log-in, and what is asked of the gatekeeper for each request.
//
//   HELLO -> WELCOME (login = 1) -> LOGIN -> challenge -> LOGIN_PROOF -> signature
//
// A challenge is for one connection and one proof: whatever the proof, it can't be tried again.
// login.cc has the handlers and the session's part; docs/security.md the table of rights.
//
// Threads: shard-local.   Memory: some 400 bytes a connection, of those that log in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/binary/gatekeeper.h"

namespace millrace::net {

struct SessionLogin {
  std::vector<std::byte> binding;  // what names the TLS session; empty: there is none
  std::string key;                 // as it was claimed
  std::string transcript;          // while the proof is awaited
  Visitor visitor;
};

// An action, as policies call it.
struct Right {
  std::string_view action;
  bool owner_only = false;           // no policy gives it to other accounts
  std::string_view service = "sqs";  // "sns": what it is about is a topic
};

// As SQS's and SNS's actions have them (net/sqs/actions.cc, net/sns/actions.cc).
namespace rights {
inline constexpr Right kSendMessage{"SendMessage"};
inline constexpr Right kReceiveMessage{"ReceiveMessage"};
inline constexpr Right kDeleteMessage{"DeleteMessage"};
inline constexpr Right kChangeVisibility{"ChangeMessageVisibility"};
inline constexpr Right kGetQueueUrl{"GetQueueUrl"};
inline constexpr Right kGetQueueAttributes{"GetQueueAttributes"};
inline constexpr Right kPurgeQueue{"PurgeQueue"};
inline constexpr Right kCreateQueue{"CreateQueue", true};
inline constexpr Right kDeleteQueue{"DeleteQueue", true};
inline constexpr Right kListQueues{"ListQueues", true};
inline constexpr Right kSetQueueAttributes{"SetQueueAttributes", true};
inline constexpr Right kTagQueue{"TagQueue", true};
inline constexpr Right kUntagQueue{"UntagQueue", true};
inline constexpr Right kListQueueTags{"ListQueueTags", true};
inline constexpr Right kStartMove{"StartMessageMoveTask", true};
inline constexpr Right kCancelMove{"CancelMessageMoveTask", true};
inline constexpr Right kListMoves{"ListMessageMoveTasks", true};
inline constexpr Right kPublish{"Publish", false, "sns"};
inline constexpr Right kCreateTopic{"CreateTopic", true, "sns"};
inline constexpr Right kDeleteTopic{"DeleteTopic", false, "sns"};
inline constexpr Right kListTopics{"ListTopics", true, "sns"};
inline constexpr Right kGetTopicAttributes{"GetTopicAttributes", false, "sns"};
inline constexpr Right kSetTopicAttributes{"SetTopicAttributes", false, "sns"};
inline constexpr Right kListTopicTags{"ListTagsForResource", true, "sns"};
inline constexpr Right kTagTopic{"TagResource", true, "sns"};
inline constexpr Right kUntagTopic{"UntagResource", true, "sns"};
inline constexpr Right kSubscribe{"Subscribe", false, "sns"};
inline constexpr Right kUnsubscribe{"Unsubscribe", true, "sns"};
inline constexpr Right kListSubscriptions{"ListSubscriptions", true, "sns"};
inline constexpr Right kListOfTopic{"ListSubscriptionsByTopic", false, "sns"};
inline constexpr Right kGetSubscription{"GetSubscriptionAttributes", true, "sns"};
inline constexpr Right kSetSubscription{"SetSubscriptionAttributes", true, "sns"};
}  // namespace rights

}  // namespace millrace::net
