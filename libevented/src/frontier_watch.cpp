#include <evented/frontier_watch.hpp>
