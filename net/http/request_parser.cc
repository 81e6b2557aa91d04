#include "net/http/request_parser.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "net/http/text.h"

namespace millrace::net {
namespace {

RequestParser& parser_of(llhttp_t* llhttp) {
  return *static_cast<RequestParser*>(llhttp->data);
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_taken_method(std::string_view method) {
  return method == "POST" || method == "GET" || method == "HEAD" || method == "OPTIONS";
}

constexpr HttpRefusal kBadVersion{505, "HTTP/1.1 and HTTP/1.0 are spoken here"};
constexpr HttpRefusal kBadHost{400, "a request must have one Host field"};
constexpr HttpRefusal kBadLine{400,
                               "of the request's first line each part is divided by one space"};
constexpr HttpRefusal kBadTarget{400, "the target is neither a path nor a URI of this host"};

}  // namespace

RequestParser::RequestParser(const Limits& limits) : limits_(limits) {
  llhttp_settings_init(&settings_);
  settings_.on_method = on_method;
  settings_.on_url = on_target;
  settings_.on_header_field = on_name;
  settings_.on_header_value = on_value;
  settings_.on_headers_complete = on_end;
  fields_.reserve(limits.http_fields_max + 1);
}

size_t RequestParser::head_end(Bytes bytes, size_t& line, HttpRefusal& refusal) const {
  const auto* const begin = reinterpret_cast<const char*>(bytes.data());
  const size_t size = std::min<size_t>(bytes.size(), limits_.http_head_bytes_max);
  while (line < size) {
    const void* const found = std::memchr(begin + line, '\n', size - line);
    if (found == nullptr) break;
    const auto feed = static_cast<size_t>(static_cast<const char*>(found) - begin);
    if (feed == line || begin[feed - 1] != '\r') {
      refusal = {400, "a line of the head ends without a carriage return"};
      return 0;
    }
    if (line > 0 && (begin[line] == ' ' || begin[line] == '\t')) {
      refusal = {400, "a field goes on in a second line"};
      return 0;
    }
    const bool empty = feed == line + 1;
    line = feed + 1;
    if (empty) return line;
  }
  if (size == limits_.http_head_bytes_max) refusal = {431, "the head is too long"};
  return 0;
}

int RequestParser::on_method(llhttp_t* llhttp, const char* at, size_t length) {
  parser_of(llhttp).method_ = {at, length};
  return 0;
}

int RequestParser::on_target(llhttp_t* llhttp, const char* at, size_t length) {
  parser_of(llhttp).target_ = {at, length};
  return 0;
}

int RequestParser::on_name(llhttp_t* llhttp, const char* at, size_t length) {
  RequestParser& parser = parser_of(llhttp);
  parser.fields_.push_back({{at, length}, {}});
  return parser.fields_.size() > parser.limits_.http_fields_max ? -1 : 0;
}

int RequestParser::on_value(llhttp_t* llhttp, const char* at, size_t length) {
  parser_of(llhttp).fields_.back().value = trimmed({at, length});
  return 0;
}

int RequestParser::on_end(llhttp_t*) {
  return HPE_PAUSED;
}

HttpRefusal RequestParser::parse(Bytes bytes, RequestHead& head) {
  method_ = target_ = {};
  fields_.clear();
  llhttp_init(&llhttp_, HTTP_REQUEST, &settings_);
  llhttp_.data = this;
  const llhttp_errno error =
      llhttp_execute(&llhttp_, reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (error != HPE_PAUSED) return refusal_of(error);
  head.method = method_;
  head.target = target_;
  head.fields = fields_;
  head.content_length = llhttp_.content_length;
  head.http_1_0 = llhttp_.http_minor == 0;
  head.keep_alive = llhttp_should_keep_alive(&llhttp_) != 0;
  head.chunked = head.expects_continue = false;
  return check(head);
}

HttpRefusal RequestParser::refusal_of(llhttp_errno error) {
  if (fields_.size() > limits_.http_fields_max) return {431, "the head has too many fields"};
  if (error == HPE_INVALID_VERSION || method_ == "PRI") return kBadVersion;
  if (error == HPE_INVALID_METHOD) return {400, "that is no request of HTTP"};
  reason_ = "the head is malformed: ";
  reason_ += llhttp_.reason == nullptr ? llhttp_errno_name(error) : llhttp_.reason;
  return {400, reason_};
}

HttpRefusal RequestParser::check(RequestHead& head) {
  if (llhttp_.http_major != 1) return kBadVersion;
  if (!is_taken_method(head.method)) return {405, "this method is not taken"};
  // llhttp takes more; whoever else reads it may take them for a part of the target.
  const char* const target_end = head.target.data() + head.target.size();
  if (head.method.data() + head.method.size() + 1 != head.target.data() || target_end[1] != 'H')
    return kBadLine;
  if (const HttpRefusal refusal = check_fields(head)) return refusal;
  if (head.content_length > limits_.http_body_bytes_max) return {413, "the body is too long"};
  return {};
}

HttpRefusal RequestParser::check_fields(RequestHead& head) {
  std::string_view host;
  uint32_t hosts = 0;
  uint32_t codings = 0;
  for (const HttpField& field : head.fields) {
    const auto is = [&field](std::string_view name) {
      return equal_but_for_case(field.name, name);
    };
    switch (field.name.size()) {
      case 0:
        return {400, "a field has no name"};
      case 4:
        if (!is("host")) break;
        host = field.value;
        ++hosts;
        break;
      case 6:
        if (!is("expect")) break;
        if (!equal_but_for_case(field.value, "100-continue"))
          return {417, "of expectations only 100-continue is met"};
        head.expects_continue = !head.http_1_0;
        break;
      case 16:
        if (is("content-encoding") && !field.value.empty() &&
            !equal_but_for_case(field.value, "identity"))
          return {415, "a body is taken without a content coding only"};
        break;
      case 17:
        if (!is("transfer-encoding")) break;
        if (++codings > 1 || !equal_but_for_case(field.value, "chunked"))
          return {501, "of transfer codings only chunked is known"};
        if (head.http_1_0) return {400, "HTTP/1.0 has no transfer codings"};
        head.chunked = true;
        break;
      default:
        break;
    }
  }
  if (hosts > 1 || (hosts == 0 && !head.http_1_0)) return kBadHost;
  return check_target(head, host);
}

HttpRefusal RequestParser::check_target(RequestHead& head, std::string_view host) const {
  if (head.target.starts_with('/')) return {};
  if (head.target == "*" && head.method == "OPTIONS") return {};
  const size_t scheme = head.target.find("://");
  if (scheme == std::string_view::npos) return kBadTarget;
  if (!equal_but_for_case(head.target.substr(0, scheme), "http") &&
      !equal_but_for_case(head.target.substr(0, scheme), "https")) {
    return kBadTarget;
  }
  const size_t authority = scheme + 3;
  const size_t path = head.target.find_first_of("/?#", authority);
  if (!equal_but_for_case(head.target.substr(authority, path - authority), host) || host.empty())
    return kBadTarget;
  if (path == std::string_view::npos) {
    head.target = "/";
  } else if (head.target[path] == '/') {
    head.target.remove_prefix(path);
  } else {
    return kBadTarget;
  }
  return {};
}

}  // namespace millrace::net
