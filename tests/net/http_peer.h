// HttpPeer: an HTTP session on a fake shard, with a front that answers at once or when it is told
// to.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "net/http/session.h"
#include "tests/net/fake_port.h"

namespace millrace::net::test {

// Answers what it was asked: "POST /a?b body". Below /later/ it waits for answer_next(), and is
// told what happens meanwhile.
class TestFront final : public HttpFront {
 public:
  void handle(const HttpRequest& request, HttpExchange& exchange) override {
    // All that may be read is: a sanitizer would tell of the rest.
    unsigned sum = 0;
    for (size_t i = 0; i < request.body.size() + kHttpBodyPadding; ++i)
      sum += std::to_integer<unsigned>(request.body.data()[i]);
    checksum += sum;
    std::string text(request.method);
    text.append(" ").append(request.target).append(" ");
    text.append(reinterpret_cast<const char*>(request.body.data()), request.body.size());
    seen.push_back(text);
    fields.clear();
    for (const HttpField& field : request.fields)
      fields.emplace_back(std::string(field.name) + "=" + std::string(field.value));
    secure = request.secure;
    if (!request.path().starts_with("/later/")) {
      exchange.answer({.body = text});
      return;
    }
    waiting.push_back({&exchange, text});
  }
  void cancel(HttpExchange& exchange) override {
    ++canceled;
    std::erase_if(waiting, [&](const Waiting& w) { return w.exchange == &exchange; });
  }
  void stop_waiting(HttpExchange&) override { ++stopped; }

  void answer_next(const HttpResponse& response) {
    HttpExchange* const exchange = waiting.front().exchange;
    waiting.erase(waiting.begin());
    exchange->answer(response);
  }
  void answer_next() {
    const std::string text = waiting.front().text;
    answer_next({.body = text});
  }

  struct Waiting {
    HttpExchange* exchange;
    std::string text;
  };
  std::vector<Waiting> waiting;
  std::vector<std::string> seen;
  std::vector<std::string> fields;  // of the last request: "Host=a"
  int canceled = 0;
  int stopped = 0;
  bool secure = false;              // the last one came over TLS
  unsigned checksum = 0;
};

// The answers of a stream, each as status and body; of what is no answer the rest as it is.
struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
  bool says(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
};

inline std::vector<HttpAnswer> parse_answers(std::string_view text, bool bodiless = false) {
  std::vector<HttpAnswer> answers;
  while (!text.empty()) {
    const size_t end = text.find("\r\n\r\n");
    MR_ASSERT(end != std::string_view::npos && text.starts_with("HTTP/1.1 "));
    HttpAnswer answer;
    answer.status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    answer.head = text.substr(0, end + 2);
    text.remove_prefix(end + 4);
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const size_t at = answer.head.find(kLength);
    if (at != std::string::npos && !bodiless) {
      const size_t length = std::stoul(answer.head.substr(at + kLength.size()));
      MR_ASSERT(length <= text.size());
      answer.body = text.substr(0, length);
      text.remove_prefix(length);
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

class HttpPeer final : public ConversationHost {
 public:
  explicit HttpPeer(const Limits& limits = {})
      : parser_(limits),
        setting_{.shard = {.port = &port, .pool = &pool, .host = this, .limits = limits},
                 .router = &router_,
                 .parser = &parser_,
                 .head = &head_} {
    auto made = std::make_unique<TestFront>();
    front = made.get();
    router_.add("/later/", router_.own(std::move(made)));
    router_.add_for_others(*front);
    session = std::make_unique<HttpSession>(setting_, 7, "10.1.2.3");
  }

  // One piece, with the padding that a reactor's has and not a byte more.
  void say(std::string_view text) {
    const std::unique_ptr<std::byte[]> piece(new std::byte[text.size() + kReceivePadding]());
    std::memcpy(piece.get(), text.data(), text.size());
    session->feed({piece.get(), text.size()});
  }
  // What a socket would carry to the client until nothing more comes.
  std::string hear_text() {
    std::string text;
    for (int turns = 0; turns < 10'000; ++turns) {
      port.tick();
      dirty = false;
      const bool more = session->settle();
      if (session->output().pending() == 0 && !more && !dirty) break;
      if (session->output().pending() == 0) continue;
      const Bytes stretch = session->output().start_sending();
      text.append(reinterpret_cast<const char*>(stretch.data()), stretch.size());
      session->output().sent(stretch.size());
    }
    return text;
  }
  std::vector<HttpAnswer> hear() { return parse_answers(hear_text()); }
  HttpAnswer hear_one() {
    const std::vector<HttpAnswer> answers = hear();
    MR_ASSERT(answers.size() == 1);
    return answers.front();
  }
  HttpAnswer ask(std::string_view text) {
    say(text);
    return hear_one();
  }

  void conversation_dirty(Conversation&) override { dirty = true; }
  void shard_fenced() override {}

  FakePort port;
  BufferPool pool;
  bool dirty = false;
  TestFront* front = nullptr;

 private:
  HttpRouter router_;
  RequestParser parser_;
  ResponseHead head_;
  HttpSetting setting_;

 public:
  std::unique_ptr<HttpSession> session;
};

}  // namespace millrace::net::test
