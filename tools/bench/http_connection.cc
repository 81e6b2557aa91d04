#include "tools/bench/http_connection.h"

#include <utility>

namespace millrace::tools {

HttpConnection::HttpConnection(client::Socket socket, uint32_t lane, HttpAnswers& answers)
    : socket_(std::move(socket)), lane_(lane), answers_(answers) {
  llhttp_settings_init(&settings_);
  settings_.on_body = on_body;
  settings_.on_message_complete = on_whole;
  llhttp_init(&llhttp_, HTTP_RESPONSE, &settings_);
  llhttp_.data = this;
}

HttpConnection& HttpConnection::of(llhttp_t* llhttp) {
  return *static_cast<HttpConnection*>(llhttp->data);
}

int HttpConnection::on_body(llhttp_t* llhttp, const char* at, size_t length) {
  of(llhttp).body_.append(at, length);
  return 0;
}

int HttpConnection::on_whole(llhttp_t* llhttp) {
  HttpConnection& self = of(llhttp);
  if (self.under_way_.empty()) return -1;
  const HttpAsked asked = self.under_way_.front();
  self.under_way_.pop_front();
  const bool more = self.answers_.on_answer(self, asked, llhttp->status_code, self.body_);
  self.body_.clear();
  return more ? 0 : -1;
}

Status HttpConnection::flush() {
  if (!wants_write()) return {};
  const Result<size_t> written = socket_.write(as_bytes(std::string_view(out_).substr(sent_)));
  if (!written) return fail(written.error());
  sent_ += *written;
  if (sent_ < out_.size()) return {};
  out_.clear();
  sent_ = 0;
  return {};
}

Status HttpConnection::receive(MutableBytes scratch) {
  const Result<size_t> read = socket_.read(scratch);
  if (!read) return fail(read.error());
  if (*read == 0) return {};
  const llhttp_errno error =
      llhttp_execute(&llhttp_, reinterpret_cast<const char*>(scratch.data()), *read);
  return error == HPE_OK ? Status() : fail(Errc::malformed);
}

}  // namespace millrace::tools
