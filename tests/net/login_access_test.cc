// What who has logged in may do: each opcode against the rights of docs/security.md, which is read.
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/binary/handlers.h"
#include "tests/net/login_peer.h"

namespace millrace::net::test {
namespace {

using wire::Opcode;

// A request about the queue "mine" or the topic "orders", which exist.
struct Case {
  const char* name;
  Opcode opcode;
  std::vector<const char*> rights;  // all that it takes
  std::function<ByteString(uint64_t correlation, QueueId queue)> request;
};

ByteString receipts_of(QueueId queue) {
  Receipt receipt{};
  receipt.queue_id = raw(queue);
  return bytes_of(receipt);
}

std::vector<Case> cases() {
  const auto about_queue = [](Opcode opcode) {
    return [opcode](uint64_t n, QueueId queue) {
      return frame(opcode, n, bytes_of(wire::QueueRef{raw(queue), 0}));
    };
  };
  return {
      {"RESOLVE",
       Opcode::resolve,
       {"GetQueueUrl"},
       [](uint64_t n, QueueId) { return frame(Opcode::resolve, n, padded("mine")); }},
      {"SEND",
       Opcode::send,
       {"SendMessage"},
       [](uint64_t n, QueueId queue) { return send(n, queue, {"hello"}); }},
      {"RECEIVE",
       Opcode::receive,
       {"ReceiveMessage"},
       [](uint64_t n, QueueId queue) { return receive(n, queue, 1); }},
      {"SUBSCRIBE",
       Opcode::subscribe,
       {"ReceiveMessage"},
       [](uint64_t n, QueueId queue) { return subscribe(n, queue, 1, 1); }},
      {"PEEK",
       Opcode::peek,
       {"ReceiveMessage"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::peek, n, bytes_of(wire::PeekBody{raw(queue), 1, 7, 0}));
       }},
      {"ACK",
       Opcode::ack,
       {"DeleteMessage"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::ack, n, bytes_of(wire::CountBody{1, 0}) + receipts_of(queue));
       }},
      {"EXTEND",
       Opcode::extend,
       {"ChangeMessageVisibility"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::extend, n,
                      bytes_of(wire::CountBody{1, 0}) + receipts_of(queue) + ByteString(8));
       }},
      {"QUEUE_CREATE",
       Opcode::queue_create,
       {"CreateQueue"},
       [](uint64_t n, QueueId) { return queue_create(n, "mine"); }},
      {"QUEUE_CREATE with tags",
       Opcode::queue_create,
       {"CreateQueue", "TagQueue"},
       [](uint64_t n, QueueId) {
         return queue_create(n, "mine", {.tags = {{"a", "b"}}});
       }},
      {"QUEUE_SET",
       Opcode::queue_set,
       {"SetQueueAttributes"},
       [](uint64_t n, QueueId queue) {
         return queue_set(n, queue, {.attributes = {{"DelaySeconds", "1"}}});
       }},
      {"QUEUE_SET of tags",
       Opcode::queue_set,
       {"TagQueue"},
       [](uint64_t n, QueueId queue) {
         return queue_set(n, queue, {.tags = {{"a", "b"}}});
       }},
      {"QUEUE_SET that takes tags away",
       Opcode::queue_set,
       {"UntagQueue"},
       [](uint64_t n, QueueId queue) { return queue_set(n, queue, {.untagged = {"a"}}); }},
      {"QUEUE_PURGE", Opcode::queue_purge, {"PurgeQueue"}, about_queue(Opcode::queue_purge)},
      {"QUEUE_DELETE", Opcode::queue_delete, {"DeleteQueue"}, about_queue(Opcode::queue_delete)},
      {"QUEUE_LIST",
       Opcode::queue_list,
       {"ListQueues"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::queue_list, n, bytes_of(wire::ListBody{10, 0, 0}));
       }},
      {"QUEUE_STATS",
       Opcode::queue_stats,
       {"GetQueueAttributes"},
       [](uint64_t n, QueueId queue) { return queue_stats(n, queue, 0); }},
      {"QUEUE_STATS with details",
       Opcode::queue_stats,
       {"GetQueueAttributes", "ListQueueTags"},
       [](uint64_t n, QueueId queue) { return queue_stats(n, queue, 1); }},
      {"QUEUE_STATS of all queues",
       Opcode::queue_stats,
       {"ListQueues", "GetQueueAttributes"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::queue_stats, n, bytes_of(wire::StatsBody{0, 0}));
       }},
      {"MOVE_START",
       Opcode::move_start,
       {"StartMessageMoveTask"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::move_start, n, bytes_of(wire::MoveStartBody{raw(queue), 0, 0, 0}));
       }},
      {"MOVE_START with a destination",
       Opcode::move_start,
       {"StartMessageMoveTask", "SendMessage"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::move_start, n,
                      bytes_of(wire::MoveStartBody{raw(queue), raw(queue), 0, 0}));
       }},
      {"MOVE_CANCEL",
       Opcode::move_cancel,
       {"CancelMessageMoveTask"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::move_cancel, n, bytes_of(wire::MoveCancelBody{raw(queue), 0, 0}));
       }},
      {"TOPIC_CREATE",
       Opcode::topic_create,
       {"sns:CreateTopic"},
       [](uint64_t n, QueueId) { return topic_frame(Opcode::topic_create, n, "orders", {}); }},
      {"TOPIC_CREATE with tags",
       Opcode::topic_create,
       {"sns:CreateTopic", "sns:TagResource"},
       [](uint64_t n, QueueId) {
         return topic_frame(Opcode::topic_create, n, "orders", {.tags = {{"a", "b"}}});
       }},
      {"TOPIC_SET",
       Opcode::topic_set,
       {"sns:SetTopicAttributes"},
       [](uint64_t n, QueueId) {
         return topic_frame(Opcode::topic_set, n, "orders",
                            {.attributes = {{"DisplayName", "orders"}}});
       }},
      {"TOPIC_SET of tags",
       Opcode::topic_set,
       {"sns:TagResource"},
       [](uint64_t n, QueueId) {
         return topic_frame(Opcode::topic_set, n, "orders", {.tags = {{"a", "b"}}});
       }},
      {"TOPIC_SET that takes tags away",
       Opcode::topic_set,
       {"sns:UntagResource"},
       [](uint64_t n, QueueId) {
         return topic_frame(Opcode::topic_set, n, "orders", {.untagged = {"a"}});
       }},
      {"TOPIC_DELETE",
       Opcode::topic_delete,
       {"sns:DeleteTopic"},
       [](uint64_t n, QueueId) { return frame(Opcode::topic_delete, n, padded("orders")); }},
      {"TOPIC_SHOW",
       Opcode::topic_show,
       {"sns:GetTopicAttributes", "sns:ListTagsForResource"},
       [](uint64_t n, QueueId) { return frame(Opcode::topic_show, n, padded("orders")); }},
      {"TOPIC_LIST",
       Opcode::topic_list,
       {"sns:ListTopics"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::topic_list, n, bytes_of(wire::ListBody{10, 0, 0}));
       }},
      {"TOPIC_SUBSCRIBE",
       Opcode::topic_subscribe,
       {"sns:Subscribe"},
       [](uint64_t n, QueueId) { return topic_subscribe(n, "orders", "sqs", "mine"); }},
      {"SUBSCRIPTION_SET",
       Opcode::subscription_set,
       {"sns:SetSubscriptionAttributes"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::subscription_set, n, ByteString(16) + settings_bytes({}, {}));
       }},
      {"TOPIC_UNSUBSCRIBE",
       Opcode::topic_unsubscribe,
       {"sns:Unsubscribe"},
       [](uint64_t n, QueueId) { return frame(Opcode::topic_unsubscribe, n, ByteString(16)); }},
      {"SUBSCRIPTION_LIST",
       Opcode::subscription_list,
       {"sns:ListSubscriptionsByTopic"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::subscription_list, n,
                      bytes_of(wire::TopicSubscriptionListBody{9, 0, 6, 0, 0}) + padded("orders"));
       }},
      {"SUBSCRIPTION_LIST with attributes",
       Opcode::subscription_list,
       {"sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::subscription_list, n,
                      bytes_of(wire::TopicSubscriptionListBody{9, 0, 6, 1, 0}) + padded("orders"));
       }},
      {"SUBSCRIPTION_LIST of all topics",
       Opcode::subscription_list,
       {"sns:ListSubscriptions"},
       [](uint64_t n, QueueId) {
         return frame(Opcode::subscription_list, n,
                      bytes_of(wire::TopicSubscriptionListBody{9, 0, 0, 0, 0}));
       }},
      {"PUBLISH",
       Opcode::publish,
       {"sns:Publish"},
       [](uint64_t n, QueueId) { return publish(n, "orders", {{"hello"}}); }},
      {"MOVE_LIST",
       Opcode::move_list,
       {"ListMessageMoveTasks"},
       [](uint64_t n, QueueId queue) {
         return frame(Opcode::move_list, n, bytes_of(wire::MoveListBody{raw(queue), 10}));
       }},
  };
}

