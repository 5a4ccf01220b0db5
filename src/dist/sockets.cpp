#include "dist/sockets.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "gigacat/core/error.h"

namespace gigacat::dist {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

AddressList look_up(const std::string& host, int port, int type) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = type;
  hints.ai_flags = AI_NUMERICSERV;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) fail("cannot find host \"", host, "\": ", ::gai_strerror(code), "; see MASTER_ADDR");
  return {found, &::freeaddrinfo};
}

std::string text_of(const sockaddr* address, socklen_t length) {
  char text[NI_MAXHOST];
  const int code = ::getnameinfo(address, length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
  if (code != 0) fail("cannot print a socket's address: ", ::gai_strerror(code));
  return text;
}

std::string own_address(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  const auto address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(socket, address, &length) != 0) fail("cannot read a socket's address: ", std::strerror(errno));
  return text_of(address, length);
}

// Address of a network interface, IPv4 first; "" when no interface has that name.
std::string interface_address(const std::string& name) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) fail("cannot list network interfaces: ", std::strerror(errno));
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
      if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != family || name != i->ifa_name) continue;
      return text_of(i->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    }
  }
  return "";
}

// A socket that listens at `address`, or -1 with errno.
int try_listen(const addrinfo& address, int backlog) {
  const int socket = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, address.ai_protocol);
  if (socket < 0) return -1;
  const int on = 1;
  // Without it a run that starts again soon after the last would find its port taken.
  if (::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
      ::bind(socket, address.ai_addr, address.ai_addrlen) == 0 && ::listen(socket, backlog) == 0)
    return socket;
  const int reason = errno;
  ::close(socket);
  errno = reason;
  return -1;
}

}  // namespace

int listen_at(const std::string& place, int port, int backlog) {
  const std::string address = is_interface(place) ? interface_address(place) : place;
  const AddressList list = look_up(address, port, SOCK_STREAM);
  int reason = 0;
  for (const addrinfo* i = list.get(); i != nullptr; i = i->ai_next) {
    const int socket = try_listen(*i, backlog);
    if (socket >= 0) return socket;
    reason = errno;
  }
  const char* advice = reason == EADDRINUSE      ? "; set MASTER_PORT to a free port"
                       : reason == EADDRNOTAVAIL ? "; MASTER_ADDR must be an address of rank 0's machine"
                                                 : "";
  fail("rank 0 cannot listen at ", address, ":", port, ": ", std::strerror(reason), advice);
}

int port_of(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    fail("cannot read a socket's port: ", std::strerror(errno));
  const bool four = storage.ss_family == AF_INET;
  return ntohs(four ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                    : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

std::string address_of(int socket) {
  const std::string address = own_address(socket);
  return address == "0.0.0.0" ? "127.0.0.1" : address == "::" ? "::1" : address;
}

std::string address_towards(const std::string& host, int port) {
  const AddressList list = look_up(host, port, SOCK_DGRAM);
  int reason = 0;
  for (const addrinfo* i = list.get(); i != nullptr; i = i->ai_next) {
    const int socket = ::socket(i->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, i->ai_protocol);
    if (socket < 0) continue;
    // Connecting a datagram socket sends nothing; it chooses the way.
    const bool found = ::connect(socket, i->ai_addr, i->ai_addrlen) == 0;
    reason = errno;
    const std::string address = found ? own_address(socket) : "";
    ::close(socket);
    if (found) return address;
  }
  fail("no way to ", host, ": ", std::strerror(reason), "; see MASTER_ADDR");
}

bool is_interface(const std::string& name) { return !name.empty() && ::if_nametoindex(name.c_str()) != 0; }

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0; }

}  // namespace gigacat::dist
