#include "net/http/response_head.h"

#include <ctime>

#include <fmt/format.h>

namespace millrace::net {

std::string_view reason_of(uint16_t status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

void ResponseHead::set_date(TimeMs now) {
  const int64_t seconds = now.value / 1000;
  if (seconds == date_s_) return;
  date_s_ = seconds;
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  date_ = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[parts.tm_wday],
                      parts.tm_mday, kMonths[parts.tm_mon], 1900 + parts.tm_year, parts.tm_hour,
                      parts.tm_min, parts.tm_sec);
}

std::string_view ResponseHead::write(const HttpResponse& response, Persistence persistence,
                                     TimeMs now) {
  set_date(now);
  text_.clear();
  const auto add = [this](std::string_view name, std::string_view value) {
    text_.append(name).append(": ").append(value).append("\r\n");
  };
  if (response.status == 200) {
    text_ += "HTTP/1.1 200 OK\r\n";
  } else {
    text_ += fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
  }
  text_ += date_;
  for (const HttpField& field : response.fields)
    add(field.name, field.value);
  if (!response.content_type.empty()) add("Content-Type", response.content_type);
  if (!is_bodiless(response.status)) {
    const fmt::format_int length(response.body.size());
    add("Content-Length", {length.data(), length.size()});
  }
  if (persistence == Persistence::said) text_ += "Connection: keep-alive\r\n";
  if (persistence == Persistence::ends) text_ += "Connection: close\r\n";
  text_ += "\r\n";
  return text_;
}

}  // namespace millrace::net