std::string rule_of(const std::vector<const char*>& rights, const char* without = "") {
  std::string list;
  for (const char* right : rights)
    if (std::string_view(right) != without)
      list += std::string(list.empty() ? "" : ", ") + "\"" + right + "\"";
  return list.empty() ? "" : "[[user.rule]]\nallow = [" + list + "]";
}

bool is_denied(std::string_view rule, const Case& one, std::string_view key = "WORKER") {
  LoginServer server(rule);
  Peer peer({}, {.gatekeeper = server.gatekeeper.get()});
  const QueueId queue = peer.port.add_queue("mine");
  EXPECT_TRUE(log_in(peer, key).is(Opcode::login_proof));
  peer.say(one.request(4, queue));
  const Answer answer = peer.hear_one();
  EXPECT_EQ(answer.header.correlation, 4u) << one.name;
  EXPECT_FALSE(peer.session.finished()) << one.name;
  return answer.is_error(Errc::access_denied);
}

TEST(LoginAccess, EachRequestTakesJustItsRights) {
  for (const Case& one : cases()) {
    EXPECT_FALSE(is_denied("", one, "ROOT")) << one.name;
    EXPECT_TRUE(is_denied("", one)) << one.name;
    EXPECT_TRUE(is_denied("", one, "NOBODY")) << one.name;
    // The root of another account is nobody here.
    EXPECT_TRUE(is_denied("", one, "GUESTROOT")) << one.name;
    EXPECT_FALSE(is_denied(rule_of(one.rights), one)) << one.name;
    for (const char* right : one.rights)
      EXPECT_TRUE(is_denied(rule_of(one.rights, right), one)) << one.name << " without " << right;
    EXPECT_TRUE(is_denied(rule_of(one.rights) + "\nqueues = [\"other*\"]", one)) << one.name;
  }
}

