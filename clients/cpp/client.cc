#include "clients/cpp/client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/os_clock.h"
#include "base/scram.h"
#include "clients/cpp/setting_texts.h"
#include "millrace/options.h"
#include "millrace/properties.h"

namespace millrace::client {
namespace {

using wire::Opcode;

// A request's id is its number, then the slot that holds its callback: ids rise strictly, as the
// protocol asks, and an answer finds its slot without a search.
constexpr int kSlotBits = 16;
constexpr uint64_t kSlotMask = (1u << kSlotBits) - 1;
constexpr size_t kOutBytes = 64 * 1024;
constexpr size_t kReadBytesMin = 16 * 1024;

// Fits every frame of names; a name this long is refused by the server, not here.
constexpr size_t kNameBytesMax = 4096;

static_assert(sizeof(ExtendEntry) == sizeof(wire::ExtendItem) &&
              offsetof(ExtendEntry, visibility_ms) == offsetof(wire::ExtendItem, visibility_ms) &&
              offsetof(ExtendEntry, lease_ms_max) == offsetof(wire::ExtendItem, lease_ms_max));

int64_t now_ms() {
  return base::os_monotonic_ns() / 1'000'000;
}

}  // namespace

Client::Client(Socket socket, const ClientOptions& options)
    : socket_(std::move(socket)),
      out_(kOutBytes),
      in_(std::max(options.receive_buffer_bytes, kReadBytesMin)) {
  slots_.resize(std::clamp<uint32_t>(options.inflight_max, 1, kSlotMask));
}

Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(std::string_view address,
                                                const ClientOptions& options,
                                                std::string* message) {
  Result<Socket> socket = Socket::connect(address, options.connect_timeout_ms, message);
  if (!socket) return fail(socket.error());
  std::unique_ptr<Client> client(new Client(std::move(*socket), options));
  const auto refuse = [&](std::string_view what, Errc error) -> Failure {
    if (message != nullptr)
      *message = std::string(what) + std::string(address) + ": " + client->failure_text_;
    return fail(error);
  };
  const int64_t deadline_ms = now_ms() + options.connect_timeout_ms;
  if (Status hello = client->say_hello(options, deadline_ms); !hello)
    return refuse("no broker answers at ", hello.error());
  if (client->welcome_.login != 0) {
    if (Status logged_in = client->log_in(options, deadline_ms); !logged_in)
      return refuse("no log-in at ", logged_in.error());
  }
  return client;
}

// Polls until it is true. The request's callback sets it.
Status Client::wait_for(const bool& answered, int64_t deadline_ms) {
  for (int64_t left_ms = deadline_ms - now_ms(); !answered && left_ms > 0;
       left_ms = deadline_ms - now_ms()) {
    if (Status turn = poll(static_cast<int>(left_ms)); !turn) return turn;
  }
  if (!answered) fail_connection(Errc::timed_out, "no answer to the greeting in time");
  if (failure_ != Errc::ok) return fail(failure_);
  return {};
}

Status Client::say_hello(const ClientOptions& options, int64_t deadline_ms) {
  free_ = {0};
  const std::string_view name = std::string_view(options.name).substr(0, wire::kClientNameBytesMax);
  const wire::Hello hello{wire::kMagic, wire::kVersion, wire::kVersion,
                          static_cast<uint16_t>(name.size()), 0};
  bool answered = false;
  const Result<Draft> draft =
      begin(Opcode::hello, sizeof hello + padded8(name.size()), [&](const Answer& answer) {
        answered = true;
        if (!answer) return;
        welcome_ = take<wire::Welcome>(answer.echoed().data());
      });
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, hello), as_bytes(name));
  if (const auto sent = finish(*draft); !sent) return fail(sent.error());
  if (Status done = wait_for(answered, deadline_ms); !done) return done;
  if (welcome_.magic != wire::kMagic || welcome_.version != wire::kVersion) {
    fail_connection(Errc::version_mismatch, errc_text(Errc::version_mismatch));
    return fail(failure_);
  }
  if (welcome_.inflight_max > 0 && welcome_.inflight_max < slots_.size())
    slots_.resize(welcome_.inflight_max);
  free_.clear();
  for (size_t slot = slots_.size(); slot > 0; --slot)
    free_.push_back(static_cast<uint16_t>(slot - 1));
  return {};
}

