// ServiceManager: tells systemd that the service is ready or stopping (sd_notify's protocol: a
// datagram to the socket named by NOTIFY_SOCKET). Without that variable, nothing.
// Source: sd_notify(3), "Notes".
#pragma once

#include <string_view>

namespace millrace::tools {

// `state` is "READY=1" or "STOPPING=1". A service manager that does not listen is no error.
void notify_service_manager(std::string_view state);

}  // namespace millrace::tools