TEST(LoginAccess, WhatIsNotAboutAQueueIsForWhoeverIsInOrForTheAccountItself) {
  const std::set<Opcode> for_all = {Opcode::echo,         Opcode::cancel, Opcode::unsubscribe,
                                    Opcode::server_stats, Opcode::login,  Opcode::login_proof,
                                    Opcode::hello};
  std::set<Opcode> by_policies = {Opcode::credit};
  for (const Case& one : cases())
    by_policies.insert(one.opcode);
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    const Handlers::Row& row = Handlers::row(static_cast<uint8_t>(opcode));
    if (row.handle == nullptr) continue;
    const auto code = static_cast<Opcode>(opcode);
    const Handlers::Who expected = for_all.count(code) > 0       ? Handlers::Who::anybody
                                   : by_policies.count(code) > 0 ? Handlers::Who::by_policies
                                                                 : Handlers::Who::account_itself;
    EXPECT_EQ(row.who, expected) << opcode;
  }
}

TEST(LoginAccess, TheTableOfTheDocumentIsThis) {
  std::map<std::string, std::set<std::string>> expected;
  for (const Case& one : cases()) {
    const std::string name(one.name);
    expected[name.substr(0, name.find(' '))].insert(one.rights.begin(), one.rights.end());
  }
  expected["CREDIT"] = {"ReceiveMessage"};
  std::map<std::string, std::set<std::string>> found;
  std::ifstream in(MILLRACE_SOURCE_DIR "/docs/security.md");
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("## ", 0) == 0) inside = line == "## The binary protocol";
    if (!inside || line.rfind("| `", 0) != 0) continue;
    const size_t bar = line.find('|', 1);
    std::vector<std::string> names[2];
    for (int cell = 0; cell < 2; ++cell) {
      const std::string text = cell == 0 ? line.substr(0, bar) : line.substr(bar);
      for (size_t at = 0; (at = text.find('`', at)) != std::string::npos;) {
        const size_t end = text.find('`', at + 1);
        names[cell].push_back(text.substr(at + 1, end - at - 1));
        at = end + 1;
      }
    }
    for (const std::string& opcode : names[0])
      found[opcode].insert(names[1].begin(), names[1].end());
  }
  for (const auto& [opcode, rights] : expected)
    EXPECT_EQ(found[opcode], rights) << opcode;
}