// base/scram.h has the steps.
Status Client::log_in(const ClientOptions& options, int64_t deadline_ms) {
  const auto give_up = [this](Errc error, std::string_view text) -> Failure {
    fail_connection(error, text);
    return fail(failure_);
  };
  const std::string_view key = options.access_key;
  if (key.empty()) return give_up(Errc::login_required, "it wants an access key and its secret");
  if (key.size() > wire::kAccessKeyBytesMax)
    return give_up(Errc::invalid_argument, "the access key's id is too long");

  wire::Login first{};
  base::scram_random(first.nonce, sizeof first.nonce);
  first.key_bytes = static_cast<uint16_t>(key.size());
  first.binding = static_cast<uint8_t>(wire::LoginBinding::none);
  std::vector<std::byte> first_bytes(sizeof first + padded8(key.size()));
  put_padded(put(first_bytes.data(), first), as_bytes(key));
  wire::LoginChallenge challenge{};
  std::string refusal;
  Errc refused = Errc::ok;
  bool answered = false;
  // An error that is about the request alone, as of a server that knows no LOGIN.
  const auto note = [&](const Answer& answer) {
    answered = true;
    refused = answer.error();
    if (!answer) refusal = answer.text();
  };
  Result<Draft> draft = begin(Opcode::login, first_bytes.size(), [&](const Answer& answer) {
    note(answer);
    if (answer) challenge = take<wire::LoginChallenge>(answer.echoed().data());
  });
  if (!draft) return fail(draft.error());
  std::copy(first_bytes.begin(), first_bytes.end(), draft->body);
  if (const auto sent = finish(*draft); !sent) return fail(sent.error());
  if (Status done = wait_for(answered, deadline_ms); !done) return done;
  if (refused != Errc::ok) return give_up(refused, refusal);
  // Fewer would make what we are about to show easier to search for the secret.
  if (challenge.iterations < base::kScramIterations ||
      challenge.iterations > base::kScramIterationsMax)
    return give_up(Errc::login_refused, "the server asks for an unusual number of iterations");

  base::ScramSalt salt;
  std::copy(std::begin(challenge.salt), std::end(challenge.salt), salt.begin());
  base::ScramDigest client_key;
  const base::ScramKeys keys =
      base::scram_keys(options.secret, salt, challenge.iterations, &client_key);
  const std::string transcript = base::scram_transcript(
      first_bytes, std::as_bytes(std::span<const wire::LoginChallenge>(&challenge, 1)), {});
  const base::ScramDigest proof = base::scram_proof(client_key, keys, transcript);
  base::scram_wipe(client_key.data(), client_key.size());
  base::ScramDigest signature{};
  answered = false;
  draft = begin(Opcode::login_proof, sizeof(wire::LoginProof), [&](const Answer& answer) {
    note(answer);
    if (answer) std::memcpy(signature.data(), answer.echoed().data(), signature.size());
  });
  if (!draft) return fail(draft.error());
  std::memcpy(draft->body, proof.data(), proof.size());
  if (const auto sent = finish(*draft); !sent) return fail(sent.error());
  if (Status done = wait_for(answered, deadline_ms); !done) return done;
  if (refused != Errc::ok) return give_up(refused, refusal);
  if (!base::scram_equal(signature, base::scram_signature(keys, transcript)))
    return give_up(Errc::login_refused, "the server does not know the secret itself");
  return {};
}

// --- requests ---

Result<Client::Draft> Client::begin(Opcode opcode, size_t body_bytes, Callback callback) {
  if (failure_ != Errc::ok) return fail(Errc::connection_closed);
  if (free_.empty()) return fail(Errc::throttled);
  const uint16_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.request = (++sequence_ << kSlotBits) | index;
  slot.opcode = opcode;
  slot.callback = std::move(callback);
  ++in_flight_;
  return Draft{begin_frame(out_, opcode, slot.request, body_bytes), body_bytes, slot.request};
}

Result<RequestId> Client::finish(const Draft& draft) {
  seal_frame(draft.body, draft.body_bytes);
  return draft.request;
}

template <class Fixed>
Result<RequestId> Client::simple(Opcode opcode, const Fixed& fixed, Callback callback) {
  Result<Draft> draft = begin(opcode, sizeof fixed, std::move(callback));
  if (!draft) return fail(draft.error());
  put(draft->body, fixed);
  return finish(*draft);
}

