// Socket calls for the rendezvous of ranks.
#pragma once

#include <string>

namespace gigacat::dist {

// A listening TCP socket at a host name, address or interface name. Port 0 takes a free one.
// Errors: Error with the place, the system's reason and what to set.
int listen_at(const std::string& place, int port, int backlog);

// Port and address of a listening socket; the address is one that this machine can connect to.
int port_of(int socket);
std::string address_of(int socket);

// This machine's address on the way to `host`. Errors: Error when the name is unknown or there is no way.
std::string address_towards(const std::string& host, int port);

// An address that belongs to nobody (RFC 5737): packets to it would leave this machine by the default route.
inline constexpr const char* kExternalAddress = "192.0.2.1";

bool is_interface(const std::string& name);
bool is_loopback(const std::string& host);

}  // namespace gigacat::dist