TEST(LoginAccess, EachQueueOfAnAckIsAskedAbout) {
  LoginServer server("[[user.rule]]\nallow = [\"DeleteMessage\"]\nqueues = [\"mine\"]");
  Peer peer({}, {.gatekeeper = server.gatekeeper.get()});
  const QueueId mine = peer.port.add_queue("mine");
  const QueueId other = peer.port.add_queue("other");
  ASSERT_TRUE(log_in(peer, "WORKER").is(Opcode::login_proof));
  peer.say(frame(Opcode::ack, 4,
                 bytes_of(wire::CountBody{3, 0}) + receipts_of(mine) + receipts_of(mine) +
                     receipts_of(other)));
  const Answer answer = peer.hear_one();
  ASSERT_TRUE(answer.is_error(Errc::access_denied));
  EXPECT_EQ(answer.as<wire::ErrorBody>().entry_index, 2u);
}

TEST(LoginAccess, ATopicsPolicyCountsToo) {
  LoginServer server;
  Peer peer({}, {.gatekeeper = server.gatekeeper.get()});
  peer.topics.give_policy(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":)"
      R"("arn:aws:iam::000000000000:user/worker"},"Action":"sns:Publish","Resource":"*"}]})");
  ASSERT_TRUE(log_in(peer, "WORKER").is(Opcode::login_proof));
  peer.say(publish(4, "orders", {{"hello"}}));
  EXPECT_TRUE(peer.hear_one().is(Opcode::publish));
  peer.say(frame(Opcode::topic_delete, 5, padded("orders")));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::access_denied));
}

TEST(LoginAccess, AQueuesPolicyCountsToo) {
  LoginServer server("[[user.rule]]\nallow = [\"SendMessage\"]");
  Peer peer({}, {.gatekeeper = server.gatekeeper.get()});
  const auto set_policy = [&](QueueId queue, const char* effect, const char* action) {
    const std::string policy =
        std::string(R"({"Version":"2012-10-17","Statement":[{"Effect":")") + effect +
        R"(","Principal":{"AWS":"arn:aws:iam::000000000000:user/worker"},"Action":"sqs:)" + action +
        R"(","Resource":"*"}]})";
    QueueSettings settings;
    settings.attributes = {{"Policy", policy}};
    NobodyHears nobody;
    peer.port.set_queue(queue, settings, {&nobody, 0});
  };
  const QueueId open = peer.port.add_queue("open");
  const QueueId shut = peer.port.add_queue("shut");
  set_policy(open, "Allow", "ReceiveMessage");
  set_policy(shut, "Deny", "SendMessage");
  ASSERT_TRUE(log_in(peer, "WORKER").is(Opcode::login_proof));
  peer.say(receive(4, open, 1));
  EXPECT_TRUE(peer.hear_one().is(Opcode::receive));
  peer.say(receive(5, shut, 1));
  EXPECT_TRUE(peer.hear_one().is_error(Errc::access_denied));
  peer.say(send(6, shut, {"hello"}));
  const Answer answer = peer.hear_one();
  ASSERT_TRUE(answer.is_error(Errc::access_denied));
  EXPECT_NE(answer.error_text().find("explicit deny in a resource-based policy"),
            std::string::npos);
}

}  // namespace
}  // namespace millrace::net::test
