#include "net/aws/service_front.h"

#include <array>
#include <span>

#include <fmt/format.h>

namespace millrace::net {

void ServiceFront::respond(HttpExchange& exchange, const Operation* operation, bool xml,
                           uint16_t status, const AwsError* error, const RequestId& id) {
  figures_.count(figure_of(operation), status);
  std::array<HttpField, 2> fields{HttpField{"x-amzn-RequestId", id.text()}, HttpField{}};
  size_t count = 1;
  std::string fault;
  if (error != nullptr && !xml) {
    fault = fmt::format("{};{}", error->kind->code, error->kind->senders() ? "Sender" : "Receiver");
    fields[count++] = {"x-amzn-query-error", fault};
  }
  exchange.answer({.status = status,
                   .content_type = xml ? "text/xml" : "application/x-amz-json-1.0",
                   .fields = std::span<const HttpField>(fields).first(count),
                   .body = out_});
}

void ServiceFront::tell(const Audited* audited, std::string_view result, std::string_view reason,
                        std::string_view id) {
  if (audited == nullptr) return;
  audit_->record({.event = audited->event,
                  .via = "http",
                  .from = audited->from,
                  .who = audited->who,
                  .key = audited->key,
                  .action = audited->action,
                  .queue = audited->queue,
                  .topic = audited->topic,
                  .result = result,
                  .reason = reason,
                  .request = id});
}

AnswerWriter& ServiceAnswer::begin() {
  AnswerWriter& writer = front_.writer(xml_);
  front_.id_ = front_.ids_.next();
  writer.begin(operation_->name, operation_->has_result);
  return writer;
}

void ServiceAnswer::finish() {
  front_.writer(xml_).end(front_.id_.text());
  front_.tell(audited_.get(), errc_name(Errc::ok), {}, front_.id_.text());
  front_.respond(*std::exchange(exchange_, nullptr), operation_, xml_, 200, nullptr, front_.id_);
}

void ServiceAnswer::finish_void() {
  begin();
  finish();
}

void ServiceAnswer::refuse(const AwsError& error) {
  const RequestId id = front_.ids_.next();
  front_.writer(xml_).error(error, id.text());
  front_.tell(audited_.get(), error.kind->code, error.text, id.text());
  front_.respond(*std::exchange(exchange_, nullptr), operation_, xml_, error.kind->status, &error,
                 id);
}

Audited* ServiceAnswer::audit(const HttpRequest& http, const Caller& caller, AuditEvent event,
                              std::string_view name, std::string_view claimed_key) {
  if (front_.audit_ == nullptr) return nullptr;
  audited_ = std::make_unique<Audited>();
  audited_->event = event;
  audited_->from = http.peer.empty() ? "unix socket" : http.peer;
  audited_->who = caller.arn;
  audited_->key = claimed_key.empty() ? caller.key : claimed_key;
  audited_->action = name;
  return audited_.get();
}

}  // namespace millrace::net
