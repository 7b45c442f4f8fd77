#include "chaos/nemesis/small_volume.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace evented::test::nemesis {

namespace {

bool mounts_are_private = false;

} // namespace

void make_mounts_private() {
  mounts_are_private
    = ::unshare(CLONE_NEWNS) == 0
      && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

std::unique_ptr<small_volume> small_volume::make(std::size_t megabytes) {
  if (!mounts_are_private)
    return nullptr;
  std::string path = "/tmp/evented-volume-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), path);
  auto options = "mode=0755,size=" + std::to_string(megabytes) + "m";
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
              options.c_str())
      != 0) {
    ::rmdir(path.c_str());
    return nullptr;
  }
  return std::unique_ptr<small_volume>{new small_volume{path}};
}

small_volume::~small_volume() {
  ::umount2(path_.c_str(), MNT_DETACH);
  ::rmdir(path_.c_str());
}

void small_volume::fill() const {
  auto ballast
    = ::open((path_ / "ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (ballast < 0)
    throw std::system_error(errno, std::generic_category(), "ballast");
  // What is free changes while this goes on.
  for (off_t chunk = 16 << 20; chunk >= 4096; chunk /= 2)
    for (off_t size = ::lseek(ballast, 0, SEEK_END);
         ::posix_fallocate(ballast, size, chunk) == 0;)
      size += chunk;
  ::close(ballast);
}

void small_volume::clear() const {
  ::unlink((path_ / "ballast").c_str());
}

} // namespace evented::test::nemesis
