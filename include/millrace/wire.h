// The binary protocol, version 1: frames and their fixed parts. docs/wire-protocol.md is the
// document; a test compares its byte tables with these structs.
//
// Every frame is FrameHeader + body. All integers little endian, structs as in memory, no padding.
// Requests flow client to server, each answered by exactly one frame with the same correlation id
// and opcode | kReplyBit, or by an ERROR frame; DELIVER frames are pushed between them. A client's
// correlation ids must rise strictly (gaps are fine). Answers may come in another order than the
// requests. The first frame must be HELLO, then LOGIN and LOGIN_PROOF if WELCOME says so; until
// then a frame may be at most kPreLoginFrameBytesMax long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "millrace/message.h"

namespace millrace::wire {

inline constexpr uint64_t kMagic = 0x454341524C4C494DULL;  // "MILLRACE" as bytes
inline constexpr uint16_t kVersion = 1;
inline constexpr uint8_t kReplyBit = 0x80;
inline constexpr uint32_t kPreLoginFrameBytesMax = 4096;
inline constexpr uint32_t kFrameBytesMax = 8u << 20;

enum class Opcode : uint8_t {
  hello = 1,    // Hello -> Welcome
  echo = 2,     // any bytes -> the same bytes
  resolve = 3,  // queue name -> QueueRef
  send = 4,     // SendBody + run of messages -> SendAnswer
  receive = 5,  // ReceiveBody -> DeliveryHeader + entries + run
  ack = 6,      // CountBody + Receipts -> ResultsAnswer
  extend = 7,   // CountBody + ExtendItems -> ResultsAnswer
  subscribe =
      8,       // SubscribeBody -> SubscriptionRef; then DELIVER frames with its id as correlation
  credit = 9,  // CreditBody -> empty answer
  unsubscribe = 10,   // SubscriptionRef -> empty answer
  peek = 11,          // PeekBody -> CountBody + PeekItems + run + texts
  queue_create = 12,  // SettingsBody + name + TextItems -> QueueRef
  queue_set = 13,     // QueueRef + SettingsBody + TextItems -> empty answer
  queue_purge = 14,   // QueueRef -> empty answer
  queue_delete = 15,  // QueueRef -> empty answer
  queue_list = 16,    // ListBody + prefix + after -> CountBody + QueueItems with their names
  queue_stats = 17,   // StatsBody + u32 ids padded to 8 -> as queue_list, counters filled
  server_stats = 18,  // empty -> CountBody + ShardItems
  cancel = 19,      // CancelBody: ends a waiting RECEIVE, which is answered with status canceled ->
                    // empty answer
  move_start = 20,  // MoveStartBody -> CountBody + MoveTaskItem with its texts
  move_cancel = 21,      // MoveCancelBody -> as move_start
  move_list = 22,        // MoveListBody -> CountBody + MoveTaskItems with their texts
  backup_start = 23,     // empty -> BackupAnswer + BackupLogItems with their BackupFileItems
  backup_read = 24,      // BackupReadBody -> BackupBytes + bytes
  backup_end = 25,       // BackupEndBody -> empty answer
  login = 32,            // Login + an access key's id -> LoginChallenge
  login_proof = 33,      // LoginProof -> LoginAnswer
  topic_create = 40,     // SettingsBody + name + TextItems -> CountBody + one TopicItem
  topic_set = 41,        // SettingsBody + name + TextItems -> empty answer
  topic_delete = 42,     // topic name -> empty answer
  topic_show = 43,       // topic name -> CountBody + one TopicItem
  topic_list = 44,       // ListBody + prefix + after -> CountBody + TopicItems, without their texts
  topic_subscribe = 45,  // TopicSubscribeBody + texts -> CountBody + one TopicSubscriptionItem
  subscription_set = 46,   // TopicSubscriptionRef + SettingsBody + TextItems -> empty answer
  topic_unsubscribe = 47,  // TopicSubscriptionRef -> empty answer
  subscription_list = 48,  // TopicSubscriptionListBody + name -> CountBody + TopicSubscriptionItems
  publish = 49,  // PublishBody + topic name + PublishItems -> ResultsAnswer + PublishResults
  deliver =
      0x60,  // pushed by the server: DeliveryHeader + entries + run; correlation is the SUBSCRIBE's
  error = 0x7F,  // ErrorBody + text; status says which. correlation 0: about the connection, which
                 // then closes
};

struct FrameHeader {
  uint32_t length;  //  0  of the whole frame, header included; multiple of 8, <= kFrameBytesMax
  uint8_t opcode;   //  4  Opcode, | kReplyBit in answers
  uint8_t flags;    //  5  0 in version 1
  uint16_t status;  //  6  Errc in answers, 0 in requests
  uint64_t correlation;  //  8  strictly rising per connection; > 0 in requests
  uint64_t checksum;     // 16  XXH3-64 of bytes [0, 16) + body, seed kMagic
};
static_assert(sizeof(FrameHeader) == 24 && offsetof(FrameHeader, checksum) == 16);

struct Hello {
  uint64_t magic;        //  0
  uint16_t version_min;  //  8
  uint16_t version_max;  // 10
  uint16_t name_bytes;   // 12  of a name for people, which follows, padded to 8; 0: none
  uint16_t reserved;     // 14  0
};
static_assert(sizeof(Hello) == 16);
inline constexpr uint16_t kClientNameBytesMax = 64;

struct Welcome {
  uint64_t magic;               //  0
  uint16_t version;             //  8  the one that is spoken from here on
  uint16_t shards;              // 10
  uint16_t shard;               // 12  the shard this connection landed on
  uint8_t durability;           // 14  the server's
  uint8_t login;                // 15  1: LOGIN has to come before anything else
  uint32_t frame_bytes_max;     // 16
  uint32_t batch_messages_max;  // 20
  uint32_t message_bytes_max;   // 24
  uint32_t
      inflight_max;  // 28  requests under way on one connection before the server stops reading
};
static_assert(sizeof(Welcome) == 32);

// What a log-in is bound to, besides both sides' nonces.
enum class LoginBinding : uint8_t {
  none = 0,
  tls_exporter = 1,  // RFC 9266: the TLS session that the connection is in
};

struct Login {
  uint8_t nonce[32];    //  0  the client's, random, never used before
  uint16_t key_bytes;   // 32  of an access key's id, which follows, padded to 8: 1..128
  uint8_t binding;      // 34  LoginBinding
  uint8_t reserved[5];  // 35  0
};
static_assert(sizeof(Login) == 40);
inline constexpr uint16_t kAccessKeyBytesMax = 128;

struct LoginChallenge {
  uint8_t nonce[32];    //  0  the server's, random, for this connection only
  uint8_t salt[16];     // 32
  uint32_t iterations;  // 48  of PBKDF2
  uint32_t reserved;    // 52  0
};
static_assert(sizeof(LoginChallenge) == 56);

struct LoginProof {
  uint8_t proof[32];  // 0
};
static_assert(sizeof(LoginProof) == 32);

struct LoginAnswer {
  uint8_t signature[32];  // 0  the server knows the secret too
};
static_assert(sizeof(LoginAnswer) == 32);

struct QueueRef {
  uint32_t queue_id;  // 0
  uint32_t reserved;  // 4  0
};
static_assert(sizeof(QueueRef) == 8);

struct SendBody {
  uint32_t queue_id;  // 0
  uint32_t count;     // 4  1..kBatchMessagesMax; the run follows, to the frame's end
};
static_assert(sizeof(SendBody) == 8);

struct SendAnswer {
  uint64_t position;    //  0  end of the record in the shard's log
  uint64_t shard_slot;  //  8  shard << 48 | slot of the first message
  uint32_t count;       // 16
  uint8_t durability;   // 20  the level reached when this was sent
  uint8_t scattered;    // 21  0: the others follow by one; 1: `count` u64 shard_slots follow
  uint8_t reserved[2];  // 22
};
static_assert(sizeof(SendAnswer) == 24);

struct ReceiveBody {
  uint32_t queue_id;       //  0
  uint32_t messages_max;   //  4  1..kBatchMessagesMax
  uint32_t bytes_max;      //  8  of the answer's run; 0: kBatchBytesMax
  uint32_t visibility_ms;  // 12  0xFFFFFFFF: the queue's
  uint32_t wait_ms;        // 16  0xFFFFFFFF: the queue's
  uint32_t attempt_bytes;  // 20  of a receive attempt id, which follows, padded to 8; 0: none
};
static_assert(sizeof(ReceiveBody) == 24);

struct DeliveryHeader {
  uint32_t count;      // 0  entries that follow
  uint32_t run_bytes;  // 4  bytes of messages after the entries, each as in message.h
};
static_assert(sizeof(DeliveryHeader) == 8);

struct DeliveryEntry {
  Receipt receipt;         //  0
  int64_t sent_at_ms;      // 24
  uint32_t receive_count;  // 32
  uint32_t run_offset;     // 36  of its MessageHeader in the run
};
static_assert(sizeof(DeliveryEntry) == 40);

struct CountBody {
  uint32_t count;     // 0
  uint32_t reserved;  // 4
};
static_assert(sizeof(CountBody) == 8);

struct ExtendItem {
  Receipt receipt;         //  0
  uint32_t visibility_ms;  // 24  0: visible at once
  uint32_t lease_ms_max;   // 28  of the whole lease; 0: kLeaseMsMax
};
static_assert(sizeof(ExtendItem) == 32);

struct ResultsAnswer {
  uint32_t count;   // 0
  uint32_t failed;  // 4  0: all ok and nothing follows; else `count` u16 Errc, padded to 8
};
static_assert(sizeof(ResultsAnswer) == 8);

struct SubscribeBody {
  uint32_t queue_id;       //  0
  uint32_t messages_max;   //  4  per DELIVER frame
  uint32_t bytes_max;      //  8
  uint32_t visibility_ms;  // 12
  uint64_t credit;         // 16  messages; 1..2^32
};
static_assert(sizeof(SubscribeBody) == 24);

struct SubscriptionRef {
  uint64_t subscription;  // 0  the SUBSCRIBE's correlation id
};
static_assert(sizeof(SubscriptionRef) == 8);

struct CreditBody {
  uint64_t subscription;  // 0
  uint64_t messages;      // 8  added to the credit
};
static_assert(sizeof(CreditBody) == 16);

struct CancelBody {
  uint64_t correlation;  // 0  of the RECEIVE
};
static_assert(sizeof(CancelBody) == 8);

struct PeekBody {
  uint32_t queue_id;      // 0
  uint32_t messages_max;  // 4
  uint32_t states;        // 8  bit set: 1 delayed, 2 ready, 4 leased
  uint32_t reserved;      // 12
};
static_assert(sizeof(PeekBody) == 16);

struct PeekItem {
  uint64_t shard_slot;           //  0
  int64_t sent_at_ms;            //  8
  int64_t due_ms;                // 16
  uint32_t receive_count;        // 24
  uint8_t state;                 // 28  MessageState
  uint8_t reserved;              // 29
  uint16_t holder_bytes;         // 30  of a text that says who holds it; 0: it is not leased
  uint32_t run_offset;           // 32
  uint32_t holder_offset;        // 36  of that text, from where the run begins
  int64_t first_received_at_ms;  // 40  0: never
  int64_t last_received_at_ms;   // 48  0: never
};
static_assert(sizeof(PeekItem) == 56);

// What is to be set of a queue, in texts (options.h, QueueSettings). Behind it, one after the
// other, unpadded: the name, `attributes` and `tags` TextItems, `untagged` TextItems without value.
// Then zeros up to a multiple of 8.
struct SettingsBody {
  uint16_t name_bytes;  // 0  0 in QUEUE_SET
  uint16_t attributes;  // 2
  uint16_t tags;        // 4  put, in place of those of the same name
  uint16_t untagged;    // 6  taken away
};
static_assert(sizeof(SettingsBody) == 8);

struct TextItem {
  uint32_t value_bytes;  // 0
  uint16_t name_bytes;   // 4  name and value follow, unpadded
  uint16_t reserved;     // 6  0
};
static_assert(sizeof(TextItem) == 8);

inline constexpr uint32_t kSettingsBytesMax = 64u << 10;  // body of a QUEUE_CREATE or QUEUE_SET
// Body of a TOPIC_CREATE, TOPIC_SET, TOPIC_SUBSCRIBE or SUBSCRIPTION_SET: filter policies are long.
inline constexpr uint32_t kTopicSettingsBytesMax = 256u << 10;

struct ListBody {
  uint32_t max;           // 0  1..1000
  uint16_t prefix_bytes;  // 4
  uint16_t after_bytes;   // 6  names greater than this; both follow, one after the other, padded to
                          // 8 together
};
static_assert(sizeof(ListBody) == 8);

// Behind it, one after the other, unpadded: the name, `attributes` and `tags` TextItems. Then zeros
// up to a multiple of 8.
struct QueueItem {
  uint32_t queue_id;          //   0
  uint32_t text_bytes;        //   4  of name and TextItems, padding not counted
  uint16_t name_bytes;        //   8
  uint16_t attributes;        //  10
  uint16_t tags;              //  12
  uint16_t first_shard;       //  14  FIFO: of those it lives on
  int64_t created_at_ms;      //  16
  int64_t modified_at_ms;     //  24  when its attributes were last set
  uint64_t ready;             //  32
  uint64_t leased;            //  40
  uint64_t delayed;           //  48
  uint64_t bytes;             //  56
  uint64_t sent;              //  64
  uint64_t received;          //  72
  uint64_t acked;             //  80
  uint64_t expired;           //  88
  uint64_t empty_receives;    //  96
  int64_t oldest_sent_at_ms;  // 104
  uint64_t redelivered;       // 112
  uint64_t dead_lettered;     // 120
  uint64_t aged_out;          // 128
  uint32_t times;             // 136  1: QueueTimesItem behind the texts
  uint32_t reserved;          // 140  0
};
static_assert(sizeof(QueueItem) == 144 && offsetof(QueueItem, oldest_sent_at_ms) == 104);

struct TimesItem {
  uint64_t sum_ms;      // 0
  uint64_t counts[32];  // 8  [0]: under 1 ms; [i]: from 2^(i-1) up to 2^i ms
};
static_assert(sizeof(TimesItem) == 264);

struct QueueTimesItem {
  TimesItem wait;   //   0  from when a message could first be received to when it was
  TimesItem lease;  // 264  from its last receive to its ack
};
static_assert(sizeof(QueueTimesItem) == 528);

struct StatsBody {
  uint32_t count;    // 0  u32 ids follow, padded to 8; 0: all queues
  uint32_t details;  // 4  1: with attributes, tags and times; 0: without
};
static_assert(sizeof(StatsBody) == 8);

struct ShardItem {
  uint16_t shard;          //  0
  uint8_t fenced;          //  2
  uint8_t disk_full;       //  3
  uint32_t reserved;       //  4
  uint64_t head;           //  8
  uint64_t end;            // 16
  uint64_t durable;        // 24
  uint64_t live_bytes;     // 32
  uint64_t disk_bytes;     // 40
  uint64_t bytes_written;  // 48
  uint64_t syncs;          // 56
  uint64_t index_bytes;    // 64
  uint64_t ticks;          // 72
  uint64_t busy_ticks;     // 80
};
static_assert(sizeof(ShardItem) == 88);

struct MoveStartBody {
  uint32_t source;       //  0
  uint32_t destination;  //  4  0: each message to the queue it came from
  uint32_t rate;         //  8  messages a second, 1..500; 0: as fast as can be
  uint32_t reserved;     // 12  0
};
static_assert(sizeof(MoveStartBody) == 16);

struct MoveCancelBody {
  uint32_t source;    // 0
  uint32_t reserved;  // 4  0
  uint64_t task;      // 8  0: the one that runs
};
static_assert(sizeof(MoveCancelBody) == 16);

struct MoveListBody {
  uint32_t source;  // 0
  uint32_t max;     // 4  1..10
};
static_assert(sizeof(MoveListBody) == 8);

// Behind it, unpadded: the destination's name and the reason of a failure. Then zeros up to a
// multiple of 8.
struct MoveTaskItem {
  uint64_t task;           //  0
  uint32_t source;         //  8
  uint32_t destination;    // 12  0: each message to the queue it came from
  uint32_t rate;           // 16  0: as fast as can be
  uint8_t state;           // 20  MoveState
  uint8_t reserved;        // 21  0
  uint16_t name_bytes;     // 22
  uint16_t failure_bytes;  // 24
  uint16_t reserved2;      // 26  0
  uint32_t reserved3;      // 28  0
  uint64_t moved;          // 32
  uint64_t to_move;        // 40  ready in the source when it started
  int64_t started_at_ms;   // 48
  int64_t ended_at_ms;     // 56  0: it has not
};
static_assert(sizeof(MoveTaskItem) == 64 && offsetof(MoveTaskItem, ended_at_ms) == 56);

struct BackupAnswer {
  uint64_t backup;         //  0  its number
  int64_t server_time_ms;  //  8
  uint32_t logs;           // 16  BackupLogItems that follow, each with its files behind it
  uint32_t reserved;       // 20  0
};
static_assert(sizeof(BackupAnswer) == 24);

struct BackupLogItem {
  uint64_t head;           //  0  position where its data begins
  uint64_t end;            //  8  and behind it
  uint64_t segment_bytes;  // 16
  uint16_t log_id;         // 24  a shard's number, or 4096: the catalog's
  uint16_t reserved;       // 26  0
  uint32_t files;          // 28  BackupFileItems that follow, in log order
};
static_assert(sizeof(BackupLogItem) == 32);

struct BackupFileItem {
  uint64_t sequence;  // 0  of the segment
  uint64_t bytes;     // 8  of its file, from the beginning
};
static_assert(sizeof(BackupFileItem) == 16);

struct BackupReadBody {
  uint64_t backup;    //  0
  uint64_t sequence;  //  8
  uint64_t offset;    // 16  in the file; a multiple of 4096
  uint32_t bytes;     // 24  1..262144, none past the file's
  uint16_t log_id;    // 28
  uint16_t reserved;  // 30  0
};
static_assert(sizeof(BackupReadBody) == 32);

struct BackupBytes {
  uint32_t bytes;     // 0  that follow, padded to 8
  uint32_t reserved;  // 4  0
};
static_assert(sizeof(BackupBytes) == 8);

struct BackupEndBody {
  uint64_t backup;  // 0
};
static_assert(sizeof(BackupEndBody) == 8);

// Behind it, one after the other, unpadded: name, ARN, `attributes` and `tags` TextItems. Then
// zeros up to a multiple of 8.
struct TopicItem {
  uint32_t topic_id;      //  0
  uint32_t text_bytes;    //  4  of name, ARN and TextItems, padding not counted
  uint16_t name_bytes;    //  8
  uint16_t arn_bytes;     // 10
  uint16_t attributes;    // 12
  uint16_t tags;          // 14
  int64_t created_at_ms;  // 16
  uint32_t confirmed;     // 24  subscriptions
  uint32_t pending;       // 28  those that wait for their confirmation
  uint64_t published;     // 32  messages, since the server started; so are those below
  uint64_t delivered;     // 40  copies
  uint64_t filtered;      // 48  copies that a filter policy did not want
  uint64_t failed;        // 56  copies that their queue could not take
};
static_assert(sizeof(TopicItem) == 64 && offsetof(TopicItem, failed) == 56);

// Behind it, one after the other, unpadded: the topic's name, protocol, endpoint, `attributes`
// TextItems. Then zeros up to a multiple of 8.
struct TopicSubscribeBody {
  uint16_t topic_bytes;     // 0
  uint16_t protocol_bytes;  // 2
  uint16_t endpoint_bytes;  // 4
  uint16_t attributes;      // 6
};
static_assert(sizeof(TopicSubscribeBody) == 8);

struct TopicSubscriptionRef {
  uint8_t uuid[16];  // 0  as its ARN ends with it
};
static_assert(sizeof(TopicSubscriptionRef) == 16);

struct TopicSubscriptionListBody {
  uint32_t max;          //  0  1..1000
  uint32_t after;        //  4  ids greater than this
  uint16_t topic_bytes;  //  8  of its name, which follows, padded to 8; 0: those of all topics
  uint16_t details;      // 10  1: with attributes; 0: without
  uint32_t reserved;     // 12  0
};
static_assert(sizeof(TopicSubscriptionListBody) == 16);

// Behind it, one after the other, unpadded: the topic's name, protocol, endpoint, the queue's name,
// `attributes` TextItems. Then zeros up to a multiple of 8.
struct TopicSubscriptionItem {
  uint8_t uuid[16];          //  0
  uint32_t subscription_id;  // 16
  uint32_t text_bytes;       // 20  of what follows, padding not counted
  int64_t created_at_ms;     // 24
  uint16_t topic_bytes;      // 32
  uint16_t protocol_bytes;   // 34
  uint16_t endpoint_bytes;   // 36
  uint16_t queue_bytes;      // 38  0: it is no queue of this server
  uint16_t attributes;       // 40
  uint8_t pending;           // 42  1: not confirmed yet
  uint8_t reserved[5];       // 43  0
};
static_assert(sizeof(TopicSubscriptionItem) == 48 &&
              offsetof(TopicSubscriptionItem, reserved) == 43);

struct PublishBody {
  uint32_t count;        // 0  1..kPublishMessagesMax
  uint16_t topic_bytes;  // 4  of its name, which follows, padded to 8; then `count` messages
  uint16_t reserved;     // 6  0
};
static_assert(sizeof(PublishBody) == 8);
inline constexpr uint32_t kPublishMessagesMax = 64;
inline constexpr uint32_t kPublishBytesMax = 1u << 20;  // of all its messages, as SNS counts them

// Behind it, one after the other, unpadded: properties, subject, message. Then zeros up to a
// multiple of 8.
struct PublishItem {
  uint32_t message_bytes;     //  0
  uint32_t properties_bytes;  //  4  as of a SEND
  uint16_t subject_bytes;     //  8  0: it has none
  uint8_t structured;         // 10  1: the message is JSON with a text for each protocol
  uint8_t reserved[5];        // 11  0
};
static_assert(sizeof(PublishItem) == 16);

struct PublishResult {
  uint8_t message_id[16];  //  0  its UUID
  uint64_t sequence;       // 16  of a FIFO topic; 0: it has none
  uint16_t code;           // 24  Errc; not 0: it is published to nobody
  uint16_t text_bytes;     // 26  of a line for people, behind all the results
  uint32_t reserved;       // 28  0
};
static_assert(sizeof(PublishResult) == 32);

struct ErrorBody {
  uint16_t code;         // 0  Errc, as in the header's status
  uint16_t text_bytes;   // 2  one line for people follows, padded to 8
  uint32_t entry_index;  // 4  the message or entry it is about; 0xFFFFFFFF: the whole request
};
static_assert(sizeof(ErrorBody) == 8);

}  // namespace millrace::wire
