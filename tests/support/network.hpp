#pragma once

#include <string>
#include <vector>

namespace evented::test {

/// Hosts with an address each, joined by a bridge: network namespaces below one
/// that this process has left the machine's network for. Nothing outside of it
/// is touched, and all of it goes away with the process.
///
/// What a link loses vanishes: nobody is told, as where a cable is pulled. The
/// kernel only ever does that to packets, so connections live on when the link is
/// back.
///
///     network net{{"a", "b"}};
///     {
///       network::visit there{net, "a"};
///       // what is started here is on host a
///     }
///     net.lose("a", "b");
///
/// Works as root, and for others where they may make user namespaces. Used by one
/// thread.
class network {
public:
  /// Makes the hosts. From the first one on, this process is in a network of its
  /// own, which has nothing but a loopback device.
  /// @throws std::runtime_error with a sentence that says what is missing
  explicit network(const std::vector<std::string>& hosts);

  network(const network&) = delete;
  network& operator=(const network&) = delete;

  /// Takes the hosts away. Processes that are on them have no links then.
  ~network();

  /// Returns the address of a host.
  [[nodiscard]] std::string address(const std::string& host) const;

  /// Is on a host, with this thread and the threads and processes that it starts.
  class visit {
  public:
    visit(const network& net, const std::string& host);

    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

    /// Goes back to where the thread was before.
    ~visit();

  private:
    friend class network;
    explicit visit(int to);

    int from_;
  };

  /// Takes the cable out of a host, or puts it back.
  /// @{
  void unplug(const std::string& host);
  void plug(const std::string& host);
  /// @}

  /// Loses every packet from the one host to the other, in this direction.
  void lose(const std::string& from, const std::string& to);

  /// Loses nothing between any two hosts.
  void heal();

  /// Lets a host receive no more than so many kilobits a second, with a queue of
  /// two seconds before it; zero ends that.
  /// @throws std::runtime_error where the kernel cannot
  void slow_down(const std::string& host, unsigned kilobits);

private:
  struct host;

  void add(const std::string& name);
  void clear();
  [[nodiscard]] const host& find(const std::string& name) const;

  /// Where the bridge is.
  int outside_ = -1;
  std::vector<host> hosts_;
};

} // namespace evented::test