Result<RequestId> Client::resolve(std::string_view name, Callback done) {
  if (name.empty() || name.size() > kQueueNameBytesMax) return fail(Errc::invalid_queue_name);
  Result<Draft> draft = begin(Opcode::resolve, padded8(name.size()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(draft->body, as_bytes(name));
  return finish(*draft);
}

Result<RequestId> Client::send(QueueId queue, const MessageBatch& batch, Callback done) {
  return send({.queue = queue, .count = batch.count(), .messages = batch.run()}, std::move(done));
}

Result<RequestId> Client::send(const SendRequest& request, Callback done) {
  if (request.count == 0) return fail(Errc::batch_empty);
  if (request.count > kBatchMessagesMax || request.messages.size() > kBatchBytesMax)
    return fail(Errc::batch_too_large);
  if (request.messages.size() % 8 != 0) return fail(Errc::malformed);
  Result<Draft> draft =
      begin(Opcode::send, sizeof(wire::SendBody) + request.messages.size(), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, wire::SendBody{raw(request.queue), request.count}), request.messages);
  return finish(*draft);
}

Result<RequestId> Client::receive(const ReceiveRequest& request, Callback done) {
  if (request.attempt_id.size() > kGroupIdBytesMax) return fail(Errc::invalid_argument);
  Result<Draft> draft =
      begin(Opcode::receive, sizeof(wire::ReceiveBody) + padded8(request.attempt_id.size()),
            std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(
      put(draft->body, wire::ReceiveBody{raw(request.queue), request.messages_max,
                                         request.bytes_max, request.visibility_ms, request.wait_ms,
                                         static_cast<uint32_t>(request.attempt_id.size())}),
      as_bytes(request.attempt_id));
  return finish(*draft);
}

Result<RequestId> Client::ack(std::span<const Receipt> receipts, Callback done) {
  if (receipts.empty()) return fail(Errc::batch_empty);
  if (receipts.size() > kBatchMessagesMax) return fail(Errc::batch_too_large);
  Result<Draft> draft =
      begin(Opcode::ack, sizeof(wire::CountBody) + receipts.size_bytes(), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, wire::CountBody{static_cast<uint32_t>(receipts.size()), 0}),
             std::as_bytes(receipts));
  return finish(*draft);
}

Result<RequestId> Client::extend(std::span<const ExtendEntry> entries, Callback done) {
  if (entries.empty()) return fail(Errc::batch_empty);
  if (entries.size() > kBatchMessagesMax) return fail(Errc::batch_too_large);
  Result<Draft> draft =
      begin(Opcode::extend, sizeof(wire::CountBody) + entries.size_bytes(), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, wire::CountBody{static_cast<uint32_t>(entries.size()), 0}),
             std::as_bytes(entries));
  return finish(*draft);
}

Result<RequestId> Client::subscribe(const ReceiveRequest& request, uint64_t credit,
                                    Callback pushed) {
  return simple(Opcode::subscribe,
                wire::SubscribeBody{raw(request.queue), request.messages_max, request.bytes_max,
                                    request.visibility_ms, credit},
                std::move(pushed));
}

Result<RequestId> Client::add_credit(RequestId subscription, uint64_t messages, Callback done) {
  return simple(Opcode::credit, wire::CreditBody{subscription, messages}, std::move(done));
}

Result<RequestId> Client::unsubscribe(RequestId subscription, Callback done) {
  Result<RequestId> request =
      simple(Opcode::unsubscribe, wire::SubscriptionRef{subscription}, std::move(done));
  if (request) slots_[*request & kSlotMask].ends = subscription;
  return request;
}

Result<RequestId> Client::peek(const PeekRequest& request, Callback done) {
  return simple(Opcode::peek,
                wire::PeekBody{raw(request.queue), request.messages_max, request.states, 0},
                std::move(done));
}

Result<RequestId> Client::cancel(RequestId receive, Callback done) {
  return simple(Opcode::cancel, wire::CancelBody{receive}, std::move(done));
}

Result<RequestId> Client::create_queue(std::string_view name, const QueueSettings& settings,
                                       Callback done) {
  if (name.size() > kNameBytesMax) return fail(Errc::invalid_queue_name);
  const std::string texts = texts_of(name, settings);
  if (!fit_a_frame(settings, texts.size(), wire::kSettingsBytesMax))
    return fail(Errc::invalid_argument);
  Result<Draft> draft = begin(Opcode::queue_create,
                              sizeof(wire::SettingsBody) + padded8(texts.size()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body, settings_body(name.size(), settings)), as_bytes(texts));
  return finish(*draft);
}

