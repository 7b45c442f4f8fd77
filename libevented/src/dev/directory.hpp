#pragma once

// A server's directory:
//
//   owners     every owner holds a shared lock on it, the keeper waits for the
//              exclusive one; it also marks the directory as ours
//   starting   locked while someone sets the server up or starts it
//   keeper     locked by the keeper
//   data/      what initdb made
//   server.log
//   setup.log  the output of initdb and pg_ctl
//   socket     where the path is too long for a Unix socket: a link to a
//              directory with a short one

#include "process.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace evented::dev::detail {

inline constexpr auto socket_name = "/.s.PGSQL.5432";

/// How long others may take to start or stop a server in the same directory.
inline constexpr auto patience = std::chrono::seconds{90};

inline bool fits_socket(const fs::path& directory) {
  return directory.native().size() + std::string_view{socket_name}.size()
         < sizeof(sockaddr_un::sun_path);
}

/// Makes a directory with a short path that only `who` may enter.
inline fs::path make_temporary(const account& who) {
  std::string path = "/tmp/evented-XXXXXX";
  if (!mkdtemp(path.data()))
    throw_errno("cannot make a directory " + path);
  if (who.foreign() && chown(path.c_str(), who.uid, who.gid) != 0)
    throw_errno("cannot give " + path + " to " + who.name);
  return path;
}

/// Makes a directory that is kept, or checks that an existing one is ours.
inline fs::path make_kept(const fs::path& wanted, const account& who) {
  auto path = fs::absolute(wanted).lexically_normal();
  if (!path.has_filename())
    path = path.parent_path();
  fs::create_directories(path.parent_path());
  path = fs::canonical(path.parent_path()) / path.filename();
  const auto& name = path.native();
  // pg_ctl hands the path to a shell, in double quotes.
  if (name.find_first_of("\"$`\\\n") != std::string::npos)
    throw std::runtime_error("a server's directory cannot have quotes, $, \\ "
                             "or a line break in its name: "
                             + name);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw_errno("cannot make the directory " + name);
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0)
    throw_errno("cannot read the directory " + name);
  if (!S_ISDIR(info.st_mode))
    throw std::runtime_error(name + " is not a directory");
  if (info.st_uid != who.uid && info.st_uid != geteuid())
    throw std::runtime_error("the directory " + name
                             + " belongs to another user");
  if (!fs::exists(path / "owners") && !fs::is_empty(path))
    throw std::runtime_error("the directory " + name
                             + " exists, and this library did not make it");
  if (info.st_uid != who.uid && chown(path.c_str(), who.uid, who.gid) != 0)
    throw_errno("cannot give " + name + " to " + who.name);
  if ((info.st_mode & 077) != 0 && chmod(path.c_str(), 0700) != 0)
    throw_errno("cannot close " + name + " to others");
  if (who.foreign() && run({"test", "-x", path}, who, "/dev/null") != 0)
    throw std::runtime_error("PostgreSQL refuses root and runs as " + who.name
                             + " here, who cannot reach " + name);
  return path;
}

inline descriptor open_lock(const fs::path& path, const account& who) {
  descriptor result{
    open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (result.get() < 0)
    throw_errno("cannot open " + path.native());
  if (who.foreign() && fchown(result.get(), who.uid, who.gid) != 0)
    throw_errno("cannot give " + path.native() + " to " + who.name);
  return result;
}

inline bool try_lock(const descriptor& file, int mode) {
  return flock(file.get(), mode | LOCK_NB) == 0;
}

inline bool lock(const descriptor& file, int mode) {
  return wait_for([&] { return try_lock(file, mode); }, patience);
}

/// Checks whether the descriptor is still what stands at the path.
inline bool same_file(const descriptor& file, const fs::path& path) {
  struct stat one {};
  struct stat other {};
  return fstat(file.get(), &one) == 0 && stat(path.c_str(), &other) == 0
         && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

} // namespace evented::dev::detail
