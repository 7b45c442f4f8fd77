#include "support/network.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <linux/capability.h>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace evented::test {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": "
                           + std::generic_category().message(errno));
}

/// Runs a command with this thread's network.
void run(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe{
    ::popen(("{ " + command + "; } 2>&1").c_str(), "re"), &::pclose};
  if (pipe == nullptr)
    fail("cannot run " + command);
  std::string text;
  std::array<char, 256> part{};
  while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr)
    text += part.data();
  if (::pclose(pipe.release()) != 0)
    throw std::runtime_error(command + " has failed: " + text);
}

/// Returns this thread's network, as a descriptor that programs do not inherit.
int here() {
  auto result = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (result < 0)
    fail("cannot open a network namespace");
  return result;
}

void go(int to) {
  if (::setns(to, CLONE_NEWNET) != 0)
    fail("cannot enter a network namespace");
}

/// Lets `ip` change the networks of this user's namespace, although the user is
/// not root there either.
void hand_on_the_right() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> rights{};
  if (::syscall(SYS_capget, &header, rights.data()) != 0)
    fail("cannot see the own capabilities");
  rights[0].inheritable |= 1u << CAP_NET_ADMIN;
  if (::syscall(SYS_capset, &header, rights.data()) != 0
      || ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0)
           != 0)
    fail("cannot hand CAP_NET_ADMIN on");
}

void write(const char* file, const std::string& text) {
  std::ofstream out{file};
  if (!(out << text << std::flush))
    fail(std::string{"cannot write "} + file);
}

/// Leaves the machine's network, once in the life of this process.
void leave_home() {
  static auto gone = false;
  if (gone)
    return;
  if (::system("ip -Version > /dev/null 2>&1") != 0)
    throw std::runtime_error("the program ip is missing (Debian: iproute2)");
  if (::unshare(CLONE_NEWNET) != 0) {
    if (::geteuid() == 0)
      fail("root lacks CAP_SYS_ADMIN, so it cannot make network namespaces");
    auto uid = std::to_string(::geteuid());
    auto gid = std::to_string(::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
      fail("this user cannot make user namespaces");
    // Itself and not root, as PostgreSQL does not start as that.
    write("/proc/self/setgroups", "deny");
    write("/proc/self/uid_map", uid + ' ' + uid + " 1");
    write("/proc/self/gid_map", gid + ' ' + gid + " 1");
    hand_on_the_right();
  }
  gone = true;
  run("ip link set lo up");
}

} // namespace

// -- hosts ---------------------------------------------------------------------

/// A namespace, the last byte of its address, and how its device and the bridge's
/// end of its cable are called.
struct network::host {
  std::string name;
  int space;
  std::size_t number;

  [[nodiscard]] std::string address() const {
    return "10.77.0." + std::to_string(number);
  }

  /// Made by hand, so that nobody has to ask for it.
  [[nodiscard]] std::string mac() const {
    return "02:00:0a:4d:00:" + std::to_string(number);
  }

  [[nodiscard]] std::string cable() const {
    return "cable" + std::to_string(number);
  }
};

namespace {

/// Nobody's.
constexpr auto nowhere = "02:00:0a:4d:00:99";

void set_neighbour(const std::string& address, const std::string& mac) {
  run("ip neigh replace " + address + " lladdr " + mac
      + " nud permanent dev eth0");
}

} // namespace

network::network(const std::vector<std::string>& hosts) {
  leave_home();
  outside_ = here();
  try {
    run("ip link add name bridge type bridge");
    run("ip link set bridge up");
    for (auto& name : hosts)
      add(name);
    heal();
  } catch (...) {
    clear();
    throw;
  }
}

network::~network() {
  clear();
}

void network::add(const std::string& name) {
  visit back{outside_};
  if (::unshare(CLONE_NEWNET) != 0)
    fail("cannot make a network namespace");
  auto& x = hosts_.emplace_back(host{name, here(), hosts_.size() + 10});
  go(outside_);
  // `ip` has to find it.
  ::fcntl(x.space, F_SETFD, 0);
  run("ip link add " + x.cable() + " type veth peer name eth0 address "
      + x.mac() + " netns /proc/self/fd/" + std::to_string(x.space));
  ::fcntl(x.space, F_SETFD, FD_CLOEXEC);
  run("ip link set " + x.cable() + " master bridge up");
  go(x.space);
  run("ip link set lo up");
  run("ip address add " + x.address() + "/24 dev eth0");
  run("ip link set eth0 up");
}

void network::clear() {
  // What is still in there keeps a namespace, but not the link.
  for (auto& x : hosts_)
    ::close(x.space);
  visit back{outside_};
  for (auto& x : hosts_)
    run("ip link del " + x.cable() + " || true");
  run("ip link del bridge || true");
  ::close(outside_);
}

const network::host& network::find(const std::string& name) const {
  for (auto& x : hosts_)
    if (x.name == name)
      return x;
  throw std::runtime_error("there is no host " + name);
}

std::string network::address(const std::string& host) const {
  return find(host).address();
}

network::visit::visit(const network& net, const std::string& host)
  : visit(net.find(host).space) {
  // nop
}

network::visit::visit(int to) : from_(here()) {
  go(to);
}

network::visit::~visit() {
  (void)::setns(from_, CLONE_NEWNET);
  ::close(from_);
}

// -- faults --------------------------------------------------------------------

void network::unplug(const std::string& host) {
  visit bridge{outside_};
  run("ip link set " + find(host).cable() + " down");
}

void network::plug(const std::string& host) {
  visit bridge{outside_};
  run("ip link set " + find(host).cable() + " up");
}

void network::lose(const std::string& from, const std::string& to) {
  // To a station that does not exist: sent, and never seen again.
  visit there{*this, from};
  set_neighbour(find(to).address(), nowhere);
}

void network::heal() {
  for (auto& from : hosts_) {
    visit there{from.space};
    for (auto& to : hosts_)
      if (to.number != from.number)
        set_neighbour(to.address(), to.mac());
  }
}

void network::slow_down(const std::string& host, unsigned kilobits) {
  visit bridge{outside_};
  auto device = " dev " + find(host).cable() + " root";
  if (kilobits == 0)
    run("tc qdisc del" + device);
  else
    run("tc qdisc replace" + device + " tbf rate " + std::to_string(kilobits)
        + "kbit burst 16kb latency 2s");
}

} // namespace evented::test