Result<RequestId> Client::set_queue(QueueId queue, const QueueSettings& settings, Callback done) {
  const std::string texts = texts_of({}, settings);
  if (!fit_a_frame(settings, texts.size(), wire::kSettingsBytesMax))
    return fail(Errc::invalid_argument);
  Result<Draft> draft = begin(
      Opcode::queue_set,
      sizeof(wire::QueueRef) + sizeof(wire::SettingsBody) + padded8(texts.size()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(put(draft->body, wire::QueueRef{raw(queue), 0}), settings_body(0, settings)),
             as_bytes(texts));
  return finish(*draft);
}

Result<RequestId> Client::purge_queue(QueueId queue, Callback done) {
  return simple(Opcode::queue_purge, wire::QueueRef{raw(queue), 0}, std::move(done));
}

Result<RequestId> Client::delete_queue(QueueId queue, Callback done) {
  return simple(Opcode::queue_delete, wire::QueueRef{raw(queue), 0}, std::move(done));
}

Result<RequestId> Client::list_queues(std::string_view prefix, std::string_view after, uint32_t max,
                                      Callback done) {
  if (prefix.size() > kNameBytesMax || after.size() > kNameBytesMax)
    return fail(Errc::invalid_queue_name);
  Result<Draft> draft =
      begin(Opcode::queue_list, sizeof(wire::ListBody) + padded8(prefix.size() + after.size()),
            std::move(done));
  if (!draft) return fail(draft.error());
  const std::string names = std::string(prefix) + std::string(after);
  put_padded(put(draft->body, wire::ListBody{max, static_cast<uint16_t>(prefix.size()),
                                             static_cast<uint16_t>(after.size())}),
             as_bytes(names));
  return finish(*draft);
}

Result<RequestId> Client::queue_stats(std::span<const QueueId> queues, bool with_details,
                                      Callback done) {
  if (queues.size() > kBatchMessagesMax) return fail(Errc::batch_too_large);
  Result<Draft> draft = begin(
      Opcode::queue_stats, sizeof(wire::StatsBody) + padded8(queues.size_bytes()), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(put(draft->body,
                 wire::StatsBody{static_cast<uint32_t>(queues.size()), with_details ? 1u : 0u}),
             std::as_bytes(queues));
  return finish(*draft);
}

Result<RequestId> Client::start_move(const MoveRequest& request, Callback done) {
  return simple(Opcode::move_start,
                wire::MoveStartBody{raw(request.source), raw(request.destination), request.rate, 0},
                std::move(done));
}

Result<RequestId> Client::cancel_move(QueueId source, uint64_t task, Callback done) {
  return simple(Opcode::move_cancel, wire::MoveCancelBody{raw(source), 0, task}, std::move(done));
}

Result<RequestId> Client::list_moves(QueueId source, uint32_t max, Callback done) {
  return simple(Opcode::move_list, wire::MoveListBody{raw(source), max}, std::move(done));
}

Result<RequestId> Client::start_backup(Callback done) {
  Result<Draft> draft = begin(Opcode::backup_start, 0, std::move(done));
  if (!draft) return fail(draft.error());
  return finish(*draft);
}

Result<RequestId> Client::read_backup(const BackupRead& request, Callback done) {
  return simple(Opcode::backup_read,
                wire::BackupReadBody{request.backup, request.sequence, request.offset,
                                     request.bytes, request.log_id, 0},
                std::move(done));
}

Result<RequestId> Client::end_backup(uint64_t backup, Callback done) {
  return simple(Opcode::backup_end, wire::BackupEndBody{backup}, std::move(done));
}

Result<RequestId> Client::server_stats(Callback done) {
  Result<Draft> draft = begin(Opcode::server_stats, 0, std::move(done));
  if (!draft) return fail(draft.error());
  return finish(*draft);
}

Result<RequestId> Client::echo(Bytes bytes, Callback done) {
  if (bytes.size() % 8 != 0) return fail(Errc::invalid_argument);
  if (bytes.size() > wire::kFrameBytesMax - sizeof(wire::FrameHeader))
    return fail(Errc::frame_too_large);
  Result<Draft> draft = begin(Opcode::echo, bytes.size(), std::move(done));
  if (!draft) return fail(draft.error());
  put_padded(draft->body, bytes);
  return finish(*draft);
}

// --- driving ---

Status Client::poll(int timeout_ms) {
  if (Status sent = flush(); !sent) return sent;
  if (!socket_.wait(wants_write(), timeout_ms)) return {};
  if (Status sent = flush(); !sent) return sent;
  return receive();
}

Status Client::flush() {
  if (failure_ != Errc::ok) return fail(failure_);
  if (out_.empty()) return {};
  Result<size_t> written = socket_.write({out_.front(), out_.size()});
  if (!written) {
    // The server's last words may say why it closed.
    if (Status heard = receive(); heard)
      fail_connection(Errc::connection_closed, errc_text(Errc::connection_closed));
    return fail(failure_);
  }
  out_.consume(*written);
  return {};
}

Status Client::receive() {
  MR_ASSERT(!in_callback_);
  if (failure_ != Errc::ok) return fail(failure_);
  const size_t missing = frame_bytes_at({in_.front(), in_.size()}) - in_.size();
  const bool known = in_.size() >= sizeof(uint32_t);
  const MutableBytes room = in_.room(known ? std::max(missing, kReadBytesMin) : kReadBytesMin);
  Result<size_t> read = socket_.read(room);
  if (!read) {
    fail_connection(Errc::connection_closed, "the server closed the connection");
    return fail(failure_);
  }
  in_.added(*read);
  while (failure_ == Errc::ok && !in_.empty()) {
    Result<Frame> frame = read_frame({in_.front(), in_.size()}, wire::kFrameBytesMax);
    if (!frame) {
      fail_connection(frame.error(), "the server sent bytes that are no frame");
      break;
    }
    if (frame->header.length == 0) break;
    take_frame(*frame);
    in_.consume(frame->header.length);
  }
  if (failure_ != Errc::ok) return fail(failure_);
  return {};
}

void Client::take_frame(const Frame& frame) {
  const uint64_t correlation = frame.header.correlation;
  const size_t index = correlation & kSlotMask;
  const bool known =
      correlation != 0 && index < slots_.size() && slots_[index].request == correlation;
  const auto opcode = static_cast<Opcode>(frame.header.opcode);
  if (!known) {
    // A push that crossed our UNSUBSCRIBE: the leases run out and the messages come back.
    if (opcode == Opcode::deliver) return;
    Result<Answer> answer = Answer::parse(Opcode::error, frame);
    if (correlation == 0 && answer && answer->error() != Errc::ok)
      fail_connection(answer->error(), answer->text());
    else
      fail_connection(Errc::protocol_violation, "the server answered what was not asked");
    return;
  }
  Slot& slot = slots_[index];
  const bool pushed = opcode == Opcode::deliver && slot.opcode == Opcode::subscribe;
  Result<Answer> answer = Answer::parse(pushed ? Opcode::deliver : slot.opcode, frame);
  if (!answer) {
    fail_connection(answer.error(), "the server's answer does not fit its counts");
    return;
  }
  if (slot.opcode == Opcode::subscribe && answer->error() == Errc::ok) {
    push(slot, *answer);
    return;
  }
  if (slot.opcode == Opcode::unsubscribe && answer->error() == Errc::ok) {
    Slot& ended = slots_[slot.ends & kSlotMask];
    if (ended.request == slot.ends) release(ended);
  }
  const Callback callback = std::move(slot.callback);
  release(slot);
  if (!callback) return;
  in_callback_ = true;
  callback(*answer);
  in_callback_ = false;
}

void Client::push(Slot& slot, const Answer& answer) {
  if (!slot.callback) return;
  in_callback_ = true;
  slot.callback(answer);
  in_callback_ = false;
}

void Client::release(Slot& slot) {
  free_.push_back(static_cast<uint16_t>(slot.request & kSlotMask));
  slot.request = 0;
  slot.callback = nullptr;
  --in_flight_;
}

void Client::close() {
  fail_connection(Errc::connection_closed, "the connection was closed here");
}

void Client::fail_connection(Errc error, std::string_view text) {
  MR_ASSERT(!in_callback_);
  if (failure_ != Errc::ok) return;
  failure_ = error;
  failure_text_ = text;  // before the callbacks: `text` may lie in the receive buffer
  socket_.close();
  out_.clear();
  for (Slot& slot : slots_) {
    if (slot.request == 0) continue;
    const Answer answer =
        Answer::failed(slot.opcode, slot.request, Errc::connection_closed, failure_text_);
    const Callback callback = std::move(slot.callback);
    release(slot);
    if (!callback) continue;
    in_callback_ = true;
    callback(answer);
    in_callback_ = false;
  }
}

}  // namespace millrace::client
